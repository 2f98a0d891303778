import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.modulation.pulse_shaper.model import SYMBOLS_PER_PIECE, PulseShaper


def in_words(shaper: PulseShaper, symbols: np.ndarray) -> np.ndarray:
    """The definition, in Python's integers."""
    m, k = shaper.samples_per_symbol, shaper.span
    taps = [int(tap) for tap in shaper.taps]
    out = []
    for n in range(len(symbols) + k - 1):
        for j in range(m):
            row = []
            for rail in (0, 1):
                total = sum(taps[j + i * m] * int(symbols[n - i, rail]) for i in range(k) if 0 <= n - i < len(symbols))
                word = (total + (1 << shaper.shift >> 1)) >> shaper.shift
                row.append(min(max(word, -(2**15)), 2**15 - 1))
            out.append(row)
    return np.array(out)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(0, 17), st.integers(1, 9))
def test_equals_its_definition_in_integers(seed: int, m: int, k: int, shift: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    shaper = PulseShaper(rng.integers(-(2**15), 2**15, m * k).astype(np.int16), m, shift)
    symbols = rng.integers(-(2**15), 2**15, (count, 2)).astype(np.int16)
    samples, _ = shaper.process(symbols)
    np.testing.assert_array_equal(samples, in_words(shaper, symbols))


def test_pieces_join_without_a_seam() -> None:
    rng = np.random.default_rng(1)
    shaper = PulseShaper(rng.integers(-(2**12), 2**12, 12).astype(np.int16), 4, 15)
    symbols = rng.integers(-(2**14), 2**14, (2 * SYMBOLS_PER_PIECE + 7, 2)).astype(np.int16)
    np.testing.assert_array_equal(shaper.process(symbols)[0], in_words(shaper, symbols))


def test_counts_what_saturates() -> None:
    shaper = PulseShaper(np.array([32767, 32767], np.int16), 1, 14)
    samples, saturated = shaper.process(np.array([[20000, 5], [20000, 5]], np.int16))
    assert saturated == 3  # each of the rail's three outputs is beyond full scale
    assert samples[:, 0].tolist() == [32767] * 3


def test_a_pulse_is_the_root_raised_cosine_centred_in_its_span() -> None:
    taps = root_raised_cosine(8, 33, 0.2)
    shaper = PulseShaper(quantise_taps(taps), 8, 15)
    samples, _ = shaper.process(np.array([[32767, 0]], np.int16))
    assert int(np.argmax(samples[:, 0])) == 8 * 33 // 2
    assert np.abs(samples[:, 0] / 32768 - taps).max() < 2**-14


@pytest.mark.parametrize("samples_per_symbol", [2, 4, 8, 16])
def test_intersymbol_interference_adds_less_than_0_02_msnu(samples_per_symbol: int) -> None:
    # Roll-off 0.2, a span of 32 symbols, words of Q1.15: one pulse through shaper and matched filter, every symbol.
    pulse, _ = PulseShaper(
        quantise_taps(root_raised_cosine(samples_per_symbol, 33, 0.2)), samples_per_symbol, 15
    ).process(np.array([[32767, 0]], np.int16))
    samples = pulse[:, 0].astype(float)
    symbols = np.correlate(samples, samples, "full")[len(samples) - 1 :: samples_per_symbol]
    isi = 2 * np.sum(symbols[1:] ** 2) / symbols[0] ** 2
    assert 4.0 * isi * 1e3 < 0.02  # V_A = 4


@pytest.mark.parametrize(
    ("taps", "m", "shift", "message"),
    [
        (np.zeros(7, np.int16), 2, 15, "7 taps"),
        (np.zeros(8, np.int32), 4, 15, "int32"),
        (np.zeros(0, np.int16), 4, 15, r"shape \(0,\)"),
        (np.zeros(8, np.int16), 4, 32, "shift of 32"),
        (np.zeros(8, np.int16), 4, -1, "shift of -1"),
    ],
)
def test_refuses_settings_that_the_core_cannot_have(taps: np.ndarray, m: int, shift: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PulseShaper(taps, m, shift)
