"""Bench of the resampler in its skin: every word against the model.

Parameters: words_per_clock, depth, latency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.decimation.resampler.kernel import AHEAD, KERNELS
from kronborg_hdl.decimation.resampler.model import (
    FRACTION,
    MAXIMUM_STEP,
    MINIMUM_STEP,
    NUMBER_MASK,
    UNIT_STEP,
    Resampled,
    Resampler,
    Retime,
    start,
)
from kronborg_hdl.decimation.resampler.registers import REGISTERS
from kronborg_hdl.dsp.formats import BASEBAND

from .received_symbols import command_words
from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
W, DEPTH, LATENCY = PARAMETERS["words_per_clock"], PARAMETERS["depth"], PARAMETERS["latency"]
LAST_KERNEL = len(KERNELS) - 1

bench_test = cocotb.test(timeout_time=200, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_samples(rng: np.random.Generator, beats: int) -> NDArray[np.int32]:
    """Words of full scale, the extremes often: some saturate."""
    words = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (beats * W, 2))
    extremes = rng.choice([BASEBAND.minimum, BASEBAND.maximum], words.shape)
    return np.where(rng.random(words.shape) < 0.3, extremes, words).astype(np.int32)


def random_commands(rng: np.random.Generator, groups: int) -> list[Retime]:
    """Groups that are far apart, of commands for one beat or for beats next to each other; one in eight is refused."""
    begin = 64 * W * np.arange(1, groups + 1) + 2 * rng.integers(0, 8, groups)
    behind = np.stack([0 * begin, rng.integers(0, 2, groups), rng.choice([1, W + 1], groups)], axis=-1)
    places = (begin[:, np.newaxis] + behind).ravel().tolist()
    jumps = rng.choice([0, -(2**31), 2**31 - 1, 2**28, -(2**27), 12345678], len(places)).tolist()
    steps = rng.integers(MINIMUM_STEP, MAXIMUM_STEP + 1, len(places))
    steps[3::8] = rng.choice([MINIMUM_STEP - 1, MAXIMUM_STEP + 1])
    return [Retime(*words) for words in zip(places, jumps, steps.tolist(), strict=True)]


class Bench(SkinBench):
    """The core's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        self.kernel = 0
        self.state = start()

    async def load(self, step: int, kernel: int = 0) -> None:
        """Write the settings and put them to use."""
        await self.write("step_low", word=step % UNIT_STEP)
        await self.write("step_high", word=step >> FRACTION)
        await self.write("kernel", number=kernel)
        await self.write("control", apply=1)
        self.kernel, self.state = min(kernel, LAST_KERNEL), start(step)

    def command(self, commands: Sequence[Retime]) -> None:
        """Queue commands."""
        self.send_beats(command_words(commands), "retime")

    async def expect(self, samples: NDArray[np.int32], commands: Sequence[Retime] = ()) -> Resampled:
        """What comes out for samples is the model's, and nothing more comes; `commands` have been sent."""
        resampled = Resampler(KERNELS[self.kernel], W).process(samples, self.state, commands)
        self.state = resampled.state
        self.send_beats(samples)
        received = await self.receive_beats(len(resampled.samples) // W, np.int32)
        np.testing.assert_array_equal(received, resampled.samples)
        await ClockCycles(self.dut.aclk, 40)
        assert self.sink.empty(), "outputs came whose windows are not complete"
        return resampled

    async def count(self, name: str) -> int:
        """What a counter reads."""
        return await self.read(name, "count")


@bench_test
@crossed_with_pauses
async def streams_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words of full scale, commands of any jump and step, some late, some refused; and what is counted."""
    rng = np.random.default_rng([1, idle, back_pressure])
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    commands = random_commands(rng, 6)
    bench.command(commands)
    await bench.load(int(rng.integers(UNIT_STEP, 2 * UNIT_STEP)), int(rng.integers(0, 2)))
    resampled = await bench.expect(random_samples(rng, 1000), commands)
    assert not resampled.state.commands
    assert resampled.late > 0
    assert resampled.refused > 0
    assert await bench.count("saturations") == resampled.saturated > 0
    assert await bench.count("late_commands") == resampled.late
    assert await bench.count("refused_commands") == resampled.refused
    for flag in ("saturated", "late", "refused"):
        assert await bench.read("status", flag) == 1
    await bench.write("control", clear_counters=1)
    for counter in ("saturations", "late_commands", "refused_commands"):
        assert await bench.count(counter) == 0


@bench_test
@cocotb.parametrize(kernel=[0, 1, 2, 3], ppm=[-100, 100])
async def clocks_that_are_off_are_followed(dut: Any, kernel: int, ppm: int) -> None:
    """Phase by phase, with each kernel; the converter's samples never wait."""
    rng = np.random.default_rng([2, kernel, ppm + 100])
    bench = Bench(dut)
    await bench.reset()
    await bench.load(round((1 + kernel / 4) * (1 + ppm * 1e-6) * UNIT_STEP), kernel)
    taken = bench.watch("s_axis")
    await bench.expect(random_samples(rng, 600))
    assert taken == list(range(taken[0], taken[0] + 600)), "the core made its source wait"
    assert await bench.count("waits") == 0
    assert await bench.read("status", "waited") == 0


@bench_test
@cocotb.parametrize(jump=[-(2**31), -(2**28), 2**26, 2**31 - 1])
async def a_command_holds_from_its_output_on(dut: Any, jump: int) -> None:
    """That one alone: none is late, none refused, and it waits for its output."""
    rng = np.random.default_rng(3)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(UNIT_STEP * 3 // 2)
    commands = [Retime(W * 50 + 2, jump, UNIT_STEP * 5 // 4), Retime(W * 90, -jump - 1, MAXIMUM_STEP)]
    bench.command(commands)
    await ClockCycles(dut.aclk, 30)
    await bench.expect(random_samples(rng, 300), commands)
    assert await bench.read_word("status") & ~1 == 0, "something but saturation"


@bench_test
async def a_command_whose_output_has_passed_holds_at_once(dut: Any) -> None:
    """At the next output to be computed; it is counted."""
    rng = np.random.default_rng(4)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(UNIT_STEP * 5 // 4)
    await bench.expect(random_samples(rng, 100))
    computed = await bench.read("output", "number")
    assert computed > bench.state.number, "no order is ahead"
    bench.command([Retime(computed - W, 2**27, UNIT_STEP * 3 // 2)])
    await ClockCycles(dut.aclk, 20)
    await bench.expect(random_samples(rng, 100), [Retime(computed, 2**27, UNIT_STEP * 3 // 2)])
    assert await bench.count("late_commands") == 1
    assert await bench.read("status", "late") == 1
    # The numbers are on a circle: half of it lies ahead.
    far = Retime(bench.state.number + 2**31 - 100 & NUMBER_MASK, 2**27, UNIT_STEP)
    bench.command([far])
    await bench.expect(random_samples(rng, 100), [far])
    assert await bench.count("late_commands") == 1


@bench_test
@cocotb.parametrize(step=[0, MINIMUM_STEP - 1, MAXIMUM_STEP + 1, 2**34 - 1])
async def a_step_out_of_range_is_refused(dut: Any, step: int) -> None:
    """It does nothing, its jump neither; and the commands behind it hold."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(UNIT_STEP * 5 // 4)
    commands = [Retime(40 * W, 2**27, step), Retime(60 * W, 0, MINIMUM_STEP), Retime(70 * W, 0, MAXIMUM_STEP)]
    bench.command(commands)
    await ClockCycles(dut.aclk, 30)
    await bench.expect(random_samples(rng, 200), commands)
    assert await bench.count("refused_commands") == 1
    assert await bench.read("status", "refused") == 1
    assert await bench.read("status", "late") == 0


@bench_test
async def a_beat_a_clock_with_the_latency_that_the_core_says(dut: Any) -> None:
    """No gap, and none for a command, however many come: there is no clock to make good for one."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    # A sixth of a sample further in all, no later one is needed.
    jumps = [2**28 // 6, *(0 for _ in range(5))]
    commands = [Retime((60 + 40 * n) * W, jump, UNIT_STEP) for n, jump in enumerate(jumps)]
    bench.command(commands)
    await bench.load(UNIT_STEP)
    await ClockCycles(dut.aclk, 20)
    taken, given = bench.watch("s_axis"), bench.watch("m_axis")
    await bench.expect(random_samples(rng, 300), commands)
    assert taken == list(range(taken[0], taken[0] + 300)), "the core made its source wait"
    ahead = (W - 1 + AHEAD) // W
    assert given[:100] == [at + LATENCY for at in taken[ahead : ahead + 100]], "a gap, or another latency"
    assert given == list(range(given[0], given[0] + len(given))), "a gap where a command holds"


@bench_test
async def samples_wait_in_their_fifo_and_none_is_lost(dut: Any) -> None:
    """It takes its depth, and what stands in the pipeline; then the source has to wait, which is counted."""
    rng = np.random.default_rng(7)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(MINIMUM_STEP)
    bench.hold_output()
    taken = bench.watch("s_axis")
    samples = random_samples(rng, DEPTH + 100)
    resampled = Resampler(KERNELS[0], W).process(samples, bench.state)
    bench.send_beats(samples)
    await ClockCycles(dut.aclk, DEPTH + 150)
    assert DEPTH <= len(taken) <= DEPTH + LATENCY
    assert await bench.read("status", "waited") == 1
    assert await bench.count("waits") > 0
    bench.release_output()
    received = await bench.receive_beats(len(resampled.samples) // W, np.int32)
    np.testing.assert_array_equal(received, resampled.samples)


@bench_test
async def no_sample_is_taken_before_the_first_apply(dut: Any) -> None:
    """Written, settings are not yet in use; and what is not changed has its reset value."""
    rng = np.random.default_rng(8)
    bench = Bench(dut)
    await bench.reset()
    taken = bench.watch("s_axis")
    samples = random_samples(rng, 60)
    bench.send_beats(samples)
    await bench.write("kernel", number=1)
    await ClockCycles(dut.aclk, 50)
    assert not taken
    assert await bench.read("control", "loaded") == 0
    await bench.write("control", apply=1)
    assert await bench.read("control", "loaded") == 1
    expected = Resampler(KERNELS[1], W).process(samples, start()).samples
    np.testing.assert_array_equal(await bench.receive_beats(len(expected) // W, np.int32), expected)


@bench_test
async def a_later_apply_acts_on_the_next_output_to_be_computed(dut: Any) -> None:
    """Positions go on from where they are; before it the step stays."""
    rng = np.random.default_rng(9)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(UNIT_STEP * 5 // 4)
    await bench.write("step_high", word=2)
    await bench.expect(random_samples(rng, 100))
    computed = await bench.read("output", "number")
    await bench.write("control", apply=1)
    step = 2 * UNIT_STEP + UNIT_STEP // 4
    assert step > MAXIMUM_STEP, "the model would take it for a command that is refused"
    await bench.write("step_low", word=0)
    await bench.write("control", apply=1)
    await bench.expect(random_samples(rng, 100), [Retime(computed, 0, 2 * UNIT_STEP)])


@bench_test
@crossed_with_pauses
async def a_reset_forgets_samples_commands_and_settings(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Zeros lie before the first sample after it, at position 0."""
    rng = np.random.default_rng(10)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    await bench.load(UNIT_STEP * 9 // 8)
    bench.command([Retime(60 * W + 8 * n, 2**27, UNIT_STEP) for n in range(4)])
    bench.send_beats(random_samples(rng, 90))
    await ClockCycles(dut.aclk, 80)
    await bench.reset()
    assert await bench.read("control", "loaded") == 0
    assert await bench.read("output", "number") == 0
    await bench.load(UNIT_STEP * 7 // 4, 2)
    resampled = await bench.expect(random_samples(rng, 200))
    assert await bench.count("saturations") == resampled.saturated
    assert await bench.count("late_commands") == 0


@bench_test
async def registers_are_as_their_table_says(dut: Any) -> None:
    """Every register and hole; and what was built."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "words_per_clock") == W
    assert await bench.read("capabilities", "depth") == DEPTH
