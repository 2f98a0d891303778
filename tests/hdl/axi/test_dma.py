from pathlib import Path

import numpy as np
import pytest

from kronborg_hdl.axi.dma.core import Dma
from kronborg_hdl.axi.dma.registers import REGISTERS
from kronborg_hdl.axi.skin import Skin
from kronborg_sim.benches.runner import run_bench
from kronborg_sim.rtl.model import RtlModel

TESTS_IN_THE_BENCH = 20
BEAT = 8
LONG = (1 << 26) + 4096 + BEAT
CHUNK = 1 << 20
"""Beats."""
MEMORY_BASE, SOURCE, TARGET = 0x1000_0000, 1024, 5 << 24


@pytest.mark.parametrize("data_bits", [64])
def test_the_engine_does_on_the_bench_what_its_driver_expects(data_bits: int, tmp_path: Path) -> None:
    outcome = run_bench(
        Skin(Dma(address_bits=32, data_bits=data_bits)).to_verilog("dma"),
        "dma",
        "kronborg_sim.benches.dma",
        tmp_path,
        {"data_bits": data_bits},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize(
    ("address_bits", "data_bits", "message"),
    [(32, 48, "memory of 48 bits: must be one of 32, 64, 128"), (12, 64, "addresses of 12 bits: must be 16 to 64")],
)
def test_refuses_widths_that_there_are_not(address_bits: int, data_bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dma(address_bits=address_bits, data_bits=data_bits)


def test_packets_of_more_than_2_to_the_26_bytes_go_both_ways_at_once_word_by_word() -> None:
    rtl = RtlModel(Skin(Dma(address_bits=32, data_bits=8 * BEAT)).to_verilog("dma"), "dma", REGISTERS)
    rng = np.random.default_rng(1)
    memory = np.zeros(TARGET + LONG + 4096, np.uint8)
    outgoing, incoming = (rng.integers(0, 256, LONG, np.uint8) for _ in range(2))
    memory[SOURCE:][:LONG] = outgoing
    rtl.attach_memory("m_axi", memory, MEMORY_BASE)
    for half, address, place in (("receive", "destination", TARGET), ("send", "source", SOURCE)):
        rtl.write(f"{half}_control", run=1)
        rtl.write(f"{half}_{address}", low=MEMORY_BASE + place)
        rtl.write(f"{half}_length", bytes=LONG)
    taken, sent, ends = 0, 0, []
    for _ in range(5 * LONG // (4 * CHUNK * BEAT) + 1):  # of four clocks memory takes three or more
        if len(given := incoming[taken:][: CHUNK * BEAT]):
            rtl.send("s_axis", given, last=taken + len(given) == LONG)
        taken += len(given)
        rtl.run(CHUNK)
        rtl.received("s_axis")
        came = rtl.received("m_axis")
        np.testing.assert_array_equal(came.data.ravel(), outgoing[sent:][: came.data.size])
        ends += [sent + (1 + int(at)) * BEAT for at in np.flatnonzero(came.last)]
        sent += came.data.size
    assert ends == [sent] == [LONG]
    for half in ("send", "receive"):
        assert rtl.read(f"{half}_length", "bytes") == LONG
        assert rtl.read(f"{half}_status", "completed") == 1
    np.testing.assert_array_equal(memory[TARGET:][:LONG], incoming)
    assert not memory[TARGET + LONG :].any()
