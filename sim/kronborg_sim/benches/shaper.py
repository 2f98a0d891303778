"""Bench of both pulse shapers in their skins: every word against the model.

Parameters: interpolating (1: the interpolating shaper, 0: the general one), lanes, samples_per_symbol, span, latency.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.modulation.interpolating_shaper import registers as interpolating
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper, tail_symbols
from kronborg_hdl.modulation.pulse_shaper import registers as general
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper

from .loadable import LoadableBench
from .runner import parameters

PARAMETERS = parameters()
LANES, M, SPAN = PARAMETERS["lanes"], PARAMETERS["samples_per_symbol"], PARAMETERS["span"]
LATENCY = PARAMETERS["latency"]
INTERPOLATING = bool(PARAMETERS["interpolating"])
TAPS, TAIL_SYMBOLS = (SPAN, tail_symbols(M, SPAN)) if INTERPOLATING else (M * SPAN, SPAN - 1)
SYMBOLS_PER_BEAT, CLOCKS_PER_BEAT = max(1, LANES // M), max(1, M // LANES)
TAIL_BEATS = TAIL_SYMBOLS // SYMBOLS_PER_BEAT

Shaper = InterpolatingShaper if INTERPOLATING else PulseShaper

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def address(index: int) -> dict[str, int]:
    """Where the register TAP has a tap."""
    return {"index": index} if INTERPOLATING else {"symbol": index // M, "sample": index % M}


def random_shaper(rng: np.random.Generator, *, shift: int = 16) -> Any:
    """Taps without symmetry, of all magnitudes."""
    return Shaper(rng.integers(-(2**15), 2**15, TAPS).astype(np.int16), M, shift)


def random_frame(rng: np.random.Generator, beats: int) -> NDArray[np.int16]:
    """Words of full scale."""
    return rng.integers(-(2**15), 2**15, (beats * SYMBOLS_PER_BEAT, 2)).astype(np.int16)


class Bench(LoadableBench):
    """The shaper's own ways on top of what such filters share."""

    drain_clocks = LATENCY + 4 * CLOCKS_PER_BEAT + 8

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, (interpolating if INTERPOLATING else general).REGISTERS, **options)

    async def write_settings(self, model: Any) -> None:
        """All taps and the shift."""
        for index, tap in enumerate(model.taps):
            await self.write("tap", value=int(tap), **address(index))
        await self.write("shift", amount=model.shift)


@bench_test
@crossed_with_pauses
async def frames_of_all_lengths_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words, tails, ends of frames, and what is counted; frames shorter than the tail among them."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    shaper = random_shaper(rng, shift=14)
    await bench.load(shaper)
    frames = [random_frame(rng, int(beats)) for beats in (1, 2, 3, 1, 1, 3 * TAIL_BEATS + 1, *rng.integers(1, 30, 6))]
    for symbols in frames:
        bench.send(symbols)
    saturated = sum([await bench.expect(shaper, symbols) for symbols in frames])
    await bench.nothing_more_comes_out()
    assert await bench.read("saturations", "count") == saturated > 0
    assert await bench.read("status", "saturated") == 1


@bench_test
async def every_shift_rounds_as_the_model_does(dut: Any) -> None:
    """Ties among them: taps and symbols are powers of two."""
    rng = np.random.default_rng(2)
    bench = Bench(dut)
    await bench.reset()
    for shift in (0, 1, 2, 7, 15, 31):
        taps = np.left_shift(1, rng.integers(0, 6, TAPS)) * rng.choice([-1, 0, 0, 0, 1], TAPS)
        shaper = Shaper(taps.astype(np.int16), M, shift)
        shape = (24 * SYMBOLS_PER_BEAT, 2)
        symbols = (np.left_shift(1, rng.integers(0, 8, shape)) * rng.choice([-1, 1], shape)).astype(np.int16)
        await bench.load(shaper)
        bench.send(symbols)
        await bench.expect(shaper, symbols)
    await bench.nothing_more_comes_out()


@bench_test
@crossed_with_pauses
async def saturation_is_clipped_flagged_and_counted(dut: Any, idle: bool, back_pressure: bool) -> None:
    """The largest sums of either sign; then the flag and the counter are cleared."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    shaper = Shaper(np.full(TAPS, -(2**15), np.int16), M, 14)
    await bench.load(shaper)
    quiet = np.zeros((4 * SYMBOLS_PER_BEAT, 2), np.int16)
    bench.send(quiet)
    assert await bench.expect(shaper, quiet) == 0
    assert await bench.read("status", "saturated") == 0
    symbols = np.repeat(np.array([[-(2**15), 2**15 - 1]], np.int16), 2 * SPAN * SYMBOLS_PER_BEAT, axis=0)
    symbols[SPAN * SYMBOLS_PER_BEAT :, 0] = 0
    bench.send(symbols)
    saturated = await bench.expect(shaper, symbols)
    words = shaper.process(symbols)[0]
    assert {words[:, 0].max(), words[:, 1].min()} == {2**15 - 1, -(2**15)}
    assert await bench.read("status", "saturated") == 1
    assert await bench.read("saturations", "count") == saturated
    await bench.write("status", saturated=1)
    await bench.write("control", clear_counters=1)
    assert await bench.read_word("status") == 0
    assert await bench.read("saturations", "count") == 0


@bench_test
@crossed_with_pauses
async def a_reset_within_a_frame_or_its_tail_leaves_nothing_behind(dut: Any, idle: bool, back_pressure: bool) -> None:
    """After it the shaper waits for taps, and its first frame is the model's."""
    rng = np.random.default_rng(3)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    for beats in (50, 1):  # at the reset the one is still taken, the other is in its tail or has just left it
        await bench.load(random_shaper(rng))
        bench.send(random_frame(rng, beats))
        await ClockCycles(dut.aclk, 8 + CLOCKS_PER_BEAT)
        await bench.reset()
        assert await bench.read_word("status") == 0
        assert await bench.read("control", "loaded") == 0
        shaper, symbols = random_shaper(rng), random_frame(rng, 12)
        bench.send(symbols)
        await ClockCycles(dut.aclk, 40)
        assert bench.sink.empty()
        assert bench.sink.idle()
        assert int(dut.s_axis_tready.value) == 0, "symbols are taken before there are taps"
        await bench.load(shaper)
        assert await bench.read("control", "loaded") == 1
        await bench.expect(shaper, symbols)
        await bench.nothing_more_comes_out()
        bench.release_output()


