import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.decimation.resampler.kernel import NARROW, PHASES, TAP, TAPS, WIDE, Kernel
from kronborg_hdl.decimation.resampler.model import (
    MAXIMUM_STEP,
    MINIMUM_STEP,
    UNIT_STEP,
    Resampler,
    ResamplerState,
    Retime,
    start,
)
from kronborg_hdl.dsp.formats import BASEBAND

BOTH = pytest.mark.parametrize("kernel", [WIDE, NARROW], ids=["wide", "narrow"])


def random_samples(seed: int, count: int) -> np.ndarray:
    """Of full scale, the corners often."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (count, 2))
    corners = rng.choice([BASEBAND.minimum, BASEBAND.maximum], samples.shape)
    return np.where(rng.random(samples.shape) < 0.3, corners, samples).astype(np.int32)


def by_definition(
    kernel: Kernel, lanes: int, samples: list[list[int]], step: int, commands: list[Retime]
) -> tuple[list[list[int]], int, int]:
    """In Python's integers, beat by beat: words, how many saturated, how many commands were late."""
    table = kernel.table.tolist()
    words: list[list[int]] = []
    position = saturated = late = 0
    commands = [command for command in commands if MINIMUM_STEP <= command.step <= MAXIMUM_STEP]
    while True:
        beat: list[list[int]] = []
        clipped = 0
        begin, pace, taken = position, step, False
        if commands and commands[0].at <= len(words):
            begin, pace, taken = position + max(commands[0].jump << 4, -step), commands[0].step, True
        for lane in range(lanes):
            index, phase = divmod((begin + lane * pace + (1 << 24)) >> 25, 128)
            if index + 5 >= len(samples):
                return words, saturated, late
            window = [samples[n] if n >= 0 else [0, 0] for n in range(index - 4, index + 6)]
            exact = [
                (sum(tap * word[rail] for tap, word in zip(table[phase], window, strict=True)) + 2**16) >> 17
                for rail in (0, 1)
            ]
            beat.append([min(max(word, -(2**17)), 2**17 - 1) for word in exact])
            clipped += sum(word != kept for word, kept in zip(exact, beat[-1], strict=True))
        if taken:
            late += commands[0].at <= len(words) - lanes
            commands.pop(0)
        words, saturated = words + beat, saturated + clipped
        position, step = begin + lanes * pace, pace


