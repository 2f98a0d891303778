from pathlib import Path

import pytest

from kronborg_hdl.axi.dma.core import Dma
from kronborg_hdl.axi.skin import Skin
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 20


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
