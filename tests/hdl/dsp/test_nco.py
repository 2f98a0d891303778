import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.dsp.nco import TABLE_BITS, oscillator, phase_word, word_frequency


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_is_the_table_at_the_truncated_phase(word: int, phase: int, count: int) -> None:
    cosine, sine = oscillator(word, count, phase=phase)
    address = np.array([((phase + n * word) % 2**32) >> (32 - TABLE_BITS) for n in range(count)])
    angle = 2 * np.pi * address / 2**TABLE_BITS
    np.testing.assert_array_equal(cosine, np.round(32767 * np.cos(angle)))
    np.testing.assert_array_equal(sine, np.round(32767 * np.sin(angle)))


@given(st.integers(0, 2**32 - 1))
def test_word_and_frequency_are_inverse(word: int) -> None:
    assert phase_word(word_frequency(word, 1e9), 1e9) == word


@pytest.mark.parametrize("frequency", [12.3e6, -77.7e6, 249.9e6])
def test_spurs_of_phase_truncation_stay_below_minus_70_dbc(frequency: float) -> None:
    count = 1 << 16
    word = phase_word(round(frequency / 1e9 * count) * 1e9 / count + 1e9 / 2**28, 1e9)  # truncated bits are not zero
    cosine, sine = oscillator(word, count)
    spectrum = np.abs(np.fft.fft((cosine + 1j * sine) * np.blackman(count))) ** 2
    peak = int(np.argmax(spectrum))
    assert abs((peak / count * 1e9 - frequency + 5e8) % 1e9 - 5e8) < 1e9 / count
    away = np.abs((np.arange(count) - peak + count // 2) % count - count // 2) > 4
    assert 10 * np.log10(spectrum[away].max() / spectrum[peak]) < -70
