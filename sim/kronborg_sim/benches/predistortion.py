"""Bench of the pre-distortion in its skin: every word against the model.

Parameters: lanes, latency.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.modulation.predistortion.model import (
    HALF_TAPS,
    OFFSET_BITS,
    ROWS,
    SLOPE,
    TABLE_WORD,
    TAP,
    TAPS,
    Predistortion,
    arcsine_table,
    inverse_sinc,
)
from kronborg_hdl.modulation.predistortion.registers import REGISTERS

from .loadable import LoadableBench
from .runner import parameters

PARAMETERS = parameters()
LANES, LATENCY = PARAMETERS["lanes"], PARAMETERS["latency"]

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_taps(rng: np.random.Generator) -> NDArray[np.int64]:
    """Taps of which some sums fit a word and some do not."""
    return rng.integers(-(2**15), 2**15, HALF_TAPS + 1)


def random_tables(rng: np.random.Generator) -> NDArray[np.int64]:
    """Lines that any register can hold, for both rails."""
    constant = rng.integers(TABLE_WORD.minimum, TABLE_WORD.maximum + 1, (2, ROWS))
    return np.stack([constant, rng.integers(SLOPE.minimum, SLOPE.maximum + 1, (2, ROWS))], axis=-1)


def random_settings(rng: np.random.Generator) -> Predistortion:
    """Taps and tables."""
    return Predistortion(random_taps(rng), random_tables(rng))


def random_frame(rng: np.random.Generator, beats: int) -> NDArray[np.int16]:
    """Words of full scale."""
    return rng.integers(-(2**15), 2**15, (beats * LANES, 2)).astype(np.int16)


def all_rows(rng: np.random.Generator) -> NDArray[np.int16]:
    """The first word and the last of every segment on either rail, in two orders."""
    ends = np.arange(-(2**15), 2**15, 1 << OFFSET_BITS)
    words = np.concatenate([ends, ends + (1 << OFFSET_BITS) - 1])
    return np.stack([rng.permutation(words), rng.permutation(words)], axis=-1).astype(np.int16)


class Bench(LoadableBench):
    """The core's own ways on top of what such filters share."""

    drain_clocks = LATENCY + 8

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def write_taps(self, taps: NDArray[np.int64]) -> None:
        """Write the filter; it is not yet in use."""
        for k, tap in enumerate(taps):
            await self.write(f"tap_{k}", value=int(tap))

    async def write_tables(self, tables: NDArray[np.int64]) -> None:
        """Write all rows of both rails; they are not yet in use."""
        for constant, slope in tables.reshape(-1, 2):
            await self.write("row", constant=int(constant), slope=int(slope))

    async def write_settings(self, model: Predistortion) -> None:
        """Taps and tables."""
        await self.write_taps(model.taps)
        await self.write_tables(model.tables)


@bench_test
@crossed_with_pauses
async def frames_of_all_lengths_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words, ends of frames, zeros beyond them, and what is counted."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    settings = random_settings(rng)
    await bench.load(settings)
    frames = [random_frame(rng, int(beats)) for beats in (1, 2, 3, 4, 5, 1, 1, 1, 200, *rng.integers(1, 12, 12))]
    for samples in frames:
        bench.send(samples)
    saturated = sum([await bench.expect(settings, samples) for samples in frames])
    await bench.nothing_more_comes_out()
    assert await bench.read("saturations", "count") == saturated > 0
    assert await bench.read("status", "saturated") == 1
    await bench.write("status", saturated=1)
    await bench.write("control", clear_counters=1)
    assert await bench.read_word("status") == 0
    assert await bench.read("saturations", "count") == 0


@bench_test
async def words_pass_unchanged_until_taps_or_tables_are_loaded(dut: Any) -> None:
    """Exactly, whatever was loaded before the reset; then the one and the other alone."""
    rng = np.random.default_rng(2)
    bench = Bench(dut)
    await bench.reset()
    samples = all_rows(rng)
    # Two loads, so that both banks of the tables have held something else.
    for settings in (random_settings(rng), Predistortion(inverse_sinc(), np.stack([arcsine_table(0.5)] * 2))):
        await bench.load(settings)
        bench.send(samples)
        await bench.expect(settings, samples)
    await bench.reset()
    bench.send(samples)
    np.testing.assert_array_equal(await bench.receive(), samples)
    await bench.apply()  # of the reset values
    bench.send(samples)
    np.testing.assert_array_equal(await bench.receive(), samples)
    assert await bench.read_word("status") == 0

    tables = random_tables(rng)
    await bench.write_tables(tables)
    await bench.apply()
    bench.send(samples)
    await bench.expect(Predistortion(tables=tables), samples)
    for taps in (random_taps(rng), random_taps(rng)):  # the tables stay
        await bench.write_taps(taps)
        await bench.apply()
        bench.send(samples)
        await bench.expect(Predistortion(taps, tables), samples)
    await bench.reset()
    await bench.write_taps(taps)
    await bench.apply()
    bench.send(samples)
    await bench.expect(Predistortion(taps), samples)


