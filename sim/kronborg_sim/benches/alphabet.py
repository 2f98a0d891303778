"""Bench of the source of discrete alphabets in its skin: every word against the model.

Parameters: symbols_per_clock, latency, beats (of the long run).
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.modulation.alphabet.model import FULL_SHARE, ROWS, AlphabetSource, shaped_qam, square_qam
from kronborg_hdl.modulation.alphabet.registers import REGISTERS

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
WIDTH = PARAMETERS["symbols_per_clock"]

bench_test = cocotb.test(timeout_time=500, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_bits(rng: np.random.Generator, beats: int) -> NDArray[np.uint64]:
    """Uniform words."""
    return rng.integers(0, 2**64, beats * WIDTH, np.uint64)


def random_source(rng: np.random.Generator) -> AlphabetSource:
    """A table without any order."""
    own, other = rng.integers(-(2**15), 2**15, (2, ROWS)).astype(np.int16)
    return AlphabetSource(rng.integers(0, FULL_SHARE, ROWS), own, other)


class Bench(SkinBench):
    """The source's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    def send_bits(self, bits: NDArray[np.uint64]) -> None:
        """Queue a frame of entropy: uint64, shape (n,), whole beats."""
        self.send(bits.astype("<u8").view("<i2").reshape(-1, 2))

    async def write_rows(self, source: AlphabetSource, rows: range = range(ROWS)) -> None:
        """Write rows of the table."""
        for index in rows:
            await self.write("levels", own=int(source.own[index]), other=int(source.other[index]))
            await self.write("row", index=index, share=int(source.share[index]))

    async def load(self, source: AlphabetSource) -> None:
        """Stop, write the table, and run."""
        await self.write("control", run=0)
        await self.write_rows(source)
        await self.write("control", run=1)

    async def expect(self, source: AlphabetSource, bits: NDArray[np.uint64]) -> None:
        """The next output frame is the model's."""
        np.testing.assert_array_equal(await self.receive(), source.process(bits))

    async def takes_nothing(self) -> bool:
        """Whether bits that wait are not taken, and nothing comes out."""
        await ClockCycles(self.dut.aclk, 40)
        return not int(self.dut.s_axis_tready.value) and self.sink.empty() and self.sink.idle()

    async def reset_in_one_clock(self) -> None:
        """The shortest reset: what is not reset has no time to run dry."""
        self.dut.aresetn.value = 0
        self.source.clear()
        self.sink.clear()
        await ClockCycles(self.dut.aclk, 1)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    async def nothing_more_comes_out(self) -> None:
        """The core and the sink are empty."""
        self.drain_output()
        await ClockCycles(self.dut.aclk, PARAMETERS["latency"] + 8)
        assert self.sink.empty(), "symbols came out that the model does not have"
        assert self.sink.idle(), "a frame was begun and not ended"


@bench_test
@crossed_with_pauses
async def frames_of_all_lengths_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Constellations and tables without order; a new table takes effect between what is taken before and after."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    for source in (square_qam(4, 4096), shaped_qam(256, 4096, 0.05), random_source(rng), random_source(rng)):
        await bench.load(source)
        frames = [random_bits(rng, int(beats)) for beats in (1, 2, 1, *rng.integers(1, 40, 5))]
        for bits in frames:
            bench.send_bits(bits)
        for bits in frames:
            await bench.expect(source, bits)
    await bench.nothing_more_comes_out()
    assert await bench.read_word("status") == 0


@bench_test
async def draws_at_the_share_equal_the_model(dut: Any) -> None:
    """One below the share, at it and above it, in every row; shares of nothing and of nearly all among them."""
    rng = np.random.default_rng(2)
    bench = Bench(dut)
    await bench.reset()
    source = random_source(rng)
    source.share[:2] = 0, FULL_SHARE - 1
    await bench.load(source)
    draws = np.clip(source.share[:, None] + np.array([-1, 0, 1]), 0, FULL_SHARE - 1)
    rails = (np.arange(ROWS)[:, None] << 28 | draws).reshape(-1).astype(np.uint64)
    bits = np.concatenate([rails, rails << np.uint64(32), np.zeros(-2 * len(rails) % WIDTH, np.uint64)])
    bench.send_bits(bits)
    await bench.expect(source, bits)


@bench_test
async def a_long_run_without_gaps_equals_the_model(dut: Any) -> None:
    """One beat is taken every clock, and its symbols come out after the latency."""
    bench = Bench(dut)
    await bench.reset()
    source = shaped_qam(64, 4096, 0.1)
    await bench.load(source)
    bits = random_bits(np.random.default_rng(3), PARAMETERS["beats"])
    taken_at, given_at = bench.watch("s_axis"), bench.watch("m_axis")
    bench.send_bits(bits)
    await bench.expect(source, bits)
    assert taken_at == list(range(taken_at[0], taken_at[0] + PARAMETERS["beats"])), "the core paused"
    assert given_at == [at + PARAMETERS["latency"] for at in taken_at]


@bench_test
async def no_bits_are_taken_without_a_whole_table_and_the_order_to_run(dut: Any) -> None:
    """Not with the last row missing; nor after a reset, when the memory still holds the old table."""
    rng = np.random.default_rng(4)
    bench = Bench(dut)
    source = random_source(rng)
    for _ in range(2):
        await bench.reset()
        bits = random_bits(rng, 5)
        bench.send_bits(bits)
        await bench.write_rows(source, range(ROWS - 1))
        await bench.write("control", run=1)
        assert await bench.read("control", "loaded") == 0
        assert await bench.takes_nothing()
        await bench.write("control", run=0)
        await bench.write_rows(source, range(ROWS - 1, ROWS))
        assert await bench.read("control", "loaded") == 1
        assert await bench.takes_nothing()
        await bench.write("control", run=1)
        await bench.expect(source, bits)
    await bench.nothing_more_comes_out()


@bench_test
async def rows_are_refused_while_the_source_runs(dut: Any) -> None:
    """The table stays as it was; symbols that wait in the pipeline keep the table that they were drawn from."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    old, new = random_source(rng), random_source(rng)
    await bench.load(old)
    await bench.write_rows(new)
    assert await bench.read("status", "row_refused") == 1
    await bench.write("status", row_refused=1)
    assert await bench.read("status", "row_refused") == 0
    bench.hold_output()
    taken_at = bench.watch("s_axis")
    bits = random_bits(rng, 30)
    bench.send_bits(bits)
    await ClockCycles(dut.aclk, 60)
    taken = len(taken_at) * WIDTH
    assert 0 < taken < len(bits), "the core does not hold its input back"
    await bench.load(new)
    bench.release_output()
    expected = [old.process(bits[:taken]), new.process(bits[taken:])]
    np.testing.assert_array_equal(await bench.receive(), np.concatenate(expected))
    await bench.nothing_more_comes_out()


@bench_test
async def a_reset_within_a_frame_leaves_nothing_behind(dut: Any) -> None:
    """Nothing comes out after it that was taken before."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(random_source(rng))
    bench.hold_output()
    bench.send_bits(random_bits(rng, 40))
    await ClockCycles(dut.aclk, 20)
    await bench.reset_in_one_clock()
    await bench.nothing_more_comes_out()
    source, bits = random_source(rng), random_bits(rng, 20)
    await bench.load(source)
    bench.send_bits(bits)
    await bench.expect(source, bits)


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "symbols_per_clock") == WIDTH
    await bench.walk_registers()
