"""Bench of the power meter beside a stream, in a skin: every figure against the model.

Parameters: symbols_per_clock, latency.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamFrame
from numpy.typing import NDArray

from kronborg_hdl.axi.marks import SECTION_BITS
from kronborg_hdl.decimation.power_meter.model import ALL_SECTIONS, Measurement, PowerMeter, Section
from kronborg_hdl.decimation.power_meter.registers import DEFAULT_GATE, REGISTERS, SUMS

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
N, LATENCY = PARAMETERS["symbols_per_clock"], PARAMETERS["latency"]

bench_test = cocotb.test(timeout_time=200, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_symbols(rng: np.random.Generator, beats: int) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Of full scale, the lowest often; and sections that change from symbol to symbol."""
    words = rng.integers(-(2**15), 2**15, (beats * N, 2))
    symbols = np.where(rng.random(words.shape) < 0.2, -(2**15), words).astype(np.int16)
    return symbols, rng.integers(0, len(Section), beats * N).astype(np.uint8)


class Bench(SkinBench):
    """The core's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def load(self, gate: int, sections: Iterable[Section] = ALL_SECTIONS) -> PowerMeter:
        """Write the settings and put them to use; the model with the same."""
        chosen = frozenset(sections)
        await self.write("gate", symbols=gate)
        await self.write("sections", **{section.name.lower(): 1 for section in chosen})
        await self.write("control", apply=1)
        while await self.read("control", "apply"):
            pass
        return PowerMeter(max(1, gate), chosen, N)

    async def pass_by(
        self, symbols: NDArray[np.int16], sections: NDArray[np.uint8], touched: NDArray[np.uint8] | None = None
    ) -> None:
        """Send symbols; they come out on the other side as they are, and are measured."""
        beats = np.zeros(len(symbols), np.uint8) if touched is None else touched
        rows = zip(symbols.reshape(-1, N, 2), sections.reshape(-1, N).tolist(), beats[::N].tolist(), strict=True)
        for words, of, touch in rows:
            user = sum(section << SECTION_BITS * lane for lane, section in enumerate((*of, touch)))
            beat = words.astype("<i2").tobytes()
            self.source.send_nowait(AxiStreamFrame(beat, tuser=[user] * len(beat)))
        np.testing.assert_array_equal(await self.receive_beats(len(symbols) // N, np.int16), symbols)
        await ClockCycles(self.dut.aclk, LATENCY)

    async def figures(self) -> Measurement:
        """What the host reads."""
        assert await self.read("control", "complete") == 1, "there is no measurement"
        sums = [
            await self.read(f"{name}_low", "word") + (await self.read(f"{name}_high", "word") << 32) for name in SUMS
        ]
        touched = await self.read("control", "touched")
        return Measurement(await self.read("count", "symbols"), (sums[0], sums[1]), (sums[2], sums[3]), touched)


@bench_test
@crossed_with_pauses
@cocotb.parametrize(sections=[[0, 1, 2, 3], [2], [1, 3], []])
async def figures_equal_the_model(dut: Any, idle: bool, back_pressure: bool, sections: list[int]) -> None:
    """The first measurement stands; those behind it are lost, and counted, until the host releases it."""
    rng = np.random.default_rng([1, idle, back_pressure, *sections])
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    meter = await bench.load(70, map(Section, sections))
    symbols, places = random_symbols(rng, 400 // N)
    measurements, rest = meter.process(symbols, places)
    await bench.pass_by(symbols, places)
    if not sections:
        assert await bench.read("control", "complete") == 0
        assert await bench.read_word("status") == 0
        return
    assert await bench.figures() == measurements[0]
    assert await bench.read("measurements", "count") == len(measurements)
    assert await bench.read("lost", "count") == len(measurements) - 1
    assert await bench.read("status", "measured") == 1
    assert await bench.read("status", "lost") == (len(measurements) > 1)
    await bench.write("control", release=1)
    assert await bench.read("control", "complete") == 0
    # What was under way goes on, and is the next that stands.
    symbols, places = random_symbols(rng, 320 // N)
    more, _ = meter.process(symbols, places, rest)
    await bench.pass_by(symbols, places)
    assert await bench.figures() == more[0]
    await bench.write("control", clear_counters=1)
    assert await bench.read("measurements", "count") == await bench.read("lost", "count") == 0


@bench_test
@cocotb.parametrize(gate=[0, 1, N, N + 1, 5 * N, 5 * N - 1])
async def a_measurement_ends_with_the_beat_that_completes_it(dut: Any, gate: int) -> None:
    """Not earlier, not later; the next one begins with the next beat."""
    rng = np.random.default_rng([2, gate])
    bench = Bench(dut)
    await bench.reset()
    meter = await bench.load(gate)
    symbols, places = random_symbols(rng, 40)
    touched = np.repeat((1 << rng.integers(0, 6, 40)) * (rng.random(40) < 0.3), N).astype(np.uint8)
    state, done = Measurement(), 0
    for at in range(0, len(symbols), N):
        beat = slice(at, at + N)
        measurements, state = meter.process(symbols[beat], places[beat], state, touched[beat])
        await bench.pass_by(symbols[beat], places[beat], touched[beat])
        assert await bench.read("control", "complete") == len(measurements)
        for measurement in measurements:
            done += 1
            assert await bench.figures() == measurement
            await bench.write("control", release=1)
    assert done == 40 // -(-max(1, gate) // N)
    assert await bench.read("measurements", "count") == done
    assert await bench.read("lost", "count") == 0


@bench_test
async def it_is_told_what_happened_to_symbols_that_count(dut: Any) -> None:
    """Not to one of another section, nor to one of another measurement."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    meter = await bench.load(20 * N, {Section.VACUUM})
    symbols, _ = random_symbols(rng, 40)
    beat = np.arange(40)
    places = np.repeat(np.where(beat % 2, Section.VACUUM, Section.PAYLOAD), N).astype(np.uint8)
    for at, expected in ((4, 0), (5, 37), (None, 0)):
        touched = np.repeat(37 * (beat == at), N).astype(np.uint8)
        (measurement,), _ = meter.process(symbols, places, touched=touched)
        await bench.pass_by(symbols, places, touched)
        assert await bench.figures() == measurement
        assert measurement.touched == expected
        await bench.write("control", release=1)


