"""Rates against published and independently computed values, against covariance matrices, and against physics."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import InputError, NoKeyError
from kronborg.postprocessing.security import (
    Link,
    aep_penalty,
    asymptotic_rate,
    chernoff_tail,
    composable_rate,
    dtu_rate,
    entropy,
    finite_size_penalty,
    finite_size_rate,
    gaussian_tail,
    hashing_term,
    holevo_bound,
    holevo_of_covariance,
    individual_information,
    mutual_information,
    null_key_excess_noise,
    plob_bound,
    symplectic_eigenvalues,
    worst_case,
)

CP1 = Link(4, 10**-0.5, 0.01, 0.6, 0.05)
CP2 = Link(5, 10**-0.2, 0.02, 0.6, 0.10)
CP4 = Link(4, 0.1, 0.01, 0.6, 0.05)
BETA = {CP1: 0.95, CP2: 0.95, CP4: 0.96}

LINKS = st.builds(
    Link,
    st.floats(1e-3, 1e3),
    st.floats(1e-4, 1.0),
    st.floats(0.0, 2.0),
    st.floats(0.05, 1.0),
    st.floats(0.0, 2.0),
    st.sampled_from(["heterodyne", "homodyne"]),
)


def homodyne(link: Link) -> Link:
    return replace(link, detection="homodyne")


@pytest.mark.parametrize(
    ("link", "snr", "information", "eigenvalues", "chi", "rate", "rate_homodyne"),
    [
        (
            CP1,
            0.361076925,
            0.444748607,
            (3.7359330, 1.0040063, 3.0108359, 1.0014882),
            0.333186510,
            0.089324667,
            0.088309715,
        ),
        (
            CP2,
            0.857445407,
            0.893319809,
            (2.8555053, 1.0229111, 2.0033352, 1.0071729),
            0.601882455,
            0.246771363,
            0.230620450,
        ),
        (
            CP4,
            0.114253071,
            0.156076937,
            (4.6000714, 1.0010714, 4.2310229, 1.0004410),
            0.126382333,
            0.023451526,
            0.023484147,
        ),
    ],
)
def test_asymptotic_check_points(link, snr, information, eigenvalues, chi, rate, rate_homodyne):
    assert link.snr == pytest.approx(snr, abs=1e-9)
    assert mutual_information(link) == pytest.approx(information, abs=1e-9)
    assert symplectic_eigenvalues(link) == pytest.approx(eigenvalues, abs=6e-8)
    assert holevo_bound(link) == pytest.approx(chi, abs=1e-9)
    assert asymptotic_rate(link, BETA[link]) == pytest.approx(rate, abs=1e-9)
    assert asymptotic_rate(homodyne(link), BETA[link]) == pytest.approx(rate_homodyne, abs=1e-9)


@pytest.mark.parametrize(
    ("link", "symbols", "rate", "accuracy"),
    [
        (CP1, 1e6, -0.01581, 6e-6),
        (CP1, 1e7, 0.02337, 6e-6),
        (CP1, 1e8, 0.037477952, 1e-9),
        (CP1, 1e9, 0.042319546, 1e-9),
        (CP1, 1e10, 0.043912648, 1e-9),
        (CP1, 1e12, 0.04459, 6e-6),
        (CP2, 1e6, 0.05228, 6e-6),
        (CP2, 1e7, 0.09872, 6e-6),
        (CP2, 1e8, 0.115254808, 1e-9),
        (CP2, 1e9, 0.120774479, 1e-9),
        (CP2, 1e10, 0.122555647, 1e-9),
        (CP2, 1e12, 0.12330, 6e-6),
        (CP4, 1e7, -0.00858, 6e-6),
        (CP4, 1e8, 0.004757748, 1e-9),
        (CP4, 1e9, 0.009409394, 1e-9),
        (CP4, 1e10, 0.010975520, 1e-9),
        (CP4, 1e12, 0.01165, 6e-6),
    ],
)
def test_finite_size_check_points(link, symbols, rate, accuracy):
    assert finite_size_rate(link, BETA[link], symbols) == pytest.approx(rate, abs=accuracy)


def test_finite_size_internals():
    at_worst = worst_case(CP1, 2 * 5e8, gaussian_tail(1e-10))
    assert gaussian_tail(1e-10) == pytest.approx(6.46695, abs=5e-6)
    assert at_worst.transmittance == pytest.approx(0.316012559, abs=1e-9)
    assert at_worst.excess_noise_snu == pytest.approx(0.013212862, abs=1e-9)
    assert finite_size_penalty(5e8, 1e-10) == pytest.approx(0.001831386, abs=1e-9)
    assert holevo_bound(at_worst) == pytest.approx(0.336040698, abs=1e-9)


@pytest.mark.parametrize(
    ("link", "symbols", "rate"),
    [
        (CP1, 1e8, 0.040835776),
        (CP1, 1e9, 0.061934783),
        (CP1, 1e10, 0.068992375),
        (CP2, 1e8, 0.164495728),
        (CP2, 1e9, 0.188388221),
        (CP2, 1e10, 0.196213826),
        (CP4, 1e8, -0.011415288),
        (CP4, 1e9, 0.008788577),
        (CP4, 1e10, 0.015654947),
    ],
)
def test_composable_check_points(link, symbols, rate):
    assert composable_rate(link, BETA[link], symbols) == pytest.approx(rate, abs=1e-9)


def test_composable_internals():
    epsilon = 2.0**-32
    at_worst = worst_case(CP1, 2 * 1e8, chernoff_tail(epsilon))
    assert at_worst.transmittance == pytest.approx(0.315732261, abs=1e-9)
    assert at_worst.excess_noise_snu == pytest.approx(0.017405687, abs=1e-9)
    assert aep_penalty(6, epsilon) / math.sqrt(9e8) == pytest.approx(0.006497528, abs=1e-9)
    assert holevo_bound(at_worst) == pytest.approx(0.339550847, abs=1e-9)
    assert hashing_term(epsilon, epsilon) == -95


def test_composable_homodyne_rate_pays_for_one_quadrature_a_symbol():
    """d = 2**6, not 2**12, and one real pair a symbol for the estimation."""
    link, epsilon, n = homodyne(CP1), 2.0**-32, 9e8
    at_worst = worst_case(link, 1e8, chernoff_tail(epsilon))
    finite = 4 * math.log2(8 + 2) * math.sqrt(math.log2(2 / epsilon**2) / n) + 95 / n
    expected = 0.81 * (0.95 * mutual_information(link) - holevo_bound(at_worst) - finite)
    assert composable_rate(link, 0.95, 1e9) == pytest.approx(expected, abs=1e-12)


def test_published_rates_of_lodewyck_2007():
    link = Link(18.5, 0.302, 0.005, 0.606, 0.041, "homodyne")
    pulses_per_second, beta = 350e3, 0.898
    assert pulses_per_second * asymptotic_rate(link, beta) == pytest.approx(12304, abs=0.5)
    individual = beta * mutual_information(link) - individual_information(link)
    assert pulses_per_second * individual == pytest.approx(15204, abs=0.5)


@pytest.mark.parametrize(
    ("transmittance", "rate"), [(0.9, 2.248336), (0.5, 0.557305), (0.1, 0.0773359), (0.01, 0.00726193)]
)
def test_strong_modulation_of_an_ideal_link(transmittance, rate):
    limit = -math.log2(1 - transmittance) / transmittance - 1 / math.log(2)
    assert limit == pytest.approx(rate, rel=1e-6)
    link = Link(1e8, transmittance, 0.0)
    assert asymptotic_rate(link, 1.0) == pytest.approx(limit, abs=2e-7)
    # Homodyne is half of the PLOB bound, at every loss.
    assert asymptotic_rate(homodyne(link), 1.0) == pytest.approx(plob_bound(transmittance) / 2, abs=2e-7)
    # What is missing falls as 1 / V_A.
    missing = [limit - asymptotic_rate(Link(variance, transmittance, 0.0), 1.0) for variance in (1e4, 1e5)]
    assert missing[0] / missing[1] == pytest.approx(10, rel=1e-2)


@pytest.mark.parametrize(("link", "zero"), [(CP2, 0.207), (CP1, 0.143), (replace(CP4, transmittance=0.1), 0.101)])
def test_excess_noise_without_key(link, zero):
    found = null_key_excess_noise(link, 0.95)
    assert found == pytest.approx(zero, abs=5e-4)
    assert asymptotic_rate(replace(link, excess_noise_snu=found * (1 - 1e-6)), 0.95) > 0
    assert asymptotic_rate(replace(link, excess_noise_snu=found * (1 + 1e-6)), 0.95) < 0


def test_no_excess_noise_is_low_enough_for_poor_reconciliation():
    assert null_key_excess_noise(CP4, 0.5) == 0


@pytest.mark.parametrize(
    ("rate", "link", "smallest"),
    [
        (finite_size_rate, CP1, 2.0e6),
        (finite_size_rate, CP2, 2.8e5),
        (finite_size_rate, CP4, 3.3e7),
        (composable_rate, CP1, 1.7e7),
        (composable_rate, CP2, 2.4e6),
        (composable_rate, CP4, 2.7e8),
    ],
)
def test_smallest_number_of_symbols_with_a_key(rate, link, smallest):
    assert rate(link, BETA[link], 0.97 * smallest) < 0 < rate(link, BETA[link], 1.03 * smallest)


def test_estimation_with_all_symbols_nearly_doubles_the_rate():
    for symbols, rate in ((1e8, 0.07904), (1e9, 0.08600)):
        at_worst = worst_case(CP1, 2 * symbols, gaussian_tail(1e-10))
        found = 0.95 * mutual_information(CP1) - holevo_bound(at_worst) - finite_size_penalty(symbols, 1e-10)
        assert found == pytest.approx(rate, abs=6e-6)


@pytest.mark.parametrize(
    ("distance", "bound"),
    [(5, 2.2816), (10, 1.4381), (20, 0.7324), (25, 0.5484), (50, 0.1520), (100, 0.014500), (77, 0.04222)],
)
def test_plob_bound(distance, bound):
    assert plob_bound(10 ** (-0.02 * distance)) == pytest.approx(bound, abs=6e-5)


def test_plob_bound_keeps_its_digits_at_high_loss_and_has_no_end_without_loss():
    assert plob_bound(1e-20) == pytest.approx(1e-20 / math.log(2), rel=1e-12)
    assert plob_bound(1.0) == math.inf


# The four-mode route: covariance matrices and nothing else.


def symplectic_spectrum(covariance):
    modes = len(covariance) // 2
    form = np.kron(np.eye(modes), [[0, 1], [-1, 0]])
    return np.sort(np.abs(np.linalg.eigvals(1j * form @ covariance)))[::2]


def measured(covariance, mode, detection):
    """Covariance of the other modes, given a heterodyne or homodyne result on one."""
    inside = [2 * mode, 2 * mode + 1]
    outside = [index for index in range(len(covariance)) if index not in inside]
    correlation = covariance[np.ix_(outside, inside)]
    if detection == "heterodyne":
        inverse = np.linalg.inv(covariance[np.ix_(inside, inside)] + np.eye(2))
    else:
        inverse = np.diag([1 / covariance[inside[0], inside[0]], 0.0])
    return covariance[np.ix_(outside, outside)] - correlation @ inverse @ correlation.T


def holevo_by_matrices(link):
    """Purify the detector by an EPR pair on a beam splitter of transmittance eta: modes A, B, F, G."""
    v, t, eta = link.modulation_variance_snu + 1, link.transmittance, link.detector_efficiency
    sigma = np.diag([1.0, -1.0])
    correlation = math.sqrt(t * (v * v - 1)) * sigma
    channel = np.block([[v * np.eye(2), correlation], [correlation, t * (v + link.chi_line) * np.eye(2)]])
    added = 2 * link.electronic_noise_snu if link.detection == "heterodyne" else link.electronic_noise_snu
    n = 1 + added / (1 - eta)
    pair = np.block([[n * np.eye(2), math.sqrt(n * n - 1) * sigma], [math.sqrt(n * n - 1) * sigma, n * np.eye(2)]])
    whole = np.block([[channel, np.zeros((4, 4))], [np.zeros((4, 4)), pair]])
    splitter = np.eye(8)
    splitter[2:6, 2:6] = np.kron(
        [[math.sqrt(eta), math.sqrt(1 - eta)], [-math.sqrt(1 - eta), math.sqrt(eta)]], np.eye(2)
    )
    after = splitter @ whole @ splitter.T
    before = sum(entropy(value) for value in symplectic_spectrum(channel))
    return before - sum(entropy(value) for value in symplectic_spectrum(measured(after, 1, link.detection)))


@pytest.mark.parametrize("link", [CP1, CP2, CP4, Link(20, 0.7, 0.3, 0.4, 0.4), Link(0.3, 0.02, 0.05, 0.9, 0.01)])
@pytest.mark.parametrize("detection", ["heterodyne", "homodyne"])
def test_holevo_bound_equals_that_of_the_covariance_matrices(link, detection):
    link = replace(link, detection=detection)
    assert holevo_bound(link) == pytest.approx(holevo_by_matrices(link), abs=1e-10)


# The published polynomials, to 80 digits.


def eigenvalues_by_polynomials(link):
    with localcontext() as context:
        context.prec = 80
        one = Decimal(1)
        v = Decimal(link.modulation_variance_snu) + 1
        t, xi = Decimal(link.transmittance), Decimal(link.excess_noise_snu)
        eta, v_el = Decimal(link.detector_efficiency), Decimal(link.electronic_noise_snu)
        line = one / t - 1 + xi
        a = v**2 * (1 - 2 * t) + 2 * t + t**2 * (v + line) ** 2
        root = t * (v * line + 1)
        if link.detection == "heterodyne":
            chi = (2 - eta + 2 * v_el) / eta
            scale = t * (v + line) + chi
            c = (a * chi**2 + root**2 + 1 + 2 * chi * (v * root + t * (v + line)) + 2 * t * (v**2 - 1)) / scale**2
            d = ((v + root * chi) / scale) ** 2
        else:
            chi = (1 - eta + v_el) / eta
            scale = t * (v + line) + chi
            c = (a * chi + v * root + t * (v + line)) / scale
            d = root * (v + root * chi) / scale
        result = []
        for trace, determinant in ((a, root**2), (c, d)):
            spread = max(trace**2 - 4 * determinant, Decimal(0)).sqrt()
            result += [((trace + spread) / 2).sqrt(), ((trace - spread) / 2).sqrt()]
        return [float(value) for value in result]


@settings(deadline=None)
@given(LINKS)
def test_eigenvalues_equal_the_roots_of_the_published_polynomials(link):
    assert symplectic_eigenvalues(link) == pytest.approx(eigenvalues_by_polynomials(link), rel=1e-7)


@pytest.mark.parametrize("detection", ["heterodyne", "homodyne"])
@pytest.mark.parametrize(
    ("variance", "transmittance", "noise"),
    [(1e6, 1.0, 0.0), (1e4, 1 - 1e-9, 1e-6), (1e-6, 0.5, 0.0), (4, 1e-9, 0.01), (1e3, 1.0, 1e-3)],
)
def test_eigenvalues_keep_their_digits_where_two_of_them_meet(variance, transmittance, noise, detection):
    link = Link(variance, transmittance, noise, 0.6, 0.05, detection)
    assert symplectic_eigenvalues(link) == pytest.approx(eigenvalues_by_polynomials(link), rel=1e-13)


@settings(deadline=None)
@given(LINKS)
def test_eve_knows_something_between_nothing_and_what_a_state_holds(link):
    values = symplectic_eigenvalues(link)
    assert all(math.isfinite(value) and value >= 1 for value in values)
    assert 0 <= holevo_bound(link) <= entropy(values[0]) + entropy(values[1]) + 1e-12


@settings(deadline=None)
@given(LINKS, st.floats(0.01, 1.0))
def test_rate_stays_below_the_plob_bound(link, beta):
    assert asymptotic_rate(link, beta) <= plob_bound(link.transmittance) + 1e-12


@settings(deadline=None)
@given(LINKS, st.floats(1e-4, 1.0))
def test_excess_noise_costs_key(link, more):
    noisier = replace(link, excess_noise_snu=link.excess_noise_snu + more)
    assert asymptotic_rate(noisier, 0.95) < asymptotic_rate(link, 0.95) + 1e-12


@settings(deadline=None)
@given(LINKS)
def test_a_perfect_channel_tells_eve_nothing(link):
    assert holevo_bound(replace(link, transmittance=1.0, excess_noise_snu=0.0)) == pytest.approx(0, abs=1e-10)


@settings(deadline=None)
@given(LINKS, st.floats(1e5, 1e12))
def test_finite_rates_stay_below_the_asymptotic_one(link, symbols):
    try:
        finite, composable = finite_size_rate(link, 0.95, symbols), composable_rate(link, 0.95, symbols)
    except NoKeyError:
        return
    assert math.isfinite(finite)
    assert math.isfinite(composable)
    # Where there is no key, a share of it may be the smaller loss.
    assert max(finite, composable) < max(asymptotic_rate(link, 0.95), 0)


@pytest.mark.parametrize(
    "change",
    [
        {"transmittance": 0.0},
        {"transmittance": 1.2},
        {"transmittance": math.nan},
        {"modulation_variance_snu": 0.0},
        {"modulation_variance_snu": math.inf},
        {"excess_noise_snu": -1e-9},
        {"detector_efficiency": 1.01},
        {"detector_efficiency": 0.0},
        {"electronic_noise_snu": -0.1},
        {"electronic_noise_snu": math.nan},
        {"detection": "direct"},
    ],
)
def test_impossible_links_are_refused_in_one_line(change):
    with pytest.raises(InputError) as refusal:
        replace(CP1, **change)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "options",
    [
        {"symbols": 0.5},
        {"symbols": math.nan},
        {"estimation_fraction": 1.0},
        {"estimation_fraction": -0.1},
        {"epsilon": 0.0},
        {"epsilon": 1.0},
        {"frame_error_rate": 1.0},
        {"frame_error_rate": -0.1},
        {"beta": 1.1},
        {"beta": 0.0},
    ],
)
@pytest.mark.parametrize("rate", [finite_size_rate, composable_rate])
def test_impossible_proofs_are_refused(rate, options):
    with pytest.raises(InputError):
        rate(CP1, **({"beta": 0.95, "symbols": 1e9} | options))


@pytest.mark.parametrize("rate", [finite_size_rate, composable_rate])
def test_too_few_symbols_to_see_the_channel_mean_no_key(rate):
    with pytest.raises(NoKeyError, match="more symbols"):
        rate(CP4, 0.96, 100)


def test_individual_attacks_are_for_homodyne_detection():
    with pytest.raises(InputError, match="homodyne"):
        individual_information(CP1)


@pytest.mark.parametrize(("symbols", "rate"), [(1e8, 0.07904), (1e9, 0.08600)])
def test_no_symbol_need_be_disclosed_if_all_estimate_the_channel(symbols, rate):
    """Leverrier 2010 with the estimate after reconciliation: nearly twice the rate of a half that is given away."""
    assert finite_size_rate(CP1, 0.95, symbols, estimation_fraction=0.0) == pytest.approx(rate, abs=6e-6)
    assert rate > 1.9 * finite_size_rate(CP1, 0.95, symbols)


@settings(deadline=None)
@given(LINKS)
def test_the_bound_from_covariances_is_the_links(link):
    v = link.modulation_variance_snu + 1
    b = link.transmittance * (v + link.chi_line)
    c = math.sqrt(link.transmittance * (v * v - 1))
    found = holevo_of_covariance(v, b, c, link.chi_detector, link.detection)
    # Where eigenvalues meet the plain form loses digits.
    assert found == pytest.approx(holevo_bound(link), rel=1e-5, abs=1e-6 * (1 + link.modulation_variance_snu) ** 0.5)


@pytest.mark.parametrize("link", [CP1, CP2, CP4])
def test_dtu_form_adds_up_and_tends_to_the_asymptotic_rate(link):
    """Written out once more, in natural logarithms."""
    beta, n, p, eps = BETA[link], 1e10, 0.9, 1e-10
    at_worst = worst_case(link, 2 * n, gaussian_tail(eps))
    delta = 2 / 3 * p * eps
    aep = 4 * 13 * math.sqrt(math.log(2 / delta**2) / math.log(2))
    length = p * n * (beta * mutual_information(link) - holevo_bound(at_worst)) - math.sqrt(p * n) * aep
    length += math.log2(p - 2 / 3 * p * eps) + 2 * math.log2(math.sqrt(2) * eps)
    assert dtu_rate(link, beta, n) == pytest.approx(length / n, rel=1e-10)
    endless = dtu_rate(link, beta, 1e18, frame_error_rate=0.0)
    assert endless == pytest.approx(asymptotic_rate(link, beta), abs=1e-6)
    assert endless < asymptotic_rate(link, beta)
