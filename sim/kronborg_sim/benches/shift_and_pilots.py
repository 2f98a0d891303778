"""Bench of the shift and the pilots in their skin: every word against the model.

Parameters: lanes, latency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from kronborg_hdl.modulation.shift_and_pilots.model import PILOTS, Pilot, shift_and_pilots
from kronborg_hdl.modulation.shift_and_pilots.registers import REGISTERS

from .loadable import LoadableBench
from .runner import parameters

PARAMETERS = parameters()
LANES, LATENCY = PARAMETERS["lanes"], PARAMETERS["latency"]

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


@dataclass(frozen=True)
class Settings:
    """What the registers hold."""

    shift_word: int
    pilots: tuple[Pilot, ...]

    def process(self, samples: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
        """The model's words, and how many saturated."""
        return shift_and_pilots(samples, self.shift_word, self.pilots)


def random_settings(rng: np.random.Generator, *, pilots: int = PILOTS) -> Settings:
    """Any increments and phases, amplitudes up to full scale."""
    words = [int(word) for word in rng.integers(0, 2**32, 1 + 2 * pilots)]
    tones = zip(words[1::2], rng.integers(0, 2**15, pilots), words[2::2], strict=True)
    return Settings(words[0], tuple(Pilot(word, int(amplitude), phase) for word, amplitude, phase in tones))


def random_frame(rng: np.random.Generator, beats: int) -> NDArray[np.int16]:
    """Words of full scale."""
    return rng.integers(-(2**15), 2**15, (beats * LANES, 2)).astype(np.int16)


class Bench(LoadableBench):
    """The core's own ways on top of what such filters share."""

    drain_clocks = LATENCY + 8

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def write_settings(self, model: Settings) -> None:
        """All registers. Pilots that the settings do not have are silent."""
        await self.write("shift_increment", word=model.shift_word)
        silent = (Pilot(0, 0),) * (PILOTS - len(model.pilots))
        for number, pilot in enumerate((*model.pilots, *silent)):
            await self.write(f"pilot_{number}_increment", word=pilot.word)
            await self.write(f"pilot_{number}_phase", word=pilot.phase)
            await self.write(f"pilot_{number}_amplitude", word=pilot.amplitude)


@bench_test
@crossed_with_pauses
async def frames_of_all_lengths_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words, ends of frames, oscillators that start anew, and what is counted."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    settings = random_settings(rng)
    await bench.load(settings)
    frames = [random_frame(rng, int(beats)) for beats in (1, 2, 3, 1, 1, 300, *rng.integers(1, 40, 8))]
    for samples in frames:
        bench.send(samples)
    saturated = sum([await bench.expect(settings, samples) for samples in frames])
    await bench.nothing_more_comes_out()
    assert await bench.read("saturations", "count") == saturated > 0
    assert await bench.read("status", "saturated") == 1
    await bench.write("status", saturated=1)
    await bench.write("control", clear_counters=1)
    assert await bench.read("status", "saturated") == 0
    assert await bench.read("saturations", "count") == 0


