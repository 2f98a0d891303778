"""Bench of the half-band decimator in its skin: every word against the model.

Parameters: words_per_clock, wide, latency.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.decimation.half_band.model import NARROW, WIDE
from kronborg_hdl.decimation.half_band.registers import REGISTERS
from kronborg_hdl.dsp.formats import BASEBAND

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
WORDS_PER_CLOCK, LATENCY = PARAMETERS["words_per_clock"], PARAMETERS["latency"]
HALF_BAND = WIDE if PARAMETERS["wide"] else NARROW
PIECE = max(2, WORDS_PER_CLOCK)

bench_test = cocotb.test(timeout_time=200, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_samples(rng: np.random.Generator, pieces: int) -> NDArray[np.int32]:
    """Words of full scale, the extremes often: many outputs saturate."""
    shape = (pieces * PIECE, 2)
    words = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, shape)
    extremes = rng.choice([BASEBAND.minimum, BASEBAND.maximum], shape)
    return np.where(rng.random(shape) < 0.6, extremes, words).astype(np.int32)


def worst_samples() -> NDArray[np.int32]:
    """Words of full scale with the signs of the taps, either way: no sums are larger."""
    kernel = np.zeros(4 * len(HALF_BAND.taps) - 1)
    middle = 2 * len(HALF_BAND.taps) - 1
    kernel[middle] = 1
    for k, tap in enumerate(HALF_BAND.taps):
        kernel[[middle - 2 * k - 1, middle + 2 * k + 1]] = tap
    rail = np.where(kernel < 0, BASEBAND.minimum, BASEBAND.maximum)
    rail = np.concatenate([[0], rail, ~rail, np.zeros(-(1 + 2 * len(rail)) % PIECE, int)])
    return np.stack([rail, ~rail], axis=-1).astype(np.int32)


class Bench(SkinBench):
    """The core's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def expect(self, samples: NDArray[np.int32]) -> int:
        """All that comes out for a stream from reset on is the model's. Returns how many words saturated."""
        words, saturated = HALF_BAND.process(samples)
        received = await self.receive_beats(len(samples) // PIECE, np.int32)
        np.testing.assert_array_equal(received, words)
        return saturated


@bench_test
@crossed_with_pauses
async def streams_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """From the first word on; and what is counted."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    samples = random_samples(np.random.default_rng([idle, back_pressure]), 700)
    bench.send_beats(samples)
    saturated = await bench.expect(samples)
    assert await bench.read("saturations", "count") == saturated > 0
    assert await bench.read("status", "saturated") == 1
    await bench.write("control", clear_counters=1)
    assert await bench.read("saturations", "count") == 0
    bench.drain_output()
    await ClockCycles(dut.aclk, LATENCY + 8)
    assert bench.sink.empty(), "samples came out that the model does not have"


@bench_test
async def the_largest_sums_do_not_wrap(dut: Any) -> None:
    """Every tap's product at full scale with one sign."""
    bench = Bench(dut)
    await bench.reset()
    samples = worst_samples()
    bench.send_beats(samples)
    assert await bench.expect(samples) >= 4


@bench_test
async def small_words_do_not_saturate(dut: Any) -> None:
    """Nor do they set the flag."""
    bench = Bench(dut)
    await bench.reset()
    samples = random_samples(np.random.default_rng(2), 200) // 2
    bench.send_beats(samples)
    assert await bench.expect(samples) == 0
    assert await bench.read_word("status") == 0


@bench_test
async def a_beat_is_taken_every_clock_and_comes_out_after_the_latency(dut: Any) -> None:
    """One of two beats if a beat is one sample."""
    bench = Bench(dut)
    await bench.reset()
    taken, given = bench.watch("s_axis"), bench.watch("m_axis")
    samples = random_samples(np.random.default_rng(3), 100)
    bench.send_beats(samples)
    await bench.expect(samples)
    beats = len(samples) // WORDS_PER_CLOCK
    assert taken == list(range(taken[0], taken[0] + beats)), "the core paused"
    each = PIECE // WORDS_PER_CLOCK
    assert given == [at + LATENCY for at in taken[each - 1 :: each]]


@bench_test
@crossed_with_pauses
async def a_reset_forgets_samples(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Zeros lie before the first sample after it, and that one is even."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    bench.send_beats(random_samples(rng, 30)[:-1] if WORDS_PER_CLOCK == 1 else random_samples(rng, 30))
    await ClockCycles(dut.aclk, 90)
    await bench.reset()
    samples = random_samples(rng, 40)
    bench.send_beats(samples)
    await bench.expect(samples)


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "words_per_clock") == WORDS_PER_CLOCK
    assert await bench.read("capabilities", "taps") == len(HALF_BAND.taps)
    await bench.walk_registers()
