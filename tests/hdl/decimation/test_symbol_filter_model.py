import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.decimation.symbol_filter.model import DISTINCT_TAPS, REACH, START, TAP, UNIT_SHIFT, SymbolFilter
from kronborg_hdl.dsp.formats import BASEBAND


def random_samples(seed: int, count: int) -> np.ndarray:
    """Of full scale, the corners often."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (count, 2))
    corners = rng.choice([BASEBAND.minimum, BASEBAND.maximum], samples.shape)
    return np.where(rng.random(samples.shape) < 0.3, corners, samples).astype(np.int32)


def random_taps(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(TAP.minimum, TAP.maximum + 1, DISTINCT_TAPS).astype(np.int32)


def in_words(taps: list[int], shift: int, rail: list[int]) -> tuple[list[int], int]:
    """The definition, in Python's integers."""
    words, saturated = [], 0

    def x(n: int) -> int:
        return rail[n] if n >= 0 else 0

    for s in range(max(0, (len(rail) - REACH + 1) // 2)):
        total = taps[0] * x(2 * s) + sum(taps[k] * (x(2 * s - k) + x(2 * s + k)) for k in range(1, REACH + 1))
        word = (total + (1 << shift >> 1)) >> shift
        words.append(min(max(word, -(2**15)), 2**15 - 1))
        saturated += word != words[-1]
    return words, saturated


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 31), st.integers(0, 400))
def test_equals_its_definition_in_integers(seed: int, shift: int, count: int) -> None:
    samples, taps = random_samples(seed, count), random_taps(seed)
    filtered = SymbolFilter(taps, shift).process(samples)
    wanted = [in_words(taps.tolist(), shift, samples[:, rail].tolist()) for rail in (0, 1)]
    assert filtered.words.dtype == np.int16
    assert filtered.words.T.tolist() == [words for words, _ in wanted]
    assert filtered.saturated == sum(clipped for _, clipped in wanted)


@pytest.mark.parametrize("word", [BASEBAND.minimum, BASEBAND.maximum])
@pytest.mark.parametrize("tap", [TAP.minimum, TAP.maximum])
def test_the_largest_sums_are_exact(word: int, tap: int) -> None:
    samples, taps = np.full((200, 2), word, np.int32), np.full(DISTINCT_TAPS, tap, np.int32)
    filtered = SymbolFilter(taps, 31).process(samples)
    assert filtered.words[:, 0].tolist() == in_words(taps.tolist(), 31, [word] * 200)[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pieces_give_what_the_whole_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, symbol_filter = random_samples(seed, 700), SymbolFilter(random_taps(seed), 24)
    whole = symbol_filter.process(samples)
    pieces, saturated, state, at = [], 0, START, 0
    while at < len(samples):
        more = int(rng.integers(0, 90))
        piece = symbol_filter.process(samples[at : at + more], state)
        pieces.append(piece.words)
        saturated, state, at = saturated + piece.saturated, piece.state, at + more
    np.testing.assert_array_equal(np.concatenate(pieces), whole.words)
    assert saturated == whole.saturated


@pytest.mark.parametrize("count", [8192, 8193, 30_001])
def test_long_pieces_give_what_short_ones_give(count: int) -> None:
    samples, symbol_filter = random_samples(count, count + REACH), SymbolFilter(random_taps(count), 24)
    state, words = START, []
    for begin in range(0, len(samples), 999):
        piece = symbol_filter.process(samples[begin : begin + 999], state)
        words.append(piece.words)
        state = piece.state
    np.testing.assert_array_equal(symbol_filter.process(samples).words, np.concatenate(words))


def test_an_impulse_shows_the_taps_about_its_symbol() -> None:
    taps = random_taps(1)
    samples = np.zeros((400, 2), np.int32)
    samples[200, 0] = samples[201, 1] = 1 << 16
    words = SymbolFilter(taps, 18).process(samples).words
    place = 200 - 2 * np.arange(len(words))
    for rail in (0, 1):
        distance = np.abs(place + rail)
        inside = distance <= REACH
        np.testing.assert_array_equal(words[inside, rail], (taps[distance[inside]] + 2) >> 2)
        assert not words[~inside, rail].any()


def test_a_shift_of_nineteen_is_a_gain_of_one() -> None:
    taps = np.zeros(DISTINCT_TAPS, np.int32)
    taps[0] = TAP.maximum
    words = SymbolFilter(taps, UNIT_SHIFT).process(np.full((200, 2), 40_000, np.int32)).words
    assert np.unique(words).tolist() == [10_000]


@pytest.mark.parametrize(
    ("taps", "shift", "message"),
    [
        (np.zeros(33, np.int64), 19, "int64"),
        (np.zeros(32, np.int32), 19, r"shape \(32,\)"),
        (np.full(33, 2**17, np.int32), 19, "18 bits"),
        (np.zeros(33, np.int32), 32, "0 to 31"),
        (np.zeros(33, np.int32), -1, "0 to 31"),
    ],
)
def test_refuses_settings_that_its_registers_cannot_hold(taps: np.ndarray, shift: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SymbolFilter(taps, shift)


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros((4, 2), np.int16), "int16"), (np.zeros(4, np.int32), "shape"), (np.full((4, 2), 2**17, np.int32), "18")],
)
def test_refuses_samples_that_its_stream_cannot_carry(samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SymbolFilter(random_taps(1)).process(samples)
