"""Bench of the Gaussian source in its skin: every word against the model.

Parameters: symbols_per_clock, latency, beats (of the long run).
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.modulation.gaussian.model import (
    DEFAULT_DEVIATION,
    MAXIMUM_DEVIATION,
    MINIMUM_DEVIATION,
    GaussianSource,
)
from kronborg_hdl.modulation.gaussian.registers import REGISTERS
from kronborg_hdl.modulation.gaussian.tables import edge_words

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
WIDTH = PARAMETERS["symbols_per_clock"]

bench_test = cocotb.test(timeout_time=2000, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def whole_beats(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Bits with as many zeros after them as fill the last beat."""
    return np.append(bits, np.zeros(-len(bits) % WIDTH, np.uint64))


def random_bits(rng: np.random.Generator, beats: int) -> NDArray[np.uint64]:
    """Uniform words."""
    return rng.integers(0, 2**64, beats * WIDTH, np.uint64)


class Bench(SkinBench):
    """The source's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    def send_bits(self, bits: NDArray[np.uint64]) -> None:
        """Queue a frame of entropy: uint64, shape (n,), whole beats."""
        self.send(bits.astype("<u8").view("<i2").reshape(-1, 2))

    async def expect(self, source: GaussianSource, bits: NDArray[np.uint64]) -> int:
        """The next output frame is the model's; returns how many of its words were clipped."""
        symbols = source.process(bits)
        np.testing.assert_array_equal(await self.receive(), symbols.words)
        return symbols.saturated

    async def nothing_more_comes_out(self) -> None:
        """The core and the sink are empty."""
        self.drain_output()
        await ClockCycles(self.dut.aclk, PARAMETERS["latency"] + 8)
        assert self.sink.empty(), "symbols came out that the model does not have"
        assert self.sink.idle(), "a frame was begun and not ended"


@bench_test
async def edges_of_all_polynomials_equal_the_model(dut: Any) -> None:
    """Both ends of every segment, at the largest scale."""
    bench = Bench(dut)
    await bench.reset()
    source = GaussianSource(MAXIMUM_DEVIATION)
    await bench.write("scale", deviation=source.deviation)
    bits = whole_beats(edge_words())
    bench.send_bits(bits)
    await bench.expect(source, bits)
    await bench.nothing_more_comes_out()