def random_commands(rng: np.random.Generator, count: int) -> list[Retime]:
    """Some far apart, some for one beat, some refused; jumps of up to eight samples either way."""
    places = np.cumsum(rng.choice([0, 1, 2, 30], count)).tolist()
    steps = rng.integers(UNIT_STEP * 7 // 16, UNIT_STEP * 9 // 4, count).tolist()
    jumps = rng.choice([0, -(2**31), 2**31 - 1, 2**28, -(2**27), 12345678], count).tolist()
    return [Retime(*words) for words in zip(places, jumps, steps, strict=True)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([WIDE, NARROW]), st.sampled_from([1, 2, 4, 8]), st.integers(0, 250))
def test_equals_its_definition_in_integers(seed: int, kernel: Kernel, lanes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    samples = random_samples(seed, count)
    step = int(rng.integers(MINIMUM_STEP, MAXIMUM_STEP + 1))
    commands = random_commands(rng, 8)
    resampled = Resampler(kernel, lanes).process(samples, start(step), commands)
    words, saturated, late = by_definition(kernel, lanes, samples.tolist(), step, commands)
    assert resampled.samples.dtype == np.int32
    assert resampled.samples.tolist() == words
    assert resampled.saturated == saturated
    assert resampled.late == late
    assert resampled.state.number == len(words)


@pytest.mark.parametrize("nominal", [1, 1.25, 1.5, 1.75, 2])
@pytest.mark.parametrize("ppm", [0, 3, -3, 20, -20])
def test_long_runs_of_one_phase_are_as_by_definition(nominal: float, ppm: float) -> None:
    # Steps that are nearly whole, or are so every fourth time, have a way of their own through the model.
    step = round(nominal * (1 + ppm * 1e-6) * UNIT_STEP)
    samples = random_samples(5, 4000)
    resampled = Resampler().process(samples, start(step))
    words, saturated, _ = by_definition(WIDE, 2, samples.tolist(), step, [])
    assert resampled.samples.tolist() == words
    assert resampled.saturated == saturated


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pieces_give_what_the_whole_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = random_samples(seed, 800)
    steps = rng.integers(MINIMUM_STEP, MAXIMUM_STEP, 6).tolist()
    jumps = rng.integers(-(2**31), 2**31, 6).tolist()
    commands = [Retime(60 * n + 30, *words) for n, words in enumerate(zip(jumps, steps, strict=True))]
    resampler, first = Resampler(), start(UNIT_STEP * 3 // 2)
    whole = resampler.process(samples, first, commands)
    pieces, saturated, state, at = [], 0, first, 0
    while at < len(samples):
        more = int(rng.integers(0, 60))
        # A command arrives at the latest when its output is the next one.
        due = [c for c in commands if c.at < state.number + 2 * more + 4]
        commands = commands[len(due) :]
        piece = resampler.process(samples[at : at + more], state, due)
        pieces.append(piece.samples)
        saturated, state, at = saturated + piece.saturated, piece.state, at + more
        assert not piece.late
        assert len(state.samples) < 64
    np.testing.assert_array_equal(np.concatenate(pieces), whole.samples)
    assert saturated == whole.saturated
    assert state.number == whole.state.number


def test_numbers_of_outputs_go_round() -> None:
    samples = random_samples(2, 300)
    command = Retime(20, 2**27, UNIT_STEP * 5 // 4)
    first = start()
    late_start = ResamplerState(first.samples, first.position, first.step, number=2**32 - 40)
    plain = Resampler().process(samples, first, [Retime(60, command.jump, command.step)])
    wrapped = Resampler().process(samples, late_start, [command])
    np.testing.assert_array_equal(wrapped.samples, plain.samples)
    assert wrapped.late == 0
    assert wrapped.state.number == plain.state.number - 40


def test_a_command_whose_output_has_passed_holds_at_once_and_is_counted() -> None:
    resampler, samples = Resampler(), random_samples(3, 200)
    first = resampler.process(samples[:100], start())
    second = resampler.process(samples[100:], first.state, [Retime(10, 2**27, UNIT_STEP)])
    assert second.late == 1
    due = resampler.process(samples[100:], first.state, [Retime(first.state.number, 2**27, UNIT_STEP)])
    assert due.late == 0
    np.testing.assert_array_equal(second.samples, due.samples)


@pytest.mark.parametrize("step", [MINIMUM_STEP - 1, MAXIMUM_STEP + 1])
def test_a_step_out_of_range_is_refused_and_does_nothing(step: int) -> None:
    samples = random_samples(4, 200)
    plain = Resampler().process(samples, start())
    refused = Resampler().process(samples, start(), [Retime(20, 2**27, step)])
    assert refused.refused == 1
    np.testing.assert_array_equal(refused.samples, plain.samples)


@BOTH
@pytest.mark.parametrize("step", [0.9998, 1.0, 1.25, 1.6180339, 2.0])
def test_a_tone_comes_out_at_the_positions_of_its_samples(kernel: Kernel, step: float) -> None:
    count, frequency, amplitude = 3000, 0.171, 100_000
    tone = amplitude * np.exp(2j * np.pi * frequency * np.arange(count))
    samples = np.round(np.stack([tone.real, tone.imag], axis=-1)).astype(np.int32)
    words = round(step * UNIT_STEP)
    out = Resampler(kernel).process(samples, start(words)).samples @ (1, 1j)
    position = np.arange(len(out)) * (words / UNIT_STEP)
    nearest = np.floor(position * PHASES + 0.5) / PHASES
    wanted = amplitude * kernel.response(np.array([frequency])) * np.exp(2j * np.pi * frequency * nearest)
    # Images are 57 dB down at this frequency; rounding is less.
    assert np.abs(out - wanted)[10:].max() / amplitude < 1.4e-3


@BOTH
def test_taps_are_the_same_on_every_machine(kernel: Kernel) -> None:
    # A bitstream holds them: no linear algebra library may round one of them differently.
    known = {WIDE: 4043812823, NARROW: 2899103886}
    assert kernel.table.shape == (PHASES, TAPS)
    assert zlib.crc32(kernel.table.astype("<i4").tobytes()) == known[kernel]


@BOTH
def test_a_delay_and_its_opposite_have_each_others_taps(kernel: Kernel) -> None:
    for phase in range(1, PHASES):
        assert np.abs(kernel.table[phase] - kernel.table[PHASES - phase][::-1]).max() <= 1


@pytest.mark.parametrize(("kernel", "edge", "most_db"), [(WIDE, 0.3, -63), (WIDE, 0.35, -61), (NARROW, 0.2, -63)])
def test_images_of_the_signal_are_small(kernel: Kernel, edge: float, most_db: float) -> None:
    frequency = np.linspace(-edge, edge, 301)
    place = np.arange(TAPS) - 4
    delay = np.arange(PHASES)[:, np.newaxis] / PHASES
    spectra = np.exp(2j * np.pi * np.multiply.outer(frequency, place)) @ TAP.to_float(kernel.table).T
    ideal = kernel.response(frequency)[:, np.newaxis] * np.exp(2j * np.pi * np.multiply.outer(frequency, delay[:, 0]))
    image = np.mean(np.abs(spectra - ideal) ** 2)
    assert 10 * np.log10(image) < most_db


def test_the_narrow_kernel_keeps_noise_out_that_would_fold() -> None:
    # From 2.8 samples a symbol on, two a symbol fold what lies above 1.4 symbol rates onto the signal.
    above = np.linspace(0.4, 0.5, 101)
    assert 10 * np.log10(np.mean(NARROW.gain(above))) < -15
    assert 10 * np.log10(np.mean(WIDE.gain(above))) > -6


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros((4, 2), np.int16), "int16"), (np.zeros(4, np.int32), "shape"), (np.full((4, 2), 2**17, np.int32), "18")],
)
def test_refuses_samples_that_its_stream_cannot_carry(samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Resampler().process(samples, start())
