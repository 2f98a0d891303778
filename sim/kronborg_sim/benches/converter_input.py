"""Bench of the converter's input in its skin: every word against the model.

Parameters: lanes, complex_input, latency.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.compensation.converter_input.model import (
    BLOCK,
    LOWER,
    UNITY,
    UPPER,
    Converted,
    ConverterInput,
    InputState,
    fixed_offset,
)
from kronborg_hdl.compensation.converter_input.registers import REGISTERS

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
LANES, COMPLEX, LATENCY = PARAMETERS["lanes"], bool(PARAMETERS["complex_input"]), PARAMETERS["latency"]

bench_test = cocotb.test(timeout_time=2000, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_samples(rng: np.random.Generator, beats: int, mean: float = 0) -> NDArray[np.int16]:
    """Words about a mean, and some of full scale."""
    shape = (beats * LANES, 2)[: 1 + COMPLEX]
    words = np.clip(rng.normal(mean, 4000, shape), -(2**15), 2**15 - 1)
    extremes = rng.choice([-(2**15), 2**15 - 1, UPPER, UPPER - 1, LOWER + 1], shape)
    return np.where(rng.random(shape) < 0.02, extremes, words).astype(np.int16)


class Bench(SkinBench):
    """The core's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        self.state = InputState()

    async def load(self, settings: ConverterInput) -> None:
        """Write the settings and put them to use."""
        await self.write("threshold", upper=settings.upper, lower=settings.lower)
        await self.write("tracking", averaging=settings.averaging, hold=settings.hold)
        await self.write("gain", word=settings.gain)
        await self.write("skew", word=settings.skew)
        await self.write("control", apply=1)

    async def load_offset(self, i: int, q: int) -> None:
        """Put offsets in place before the first sample."""
        await self.write("offset", i=i, q=q)
        await self.write("control", load_offset=1)
        self.state = fixed_offset(i, q)

    async def expect(self, settings: ConverterInput, samples: NDArray[np.int16]) -> Converted:
        """What comes out for samples that were sent is the model's."""
        converted = settings.process(samples, self.state)
        self.state = converted.state
        received = await self.receive_beats(len(samples) // LANES, np.int16)
        np.testing.assert_array_equal(received.reshape(samples.shape), converted.words)
        return converted


@bench_test
@crossed_with_pauses
async def streams_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Any gain and skew, a mean that is followed over three blocks and held, loaded offsets; and what is counted."""
    rng = np.random.default_rng([idle, back_pressure])
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    averaging, gain, skew = int(rng.integers(0, 3)), int(rng.integers(0, 2**15)), int(rng.integers(-(2**14), 2**14))
    settings = ConverterInput(averaging, False, gain, skew, upper=UPPER, lower=-20_000)
    await bench.load(settings)
    await bench.load_offset(*(int(word) for word in rng.integers(-(2**15), 2**15, 2)))
    over_range = saturated = 0
    for hold, beats in ((False, 3 * BLOCK // LANES + 3), (True, BLOCK // LANES)):
        settings = ConverterInput(averaging, hold, gain, skew, UPPER, -20_000)
        await bench.load(settings)
        samples = random_samples(rng, beats, mean=500 - 900 * hold)
        bench.send_beats(samples)
        converted = await bench.expect(settings, samples)
        over_range, saturated = over_range + converted.over_range, saturated + converted.saturated
    assert await bench.read("over_ranges", "count") == over_range > 0
    assert await bench.read("saturations", "count") == saturated > 0
    assert await bench.read("status", "over_range") == 1
    assert await bench.read("status", "saturated") == 1
    for rail, mean in zip(("i", "q"), bench.state.means, strict=True):
        if rail == "i" or COMPLEX:
            assert await bench.read(f"mean_{rail}", "word") == mean
    await bench.write("control", clear_counters=1)
    assert await bench.read("over_ranges", "count") == 0
    assert await bench.read("saturations", "count") == 0


@bench_test
async def samples_pass_unchanged_after_a_reset(dut: Any) -> None:
    """Whatever was set before it; and over-range is told at the converter's ends only."""
    rng = np.random.default_rng(1)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(ConverterInput(0, False, gain=3, skew=5))
    await bench.load_offset(77, 88)
    bench.send_beats(random_samples(rng, 100))
    await ClockCycles(dut.aclk, 60)
    await bench.reset()
    bench.state = InputState()
    samples = np.full((10 * LANES, 2)[: 1 + COMPLEX], UPPER - 1, np.int16)
    samples[LANES:] = LOWER + 1
    bench.send_beats(samples)
    assert (await bench.expect(ConverterInput(), samples)).over_range == 0
    assert await bench.read_word("status") == 0
    samples[0] = UPPER
    samples[-1] = LOWER
    bench.send_beats(samples)
    assert (await bench.expect(ConverterInput(), samples)).over_range == 2 * (1 + COMPLEX)
    assert await bench.read("over_ranges", "count") == 2 * (1 + COMPLEX)
    assert await bench.read("status", "saturated") == 0


@bench_test
async def the_largest_words_do_not_wrap(dut: Any) -> None:
    """All corners, with the largest offsets and coefficients of either sign."""
    bench = Bench(dut)
    corners = [[i, q] for i in (-(2**15), 2**15 - 1) for q in (-(2**15), 2**15 - 1)]
    samples = np.repeat(np.array(corners, np.int16), LANES, axis=0)
    samples = samples if COMPLEX else samples[:, 0].copy()
    for skew in (-(2**14), 2**14 - 1):
        for offset in ((2**15 - 1, -(2**15)), (-(2**15), 2**15 - 1), (0, 0)):
            await bench.reset()
            settings = ConverterInput(gain=2 * UNITY - 1, skew=skew)
            await bench.load(settings)
            await bench.load_offset(*offset)
            bench.send_beats(samples)
            saturated = (await bench.expect(settings, samples)).saturated
            assert await bench.read("saturations", "count") == saturated


@bench_test
async def one_beat_is_taken_and_given_every_clock(dut: Any) -> None:
    """With the latency that the core says."""
    bench = Bench(dut)
    await bench.reset()
    taken, given = bench.watch("s_axis"), bench.watch("m_axis")
    samples = random_samples(np.random.default_rng(2), 200)
    bench.send_beats(samples)
    await bench.expect(ConverterInput(), samples)
    assert taken == list(range(taken[0], taken[0] + 200)), "the core paused"
    assert given == [at + LATENCY for at in taken]
    await ClockCycles(dut.aclk, LATENCY + 8)
    assert bench.sink.empty()


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "lanes") == LANES
    assert await bench.read("capabilities", "complex_input") == COMPLEX
