import math

import numpy as np
import pytest

from kronborg_hdl.modulation.gaussian.discretisation import clipped_grid, source_words, trace_distance
from kronborg_hdl.modulation.gaussian.model import DEFAULT_DEVIATION, MAXIMUM_DEVIATION, MINIMUM_DEVIATION

BITS = (4, 5, 6, 8)
PUBLISHED = {  # V_A = 4, a row a clip
    3.0: (4.2e-3, 3.3e-3, 2.9e-3, 2.6e-3),
    3.5: (8.7e-4, 6.3e-4, 5.2e-4, 4.5e-4),
    4.0: (1.6e-4, 9.4e-5, 7.4e-5, 6.1e-5),
    4.5: (5.3e-5, 1.3e-5, 8.3e-6, 6.5e-6),
    5.0: (7.9e-5, 4.9e-6, 9.1e-7, 5.5e-7),
    6.0: (8.4e-4, 8.8e-6, 5.6e-7, 3.7e-9),
}


@pytest.mark.parametrize("clip", PUBLISHED)
def test_grids_are_as_far_as_the_table_says(clip: float) -> None:
    for bits, expected in zip(BITS, PUBLISHED[clip], strict=True):
        assert float(f"{trace_distance(*clipped_grid(bits, clip, 4.0), 4.0):.1e}") == expected


def test_one_coherent_state_is_as_far_from_a_thermal_state_as_its_photons_say() -> None:
    # Both are diagonal in photon number: the distance is 1 - p(0), p(0) = 1 / (1 + V_A / 2).
    distance = trace_distance(np.array([0.0]), np.array([1.0]), 4.0)
    assert distance == pytest.approx(1 - 1 / 3, abs=1e-12)


def test_agrees_with_the_photon_number_basis() -> None:
    levels, probabilities = clipped_grid(3, 2.5, 2.0)
    number = np.arange(60)
    root_factorial = np.exp([-math.lgamma(n + 1) / 2 for n in number])
    alpha = ((levels[:, None] + 1j * levels) / 2).reshape(-1)
    weight = np.outer(probabilities, probabilities).reshape(-1)
    states = np.exp(-(np.abs(alpha[:, None]) ** 2) / 2) * alpha[:, None] ** number * root_factorial
    mixture = (states.T * weight) @ states.conj()
    thermal = np.diag(0.5 * 0.5**number)  # one photon on average
    expected = np.sum(np.abs(np.linalg.eigvalsh(mixture - thermal))) / 2
    assert trace_distance(levels, probabilities, 2.0) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("deviation", [MINIMUM_DEVIATION, DEFAULT_DEVIATION, MAXIMUM_DEVIATION])
@pytest.mark.parametrize("variance_snu", [1.0, 4.0])
def test_what_the_source_emits_is_within_1e_8_of_thermal(deviation: int, variance_snu: float) -> None:
    levels, probabilities = source_words(deviation, variance_snu)
    assert np.sum(probabilities) == pytest.approx(1, abs=1e-13)
    assert np.sum(probabilities * levels**2) == pytest.approx(variance_snu)
    assert trace_distance(levels, probabilities, variance_snu) < 1e-8


def test_a_scale_that_clips_at_five_sigma_would_not_be() -> None:
    assert trace_distance(*source_words(round(8 * 32767 / 5), 4.0), 4.0) > 1e-7


@pytest.mark.parametrize(
    ("levels", "probabilities", "message"),
    [([-1.0, 1.0], [0.5, 0.4], "sum to 0.9, not to 1"), ([-1.0, 1.0], [0.3, 0.7], "must be symmetric")],
)
def test_refuses_what_is_no_symmetric_distribution(
    levels: list[float], probabilities: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        trace_distance(np.array(levels), np.array(probabilities), 4.0)
