"""Bench of the fibre emulator in its skin: every word against the model.

Parameters: lanes, complex_output, latency, noise_latency.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.channel.fibre_emulator.model import Emulated, EmulatorState, FibreEmulator, generators
from kronborg_hdl.channel.fibre_emulator.registers import REGISTERS
from kronborg_hdl.modulation.gaussian.model import MAXIMUM_DEVIATION, MINIMUM_DEVIATION

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
LANES, COMPLEX = PARAMETERS["lanes"], bool(PARAMETERS["complex_output"])
LATENCY, NOISE_LATENCY = PARAMETERS["latency"], PARAMETERS["noise_latency"]

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_samples(rng: np.random.Generator, beats: int) -> NDArray[np.int16]:
    """Words of full scale, the extremes often."""
    words = rng.integers(-(2**15), 2**15, (beats * LANES, 2))
    extremes = rng.choice([-(2**15), 2**15 - 1], words.shape)
    return np.where(rng.random(words.shape) < 0.2, extremes, words).astype(np.int16)


def random_emulator(rng: np.random.Generator) -> FibreEmulator:
    """Any setting that the core takes."""
    amplitude, frequency, step = (int(word) for word in rng.integers(0, [2**16, 2**32, 2**32]))
    deviation, seed = (int(word) for word in rng.integers([MINIMUM_DEVIATION, 0], [MAXIMUM_DEVIATION, 2**63]))
    return FibreEmulator(LANES, amplitude, frequency, step, deviation, seed, COMPLEX)


class Bench(SkinBench):
    """The core's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        self.state: EmulatorState | None = None

    async def seed(self, emulator: FibreEmulator) -> None:
        """Write the seed: the core stops."""
        for word in emulator.seed_words.tolist():
            await self.write("seed", word=word)
        self.state = emulator.begin()

    async def load(self, emulator: FibreEmulator) -> None:
        """Write the other settings and put them to use."""
        await self.write("amplitude", word=emulator.amplitude)
        await self.write("frequency", word=emulator.frequency)
        await self.write("walk", step=emulator.step)
        await self.write("noise", deviation=emulator.deviation)
        await self.write("control", apply=1)

    async def expect(self, emulator: FibreEmulator, samples: NDArray[np.int16]) -> Emulated:
        """What comes out for samples that were sent is the model's."""
        emulated = emulator.process(samples, self.state)
        self.state = emulated.state
        received = await self.receive_beats(len(samples) // LANES, np.int16)
        np.testing.assert_array_equal(received.reshape(emulated.words.shape), emulated.words)
        return emulated


@bench_test
@crossed_with_pauses
async def streams_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Any settings, words of full scale; and what is counted. Frames' ends make no difference."""
    rng = np.random.default_rng([idle, back_pressure])
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    saturated = 0
    for _ in range(2):
        emulator = replace(random_emulator(rng), amplitude=2**16 - 1)
        await bench.seed(emulator)
        await bench.load(emulator)
        frames = [random_samples(rng, int(beats)) for beats in (2, 4, 200)]
        for samples in frames:
            bench.send(samples)
        saturated += (await bench.expect(emulator, np.concatenate(frames))).saturated
    assert await bench.read("saturations", "count") == saturated > 0
    assert await bench.read("status", "saturated") == 1
    assert await bench.read("status", "noise_refused") == 0
    await bench.write("status", saturated=1)
    await bench.write("control", clear_counters=1)
    assert await bench.read_word("status") == 0
    assert await bench.read("saturations", "count") == 0


@bench_test
@crossed_with_pauses
async def settings_change_between_beats_with_a_continuous_phase(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Amplitude, beat and walk; the noise's own scale stays. The walk goes on where it was."""
    rng = np.random.default_rng(2)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    emulator = random_emulator(rng)
    await bench.seed(emulator)
    await bench.load(emulator)
    for _ in range(3):
        samples = random_samples(rng, 30)
        bench.send(samples)
        await bench.expect(emulator, samples)
        emulator = replace(random_emulator(rng), deviation=emulator.deviation, seed=emulator.seed)
        await bench.load(emulator)


@bench_test
async def samples_under_way_keep_their_settings(dut: Any) -> None:
    """Those in the core when amplitude and beat change are the old ones', wherever in the core they are."""
    rng = np.random.default_rng(3)
    bench = Bench(dut)
    await bench.reset()
    old = random_emulator(rng)
    new = replace(random_emulator(rng), deviation=old.deviation, seed=old.seed)
    await bench.seed(old)
    await bench.load(old)
    await ClockCycles(dut.aclk, NOISE_LATENCY)
    before, after = random_samples(rng, LATENCY - 2), random_samples(rng, 20)
    taken = bench.watch("s_axis")
    bench.hold_output()
    bench.send(before)
    await ClockCycles(dut.aclk, 2 * LATENCY)
    assert len(taken) == LATENCY - 2, "they are not all under way"
    await bench.load(new)
    bench.send(after)
    await ClockCycles(dut.aclk, 8)
    bench.release_output()
    await bench.expect(old, before)
    await bench.expect(new, after)


@bench_test
async def the_largest_words_do_not_wrap(dut: Any) -> None:
    """All corners at all eighths of a turn, with the largest amplitude and noise."""
    bench = Bench(dut)
    await bench.reset()
    corners = np.array([[i, q] for i in (-(2**15), 2**15 - 1) for q in (-(2**15), 2**15 - 1)], np.int16)
    samples = np.concatenate([np.roll(corners, k, axis=0) for k in range(4)] * 4 * LANES)
    for frequency in (0, 2**29, 2**31 + 2**28):
        emulator = FibreEmulator(LANES, 2**16 - 1, frequency, 2**28, MAXIMUM_DEVIATION, 5, COMPLEX)
        await bench.seed(emulator)
        await bench.load(emulator)
        bench.send(samples)
        assert (await bench.expect(emulator, samples)).saturated > 0


@bench_test
async def without_noise_and_light_nothing_but_zeros_comes(dut: Any) -> None:
    """Dark: amplitude zero. Then light without noise; signs of the walk are the same with noise as without."""
    rng = np.random.default_rng(4)
    bench = Bench(dut)
    await bench.reset()
    dark = FibreEmulator(LANES, 0, seed=6, complex_output=COMPLEX)
    await bench.seed(dark)
    await bench.load(dark)
    samples = random_samples(rng, 10)
    bench.send(samples)
    assert not (await bench.expect(dark, samples)).words.any()
    await bench.seed(dark)
    light = replace(dark, amplitude=30_000, step=2**27)
    await bench.load(light)
    bench.send(samples)
    await bench.expect(light, samples)


@bench_test
@crossed_with_pauses
async def nothing_is_taken_before_the_first_apply(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Nor after a reset within a stream, nor after a write to the seed; after a reset the seed is the model's own."""
    rng = np.random.default_rng(5)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    for _ in range(2):
        await bench.reset()
        emulator = replace(random_emulator(rng), seed=1)
        samples = random_samples(rng, 20)
        bench.send(samples)
        await ClockCycles(dut.aclk, 40)
        assert int(dut.s_axis_tready.value) == 0, "samples are taken before there are settings"
        assert await bench.read("control", "loaded") == 0
        bench.state = None
        await bench.load(emulator)
        assert await bench.read("control", "loaded") == 1
        await bench.expect(emulator, samples)
        bench.send(random_samples(rng, 40))
        await ClockCycles(dut.aclk, 20)
    bench.drain_output()
    await ClockCycles(dut.aclk, 200)
    bench.sink.clear()
    await bench.seed(emulator)
    bench.release_output()
    assert await bench.read("control", "loaded") == 0
    samples = random_samples(rng, 20)
    bench.send(samples)
    await ClockCycles(dut.aclk, 40)
    assert bench.sink.empty()
    await bench.load(emulator)
    await bench.expect(emulator, samples)


@bench_test
async def noise_out_of_range_is_refused(dut: Any) -> None:
    """No sample is taken until it is put right; then the noise is that of the seed, from its first word on.

    Nor in mid-stream, though noise in range is there; it is the next samples' when that is put right.
    """
    rng = np.random.default_rng(7)
    bench = Bench(dut)
    await bench.reset()
    emulator = random_emulator(rng)
    samples = random_samples(rng, 20)
    for wrong in (1, MINIMUM_DEVIATION - 1, MAXIMUM_DEVIATION + 1, 2**16 - 1):
        await bench.seed(emulator)
        await bench.write("noise", deviation=wrong)
        await bench.write("control", apply=1)
        assert await bench.read("status", "noise_refused") == 1
        bench.send(samples)
        await ClockCycles(dut.aclk, 40)
        assert int(dut.s_axis_tready.value) == 0
        assert bench.sink.empty()
        await bench.load(emulator)
        await bench.expect(emulator, samples)
        await bench.write("status", noise_refused=1)
        assert await bench.read("status", "noise_refused") == 0
    await ClockCycles(dut.aclk, NOISE_LATENCY)
    await bench.write("noise", deviation=1)
    await bench.write("control", apply=1)
    bench.send(samples)
    await ClockCycles(dut.aclk, 40)
    assert int(dut.s_axis_tready.value) == 0
    assert bench.sink.empty(), "noise that was there let samples in"
    await bench.load(emulator)
    await bench.expect(emulator, samples)


@bench_test
async def one_beat_is_taken_and_given_every_clock(dut: Any) -> None:
    """With the latency that the core says, once noise is there."""
    rng = np.random.default_rng(8)
    bench = Bench(dut)
    await bench.reset()
    emulator = random_emulator(rng)
    await bench.seed(emulator)
    await bench.load(emulator)
    await ClockCycles(dut.aclk, NOISE_LATENCY)
    taken, given = bench.watch("s_axis"), bench.watch("m_axis")
    samples = random_samples(rng, 200)
    bench.send(samples)
    await bench.expect(emulator, samples)
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
    assert await bench.read("capabilities", "generators") == generators(LANES, COMPLEX)
    assert await bench.read("capabilities", "complex_output") == COMPLEX
