import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.dsp.phasor_table import ANGLE_BITS, COSINE, QUARTER, SINE, TABLE, TABLE_BITS, table_oscillator


def test_every_word_is_the_nearest_to_the_middle_of_its_step() -> None:
    angle = 2 * np.pi * (np.arange(2**ANGLE_BITS) + 0.5) / 2**ANGLE_BITS
    assert np.abs(COSINE - 32767 * np.cos(angle)).max() <= 0.5
    assert np.abs(SINE - 32767 * np.sin(angle)).max() <= 0.5


def test_the_four_quadrants_are_one_table() -> None:
    assert len(TABLE) == QUARTER == 4096
    assert 0 < TABLE.min() <= TABLE.max() < 2**TABLE_BITS
    for quadrant, (cosine, sine) in enumerate(
        [(TABLE[::-1], TABLE), (-TABLE, TABLE[::-1]), (-TABLE[::-1], -TABLE), (TABLE, -TABLE[::-1])]
    ):
        part = slice(quadrant * QUARTER, (quadrant + 1) * QUARTER)
        np.testing.assert_array_equal(COSINE[part], cosine)
        np.testing.assert_array_equal(SINE[part], sine)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_is_the_table_at_the_truncated_phase(word: int, phase: int, count: int) -> None:
    cosine, sine = table_oscillator(word, count, phase=phase)
    angle = [((phase + n * word) % 2**32) >> (32 - ANGLE_BITS) for n in range(count)]
    np.testing.assert_array_equal(cosine, COSINE[angle])
    np.testing.assert_array_equal(sine, SINE[angle])


@pytest.mark.parametrize("period_bits", range(3, 21))
def test_spurs_are_below_minus_80_dbc(period_bits: int) -> None:
    # Words whose period is a power of two: a transform over one period sees every line whole, without a window.
    # Of all words they have the strongest lines: those of dropped phase bits are strongest when one bit is dropped.
    rng, period = np.random.default_rng(period_bits), 2**period_bits
    for cycles in 2 * rng.integers(0, period // 2, 12 if period_bits < 17 else 3) + 1:
        cosine, sine = table_oscillator(int(cycles) << (32 - period_bits), period)
        lines = np.abs(np.fft.fft(cosine + 1j * sine)) ** 2
        assert int(np.argmax(lines)) == cycles
        carrier, lines[cycles] = lines[cycles], 0.0
        assert 10 * np.log10(lines.max() / carrier) < -80


def test_dropped_phase_bits_are_the_phase_noise_that_the_formula_says() -> None:
    rng = np.random.default_rng(1)
    word, count = int(rng.integers(2**31, 2**32)) | 1, 400_000
    cosine, sine = table_oscillator(word, count)
    exact = np.exp(2j * np.pi * (np.arange(count, dtype=np.uint32) * np.uint32(word)) / 2**32)
    error = np.angle((cosine + 1j * sine) * np.conj(exact))
    # The table's middle is half a step ahead of the truncated phase: a constant, and rounding adds 8 % to the rest.
    assert np.var(error) == pytest.approx((2 * np.pi / 2**ANGLE_BITS) ** 2 / 12, rel=0.02)
