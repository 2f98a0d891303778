"""Estimates of channels that are known, and how often the worst case fails."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from kronborg.errors import InputError, NoKeyError
from kronborg.postprocessing.calibration import ShotNoise
from kronborg.postprocessing.estimation import Moments, estimate
from kronborg.postprocessing.security import Link, chernoff_tail, holevo_bound, worst_case

LINK = Link(4, 10**-0.5, 0.01, 0.6, 0.05)
EXACT = ShotNoise(1.0, LINK.electronic_noise_snu, 0.0)


def exchange(rng, count, link=LINK):
    def pairs(variance):
        return math.sqrt(variance) * (rng.normal(size=count) + 1j * rng.normal(size=count))

    x = pairs(link.modulation_variance_snu)
    return x, math.sqrt(link.gain_squared) * x + pairs(link.noise_variance_snu)


def measure(x, y, shot_noise=EXACT, epsilon=1e-10, efficiency=LINK.detector_efficiency):
    return estimate(
        Moments.of(x, y),
        modulation_variance_snu=4.0,
        shot_noise=shot_noise,
        detector_efficiency=efficiency,
        epsilon=epsilon,
    )


def test_known_channel_is_found_within_its_uncertainty():
    found = measure(*exchange(np.random.default_rng(1), 1_000_000))
    # 1 % is four standard deviations, 2 sqrt(sigma**2 / (2 m k V_A)).
    assert found.transmittance == pytest.approx(LINK.transmittance, rel=1e-2)
    assert abs(found.excess_noise_snu - LINK.excess_noise_snu) < 4 * found.excess_noise_std_snu
    assert found.excess_noise_std_snu == pytest.approx(LINK.noise_variance_snu / 1e3 / LINK.gain_squared, rel=0.01)
    assert found.snr == pytest.approx(LINK.snr, rel=5e-3)
    assert found.symbols == 1_000_000


def test_bounds_are_the_rate_formulas_around_the_estimate():
    found = measure(*exchange(np.random.default_rng(2), 1_000_000))
    around = Link(4, found.transmittance, found.excess_noise_snu, 0.6, 0.05)
    expected = worst_case(around, 2e6, chernoff_tail(1e-10))
    assert found.transmittance_bounds[0] == pytest.approx(expected.transmittance, rel=1e-12)
    assert found.worst_case.noise_variance_snu == pytest.approx(expected.noise_variance_snu, rel=1e-12)
    assert math.sqrt(found.transmittance_bounds[1]) - math.sqrt(found.transmittance) == pytest.approx(
        math.sqrt(found.transmittance) - math.sqrt(found.transmittance_bounds[0])
    )


@pytest.mark.parametrize("transmittance", [0.05, 0.3, 0.63, 0.72, 0.8, 0.95])
def test_an_eavesdropper_knows_of_no_link_within_the_bounds_more_than_of_the_worst_case(transmittance):
    """Of a fixed code rate only the eavesdropper's information counts, and that may grow with the transmittance."""
    link = replace(LINK, transmittance=transmittance)
    found = measure(*exchange(np.random.default_rng(13), 200_000, link))
    noise_max, known = found.worst_case.noise_variance_snu, holevo_bound(found.worst_case)
    for at in np.linspace(*found.transmittance_bounds, 200):
        for noise in np.linspace(1.05, noise_max, 5):
            allowed = replace(link, transmittance=at, excess_noise_snu=(noise - 1.05) / (0.3 * at))
            assert holevo_bound(allowed) <= known * (1 + 1e-9)


def test_stated_deviation_is_that_of_repeated_estimates_with_repeated_calibrations():
    """Each trial has its own shot-noise unit, off by a relative standard deviation of 1 %."""
    rng, relative = np.random.default_rng(3), 0.01
    found = []
    for _ in range(600):
        x, y = exchange(rng, 5000)
        unit = 1 + relative * rng.normal()
        found.append(measure(x, y / math.sqrt(unit), ShotNoise(unit, LINK.electronic_noise_snu, relative)))
    noise = np.std([one.excess_noise_snu for one in found])
    assert noise == pytest.approx(np.mean([one.excess_noise_std_snu for one in found]), rel=0.1)


@pytest.mark.parametrize("relative", [0.0, 0.02])
def test_worst_case_fails_no_more_often_than_epsilon_and_not_never(relative):
    rng, trials, epsilon = np.random.default_rng(4), 1500, 0.2
    link = replace(LINK, excess_noise_snu=1.0)  # far enough from vacuum that no trial falls below it
    low = high = noisy = 0
    for _ in range(trials):
        x, y = exchange(rng, 2000, link)
        unit = 1 + relative * rng.normal()
        shot_noise = ShotNoise(unit, link.electronic_noise_snu, relative)
        at_worst = measure(x, y / math.sqrt(unit), shot_noise, epsilon)
        low += at_worst.transmittance_bounds[0] > link.transmittance
        high += at_worst.transmittance_bounds[1] < link.transmittance
        noisy += at_worst.worst_case.noise_variance_snu < link.noise_variance_snu
    # A Gaussian is beyond sqrt(2 ln 5) = 1.79 deviations, on one side, with probability 0.036.
    for failures in (low, high, noisy):
        assert 0.015 * trials < failures < 0.06 * trials


