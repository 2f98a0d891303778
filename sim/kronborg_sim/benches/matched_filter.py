"""Bench of the decimating matched filter in its skin: every word against the model.

Parameters: lanes, samples_per_symbol, span, latency.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.decimation.matched_filter.model import MatchedFilter
from kronborg_hdl.decimation.matched_filter.registers import REGISTERS

from .loadable import LoadableBench
from .runner import parameters

PARAMETERS = parameters()
LANES, M, SPAN = PARAMETERS["lanes"], PARAMETERS["samples_per_symbol"], PARAMETERS["span"]
CLOCKS_PER_SYMBOL = max(1, M // LANES)

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_filter(rng: np.random.Generator, *, shift: int = 16) -> MatchedFilter:
    """Taps without symmetry, of all magnitudes."""
    return MatchedFilter(rng.integers(-(2**15), 2**15, M * SPAN).astype(np.int16), M, shift)


def random_frame(rng: np.random.Generator, beats: int) -> NDArray[np.int16]:
    """Words of full scale."""
    return rng.integers(-(2**15), 2**15, (beats * LANES, 2)).astype(np.int16)


class Bench(LoadableBench):
    """The filter's own ways on top of what such filters share."""

    drain_clocks = PARAMETERS["latency"] + 4 * CLOCKS_PER_SYMBOL + 8

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def write_settings(self, model: MatchedFilter) -> None:
        """All taps and the shift."""
        for index, tap in enumerate(model.taps):
            await self.write("tap", symbol=index // M, sample=index % M, value=int(tap))
        await self.write("shift", amount=model.shift)


@bench_test
@crossed_with_pauses
async def frames_of_all_lengths_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words, ends of frames, and what is counted; incomplete symbols among them."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    matched_filter = random_filter(rng)
    await bench.load(matched_filter)
    lengths = [*range(1, 2 * CLOCKS_PER_SYMBOL + 2), 3 * SPAN * CLOCKS_PER_SYMBOL + 1, 1, 1, *rng.integers(1, 60, 12)]
    frames = [random_frame(rng, int(beats)) for beats in lengths]
    for samples in frames:
        bench.send(samples)
    saturated = dropped = 0
    for samples in frames:
        symbols = matched_filter.process(samples)
        if len(symbols.words):
            np.testing.assert_array_equal(await bench.receive(), symbols.words)
        saturated += symbols.saturated
        dropped += symbols.dropped
    await bench.source.wait()
    await bench.nothing_more_comes_out()
    assert await bench.read("saturations", "count") == saturated
    assert await bench.read("dropped_samples", "count") == dropped
    assert await bench.read("status", "saturated") == (saturated > 0)
    assert await bench.read("status", "dropped") == (dropped > 0)
    assert saturated > 0
    assert (dropped > 0) == (CLOCKS_PER_SYMBOL > 1)


@bench_test
async def every_shift_rounds_as_the_model_does(dut: Any) -> None:
    """Ties among them: taps and samples are powers of two."""
    rng = np.random.default_rng(2)
    bench = Bench(dut)
    await bench.reset()
    for shift in (0, 1, 2, 7, 15, 31):
        taps = np.left_shift(1, rng.integers(0, 6, M * SPAN)) * rng.choice([-1, 0, 0, 0, 1], M * SPAN)
        matched_filter = MatchedFilter(taps.astype(np.int16), M, shift)
        samples = np.left_shift(1, rng.integers(0, 8, (24 * M * LANES, 2))) * rng.choice([-1, 1], (24 * M * LANES, 2))
        await bench.load(matched_filter)
        bench.send(samples.astype(np.int16))
        await bench.expect(matched_filter, samples.astype(np.int16))
    await bench.nothing_more_comes_out()


@bench_test
@crossed_with_pauses
async def saturation_is_clipped_flagged_and_counted(dut: Any, idle: bool, back_pressure: bool) -> None:
    """The largest sums of either sign; then the flag and the counter are cleared."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    matched_filter = MatchedFilter(np.full(M * SPAN, -(2**15), np.int16), M, 15)
    await bench.load(matched_filter)
    quiet = np.zeros((4 * M * LANES, 2), np.int16)
    bench.send(quiet)
    await bench.expect(matched_filter, quiet)
    assert await bench.read("status", "saturated") == 0
    samples = np.repeat(np.array([[-(2**15), 2**15 - 1]], np.int16), 2 * SPAN * M * LANES, axis=0)
    samples[:, 0] //= 2
    samples[SPAN * M * LANES :, 0] = 0
    bench.send(samples)
    await bench.expect(matched_filter, samples)
    symbols = matched_filter.process(samples)
    assert {symbols.words[:, 0].max(), symbols.words[:, 1].min()} == {2**15 - 1, -(2**15)}
    assert await bench.read("status", "saturated") == 1
    assert await bench.read("saturations", "count") == symbols.saturated
    await bench.write("status", saturated=1)
    await bench.write("control", clear_counters=1)
    assert await bench.read_word("status") == 0
    assert await bench.read("saturations", "count") == 0


@bench_test
@crossed_with_pauses
async def a_reset_within_a_frame_leaves_nothing_behind(dut: Any, idle: bool, back_pressure: bool) -> None:
    """After it the filter waits for taps, and its first frame is the model's."""
    rng = np.random.default_rng(3)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    await bench.load(random_filter(rng))
    bench.send(random_frame(rng, 50 * CLOCKS_PER_SYMBOL))
    await ClockCycles(dut.aclk, 20 * CLOCKS_PER_SYMBOL + 1)
    await bench.reset()
    assert await bench.read_word("status") == 0
    assert await bench.read("control", "loaded") == 0
    matched_filter, samples = random_filter(rng), random_frame(rng, 30 * CLOCKS_PER_SYMBOL)
    bench.send(samples)
    await ClockCycles(dut.aclk, 40)
    assert bench.sink.empty()
    assert bench.sink.idle()
    assert int(dut.s_axis_tready.value) == 0, "samples are taken before there are taps"
    await bench.load(matched_filter)
    assert await bench.read("control", "loaded") == 1
    await bench.expect(matched_filter, samples)
    await bench.nothing_more_comes_out()


@bench_test
@crossed_with_pauses
async def new_taps_and_shift_take_effect_between_frames(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Ordered within a frame, they wait for its end; until then no tap is stored."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    filters = [random_filter(rng, shift=15 + n) for n in range(3)]
    frames = [random_frame(rng, 30 * CLOCKS_PER_SYMBOL) for _ in filters]
    await bench.load(filters[0])
    bench.hold_output()
    bench.send(frames[0])
    bench.send(frames[1])
    await bench.write_settings(filters[1])
    await bench.write("control", apply=1)
    assert await bench.read("control", "apply") == 1, "taps changed within a frame"
    assert await bench.read("status", "tap_refused") == 0
    await bench.write("tap", symbol=0, sample=0, value=1)
    assert await bench.read("status", "tap_refused") == 1, "a tap was stored while apply was pending"
    bench.release_output()
    await bench.expect(filters[0], frames[0])
    await bench.expect(filters[1], frames[1])
    await bench.load(filters[2])
    bench.send(frames[2])
    await bench.expect(filters[2], frames[2])
    await bench.nothing_more_comes_out()


@bench_test
async def taps_are_safe_while_a_beat_in_the_pipeline_needs_them(dut: Any) -> None:
    """The pipeline is stuck and full; the last beat in it ends a frame, so that new taps may be put to use."""
    rng = np.random.default_rng(7)
    bench = Bench(dut)
    filters = [random_filter(rng, shift=15 + n) for n in range(3)]
    frames = [random_frame(rng, CLOCKS_PER_SYMBOL) for _ in range(64)]
    await bench.reset()
    bench.hold_output()
    taken_at = bench.watch("s_axis")
    await bench.load(filters[0])
    for samples in frames:
        bench.send(samples)
    await ClockCycles(dut.aclk, 200)
    capacity = len(taken_at)
    assert 0 < capacity < 64 * CLOCKS_PER_SYMBOL, "the core does not hold its input back"

    await bench.reset()
    await bench.load(filters[0])
    whole, rest = divmod(capacity, CLOCKS_PER_SYMBOL)
    for samples in frames[:whole]:
        bench.send(samples)
    if rest:
        bench.send(frames[whole][: rest * LANES])
    await ClockCycles(dut.aclk, 200)
    assert len(taken_at) == 2 * capacity
    await bench.write_settings(filters[1])
    await bench.write("control", apply=1)
    # Only with one lane has every beat already read its taps.
    assert await bench.read("control", "apply") == (LANES > 1)
    await bench.write_settings(filters[2])
    assert await bench.read("status", "tap_refused") == (LANES > 1)
    await bench.write("shift", amount=filters[1].shift)
    bench.release_output()
    for samples in frames[:whole]:
        await bench.expect(filters[0], samples)
    await bench.applied()
    bench.send(frames[-1])
    await bench.expect(filters[1], frames[-1])
    await bench.nothing_more_comes_out()


@bench_test
async def taps_that_do_not_exist_are_refused(dut: Any) -> None:
    """And leave those that do as they were."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    matched_filter, samples = random_filter(rng), random_frame(rng, 20 * CLOCKS_PER_SYMBOL)
    await bench.write_settings(matched_filter)
    assert await bench.read("status", "tap_refused") == 0
    for symbol, sample in ((SPAN, 0), (0, M), (255, 255)):
        await bench.write("status", tap_refused=1)
        await bench.write("tap", symbol=symbol, sample=sample, value=-1)
        assert await bench.read("status", "tap_refused") == 1
    await bench.write("control", apply=1)
    bench.send(samples)
    await bench.expect(matched_filter, samples)


@bench_test
async def one_beat_is_taken_every_clock_and_symbols_come_after_the_latency(dut: Any) -> None:
    """Through two frames without a gap between them."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    matched_filter = random_filter(rng)
    await bench.load(matched_filter)
    beats_each = 40 * CLOCKS_PER_SYMBOL
    frames = [random_frame(rng, beats_each) for _ in range(2)]
    taken_at, given_at = bench.watch("s_axis"), bench.watch("m_axis")
    for samples in frames:
        bench.send(samples)
    for samples in frames:
        await bench.expect(matched_filter, samples)
    assert taken_at == list(range(taken_at[0], taken_at[0] + 2 * beats_each)), "the core paused"
    completed_at = taken_at[CLOCKS_PER_SYMBOL - 1 :: CLOCKS_PER_SYMBOL]
    if CLOCKS_PER_SYMBOL > 1:  # a symbol waits for its successor, the frame's last one for one clock
        completed_at = [at + 1 if n % 40 == 39 else completed_at[n + 1] for n, at in enumerate(completed_at)]
    assert given_at == [at + PARAMETERS["latency"] for at in completed_at]


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "lanes") == LANES
    assert await bench.read("capabilities", "samples_per_symbol") == M
    assert await bench.read("capabilities", "span") == SPAN
    await bench.walk_registers()
