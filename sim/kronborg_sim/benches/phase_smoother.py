"""Bench of the phase smoother in its skin: every word against the model.

Parameters: hops_per_clock, clocks_per_beat, latency.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamFrame
from numpy.typing import NDArray

from kronborg_hdl.compensation.phase_smoother.model import (
    PHASOR,
    STAGES,
    WEIGHT_BITS,
    PhaseSmoother,
    best_smoother,
    triangle,
)
from kronborg_hdl.compensation.phase_smoother.registers import REGISTERS, WEIGHTS_PER_REGISTER

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
HOPS_PER_CLOCK, CLOCKS_PER_BEAT = PARAMETERS["hops_per_clock"], PARAMETERS["clocks_per_beat"]
LATENCY = PARAMETERS["latency"]

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_phasors(rng: np.random.Generator, beats: int) -> NDArray[np.int32]:
    """Words of full scale, the extremes often."""
    words = rng.integers(PHASOR.minimum, PHASOR.maximum + 1, (beats * HOPS_PER_CLOCK, 2))
    extremes = rng.choice([PHASOR.minimum, PHASOR.maximum], words.shape)
    return np.where(rng.random(words.shape) < 0.3, extremes, words).astype(np.int32)


def random_weights(rng: np.random.Generator) -> PhaseSmoother:
    """Any weights."""
    return PhaseSmoother(tuple(int(weight) for weight in rng.integers(0, 1 << WEIGHT_BITS, STAGES)))


def _in_a_row(first: int, beats: int) -> list[int]:
    """Clocks of beats without a gap."""
    return list(range(first, first + beats * CLOCKS_PER_BEAT, CLOCKS_PER_BEAT))


class Bench(SkinBench):
    """The core's own ways on top of the skin's. A beat is a frame here: the streams have no end."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def load(self, smoother: PhaseSmoother) -> None:
        """Write the weights and put them to use."""
        for number in range(STAGES // WEIGHTS_PER_REGISTER):
            stages = range(number * WEIGHTS_PER_REGISTER, (number + 1) * WEIGHTS_PER_REGISTER)
            await self.write(f"weights_{number}", **{f"stage_{n}": smoother.weights[n] for n in stages})
        await self.write("control", apply=1)

    def send_phasors(self, phasors: NDArray[np.int32]) -> None:
        """Queue whole beats."""
        for beat in phasors.astype("<i4").reshape(-1, HOPS_PER_CLOCK * 2):
            self.source.send_nowait(AxiStreamFrame(beat.tobytes()))

    async def receive_phasors(self, beats: int) -> NDArray[np.int32]:
        """So many beats."""
        received = [np.frombuffer(bytes((await self.sink.recv()).tdata), "<i4") for _ in range(beats)]
        return np.concatenate(received).reshape(-1, 2)

    async def expect(self, smoother: PhaseSmoother, beats: int, seed: int) -> None:
        """A stream after a reset equals the model's, and so does how much of it comes out."""
        phasors = random_phasors(np.random.default_rng(seed), LATENCY + beats)
        self.send_phasors(phasors)
        received = await self.receive_phasors(beats)
        # The model has zeros behind the stream, the core has not yet seen what is there: the tail does not count.
        np.testing.assert_array_equal(received, smoother.process(phasors)[: len(received)])
        self.drain_output()
        await ClockCycles(self.dut.aclk, 10)
        assert self.sink.empty(), "a phasor came out before what it looks ahead to had come"


@bench_test
@crossed_with_pauses
async def streams_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Any weights, words of full scale, from the first phasor on."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    smoother = random_weights(np.random.default_rng([idle, back_pressure]))
    await bench.load(smoother)
    await bench.expect(smoother, 600, seed=1)


@bench_test
@cocotb.parametrize(smoother=[triangle(STAGES), best_smoother(1e-4, 5e-3), PhaseSmoother((31,) * STAGES)])
async def smoothers_of_use_equal_the_model(dut: Any, smoother: PhaseSmoother) -> None:
    """The longest, the usual, and the heaviest weights."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load(smoother)
    await bench.expect(smoother, 300, seed=2)


@bench_test
async def a_beat_comes_out_for_each_that_goes_in(dut: Any) -> None:
    """No gap but a beat's own clocks, and the latency that the core says."""
    bench = Bench(dut)
    await bench.reset()
    taken, given = bench.watch("s_axis"), bench.watch("m_axis")
    bench.send_phasors(random_phasors(np.random.default_rng(3), LATENCY + 200))
    await bench.receive_phasors(200)
    assert taken == _in_a_row(taken[0], LATENCY + 200), "the core made its source wait"
    # The first one stands at the output one clock after the beat that completes it: the skid buffer.
    assert given == _in_a_row(taken[LATENCY] + 1, 200), "a gap, or another latency"


@bench_test
@crossed_with_pauses
async def weights_do_not_change_within_a_phasor(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Applied in any clock of the stream: rails that are equal stay equal, in each stage."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    rng = np.random.default_rng(8)
    phasors = random_phasors(rng, LATENCY + 600)
    phasors[:, 1] = phasors[:, 0]
    bench.send_phasors(phasors)
    received = cocotb.start_soon(bench.receive_phasors(600))
    while not received.done():
        await bench.load(random_weights(rng))
        await ClockCycles(dut.aclk, int(rng.integers(1, 8)))
    words = await received
    assert len(np.unique(words)) > 500, "nothing came through"
    np.testing.assert_array_equal(words[:, 0], words[:, 1])


@bench_test
async def weights_wait_for_apply(dut: Any) -> None:
    """Written, they are not yet in use: phasors pass unchanged."""
    bench = Bench(dut)
    await bench.reset()
    await bench.write("weights_0", stage_0=16, stage_1=16, stage_2=16, stage_3=16)
    await bench.expect(PhaseSmoother((0,) * STAGES), 100, seed=4)


@bench_test
async def a_reset_forgets_phasors_and_weights(dut: Any) -> None:
    """What was in the delay lines has no part in the next stream."""
    bench = Bench(dut)
    await bench.reset()
    smoother = triangle(STAGES)
    await bench.load(smoother)
    bench.send_phasors(random_phasors(np.random.default_rng(5), 700))
    await ClockCycles(dut.aclk, 500)
    await bench.reset()
    await bench.load(smoother)
    await bench.expect(smoother, 100, seed=6)
    await bench.reset()
    await bench.expect(PhaseSmoother((0,) * STAGES), 100, seed=7)


@bench_test
async def registers_are_as_their_table_says(dut: Any) -> None:
    """Every register and hole; and what was built."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "hops_per_clock") == HOPS_PER_CLOCK
    assert await bench.read("capabilities", "stages") == STAGES
