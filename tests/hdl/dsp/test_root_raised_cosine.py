import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine


def isi_db(transmitted: np.ndarray, received: np.ndarray, m: int) -> float:
    """Power of intersymbol interference over that of the symbol."""
    cascade = np.convolve(transmitted, received[::-1])
    middle = len(transmitted) - 1
    symbols = cascade[middle % m :: m]
    return float(10 * np.log10((np.sum(symbols**2) - cascade[middle] ** 2) / cascade[middle] ** 2))


@pytest.mark.parametrize(("roll_off", "span", "published_db"), [(0.2, 16, -40.7), (0.2, 32, -56.0), (0.5, 16, -63.3)])
def test_two_of_them_leave_as_little_intersymbol_interference_as_their_length_allows(
    roll_off: float, span: int, published_db: float
) -> None:
    pulse = root_raised_cosine(4, span + 1, roll_off)
    middle = 2 * (span + 1)
    symmetric = pulse[middle - 2 * span : middle + 2 * span + 1]
    assert isi_db(symmetric, symmetric, 4) == pytest.approx(published_db, abs=0.1)
    assert isi_db(pulse, pulse, 4) < published_db + 5


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 16), st.integers(4, 40), st.floats(0.05, 1.0), st.floats(-1.0, 1.0))
def test_energy_is_one_and_all_taps_are_finite(m: int, span: int, roll_off: float, delay: float) -> None:
    taps = root_raised_cosine(m, span, roll_off, delay)
    assert taps.shape == (m * span,)
    assert np.sum(taps**2) == pytest.approx(1)


@pytest.mark.parametrize("roll_off", [0.125, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("nudge", [1e-4, 1e-6, 1e-7])
def test_is_smooth_through_its_removable_poles(roll_off: float, nudge: float) -> None:
    # With these roll-offs t = 1 / (4 roll_off) falls on a tap, and so does t = 0.
    exact, beside = root_raised_cosine(8, 9, roll_off), root_raised_cosine(8, 9, roll_off, delay=nudge)
    assert np.abs(exact - beside).max() < nudge


def test_a_delay_is_the_same_pulse_later() -> None:
    whole = root_raised_cosine(8, 33, 0.2, delay=3)
    np.testing.assert_allclose(whole[3:], root_raised_cosine(8, 33, 0.2)[:-3], atol=1e-5)
    pulse = root_raised_cosine(8, 65, 0.2)
    late = root_raised_cosine(8, 65, 0.2, delay=0.3)
    shift = np.exp(-2j * np.pi * np.fft.rfftfreq(len(pulse)) * 0.3)
    np.testing.assert_allclose(np.fft.irfft(np.fft.rfft(pulse) * shift), late, atol=2e-4)


def test_quantised_taps_are_within_half_a_word() -> None:
    taps = root_raised_cosine(8, 33, 0.2, delay=0.4)
    words = quantise_taps(taps)
    assert words.dtype == np.int16
    assert np.abs(words / 2.0**15 - taps).max() <= 2.0**-16


@pytest.mark.parametrize("roll_off", [0.0, -0.1, 1.01])
def test_refuses_a_roll_off_that_is_no_excess_bandwidth(roll_off: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        root_raised_cosine(8, 33, roll_off)
