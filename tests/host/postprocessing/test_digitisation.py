import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kronborg.postprocessing.digitisation import Digitiser


@given(st.integers(1, 12), st.floats(0.1, 100), st.lists(st.floats(-1000, 1000), min_size=1))
def test_rounds_to_the_centre_of_a_cell_at_most_half_a_step_away(bits: int, limit: float, values: list[float]) -> None:
    digitiser = Digitiser(bits, limit)
    digits = digitiser.digitise(np.array(values))
    inside = np.abs(values) < limit
    assert np.all(np.abs(digits - values)[inside] <= digitiser.step / 2 * (1 + 1e-9))
    assert np.all(np.abs(digits) <= limit)


@given(st.integers(1, 8))
def test_has_two_to_the_bits_letters(bits: int) -> None:
    digits = Digitiser(bits, 1.0).digitise(np.linspace(-2, 2, 10_001))
    assert len(np.unique(digits)) == 2**bits
    np.testing.assert_allclose(np.unique(digits), -np.unique(digits)[::-1])


def test_adds_the_noise_it_says_to_a_gaussian_variable() -> None:
    values = np.random.default_rng(1).standard_normal(1_000_000) * 1.3
    digitiser = Digitiser.for_variance(1.69, bits=5)
    added = np.var(digitiser.digitise(values) - values)
    assert added == pytest.approx(digitiser.noise_variance_snu, rel=0.01)