def test_uncertain_unit_widens_the_bounds():
    x, y = exchange(np.random.default_rng(5), 100_000)
    exact = measure(x, y)
    uncertain = measure(x, y, ShotNoise(1.0, LINK.electronic_noise_snu, 5e-3))
    assert uncertain.transmittance_bounds[0] < exact.transmittance_bounds[0]
    assert uncertain.worst_case.noise_variance_snu > exact.worst_case.noise_variance_snu + 0.005


def test_no_light_means_no_key():
    rng = np.random.default_rng(6)
    x, y = exchange(rng, 10_000)
    with pytest.raises(NoKeyError, match="no signal"):
        measure(x, rng.permutation(y))


def test_too_few_symbols_mean_no_key():
    with pytest.raises(NoKeyError, match="more symbols"):
        measure(*exchange(np.random.default_rng(7), 99))


def test_a_transmittance_beyond_one_is_no_perfect_channel():
    x, y = exchange(np.random.default_rng(8), 100_000)
    with pytest.raises(NoKeyError, match="above 1"):
        measure(x, y, efficiency=0.15)


def test_noise_below_vacuum_is_no_silent_channel():
    x, y = exchange(np.random.default_rng(9), 100_000)
    with pytest.raises(NoKeyError, match="below vacuum"):
        measure(x, 0.9 * y)


def test_arrays_that_do_not_match_are_refused():
    x, y = exchange(np.random.default_rng(10), 1000)
    with pytest.raises(InputError, match="do not match"):
        measure(x, y[:-1])


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(which, value):
    pair = exchange(np.random.default_rng(11), 1000)
    pair[which][3] = value
    with pytest.raises(InputError, match="finite"):
        measure(*pair)


def test_symbols_that_are_all_zero_are_refused():
    _, y = exchange(np.random.default_rng(12), 1000)
    with pytest.raises(InputError, match="zero"):
        measure(np.zeros_like(y), y)


@pytest.mark.parametrize("which", [0, 1])
def test_constant_symbols_are_refused(which):
    pair = list(exchange(np.random.default_rng(14), 1000))
    pair[which] = np.full(1000, 0.7 - 0.2j)
    with pytest.raises(InputError, match="constant"):
        measure(*pair)


def test_moments_of_parts_add_up_to_those_of_the_whole():
    x, y = exchange(np.random.default_rng(15), 10_000)
    parts = Moments.of(x[:1234], y[:1234]) + Moments.of(x[1234:], y[1234:])
    whole = Moments.of(x, y)
    assert parts.pairs == whole.pairs == 20_000
    assert (parts.xx, parts.xy, parts.yy) == pytest.approx((whole.xx, whole.xy, whole.yy), rel=1e-12)
    assert whole.xy == pytest.approx(float(np.vdot(x, y).real), rel=1e-12)
    scaled = whole.scaled(2.0, 3.0)
    assert (scaled.xx, scaled.xy, scaled.yy) == (4 * whole.xx, 6 * whole.xy, 9 * whole.yy)


def test_noise_of_bobs_own_is_taken_off():
    rng = np.random.default_rng(16)
    x, y = exchange(rng, 200_000)
    noisy = y + 0.3 * (rng.normal(size=len(y)) + 1j * rng.normal(size=len(y)))
    plain, cleaned = Moments.of(x, y), Moments.of(x, noisy).with_own_noise(0.09)
    assert cleaned.yy - cleaned.own == pytest.approx(plain.yy, rel=3e-3)
    estimates = [
        estimate(m, modulation_variance_snu=4.0, shot_noise=EXACT, detector_efficiency=0.6, epsilon=1e-10)
        for m in (plain, cleaned, cleaned + cleaned)
    ]
    noises = [found.noise_variance_snu for found in estimates]
    assert noises[1] == pytest.approx(noises[0], rel=5e-3)
    assert noises[2] == pytest.approx(noises[1])
    # Its fluctuations stay: the estimate is no better for what is known of it.
    spread = [found.excess_noise_std_snu * found.gain**2 for found in estimates]
    assert spread[1] / spread[0] == pytest.approx((noises[0] + 0.09) / noises[0], rel=5e-3)


def test_sums_that_no_symbols_have_are_refused():
    with pytest.raises(InputError, match="no symbols"):
        estimate(
            Moments(10_000, 1.0, 5.0, 1.0),
            modulation_variance_snu=4.0,
            shot_noise=EXACT,
            detector_efficiency=0.6,
            epsilon=1e-10,
        )
