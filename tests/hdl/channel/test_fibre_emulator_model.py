"""The emulator's model: its generators against the published ones, and what its figures mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.channel.fibre_emulator.generator_model import next_signs, seed_words, split_seed, xoshiro
from kronborg_hdl.channel.fibre_emulator.model import NOISE_SCALE, FibreEmulator
from kronborg_hdl.dsp.phasor_table import COSINE, SINE

SAMPLE_RATE_HZ = 200e6


def test_xoshiro_is_the_published_one() -> None:
    # The words of the authors' own C for the state 1, 2, 3, 4.
    words, _ = xoshiro(np.array([[1, 2, 3, 4]], np.uint64), 10)
    assert words[:, 0].tolist() == [
        41943041,
        58720359,
        3588806011781223,
        3591011842654386,
        9228616714210784205,
        9973669472204895162,
        14011001112246962877,
        12406186145184390807,
        15849039046786891736,
        10450023813501588000,
    ]


def test_seeds_are_words_of_split_mix() -> None:
    # The first outputs of SplitMix64 for the seed 1234567, as its author's C gives them.
    words = seed_words(1234567, 0).astype("<u4").view("<u8")
    assert words.tolist() == [6457827717110365317, 3203168211198807973]
    with pytest.raises(ValueError, match="outside 0 to 2"):
        seed_words(2**64, 1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 5000), min_size=1, max_size=3))
def test_generators_do_not_depend_on_the_pieces_that_are_asked_for(seed: int, pieces: list[int]) -> None:
    bits, states = split_seed(seed_words(seed, 2))
    whole, end = xoshiro(states, sum(pieces))
    signs, last = next_signs(bits, sum(pieces))
    begin = 0
    for count in pieces:
        words, states = xoshiro(states, count)
        np.testing.assert_array_equal(words, whole[begin : begin + count])
        part, bits = next_signs(bits, count)
        np.testing.assert_array_equal(part, signs[begin : begin + count])
        begin += count
    np.testing.assert_array_equal(states, end)
    np.testing.assert_array_equal(bits, last)


def test_signs_are_a_sequence_of_maximum_length_s_recurrence() -> None:
    bits, _ = split_seed(seed_words(3, 0))
    signs, _ = next_signs(bits, 20_000)
    every = np.concatenate([bits, signs])
    np.testing.assert_array_equal(every[127:], every[:-127] ^ every[63:-64])
    assert abs(signs.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(signs))
    for lag in (1, 2, 64, 127):
        agreement = np.mean(signs[lag:] == signs[:-lag])
        assert abs(agreement - 0.5) < 4 * 0.5 / np.sqrt(len(signs))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 4]), st.booleans())
def test_equals_its_definition_in_integers(seed: int, lanes: int, complex_output: bool) -> None:
    rng = np.random.default_rng(seed)
    amplitude, frequency, step = (int(word) for word in rng.integers(0, [2**16, 2**32, 2**32]))
    emulator = FibreEmulator(lanes, amplitude, frequency, step, 0, seed, complex_output)
    samples = rng.integers(-(2**15), 2**15, (6 * lanes, 2)).astype(np.int16)
    emulated = emulator.process(samples)
    signs, _ = next_signs(emulator.begin().signs, 6)
    phase = 0
    for n, (i, q) in enumerate(samples.tolist()):
        cosine, sine = int(COSINE[phase >> 18]), int(SINE[phase >> 18])
        rails = [i * cosine - q * sine, i * sine + q * cosine][: 1 + complex_output]
        wanted = [(((rail + 2**13 >> 14) * amplitude) + 2**16) >> 17 for rail in rails]
        clipped = [min(max(word, -(2**15)), 2**15 - 1) for word in wanted]
        assert np.atleast_1d(emulated.words[n]).tolist() == clipped
        phase = (phase + frequency + (step if signs[n // lanes] else -step)) % 2**32
    assert emulated.state.phase == phase


@pytest.mark.parametrize(("lanes", "complex_output"), [(1, False), (4, False), (2, True)])
def test_noise_has_its_deviation_and_is_white(lanes: int, complex_output: bool) -> None:
    emulator = FibreEmulator.of(
        lanes=lanes, sample_rate_hz=SAMPLE_RATE_HZ, amplitude=0, noise_words=1000, complex_output=complex_output
    )
    count = 2**16
    words = emulator.process(np.zeros((count, 2), np.int16)).words.reshape(-1).astype(float)
    assert abs(words.mean()) < 4 * 1000 / np.sqrt(len(words))
    assert words.std() == pytest.approx(1000, rel=4 / np.sqrt(2 * len(words)))
    for lag in (1, 2, 3, 4, 8):
        assert abs(np.mean(words[lag:] * words[:-lag])) < 4 * 1000**2 / np.sqrt(len(words))
    kurtosis = np.mean(words**4) / words.var() ** 2
    assert abs(kurtosis - 3) < 4 * np.sqrt(24 / len(words))


@pytest.mark.parametrize("lanes", [1, 8])
def test_the_walk_is_that_of_the_linewidth(lanes: int) -> None:
    linewidth, lag, count = 20e3, 512, 2**20
    emulator = FibreEmulator.of(
        lanes=lanes, sample_rate_hz=SAMPLE_RATE_HZ, amplitude=0.9, linewidth_hz=linewidth, complex_output=True
    )
    samples = np.tile(np.array([20_000, 0], np.int16), (count, 1))
    words = emulator.process(samples).words.astype(float)
    field = words[::lag, 0] + 1j * words[::lag, 1]
    moved = np.angle(field[1:] * field[:-1].conj())
    variance = 2 * np.pi * linewidth * lag / SAMPLE_RATE_HZ
    assert np.var(moved) == pytest.approx(variance, rel=4 * np.sqrt(2 / len(moved)))


def test_the_beat_and_the_loss_are_those_asked_for() -> None:
    count, cycles = 4096, 300
    emulator = FibreEmulator.of(lanes=2, sample_rate_hz=count, amplitude=0.25, beat_hz=cycles)
    samples = np.tile(np.array([20_000, 0], np.int16), (count, 1))
    lines = np.abs(np.fft.fft(emulator.process(samples).words)) / count
    assert lines[cycles] == pytest.approx(0.25 * 20_000 / 2 * 32767 / 32768, abs=0.5)
    lines[[cycles, count - cycles]] = 0
    assert lines.max() < 1e-4 * 20_000


def test_what_the_core_refuses_is_refused_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"amplitude of 65536 does not fit 16 bits"):
        FibreEmulator.of(lanes=2, sample_rate_hz=1.0, amplitude=1.0)
    with pytest.raises(ValueError, match=r"noise of 31 words: there can be none, or 32 to 2730\.56 words"):
        FibreEmulator.of(lanes=2, sample_rate_hz=1.0, amplitude=0.5, noise_words=31)
    with pytest.raises(ValueError, match="3 samples per clock"):
        FibreEmulator(3, 1)
    with pytest.raises(ValueError, match="no whole number of clocks of 2"):
        FibreEmulator(2, 1).process(np.zeros((3, 2), np.int16))
    with pytest.raises(ValueError, match="int16 of shape"):
        FibreEmulator(2, 1).process(np.zeros(4, np.int16))
    assert NOISE_SCALE == 1 / 16