@bench_test
@cocotb.parametrize(rails=[(-(2**15), -(2**15)), (-(2**15), 2**15 - 1), (2**15 - 1, 0)])
async def full_scale_is_exact(dut: Any, rails: tuple[int, int]) -> None:
    """Sums go beyond 32 bits on either side."""
    bench = Bench(dut)
    await bench.reset()
    meter = await bench.load(800 * N)
    symbols = np.full((800 * N, 2), rails, np.int16)
    (measurement,), _ = meter.process(symbols)
    await bench.pass_by(symbols, np.zeros(len(symbols), np.uint8))
    assert await bench.figures() == measurement


@bench_test
async def a_measurement_begins_with_apply(dut: Any) -> None:
    """What was measured before it counts no more, nor that it was touched; settings wait for it."""
    rng = np.random.default_rng(3)
    bench = Bench(dut)
    await bench.reset()
    meter = await bench.load(10 * N)
    symbols, places = random_symbols(rng, 15)
    touched = np.full(len(symbols), 63, np.uint8)
    (measurement,), _ = meter.process(symbols, places, touched=touched)
    await bench.write("gate", symbols=1)
    await bench.write("sections", vacuum=1)
    await bench.pass_by(symbols, places, touched)
    assert await bench.figures() == measurement
    meter = await bench.load(12 * N, {Section.VACUUM, Section.OTHER})
    assert await bench.read("control", "complete") == 0
    symbols, places = random_symbols(rng, 40)
    measurements, _ = meter.process(symbols, places)
    await bench.pass_by(symbols, places)
    assert await bench.figures() == measurements[0]


@bench_test
async def apply_takes_effect_between_two_beats_of_a_running_stream(dut: Any) -> None:
    """The measurement is of beats next to each other, of all that come from some beat on."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load(1000)
    # Powers of two tell which symbols were summed.
    place = np.arange(600 * N)
    symbols = np.stack([place % 30000, 1 + 0 * place], axis=-1).astype(np.int16)
    sending = cocotb.start_soon(bench.pass_by(symbols, np.zeros(len(symbols), np.uint8)))
    await ClockCycles(dut.aclk, 60)
    meter = await bench.load(50 * N)
    await sending
    figures = await bench.figures()
    first = (figures.sums[0] - 25 * N * (50 * N - 1)) // (50 * N)
    assert 0 < first < 400 * N
    assert first % N == 0
    assert figures == meter.process(symbols[first : first + 50 * N])[0][0]


@bench_test
async def a_measurement_that_ends_just_before_apply_is_followed_by_none_until_it_acts(dut: Any) -> None:
    """The new gate is known some clocks before it acts, in each place of the old one."""
    beats, old = 100, 7
    bench = Bench(dut)
    await bench.reset()
    symbols = np.stack([np.arange(beats * N)] * 2, axis=-1).astype(np.int16)
    for late in range(old):
        await bench.load(old * N)
        await bench.write("control", clear_counters=1)
        await bench.write("gate", symbols=N)
        sending = cocotb.start_soon(bench.pass_by(symbols, np.zeros(len(symbols), np.uint8)))
        await ClockCycles(dut.aclk, 30 + late)
        await bench.write("control", apply=1)
        await sending
        first = (await bench.figures()).sums[0] // N**2
        assert 0 < first < beats
        assert await bench.read("measurements", "count") == first // old + beats - first


@bench_test
async def the_stream_never_waits(dut: Any) -> None:
    """A beat each clock, while measurements end and are lost."""
    rng = np.random.default_rng(4)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(3 * N)
    taken = bench.watch("s_axis")
    await bench.pass_by(*random_symbols(rng, 200))
    assert taken == list(range(taken[0], taken[0] + 200))


@bench_test
async def a_reset_forgets_the_measurement(dut: Any) -> None:
    """Standing and under way; then all is measured by the gate's reset value."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(4 * N, {Section.PAYLOAD})
    await bench.pass_by(*random_symbols(rng, 60))
    assert await bench.read("control", "complete") == 1
    await bench.reset()
    assert await bench.read("control", "complete") == 0
    assert await bench.read("gate", "symbols") == DEFAULT_GATE
    await bench.pass_by(*random_symbols(rng, 60))
    assert await bench.read_word("status") == 0
    meter = await bench.load(30 * N)
    symbols, places = random_symbols(rng, 40)
    await bench.pass_by(symbols, places)
    assert await bench.figures() == meter.process(symbols, places)[0][0]


@bench_test
async def registers_are_as_their_table_says(dut: Any) -> None:
    """Every register and hole; and what was built."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "symbols_per_clock") == N
