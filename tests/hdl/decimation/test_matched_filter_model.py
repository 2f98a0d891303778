import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.decimation.matched_filter.model import PIECES_PER_BLOCK, SYMBOLS_PER_PIECE, MatchedFilter
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine


def in_words(matched_filter: MatchedFilter, samples: np.ndarray) -> tuple[list[list[int]], int]:
    """The definition, in Python's integers."""
    m, length = matched_filter.samples_per_symbol, len(matched_filter.taps)
    words, saturated = [], 0
    for s in range(len(samples) // m):
        row = []
        for rail in (0, 1):
            total = 0
            for j in range(length):
                position = s * m + m - length + j
                if position >= 0:
                    total += int(matched_filter.taps[j]) * int(samples[position, rail])
            word = (total + (1 << matched_filter.shift >> 1)) >> matched_filter.shift
            row.append(min(max(word, -(2**15)), 2**15 - 1))
            saturated += row[-1] != word
        words.append(row)
    return words, saturated


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(0, 18), st.integers(0, 60))
def test_equals_its_definition_in_integers(seed: int, m: int, k: int, shift: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    matched_filter = MatchedFilter(rng.integers(-(2**15), 2**15, m * k).astype(np.int16), m, shift)
    samples = rng.integers(-(2**15), 2**15, (count, 2)).astype(np.int16)
    symbols = matched_filter.process(samples)
    words, saturated = in_words(matched_filter, samples)
    assert symbols.words.tolist() == words
    assert symbols.saturated == saturated
    assert symbols.dropped == count % m


def test_pieces_and_blocks_join_without_a_seam() -> None:
    rng = np.random.default_rng(1)
    matched_filter = MatchedFilter(rng.integers(-(2**13), 2**13, 21).astype(np.int16), 3, 15)
    count = 2 * SYMBOLS_PER_PIECE * PIECES_PER_BLOCK + SYMBOLS_PER_PIECE + 5
    samples = rng.integers(-(2**12), 2**12, (count * 3 + 2, 2)).astype(np.int16)
    sums = [np.convolve(samples[:, rail].astype(np.int64), matched_filter.taps[::-1])[2::3][:count] for rail in (0, 1)]
    expected = np.clip((np.stack(sums, axis=-1) + (1 << 14)) >> 15, -(2**15), 2**15 - 1)
    np.testing.assert_array_equal(matched_filter.process(samples).words, expected)


def test_sums_are_exact_at_the_largest_words() -> None:
    # 4096 products of 2**30, less one unit in the last place of the sum: only exact arithmetic sees the difference.
    taps = np.full(4096, -(2**15), np.int16)
    samples = np.full((4096, 2), -(2**15), np.int16)
    matched_filter = MatchedFilter(taps, 8, 28)
    assert matched_filter.process(samples).words[-1].tolist() == [2**14, 2**14]
    taps[0], samples[0, 0] = 1, -(2**13)  # the sum is now 2**42 - 2**30 - 2**13
    matched_filter = MatchedFilter(taps, 8, 28)
    assert matched_filter.process(samples).words[-1].tolist() == [2**14 - 4, 2**14 - 4]
    samples[0, 0] = 1
    half_word_below = 2**42 - 2**30 + 1
    assert matched_filter.process(samples).words[-1, 0] == (half_word_below + 2**27) >> 28


def test_frames_are_independent() -> None:
    rng = np.random.default_rng(2)
    matched_filter = MatchedFilter(rng.integers(-(2**13), 2**13, 12).astype(np.int16), 4, 15)
    samples = rng.integers(-(2**12), 2**12, (40, 2)).astype(np.int16)
    first = matched_filter.process(samples).words
    np.testing.assert_array_equal(matched_filter.process(samples).words, first)


def test_gain_is_that_of_white_noise_and_of_the_matching_pulse() -> None:
    rng = np.random.default_rng(3)
    matched_filter = MatchedFilter(quantise_taps(root_raised_cosine(4, 17, 0.2) / 3), 4, 15)
    noise = np.round(rng.normal(0, 4000, (400_000, 2))).astype(np.int16)
    ratio = matched_filter.process(noise).words.std() / noise.std()
    assert ratio == pytest.approx(matched_filter.gain, rel=4e-3)
    pulse = np.zeros((17 * 4, 2), np.int16)
    pulse[:, 0] = np.round(30000 / np.linalg.norm(matched_filter.taps) * matched_filter.taps)
    assert matched_filter.process(pulse).words[-1, 0] == pytest.approx(30000 * matched_filter.gain, rel=1e-4)


@pytest.mark.parametrize("shot_noise_words", [20.0, 100.0])
def test_distance_from_the_float_specification_is_within_its_bound(shot_noise_words: float) -> None:
    specification = root_raised_cosine(8, 33, 0.2, delay=0.37)
    matched_filter = MatchedFilter(quantise_taps(specification), 8, 15)
    rng = np.random.default_rng(4)
    samples = np.round(rng.normal(0, shot_noise_words, (1_600_000, 2))).astype(np.int16)
    exact = np.convolve(samples[:, 0].astype(float), specification[::-1])[7::8][: len(samples) // 8]
    error = matched_filter.process(samples).words[:, 0] - exact
    bound = matched_filter.excess_noise_bound_snu(specification, shot_noise_words)
    measured = float(np.mean(error**2)) / shot_noise_words**2
    assert bound * 1e3 < 0.21 * (20 / shot_noise_words) ** 2  # mSNU
    # 2e5 rounding errors: their mean square is known to about 0.2 %.
    assert 0.99 * bound < measured < 1.01 * bound


def test_recovers_the_symbols_that_the_pulse_carries_with_a_fractional_delay() -> None:
    m, span, delay = 8, 33, 0.4375
    rng = np.random.default_rng(5)
    amplitudes = rng.normal(0, 2000, 400)
    pulse = root_raised_cosine(m, span, 0.2, delay=delay)
    signal = np.zeros(m * (len(amplitudes) + span - 1))
    for n, amplitude in enumerate(amplitudes):
        signal[n * m : n * m + len(pulse)] += amplitude * pulse
    samples = np.round(np.stack([signal, -signal], axis=-1)).astype(np.int16)
    words = MatchedFilter(quantise_taps(pulse), m, 15).process(samples).words[span - 1 :]
    error = words[:, 0] - amplitudes
    assert error.std() < 0.004 * 2000  # intersymbol interference of a span of 32 is below -48 dB
    np.testing.assert_allclose(words[:, 1], -words[:, 0], atol=1)


@pytest.mark.parametrize(
    ("taps", "m", "shift", "message"),
    [
        (np.zeros(10, np.int16), 4, 15, "10 taps are not a whole number of symbols of 4 samples"),
        (np.zeros(8, np.int32), 4, 15, "int32"),
        (np.zeros(0, np.int16), 4, 15, r"shape \(0,\)"),
        (np.zeros(8, np.int16), 4, 32, "shift of 32"),
        (np.zeros(8, np.int16), 4, -1, "shift of -1"),
    ],
)
def test_refuses_settings_that_the_core_cannot_have(taps: np.ndarray, m: int, shift: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MatchedFilter(taps, m, shift)


def test_refuses_samples_that_are_not_complex_int16() -> None:
    matched_filter = MatchedFilter(np.ones(4, np.int16), 4, 0)
    with pytest.raises(ValueError, match=r"shape \(9,\)"):
        matched_filter.process(np.zeros(9, np.int16))
