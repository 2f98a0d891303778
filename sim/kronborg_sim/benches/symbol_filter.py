"""Bench of the symbol filter in its skin: every word against the model.

Parameters: words_per_clock, latency.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.decimation.symbol_filter.model import DISTINCT_TAPS, REACH, TAP, SymbolFilter
from kronborg_hdl.decimation.symbol_filter.registers import REGISTERS
from kronborg_hdl.dsp.formats import BASEBAND

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
WORDS_PER_CLOCK, LATENCY = PARAMETERS["words_per_clock"], PARAMETERS["latency"]
PIECE = max(2, WORDS_PER_CLOCK)
SYMBOLS = PIECE // 2
EACH = PIECE // WORDS_PER_CLOCK

bench_test = cocotb.test(timeout_time=200, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_samples(rng: np.random.Generator, pieces: int) -> NDArray[np.int32]:
    """Words of full scale, the extremes often."""
    shape = (pieces * PIECE, 2)
    words = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, shape)
    extremes = rng.choice([BASEBAND.minimum, BASEBAND.maximum], shape)
    return np.where(rng.random(shape) < 0.6, extremes, words).astype(np.int32)


def random_filter(rng: np.random.Generator, shift: int = 22) -> SymbolFilter:
    """Any taps; with this shift many words saturate."""
    return SymbolFilter(rng.integers(TAP.minimum, TAP.maximum + 1, DISTINCT_TAPS).astype(np.int32), shift)


class Bench(SkinBench):
    """The core's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def load(self, symbol_filter: SymbolFilter) -> None:
        """Write the settings and put them to use."""
        for index, tap in enumerate(symbol_filter.taps.tolist()):
            await self.write("tap", index=index, value=tap)
        await self.write("shift", amount=symbol_filter.shift)
        await self.write("control", apply=1)

    async def expect(self, symbol_filter: SymbolFilter, samples: NDArray[np.int32]) -> int:
        """All that comes out for a stream from reset on is the model's. Returns how many words saturated."""
        self.send_beats(samples)
        beats = len(samples) // PIECE - LATENCY
        # What has not come out when the stream pauses does not count.
        filtered = symbol_filter.process(samples[: beats * PIECE + REACH])
        received = await self.receive_beats(beats, np.int16)
        np.testing.assert_array_equal(received, filtered.words)
        return filtered.saturated


@bench_test
@crossed_with_pauses
async def streams_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Any taps, words of full scale, from the first on; and what is counted."""
    rng = np.random.default_rng([idle, back_pressure])
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    symbol_filter = random_filter(rng)
    await bench.load(symbol_filter)
    saturated = await bench.expect(symbol_filter, random_samples(rng, LATENCY + 400))
    assert await bench.read("saturations", "count") == saturated > 0
    assert await bench.read("status", "saturated") == 1
    await bench.write("control", clear_counters=1)
    assert await bench.read("saturations", "count") == 0
    bench.drain_output()
    await ClockCycles(dut.aclk, 20)
    assert bench.sink.empty(), "symbols came out that were not complete"


@bench_test
@cocotb.parametrize(tap=[TAP.minimum, TAP.maximum], word=[BASEBAND.minimum, BASEBAND.maximum])
async def the_largest_sums_do_not_wrap(dut: Any, tap: int, word: int) -> None:
    """Every product at full scale with one sign."""
    bench = Bench(dut)
    await bench.reset()
    symbol_filter = SymbolFilter(np.full(DISTINCT_TAPS, tap, np.int32), 24)
    await bench.load(symbol_filter)
    assert await bench.expect(symbol_filter, np.full(((LATENCY + 40) * PIECE, 2), word, np.int32)) > 0


@bench_test
@cocotb.parametrize(shift=[0, 19, 31])
async def shifts_round_to_nearest(dut: Any, shift: int) -> None:
    """From no bit dropped to all that can be; words that fit set no flag."""
    rng = np.random.default_rng(shift)
    bench = Bench(dut)
    await bench.reset()
    symbol_filter = SymbolFilter((random_filter(rng).taps >> max(0, 17 - shift)).astype(np.int32), shift)
    await bench.load(symbol_filter)
    samples = random_samples(rng, LATENCY + 60) >> (31 - shift if shift == 31 else min(17, 29 - shift))
    assert await bench.expect(symbol_filter, samples.astype(np.int32)) == 0 or shift == 31
    if shift != 31:
        assert await bench.read_word("status") == 0


@bench_test
async def a_beat_comes_out_for_each_that_goes_in(dut: Any) -> None:
    """No gap, and the latency that the core says."""
    rng = np.random.default_rng(3)
    bench = Bench(dut)
    await bench.reset()
    symbol_filter = random_filter(rng)
    await bench.load(symbol_filter)
    taken, given = bench.watch("s_axis"), bench.watch("m_axis")
    await bench.expect(symbol_filter, random_samples(rng, LATENCY + 60))
    assert taken == list(range(taken[0], taken[0] + EACH * (LATENCY + 60))), "the core made its source wait"
    complete = taken[EACH - 1 :: EACH]
    assert given == [at + 1 for at in complete[LATENCY:]], "a gap, or another latency"


@bench_test
@crossed_with_pauses
async def a_reset_forgets_samples_and_settings(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Zeros lie before the first sample after it, and that one is even."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    await bench.load(random_filter(rng))
    samples = random_samples(rng, 90)
    bench.send_beats(samples[:-1] if WORDS_PER_CLOCK == 1 else samples)
    await ClockCycles(dut.aclk, 350)
    await bench.reset()
    # Samples that wait from the first clock on are not taken while zeros are.
    silent = SymbolFilter(np.zeros(DISTINCT_TAPS, np.int32))
    await bench.expect(silent, random_samples(rng, LATENCY + 20))
    await bench.reset()
    # Nor is what lies on the bus while it is not valid: it would be among the zeros.
    dut.s_axis_tdata.value = int.from_bytes(rng.bytes(len(dut.s_axis_tdata) // 8), "little")
    symbol_filter = random_filter(rng)
    await bench.load(symbol_filter)
    await bench.expect(symbol_filter, random_samples(rng, LATENCY + 60))


@bench_test
async def taps_wait_for_apply(dut: Any) -> None:
    """Written, they are not yet in use; and a tap that there is not is refused."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    symbol_filter = random_filter(rng)
    await bench.load(symbol_filter)
    await bench.write("tap", index=3, value=1)
    await bench.write("shift", amount=3)
    assert await bench.read("status", "tap_refused") == 0
    await bench.write("tap", index=DISTINCT_TAPS, value=1)
    assert await bench.read("status", "tap_refused") == 1
    await bench.expect(symbol_filter, random_samples(rng, LATENCY + 30))


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "words_per_clock") == WORDS_PER_CLOCK
    assert await bench.read("capabilities", "reach") == REACH
    await bench.walk_registers()
