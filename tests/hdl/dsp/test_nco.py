import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.dsp.nco import (
    ANGLE_BITS,
    COSINE,
    OFFSET,
    OFFSET_BITS,
    SINE,
    TABLE,
    TABLE_BITS,
    oscillator,
    phase_word,
    word_frequency,
)


def test_every_word_is_within_eight_tenths_of_the_exact_one() -> None:
    angle = 2 * np.pi * np.arange(2**ANGLE_BITS) / 2**ANGLE_BITS
    assert np.abs(COSINE - 32767 * np.cos(angle)).max() < 0.8
    assert np.abs(SINE - 32767 * np.sin(angle)).max() < 0.8


def test_quarter_turns_are_exact_and_full_scale_is_never_exceeded() -> None:
    cosine, sine = oscillator(2**30, 5)
    assert cosine.tolist() == [32767, 0, -32767, 0, 32767]
    assert sine.tolist() == [0, 32767, 0, -32767, 0]
    assert max(np.abs(COSINE).max(), np.abs(SINE).max()) == 32767


def test_table_and_offsets_fit_the_gateware_s_words() -> None:
    assert TABLE.min() > 0
    assert TABLE.max() < 2**TABLE_BITS
    assert -(2 ** (OFFSET_BITS - 1)) <= OFFSET.min() < 0 < OFFSET.max() < 2 ** (OFFSET_BITS - 1)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_is_the_table_at_the_truncated_phase(word: int, phase: int, count: int) -> None:
    cosine, sine = oscillator(word, count, phase=phase)
    angle = [((phase + n * word) % 2**32) >> (32 - ANGLE_BITS) for n in range(count)]
    np.testing.assert_array_equal(cosine, COSINE[angle])
    np.testing.assert_array_equal(sine, SINE[angle])


@given(st.integers(0, 2**32 - 1))
def test_word_and_frequency_are_inverse(word: int) -> None:
    assert phase_word(word_frequency(word, 1e9), 1e9) == word


@pytest.mark.parametrize("period_bits", range(3, 21))
def test_spurs_are_below_minus_98_dbc(period_bits: int) -> None:
    # Words whose period is a power of two: a transform over one period sees every line whole, without a window.
    # Of all words they have the strongest lines: those of dropped phase bits are strongest when one bit is dropped.
    rng, period = np.random.default_rng(period_bits), 2**period_bits
    for cycles in 2 * rng.integers(0, period // 2, 12 if period_bits < 17 else 3) + 1:
        cosine, sine = oscillator(int(cycles) << (32 - period_bits), period)
        lines = np.abs(np.fft.fft(cosine + 1j * sine)) ** 2
        assert int(np.argmax(lines)) == cycles
        carrier, lines[cycles] = lines[cycles], 0.0
        assert 10 * np.log10(lines.max() / carrier) < -98
