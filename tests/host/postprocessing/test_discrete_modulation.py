"""The bound for alphabets: its Gaussian limit, its matrices by another way, and what must hold of any alphabet."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import InputError
from kronborg.postprocessing.discrete_modulation import (
    DEFAULT_SHAPES,
    ORDERS,
    Alphabet,
    covariance_bound,
    discrete_asymptotic_rate,
    discrete_holevo_bound,
    gateware_alphabet,
    overlap,
)
from kronborg.postprocessing.security import Link, asymptotic_rate, holevo_bound

LINK = Link(4, 10**-0.5, 0.01, 0.6, 0.05)


def gaussian_covariance(link: Link) -> float:
    return math.sqrt(link.transmittance * ((link.modulation_variance_snu + 1) ** 2 - 1))


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("variance", [0.2, 1.0, 4.0])
def test_an_alphabet_has_the_modulation_that_was_asked_for(name, variance):
    alphabet = gateware_alphabet(name, variance)
    assert alphabet.modulation_variance_snu == pytest.approx(variance, rel=1e-12)
    assert len(alphabet.amplitudes) == ORDERS[name]
    assert alphabet.probabilities.sum() == pytest.approx(1, rel=1e-12)
    assert abs(alphabet.probabilities @ alphabet.amplitudes) < 1e-9


@pytest.mark.parametrize("variance", [0.3, 0.6, 1.2])
def test_qpsk_equals_the_sums_that_are_known_for_it(variance):
    """tau has four eigenvalues, sums of a Poisson distribution over every fourth number; Z = alpha**2 sum l_k**1.5 /
    l_(k+1)**.5 (Denys, Brown & Leverrier 2021, for phase-shift keying)."""
    photons = variance / 2
    weights = [sum(photons**n / math.factorial(n) for n in range(k, 80, 4)) for k in range(4)]
    weights = [math.exp(-photons) * weight for weight in weights]
    z = photons * sum(weights[k] ** 1.5 / weights[(k + 1) % 4] ** 0.5 for k in range(4))
    second = photons * sum(weights[k] ** 2 / weights[(k + 1) % 4] for k in range(4))
    first = photons * sum(weights[k] ** 1.5 / weights[(k + 1) % 4] ** 0.5 for k in range(4)) ** 2
    found = overlap(gateware_alphabet("qpsk", variance))
    assert found.correlation == pytest.approx(z, rel=1e-9)
    assert found.defect == pytest.approx(second - first, rel=1e-6, abs=1e-10)


def test_fine_grids_tend_to_the_gaussian():
    shapes = {"qam-16": 0.3, "qam-64": 0.2, "qam-256": 0.11}
    alphabets = [gateware_alphabet(name, 1.0, shape) for name, shape in shapes.items()]
    link = replace(LINK, modulation_variance_snu=1.0)
    lacking = [gaussian_covariance(link) - covariance_bound(link, alphabet) for alphabet in alphabets]
    assert lacking[0] > lacking[1] > lacking[2] > 0
    assert discrete_holevo_bound(link, alphabets[2]) == pytest.approx(holevo_bound(link), rel=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(ORDERS)), st.floats(0.05, 6), st.floats(0.01, 1), st.floats(0, 0.1), st.floats(0.3, 1))
def test_an_eavesdropper_of_an_alphabet_knows_no_less_than_of_a_gaussian(name, variance, transmittance, noise, eta):
    link = Link(variance, transmittance, noise, eta, 0.05)
    alphabet = gateware_alphabet(name, variance)
    assert covariance_bound(link, alphabet) <= gaussian_covariance(link) * (1 + 1e-9)
    assert discrete_asymptotic_rate(link, alphabet, 0.95) <= asymptotic_rate(link, 0.95) + 1e-7


@pytest.mark.parametrize(("name", "at_least"), [("qam-16", 0.035), ("qam-64", 0.08), ("qam-256", 0.088)])
def test_default_shapes_serve_the_first_check_point(name, at_least):
    best = discrete_asymptotic_rate(LINK, gateware_alphabet(name, 4.0), 0.95)
    assert at_least < best < asymptotic_rate(LINK, 0.95)
    for factor in (0.5, 2.0):
        other = gateware_alphabet(name, 4.0, factor * DEFAULT_SHAPES[name])
        assert discrete_asymptotic_rate(LINK, other, 0.95) < best


def test_states_at_zero_and_turned_ones_are_no_trouble():
    points = np.exp(1j * (0.3 + np.pi / 2 * np.arange(4)))
    turned = overlap(Alphabet(points, np.full(4, 0.25)))
    plain = overlap(Alphabet(points * np.exp(-0.3j), np.full(4, 0.25)))
    assert (turned.correlation, turned.defect) == pytest.approx((plain.correlation, plain.defect), rel=1e-9)
    assert math.isfinite(overlap(Alphabet(np.append(points, 0), np.full(5, 0.2))).defect)


def test_a_link_of_another_modulation_is_refused():
    with pytest.raises(InputError, match="modulation variance"):
        discrete_holevo_bound(LINK, gateware_alphabet("qpsk", 1.0))
