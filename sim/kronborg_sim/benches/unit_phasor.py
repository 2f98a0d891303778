"""Bench of the unit phasor in its skin: every word against the model.

Parameters: hops_per_clock, latency.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamFrame
from numpy.typing import NDArray

from kronborg_hdl.compensation.phase_smoother.model import PHASOR
from kronborg_hdl.compensation.unit_phasor.model import unit_phasor
from kronborg_hdl.compensation.unit_phasor.registers import REGISTERS

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
HOPS_PER_CLOCK, LATENCY = PARAMETERS["hops_per_clock"], PARAMETERS["latency"]

bench_test = cocotb.test(timeout_time=200, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_phasors(rng: np.random.Generator, beats: int) -> NDArray[np.int32]:
    """Words of every length in bits, with axes, corners and zeros among them."""
    count = beats * HOPS_PER_CLOCK
    bits = rng.integers(1, PHASOR.width, count)[:, np.newaxis]
    words = rng.integers(-(1 << bits), 1 << bits, (count, 2))
    corners = rng.choice([PHASOR.minimum, PHASOR.maximum, 0, -1, 1], (count, 2))
    return np.where(rng.random((count, 2)) < 0.2, corners, words).astype(np.int32)


class Bench(SkinBench):
    """The core's own ways on top of the skin's. A beat is a frame here: the streams have no end."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    def send_phasors(self, phasors: NDArray[np.int32]) -> None:
        """Queue whole beats."""
        for beat in phasors.astype("<i4").reshape(-1, HOPS_PER_CLOCK * 2):
            self.source.send_nowait(AxiStreamFrame(beat.tobytes()))

    async def receive_units(self, beats: int) -> NDArray[np.int16]:
        """So many beats."""
        received = [np.frombuffer(bytes((await self.sink.recv()).tdata), "<i2") for _ in range(beats)]
        return np.concatenate(received).reshape(-1, 2)


@bench_test
@crossed_with_pauses
async def phasors_of_every_length_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words, and that zero is told."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    phasors = random_phasors(np.random.default_rng([idle, back_pressure]), 2000)
    bench.send_phasors(phasors)
    np.testing.assert_array_equal(await bench.receive_units(2000), unit_phasor(phasors))
    assert not phasors.any(axis=1).all(), "the bench has no zero"
    assert await bench.read("status", "zero") == 1


@bench_test
async def a_beat_a_clock_with_the_latency_that_the_core_says(dut: Any) -> None:
    """No gap."""
    bench = Bench(dut)
    await bench.reset()
    taken, given = bench.watch("s_axis"), bench.watch("m_axis")
    bench.send_phasors(random_phasors(np.random.default_rng(1), 300))
    await bench.receive_units(300)
    assert taken == list(range(taken[0], taken[0] + 300)), "the core made its source wait"
    assert given == [clock + LATENCY for clock in taken], "a gap, or another latency"


@bench_test
async def zero_is_told_only_if_there_was_one(dut: Any) -> None:
    """What stands on the stream without valid does not count."""
    bench = Bench(dut)
    await bench.reset()
    await ClockCycles(dut.aclk, 20)
    bench.send_phasors(np.ones((20 * HOPS_PER_CLOCK, 2), np.int32))
    await bench.receive_units(20)
    assert await bench.read("status", "zero") == 0
    phasors = np.ones((HOPS_PER_CLOCK, 2), np.int32)
    phasors[-1] = 0
    bench.send_phasors(phasors)
    assert (await bench.receive_units(1))[-1].tolist() == [32767, 0]
    assert await bench.read("status", "zero") == 1


@bench_test
async def a_reset_empties_the_pipeline(dut: Any) -> None:
    """What was under way does not come out."""
    bench = Bench(dut)
    await bench.reset()
    bench.send_phasors(random_phasors(np.random.default_rng(2), 200))
    await ClockCycles(dut.aclk, 60)
    await bench.reset()
    await ClockCycles(dut.aclk, LATENCY + 8)
    assert bench.sink.empty()


@bench_test
async def registers_are_as_their_table_says(dut: Any) -> None:
    """Every register and hole; and what was built."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "hops_per_clock") == HOPS_PER_CLOCK
