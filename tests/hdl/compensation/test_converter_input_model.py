from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.compensation.converter_input.model import (
    BLOCK,
    LOWER,
    UNITY,
    UPPER,
    ConverterInput,
    InputState,
    fixed_offset,
    imbalance_correction,
)


def saturated(word: int) -> int:
    return min(max(word, -(2**15)), 2**15 - 1)


def in_words(samples: np.ndarray, of: ConverterInput, offset: tuple[int, int]) -> tuple[list, int, int, list[int]]:
    """The definition, in Python's integers, from offsets loaded: words, over-range, saturations and means."""
    words, over_range, clipped = [], 0, 0
    means, in_use, sums = [o << 16 for o in offset], list(offset), [0, 0]
    for n, sample in enumerate(samples.reshape(len(samples), samples.ndim).tolist()):
        exact = [word - in_use[rail] for rail, word in enumerate(sample)]
        word = [saturated(rail) for rail in exact]
        if len(word) == 2:
            exact.append((word[1] * of.gain + word[0] * of.skew + 2**13) >> 14)
            word = [word[0], saturated(exact[2])]
            clipped += word[1] != exact[2]
        clipped += sum(saturated(rail) != rail for rail in exact[:2])
        over_range += sum(rail >= of.upper or rail <= of.lower for rail in sample)
        words.append(word)
        for rail, raw in enumerate(sample):
            sums[rail] += raw
            if n % BLOCK == BLOCK - 1:
                in_use[rail] = (means[rail] + 2**15) >> 16
                if not of.hold:
                    means[rail] += (16 * sums[rail] - means[rail] + (2**of.averaging >> 1)) >> of.averaging
                sums[rail] = 0
    return words, over_range, clipped, means


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 5 * BLOCK),
    rails=st.sampled_from([1, 2]),
    averaging=st.integers(0, 15),
    hold=st.booleans(),
    gain=st.integers(0, 2**15 - 1),
    skew=st.integers(-(2**14), 2**14 - 1),
    offset=st.tuples(st.integers(-(2**15), 2**15 - 1), st.integers(-300, 300)),
)
def test_equals_its_definition_in_integers(
    seed: int, count: int, rails: int, averaging: int, hold: bool, gain: int, skew: int, offset: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    samples = np.clip(rng.normal(rng.integers(-9000, 9000), 12_000, (count, 2)[:rails]), -(2**15), 2**15 - 1)
    samples = samples.astype(np.int16)
    of = ConverterInput(averaging, hold, gain, skew, upper=30_000, lower=-31_000)
    converted = of.process(samples, fixed_offset(*offset))
    words, over_range, clipped, means = in_words(samples, of, offset)
    assert converted.words.dtype == np.int16
    assert converted.words.reshape(count, samples.ndim).tolist() == words
    assert (converted.over_range, converted.saturated) == (over_range, clipped)
    assert list(converted.state.means)[:rails] == means[:rails]


def test_pieces_are_the_whole() -> None:
    rng = np.random.default_rng(1)
    samples = rng.integers(-3000, 3300, (20 * BLOCK + 77, 2)).astype(np.int16)
    of = ConverterInput(averaging=2, hold=False, gain=UNITY + 100, skew=-50, upper=3200)
    whole = of.process(samples)
    cuts = [0, 5, 4090, BLOCK, 3 * BLOCK, 3 * BLOCK + 1, 17 * BLOCK + 9, len(samples)]
    words, counts, state = [], np.zeros(2, int), InputState()
    for begin, end in pairwise(cuts):
        piece = of.process(samples[begin:end], state)
        words.append(piece.words)
        counts += piece.over_range, piece.saturated
        state = piece.state
    np.testing.assert_array_equal(np.concatenate(words), whole.words)
    assert counts.tolist() == [whole.over_range, whole.saturated]
    assert state == whole.state


def test_a_constant_offset_is_removed_within_half_a_word_from_the_second_block_on() -> None:
    rng = np.random.default_rng(2)
    samples = np.round(rng.normal(137.3, 100, 400 * BLOCK)).astype(np.int16)
    converted = ConverterInput(averaging=4, hold=False).process(samples)
    assert np.mean(converted.words[: 2 * BLOCK]) == pytest.approx(137.3, abs=5)
    assert abs(np.mean(converted.words[100 * BLOCK :])) < 0.7
    fast = ConverterInput(averaging=0, hold=False).process(samples)
    assert abs(np.mean(fast.words[2 * BLOCK : 3 * BLOCK])) < 8


def test_the_offset_follows_with_the_time_constant_that_its_register_says() -> None:
    samples = np.zeros(60 * BLOCK, np.int16)
    samples[:] = 1000
    words = ConverterInput(averaging=3, hold=False).process(samples).words[::BLOCK]
    blocks = np.arange(len(words))
    np.testing.assert_allclose(words, 1000 * (1 - 2.0**-3) ** np.maximum(blocks - 1, 0), atol=0.6)


def test_hold_keeps_the_offset_that_was_found() -> None:
    samples = np.full(10 * BLOCK, 50, np.int16)
    found = ConverterInput(averaging=0, hold=False).process(samples).state
    held = ConverterInput(hold=True).process(samples + np.int16(200), found)
    assert set(held.words.tolist()) == {200}
    assert held.state.means == found.means


@pytest.mark.parametrize(("gain", "skew_rad"), [(1.0, 0.0), (0.8, 0.05), (1.3, -0.1)])
def test_gain_and_quadrature_are_undone_to_minus_85_db(gain: float, skew_rad: float) -> None:
    n = np.arange(1 << 16)
    tone = 15_000 * np.exp(2j * np.pi * n * 1234 / len(n))
    q = gain * (tone.imag * np.cos(skew_rad) + tone.real * np.sin(skew_rad))
    samples = np.round(np.stack([tone.real, q], axis=-1)).astype(np.int16)
    words = ConverterInput(**dict(zip(("gain", "skew"), imbalance_correction(gain, skew_rad), strict=True))).process(
        samples
    )
    lines = np.abs(np.fft.fft(words.words @ (1, 1j))) ** 2
    assert lines[-1234] < 10**-8.5 * lines[1234]
    assert words.saturated == 0


def test_words_at_the_converter_s_end_are_counted_and_pass() -> None:
    samples = np.array([UPPER, UPPER - 1, LOWER, LOWER + 1, 32764, 0], np.int16)
    converted = ConverterInput().process(samples)
    assert converted.over_range == 3
    np.testing.assert_array_equal(converted.words, samples)
    assert [ConverterInput().process(samples[n : n + 1]).over_range for n in range(6)] == [1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("setting", "value"), [("averaging", 16), ("gain", 32768), ("skew", -16385), ("upper", 32768), ("lower", -32769)]
)
def test_refuses_settings_that_its_registers_cannot_hold(setting: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{setting} = {value} is outside"):
        ConverterInput(**{setting: value})
    with pytest.raises(ValueError, match="gain = 40960 is outside"):
        imbalance_correction(0.4, 0)


@pytest.mark.parametrize("samples", [np.zeros(8, np.int32), np.zeros((8, 3), np.int16)])
def test_refuses_samples_that_its_stream_cannot_carry(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="samples must be int16"):
        ConverterInput().process(samples)