@bench_test
async def the_largest_sums_do_not_wrap(dut: Any) -> None:
    """All products at once at their largest, of either sign."""
    bench = Bench(dut)
    await bench.reset()
    corners = np.array([[i, q] for i in (-(2**15), 2**15 - 1) for q in (-(2**15), 2**15 - 1)], np.int16)
    samples = np.repeat(corners, TAPS + 3, axis=0)
    samples = np.pad(samples, ((0, -len(samples) % LANES), (0, 0)))
    ends = np.array([TABLE_WORD.minimum, TABLE_WORD.maximum])
    # I: lines that lead beyond their constants; Q: the other way round.
    constant = np.where(np.arange(ROWS) < ROWS // 2, ends[1], ends[0])
    tables = np.stack([np.stack([c, np.full(ROWS, SLOPE.minimum)], -1) for c in (constant, ends.sum() - constant)])
    await bench.write_tables(tables)
    for tap in (TAP.minimum, TAP.maximum):
        taps = np.full(HALF_TAPS + 1, tap)
        await bench.write_taps(taps)
        await bench.apply()
        bench.send(samples)
        assert await bench.expect(Predistortion(taps, tables), samples) > 0


@bench_test
async def halves_are_rounded_upwards(dut: Any) -> None:
    """Ties of the filter, and ties of the tables, of either sign."""
    rng = np.random.default_rng(3)
    bench = Bench(dut)
    await bench.reset()
    samples = all_rows(rng)
    taps = np.array([1 << (TAP.fraction - 1), *[0] * HALF_TAPS])
    await bench.write_taps(taps)
    await bench.apply()
    bench.send(samples)
    await bench.expect(Predistortion(taps), samples)
    # A slope of half a table word a sample; the middle tap shows table words as they are.
    tables = np.stack([np.stack([np.arange(ROWS), np.full(ROWS, slope)], -1) for slope in (512, -512)])
    taps = np.array([TAP.maximum, *[0] * HALF_TAPS])
    await bench.load(Predistortion(taps, tables))
    bench.send(samples)
    await bench.expect(Predistortion(taps, tables), samples)


@bench_test
@crossed_with_pauses
async def a_reset_within_a_frame_leaves_nothing_behind(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Nothing comes out of it, and the next frame does not see it."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    taps = random_taps(rng)
    for clocks in (LATENCY // 2, LATENCY, LATENCY + 20):
        await bench.write_taps(taps)
        await bench.write("row", constant=1, slope=1)
        await bench.write("control", begin_tables=1)
        await bench.apply()
        bench.send(random_frame(rng, 60))
        await ClockCycles(dut.aclk, clocks)
        await bench.reset()
        assert await bench.read_word("status") == 0
        assert await bench.read("rows", "written") == 0
        samples = random_frame(rng, 9)
        bench.send(samples)
        np.testing.assert_array_equal(await bench.receive(), samples)
        await bench.nothing_more_comes_out()
        bench.release_output()


@bench_test
@crossed_with_pauses
async def new_settings_take_effect_between_frames(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Ordered within a frame, they wait for its end; the next frame, on its heels, has all of them."""
    rng = np.random.default_rng(5)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    tables = random_tables(rng)
    settings = [Predistortion(), *(Predistortion(random_taps(rng), tables) for _ in range(2))]
    frames = [random_frame(rng, 40) for _ in settings]
    bench.hold_output()
    bench.send(frames[0])
    bench.send(frames[1])
    await bench.write_taps(settings[1].taps)
    await bench.write_tables(settings[1].tables)
    await bench.write("control", apply=1)
    assert await bench.read("control", "apply") == 1, "settings changed within a frame"
    bench.release_output()
    await bench.expect(settings[0], frames[0])
    await bench.expect(settings[1], frames[1])
    bench.hold_output()
    bench.send(frames[1])
    await bench.write_taps(settings[2].taps)
    await bench.write("control", apply=1)
    assert await bench.read_word("status") & ~1 == 0, "something was refused"
    await bench.write("row", constant=1, slope=1)
    assert await bench.read("status", "row_refused") == 1, "a row was stored while apply was pending"
    assert await bench.read("rows", "written") == 0
    bench.release_output()
    await bench.expect(settings[1], frames[1])
    await bench.applied()
    bench.send(frames[2])
    await bench.expect(settings[2], frames[2])
    await bench.nothing_more_comes_out()


@bench_test
async def a_beat_under_way_keeps_its_tables(dut: Any) -> None:
    """With words still in it that the old ones own, the core is between two frames: apply is done at once."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    old, new = random_settings(rng), random_settings(rng)
    short, following = random_frame(rng, 3), random_frame(rng, 20)
    await bench.load(old)
    bench.hold_output()
    bench.send(short)
    await ClockCycles(dut.aclk, 2 * LATENCY)
    await bench.load(new)
    await bench.write_tables(random_tables(rng))  # where the old ones were
    bench.release_output()
    await bench.expect(old, short)
    bench.send(following)
    await bench.expect(new, following)
    await bench.nothing_more_comes_out()


@bench_test
async def a_beat_under_way_keeps_its_taps(dut: Any) -> None:
    """The pipeline is stuck with the border of two frames at any place of it; a third set of taps waits or need not."""
    rng = np.random.default_rng(9)
    bench = Bench(dut)
    await bench.reset()
    old, new, newer = (Predistortion(random_taps(rng)) for _ in range(3))
    long, short, following = (random_frame(rng, beats) for beats in (14, 3, 5))
    await bench.write_taps(old.taps)
    await bench.apply()
    await ClockCycles(dut.aclk, ROWS)  # until the identity is written
    was_busy = []
    for clocks in range(len(long) // LANES, len(long) // LANES + LATENCY + 10):
        await bench.write_taps(new.taps)
        bench.send(long)
        bench.send(short)
        await bench.write("control", apply=1)
        await ClockCycles(dut.aclk, clocks)
        bench.hold_output()
        await bench.write_taps(newer.taps)
        await bench.write("control", apply=1)
        await ClockCycles(dut.aclk, 2 * LATENCY)  # what can still move has moved
        was_busy.append(await bench.read("control", "apply"))
        bench.release_output()
        await bench.expect(old, long)
        await bench.expect(new, short)
        await bench.applied()
        bench.send(following)
        await bench.expect(newer, following)
        old, new, newer = newer, old, new
    assert was_busy == sorted(was_busy, reverse=True)
    assert {0, 1} == set(was_busy)
    await bench.nothing_more_comes_out()


@bench_test
async def tables_that_are_not_whole_are_refused(dut: Any) -> None:
    """And leave those in use as they are; begun anew they can be written."""
    rng = np.random.default_rng(7)
    bench = Bench(dut)
    await bench.reset()
    samples, settings = all_rows(rng), random_settings(rng)
    await bench.write_taps(settings.taps)
    for rows in (1, 3):
        for count in range(rows):
            assert await bench.read("rows", "written") == count
            await bench.write("row", constant=5, slope=5)
        await bench.write("status", settings_refused=1)
        await bench.apply()
        assert await bench.read("status", "settings_refused") == 1
        bench.send(samples)
        np.testing.assert_array_equal(await bench.receive(), samples)
        assert await bench.read("rows", "written") == rows
        await bench.write("control", begin_tables=1)
        assert await bench.read("rows", "written") == 0
    await bench.write_tables(settings.tables)
    assert await bench.read("rows", "written") == 2 * ROWS
    assert await bench.read("status", "row_refused") == 0
    await bench.write("row", constant=5, slope=5)
    assert await bench.read("status", "row_refused") == 1
    await bench.apply()
    assert await bench.read("rows", "written") == 0
    bench.send(samples)
    await bench.expect(settings, samples)


@bench_test
async def one_beat_is_taken_and_given_every_clock(dut: Any) -> None:
    """Through frames without a gap between them, and through a change of taps, each beat after the latency."""
    rng = np.random.default_rng(8)
    bench = Bench(dut)
    await bench.reset()
    old, new = Predistortion(random_taps(rng)), Predistortion(random_taps(rng))
    await bench.write_taps(old.taps)
    await bench.apply()
    await ClockCycles(dut.aclk, ROWS)  # until the identity is written
    lengths = [50, 1, 1, 2, 40, 60]
    frames = [random_frame(rng, beats) for beats in lengths]
    taken_at, given_at = bench.watch("s_axis"), bench.watch("m_axis")
    for samples in frames[:-1]:
        bench.send(samples)
    for samples in frames[:-2]:
        await bench.expect(old, samples)
    await bench.write("tap_0", value=int(new.taps[0]))
    bench.send(frames[-1])
    new = Predistortion(np.array([new.taps[0], *old.taps[1:]]))
    await bench.write("control", apply=1)
    await bench.expect(old, frames[-2])
    await bench.expect(new, frames[-1])
    beats = sum(lengths)
    assert taken_at == list(range(taken_at[0], taken_at[0] + beats)), "the core paused"
    assert given_at == [at + LATENCY for at in taken_at]


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "lanes") == LANES
    assert await bench.read("capabilities", "taps") == TAPS
    assert await bench.read("capabilities", "rows") == ROWS
    await bench.walk_registers()