@bench_test
@crossed_with_pauses
async def new_taps_and_shift_take_effect_between_frames(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Ordered within a frame, they wait for the end of its tail; until then no tap is stored."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    shapers = [random_shaper(rng, shift=15 + n) for n in range(3)]
    frames = [random_frame(rng, 30) for _ in shapers]
    await bench.load(shapers[0])
    bench.hold_output()
    bench.send(frames[0])
    bench.send(frames[1])
    await bench.write_settings(shapers[1])
    await bench.write("control", apply=1)
    assert await bench.read("control", "apply") == 1, "taps changed within a frame"
    assert await bench.read("status", "tap_refused") == 0
    await bench.write("tap", value=1, **address(0))
    assert await bench.read("status", "tap_refused") == 1, "a tap was stored while apply was pending"
    bench.release_output()
    await bench.expect(shapers[0], frames[0])
    await bench.expect(shapers[1], frames[1])
    await bench.load(shapers[2])
    bench.send(frames[2])
    await bench.expect(shapers[2], frames[2])
    await bench.nothing_more_comes_out()


@bench_test
async def taps_are_safe_while_a_beat_in_the_pipeline_needs_them(dut: Any) -> None:
    """The pipeline is stuck with a frame's end at any place of it, so that new taps may be put to use or not yet."""
    rng = np.random.default_rng(7)
    bench = Bench(dut)
    await bench.reset()
    old, new, newer = (random_shaper(rng, shift=15 + n) for n in range(3))
    frame, following = random_frame(rng, LATENCY // CLOCKS_PER_BEAT + 2), random_frame(rng, 9)
    beats = (len(frame) // SYMBOLS_PER_BEAT + TAIL_BEATS) * CLOCKS_PER_BEAT
    await bench.load(old)
    was_busy = []
    for given in range(beats - LATENCY - 3, beats + 2):
        await bench.write_settings(new)
        bench.hold_output()
        bench.send(frame)
        await ClockCycles(dut.aclk, 2 * LATENCY)
        bench.release_output()
        await ClockCycles(dut.aclk, given)
        bench.hold_output()
        await bench.write("control", apply=1)
        await ClockCycles(dut.aclk, 2 * LATENCY)  # what can still move has moved
        was_busy.append(await bench.read("control", "apply"))
        if was_busy[-1]:
            await bench.write("status", tap_refused=1)
            await bench.write("tap", value=1, **address(TAPS - 1))
            assert await bench.read("status", "tap_refused") == 1, "a tap was stored while an old one is needed"
        else:
            await bench.write_settings(newer)
            await bench.write("shift", amount=new.shift)
        bench.release_output()
        await bench.expect(old, frame)
        await bench.applied()
        bench.send(following)
        await bench.expect(new, following)
        old, new, newer = new, newer, old
    assert was_busy == sorted(was_busy, reverse=True)
    assert {0, 1} == set(was_busy)
    await bench.nothing_more_comes_out()


@bench_test
async def taps_that_do_not_exist_are_refused(dut: Any) -> None:
    """And leave those that do as they were."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    shaper, symbols = random_shaper(rng), random_frame(rng, 20)
    await bench.write_settings(shaper)
    assert await bench.read("status", "tap_refused") == 0
    none: list[dict[str, int]] = [{"index": index} for index in (SPAN, SPAN + 1, 2**16 - 1)]
    if not INTERPOLATING:
        none = [{"symbol": symbol, "sample": sample} for symbol, sample in ((SPAN, 0), (0, M), (255, 255))]
    for tap in none:
        await bench.write("status", tap_refused=1)
        await bench.write("tap", value=-1, **tap)
        assert await bench.read("status", "tap_refused") == 1
    await bench.write("control", apply=1)
    bench.send(symbols)
    await bench.expect(shaper, symbols)


@bench_test
async def samples_come_every_clock_through_tails_and_from_frame_to_frame(dut: Any) -> None:
    """And symbols are taken every P clocks; a frame's first samples come after the latency."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    shaper = random_shaper(rng)
    await bench.load(shaper)
    beats = 25
    frames = [random_frame(rng, beats) for _ in range(2)]
    taken_at, given_at = bench.watch("s_axis"), bench.watch("m_axis")
    for symbols in frames:
        bench.send(symbols)
    for symbols in frames:
        await bench.expect(shaper, symbols)
    frame_clocks = (beats + TAIL_BEATS) * CLOCKS_PER_BEAT
    assert given_at == list(range(taken_at[0] + LATENCY, taken_at[0] + LATENCY + 2 * frame_clocks)), "a gap"
    wanted = [taken_at[0] + n * CLOCKS_PER_BEAT for n in range(beats)]
    assert taken_at == wanted + [at + frame_clocks for at in wanted]


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "lanes") == LANES
    assert await bench.read("capabilities", "samples_per_symbol") == M
    assert await bench.read("capabilities", "span") == SPAN
    if INTERPOLATING:
        assert await bench.read("tail", "length") == TAIL_SYMBOLS
    await bench.walk_registers()
