"""Bench of the mixer in its skin: every word against the model.

Parameters: lanes, halvings, complex_input, latency, pilot_latency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.compensation.mixer.model import Mixed, Mixer, MixerState, Retune
from kronborg_hdl.compensation.mixer.registers import OFFSETS, REGISTERS

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
LANES, HALVINGS, COMPLEX = PARAMETERS["lanes"], PARAMETERS["halvings"], bool(PARAMETERS["complex_input"])
LATENCY, PILOT_LATENCY = PARAMETERS["latency"], PARAMETERS["pilot_latency"]
HOP = 2 << HALVINGS
HOPS_PER_CLOCK = max(1, LANES // HOP)
PIECE = max(LANES, HOP)
"""Samples of a clock or a hop, whichever is longer."""

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_samples(rng: np.random.Generator, pieces: int) -> NDArray[np.int16]:
    """Words of full scale, the extremes often."""
    shape = (pieces * PIECE, 2)[: 1 + COMPLEX]
    words = rng.integers(-(2**15), 2**15, shape)
    extremes = rng.choice([-(2**15), 2**15 - 1], shape)
    return np.where(rng.random(shape) < 0.3, extremes, words).astype(np.int16)


def random_mixer(rng: np.random.Generator) -> tuple[Mixer, int]:
    """Any offsets, and any beat."""
    beat, *offsets = (int(word) for word in rng.integers(0, 2**32, 4))
    return Mixer((offsets[0], offsets[1], offsets[2]), HALVINGS, HOPS_PER_CLOCK), beat


class Bench(SkinBench):
    """The core's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        dut.forget.value = 0
        self.state = MixerState()

    async def reset(self) -> None:
        """Reset the core, and what is known of it."""
        await super().reset()
        self.state = MixerState()

    async def load(self, mixer: Mixer, beat: int) -> None:
        """Write the registers and put them to use; between two hops that is at once."""
        await self.write("beat", word=beat)
        for name, offset in zip(OFFSETS, mixer.offsets, strict=True):
            await self.write(f"{name}_offset", word=offset)
        await self.write("control", apply=1)
        assert await self.read("control", "apply") == 0, "apply is not done"
        self.state = replace(self.state, beat=beat)

    async def command(self, retunes: Sequence[Retune]) -> None:
        """Send commands, and let them arrive before the next sample."""
        words = [[retune.at, retune.beat] for retune in retunes]
        self.send_beats(np.array(words, np.uint32), "retune")
        await ClockCycles(self.dut.aclk, 8 + 3 * len(retunes))

    async def expect(self, mixer: Mixer, samples: NDArray[np.int16], retunes: Sequence[Retune] = ()) -> Mixed:
        """What comes out for samples that were sent is the model's."""
        mixed = mixer.process(samples, self.state, retunes)
        self.state = mixed.state
        signal = await self.receive_beats(len(samples) // LANES, np.int32)
        np.testing.assert_array_equal(signal, mixed.signal)
        pilots = await self.receive_beats(len(samples) // PIECE, np.int32, "pilots")
        np.testing.assert_array_equal(pilots, mixed.pilots.transpose(1, 0, 2).reshape(-1, 2))
        return mixed


@bench_test
@crossed_with_pauses
async def streams_equal_the_model_while_commands_act(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words of full scale, any increments, commands at hops next to each other and far apart; and what is counted."""
    rng = np.random.default_rng([idle, back_pressure])
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    mixer, beat = random_mixer(rng)
    await bench.load(mixer, beat)
    step = HOPS_PER_CLOCK
    at = [0, 5 * step, 6 * step, 7 * step, 20 * step - step // 2]
    retunes = [Retune(hop, int(word)) for hop, word in zip(at, rng.integers(0, 2**32, len(at)), strict=True)]
    await bench.command(retunes)
    samples = random_samples(rng, 250)
    bench.send_beats(samples)
    mixed = await bench.expect(mixer, samples, retunes)
    assert await bench.read("saturations", "count") == mixed.saturated
    assert bool(mixed.saturated) == COMPLEX
    assert await bench.read("status", "saturated") == COMPLEX
    assert await bench.read("status", "late") == 0
    assert await bench.read("beat_now", "word") == retunes[-1].beat
    assert await bench.read("hop", "number") == len(samples) // HOP
    await bench.write("control", clear_counters=1)
    assert await bench.read("saturations", "count") == 0


@bench_test
async def a_late_command_acts_with_the_next_hop_and_is_told(dut: Any) -> None:
    """Of two, one is late; then the second of two for one hop, which has to wait for the next clock."""
    rng = np.random.default_rng(1)
    bench = Bench(dut)
    await bench.reset()
    mixer, beat = random_mixer(rng)
    await bench.load(mixer, beat)
    samples = random_samples(rng, 20)
    bench.send_beats(samples)
    await bench.expect(mixer, samples)
    passed = bench.state.hop - HOPS_PER_CLOCK
    pairs = [(passed, passed + 3 * HOPS_PER_CLOCK), (passed + 25 * HOPS_PER_CLOCK, passed + 25 * HOPS_PER_CLOCK)]
    for wanted, pair in enumerate(pairs, 1):
        retunes = [Retune(at, int(rng.integers(0, 2**32))) for at in pair]
        await bench.command(retunes)
        samples = random_samples(rng, 20)
        bench.send_beats(samples)
        assert (await bench.expect(mixer, samples, retunes)).late == 1
        assert await bench.read("status", "late") == 1
        assert await bench.read("late_commands", "count") == wanted
        await bench.write("status", late=1)
        assert await bench.read("status", "late") == 0


@bench_test
async def commands_that_wait_are_forgotten_when_it_is_told(dut: Any) -> None:
    """One for a hop far ahead, and those behind it that it keeps; the next ones act, and no beat is lost."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    mixer, beat = random_mixer(rng)
    await bench.load(mixer, beat)
    await bench.command([Retune(at, 99) for at in (2**20, *(number * HOPS_PER_CLOCK for number in range(1, 6)))])
    taken = bench.watch("s_axis_retune")
    dut.forget.value = 1
    # What still waited at the port comes in while it forgets.
    await ClockCycles(dut.aclk, 4)
    dut.forget.value = 0
    assert len(taken) == 2, "a FIFO of four places and its output held no more"
    retunes = [Retune(at * HOPS_PER_CLOCK, int(rng.integers(0, 2**32))) for at in (2, 9)]
    await bench.command(retunes)
    samples = random_samples(rng, 60)
    bench.send_beats(samples)
    await bench.expect(mixer, samples, retunes)
    assert await bench.read("status", "late") == 0
    assert await bench.read("beat_now", "word") == retunes[-1].beat


@bench_test
@crossed_with_pauses
async def settings_take_effect_between_hops_with_continuous_phases(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Ordered within a hop they wait for its end."""
    rng = np.random.default_rng(2)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    samples = random_samples(rng, 9)
    bench.send_beats(samples)
    await bench.expect(Mixer((0, 0, 0), HALVINGS, HOPS_PER_CLOCK), samples)  # before the first apply samples pass
    for _ in range(2):
        mixer, beat = random_mixer(rng)
        await bench.load(mixer, beat)
        samples = random_samples(rng, 30)
        bench.send_beats(samples)
        await bench.expect(mixer, samples)
    if LANES < HOP:
        old, new = mixer, random_mixer(rng)[0]
        samples = random_samples(rng, 2)
        bench.send_beats(samples[:LANES])
        while not bench.source.empty() or not bench.source.idle():
            await ClockCycles(dut.aclk, 1)
        for name, offset in zip(OFFSETS, new.offsets, strict=True):
            await bench.write(f"{name}_offset", word=offset)
        await bench.write("beat", word=bench.state.beat)
        await bench.write("control", apply=1)
        assert await bench.read("control", "apply") == 1, "settings changed within a hop"
        bench.send_beats(samples[LANES:])
        first = old.process(samples[:HOP], bench.state)
        second = new.process(samples[HOP:], first.state)
        words = np.concatenate([first.signal, second.signal])
        np.testing.assert_array_equal(await bench.receive_beats(len(samples) // LANES, np.int32), words)


@bench_test
async def every_angle_s_quadrant_is_the_model_s(dut: Any) -> None:
    """Slow phases through more than a turn in either sense, at full scale."""
    bench = Bench(dut)
    await bench.reset()
    step = 2**32 // (120 * PIECE)
    samples = np.full((150 * PIECE, 2)[: 1 + COMPLEX], 2**15 - 1, np.int16)
    mixer = Mixer((step, 2**32 - step, step), HALVINGS, HOPS_PER_CLOCK)
    await bench.load(mixer, 12345)
    bench.send_beats(samples)
    await bench.expect(mixer, samples)


@bench_test
async def one_beat_is_taken_and_given_every_clock(dut: Any) -> None:
    """With the latencies that the core says."""
    bench = Bench(dut)
    await bench.reset()
    taken, given, pilots = bench.watch("s_axis"), bench.watch("m_axis"), bench.watch("m_axis_pilots")
    samples = random_samples(np.random.default_rng(4), 60)
    bench.send_beats(samples)
    await bench.expect(Mixer((0, 0, 0), HALVINGS, HOPS_PER_CLOCK), samples)
    beats = len(samples) // LANES
    assert taken == list(range(taken[0], taken[0] + beats)), "the core paused"
    assert given == [at + LATENCY for at in taken]
    each = PIECE // LANES
    assert pilots == [at + PILOT_LATENCY for at in taken[each - 1 :: each]]


@bench_test
async def a_held_output_holds_the_other_and_loses_nothing(dut: Any) -> None:
    """Either of them; when it goes on, all words are there once."""
    bench = Bench(dut)
    await bench.reset()
    for seed, name in enumerate(("o", "pilots")):
        bench.hold_output(name)
        samples = random_samples(np.random.default_rng(seed), 60)
        bench.send_beats(samples)
        await ClockCycles(dut.aclk, 40 * PIECE // LANES)
        assert int(dut.s_axis_tready.value) == 0, "the core takes what it cannot give"
        bench.release_output(name)
        await bench.expect(Mixer((0, 0, 0), HALVINGS, HOPS_PER_CLOCK), samples)
    await ClockCycles(dut.aclk, PILOT_LATENCY + 8)
    assert bench.sinks["o"].empty()
    assert bench.sinks["pilots"].empty()


@bench_test
async def a_reset_sets_phases_hops_and_beat_to_zero(dut: Any) -> None:
    """What was under way, a command that waited among it, has no part in the next stream."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    await bench.load(*random_mixer(rng))
    await bench.command([Retune(1000, 77)])
    bench.send_beats(random_samples(rng, 30))
    await ClockCycles(dut.aclk, 20)
    await bench.reset()
    samples = random_samples(rng, 60)
    assert await bench.read("hop", "number") == 0
    mixer, beat = random_mixer(rng)
    await bench.load(mixer, beat)
    bench.send_beats(samples)
    await bench.expect(mixer, samples)
    assert await bench.read_word("status") == COMPLEX  # saturated, not late


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "lanes") == LANES
    assert await bench.read("capabilities", "hop") == HOP
    assert await bench.read("capabilities", "complex_input") == COMPLEX