@bench_test
async def every_quadrant_and_fine_angle_is_the_model_s(dut: Any) -> None:
    """A slow pilot of full scale alone through more than a turn; then its mirror; nothing saturates."""
    bench = Bench(dut)
    await bench.reset()
    samples = np.zeros((256 * LANES, 2), np.int16)
    for word in (2**32 // (240 * LANES) + 1, 2**32 - 2**25 - 3 * 2**15):
        settings = Settings(0, (Pilot(word, 2**15 - 1, phase=2**32 - 12345),))
        await bench.load(settings)
        bench.send(samples)
        assert await bench.expect(settings, samples) == 0
    assert await bench.read_word("status") == 0


@bench_test
async def the_largest_words_do_not_wrap(dut: Any) -> None:
    """All terms at once at full scale, of either sign: phases of 1/8, 3/8, 5/8 and 7/8 turn, and axes."""
    bench = Bench(dut)
    await bench.reset()
    corners = np.array([[i, q] for i in (-(2**15), 2**15 - 1) for q in (-(2**15), 2**15 - 1)], np.int16)
    samples = np.repeat(corners, 8 * LANES, axis=0)
    for phase in range(0, 2**32, 2**29):
        settings = Settings(2**29, tuple(Pilot(2**29, 2**15 - 1, phase) for _ in range(PILOTS)))
        await bench.load(settings)
        bench.send(samples)
        assert await bench.expect(settings, samples) > 0


@bench_test
@crossed_with_pauses
async def a_reset_within_a_frame_leaves_nothing_behind(dut: Any, idle: bool, back_pressure: bool) -> None:
    """After it the core waits for apply, and its first frame is the model's, from phase zero on."""
    rng = np.random.default_rng(3)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    await bench.load(random_settings(rng))
    bench.send(random_frame(rng, 60))
    await ClockCycles(dut.aclk, 25)
    await bench.reset()
    assert await bench.read_word("status") == 0
    assert await bench.read("control", "loaded") == 0
    settings, samples = random_settings(rng), random_frame(rng, 30)
    bench.send(samples)
    await ClockCycles(dut.aclk, 40)
    assert bench.sink.empty()
    assert bench.sink.idle()
    assert int(dut.s_axis_tready.value) == 0, "samples are taken before there are settings"
    await bench.load(settings)
    assert await bench.read("control", "loaded") == 1
    await bench.expect(settings, samples)
    await bench.nothing_more_comes_out()


@bench_test
@crossed_with_pauses
async def new_settings_take_effect_between_frames(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Ordered within a frame, they wait for its end; the next frame, on its heels, has all of them."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    settings = [random_settings(rng, pilots=count) for count in (2, 0, 1)]
    frames = [random_frame(rng, 40) for _ in settings]
    await bench.load(settings[0])
    bench.hold_output()
    bench.send(frames[0])
    bench.send(frames[1])
    await bench.write_settings(settings[1])
    await bench.write("control", apply=1)
    assert await bench.read("control", "apply") == 1, "settings changed within a frame"
    bench.release_output()
    await bench.expect(settings[0], frames[0])
    await bench.expect(settings[1], frames[1])
    await bench.load(settings[2])
    bench.send(frames[2])
    await bench.expect(settings[2], frames[2])
    await bench.nothing_more_comes_out()


@bench_test
async def settings_change_while_the_old_frame_is_in_the_pipeline(dut: Any) -> None:
    """Its samples, all still under way, keep the old amplitudes and phases."""
    rng = np.random.default_rng(5)
    bench = Bench(dut)
    await bench.reset()
    old, new = random_settings(rng), random_settings(rng)
    short, following = random_frame(rng, 4), random_frame(rng, 20)
    await bench.load(old)
    bench.hold_output()
    bench.send(short)
    await ClockCycles(dut.aclk, 30)
    # With words still in it that the old settings own, the core is between two frames: apply is done at once.
    await bench.load(new)
    bench.send(following)
    await ClockCycles(dut.aclk, 10)
    bench.release_output()
    await bench.expect(old, short)
    await bench.expect(new, following)
    await bench.nothing_more_comes_out()


@bench_test
async def one_beat_is_taken_and_given_every_clock(dut: Any) -> None:
    """Through three frames without a gap between them, each beat after the latency."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    settings = random_settings(rng)
    await bench.load(settings)
    frames = [random_frame(rng, 50) for _ in range(3)]
    taken_at, given_at = bench.watch("s_axis"), bench.watch("m_axis")
    for samples in frames:
        bench.send(samples)
    for samples in frames:
        await bench.expect(settings, samples)
    assert taken_at == list(range(taken_at[0], taken_at[0] + 150)), "the core paused"
    assert given_at == [at + LATENCY for at in taken_at]


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "lanes") == LANES
    assert await bench.read("capabilities", "pilots") == PILOTS
    await bench.walk_registers()