@bench_test
@crossed_with_pauses
async def what_is_clipped_is_flagged_and_counted(dut: Any, idle: bool, back_pressure: bool) -> None:
    """The largest radii at all angles; then the flag and the counter are cleared."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    bits = np.arange(0, 1 << 16, 1 << 9).astype(np.uint64)  # bits 63:16 are zero: 8.24 standard deviations
    bench.send_bits(bits)
    source = GaussianSource(DEFAULT_DEVIATION)
    saturated = await bench.expect(source, bits)
    assert {source.process(bits).words.max(), source.process(bits).words.min()} == {2**15 - 1, -(2**15)}
    assert await bench.read("saturations", "count") == saturated > 0
    assert await bench.read("status", "saturated") == 1
    await bench.write("status", saturated=1)
    await bench.write("control", clear_counters=1)
    assert await bench.read_word("status") == 0
    assert await bench.read("saturations", "count") == 0
    await bench.nothing_more_comes_out()


@bench_test
@crossed_with_pauses
async def frames_of_all_lengths_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words, and ends of frames, with the scale that is there after reset."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    frames = [random_bits(rng, int(beats)) for beats in (1, 1, 2, 3, 1, *rng.integers(1, 60, 12))]
    for bits in frames:
        bench.send_bits(bits)
    for bits in frames:
        await bench.expect(GaussianSource(DEFAULT_DEVIATION), bits)
    await bench.nothing_more_comes_out()
    assert await bench.read_word("status") == 0


@bench_test
async def a_long_run_without_gaps_equals_the_model(dut: Any) -> None:
    """One beat is taken every clock, and its symbols come out after the latency."""
    bench = Bench(dut)
    await bench.reset()
    bits = random_bits(np.random.default_rng(2), PARAMETERS["beats"])
    taken_at, given_at = bench.watch("s_axis"), bench.watch("m_axis")
    bench.send_bits(bits)
    await bench.expect(GaussianSource(DEFAULT_DEVIATION), bits)
    assert taken_at == list(range(taken_at[0], taken_at[0] + PARAMETERS["beats"])), "the core paused"
    assert given_at == [at + PARAMETERS["latency"] for at in taken_at]


@bench_test
@crossed_with_pauses
async def a_scale_that_clips_within_six_deviations_is_refused(dut: Any, idle: bool, back_pressure: bool) -> None:
    """No bits are taken under it, what was taken before comes out unharmed, and the flag stays while it is there."""
    rng = np.random.default_rng(3)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    for refused in (MAXIMUM_DEVIATION + 1, 2**16 - 1, MINIMUM_DEVIATION - 1, 0):
        before, after = random_bits(rng, 20), random_bits(rng, 20)
        bench.send_bits(before)
        await bench.expect(GaussianSource(DEFAULT_DEVIATION), before)
        assert await bench.read("status", "scale_refused") == 0
        await bench.write("scale", deviation=refused)
        bench.send_bits(after)
        await ClockCycles(dut.aclk, 60)
        assert bench.sink.empty()
        assert bench.sink.idle()
        assert int(dut.s_axis_tready.value) == 0, f"bits are taken with a deviation of {refused}"
        assert await bench.read("control", "scale_valid") == 0
        await bench.write("status", scale_refused=1)
        assert await bench.read("status", "scale_refused") == 1
        await bench.write("scale", deviation=DEFAULT_DEVIATION)
        assert await bench.read("control", "scale_valid") == 1
        assert await bench.read("status", "scale_refused") == 1, "the flag is forgotten before the host has seen it"
        await bench.write("status", scale_refused=1)
        await bench.expect(GaussianSource(DEFAULT_DEVIATION), after)
    for taken in (MAXIMUM_DEVIATION, MINIMUM_DEVIATION, 12345):
        await bench.write("scale", deviation=taken)
        bits = random_bits(rng, 20)
        bench.send_bits(bits)
        await bench.expect(GaussianSource(taken), bits)
    assert await bench.read("status", "scale_refused") == 0
    await bench.nothing_more_comes_out()


@bench_test
async def bits_keep_the_scale_with_which_they_were_taken(dut: Any) -> None:
    """The scale changes while the pipeline is stuck and full."""
    rng = np.random.default_rng(4)
    bench = Bench(dut)
    await bench.reset()
    bench.hold_output()
    taken_at = bench.watch("s_axis")
    bits = random_bits(rng, 64)
    bench.send_bits(bits)
    await ClockCycles(dut.aclk, 100)
    taken = len(taken_at)
    assert 0 < taken < 64, "the core does not hold its input back"
    await bench.write("scale", deviation=MAXIMUM_DEVIATION)
    bench.release_output()
    old, new = GaussianSource(DEFAULT_DEVIATION), GaussianSource(MAXIMUM_DEVIATION)
    expected = [old.process(bits[: taken * WIDTH]).words, new.process(bits[taken * WIDTH :]).words]
    np.testing.assert_array_equal(await bench.receive(), np.concatenate(expected))
    await bench.nothing_more_comes_out()


@bench_test
@crossed_with_pauses
async def a_reset_within_a_frame_leaves_nothing_behind(dut: Any, idle: bool, back_pressure: bool) -> None:
    """After it nothing comes out that was taken before, and the scale is the default."""
    rng = np.random.default_rng(5)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    await bench.write("scale", deviation=MAXIMUM_DEVIATION)
    bench.send_bits(random_bits(rng, 60))
    await ClockCycles(dut.aclk, 20)
    await bench.reset()
    await ClockCycles(dut.aclk, 2 * PARAMETERS["latency"])
    assert bench.sink.empty()
    assert bench.sink.idle()
    bits = random_bits(rng, 30)
    bench.send_bits(bits)
    await bench.expect(GaussianSource(DEFAULT_DEVIATION), bits)
    await bench.nothing_more_comes_out()


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "symbols_per_clock") == WIDTH
    await bench.walk_registers()
