"""What Bob's public message says about his secret bits, with and without noise of his own."""

import math

import numpy as np
import pytest

from kronborg.errors import InputError
from kronborg.postprocessing.dithering import DITHER_STEPS, dither, leak_per_quadrature
from kronborg.postprocessing.reconciliation import bob_message
from kronborg.postprocessing.reconciliation.multidimensional import conjugate, multiply

STEP = 1 / 400
ALL_SIGNS = (1.0 - 2.0 * ((np.arange(256)[:, None] >> np.arange(7, -1, -1)) & 1)) / np.sqrt(8)


def eavesdrop(message: np.ndarray) -> np.ndarray:
    """Likelihood of each of the 256 sign patterns, from nothing but r and Bob's lattice: (n, 256)."""
    likelihood = np.empty((len(message), 256))
    for row, r in enumerate(message.astype(np.float64)):
        steps = conjugate(multiply(conjugate(ALL_SIGNS), np.repeat(r[None], 256, axis=0))) / STEP
        # How a lattice behind float32 and a little noise looks: sharp around whole steps.
        likelihood[row] = np.exp(-((steps - np.rint(steps)) ** 2) / (2 * 0.05**2)).sum(axis=1)
    return likelihood


def guesses(rng: np.random.Generator, noise_steps: float, count: int = 600) -> float:
    """Mean rank, 0 to 1, of Bob's true pattern among all 256 in the order of likelihood; 0.5 is blind guessing."""
    y = np.rint(rng.normal(0, 1.2, 8 * count) / STEP) * STEP
    if noise_steps:
        y = dither(y, STEP, rng.bytes, noise_steps)
    bits = rng.integers(0, 2, 8 * count, np.uint8)
    likelihood = eavesdrop(bob_message(y, bits))
    true = likelihood[np.arange(count), np.packbits(bits.reshape(-1, 8), axis=1)[:, 0]]
    above = (likelihood > true[:, None] + 1e-3).mean(axis=1)
    equal = (np.abs(likelihood - true[:, None]) <= 1e-3).mean(axis=1)
    return float(np.mean(above + equal / 2))


def test_rounded_quadratures_give_signs_away() -> None:
    """Only the patterns that lead back to the lattice remain: about one in ten."""
    assert guesses(np.random.default_rng(1), 0.0) < 0.15


def test_dithered_quadratures_give_nothing_away() -> None:
    # A mean of 600 uniform ranks has a standard deviation of 0.0118.
    assert abs(guesses(np.random.default_rng(2), DITHER_STEPS) - 0.5) < 0.04


@pytest.mark.parametrize("spread", [10.0, 14.0])
@pytest.mark.parametrize("steps", [0.5, 0.6, 0.7])
def test_leak_bounds_the_relative_entropy_of_the_rippled_density(steps: float, spread: float) -> None:
    """A rounded Gaussian plus noise against the Gaussian of the same variance, by summation."""
    points = np.arange(-8 * spread, 8 * spread, 1 / 64)
    lattice = np.arange(-math.ceil(9 * spread), math.ceil(9 * spread) + 1)
    edges = np.array([math.erf((k - 0.5) / (spread * math.sqrt(2))) for k in [*lattice, lattice[-1] + 1]])
    noise = np.exp(-((points[:, None] - lattice) ** 2) / (2 * steps**2)) / (steps * math.sqrt(2 * math.pi))
    rippled = noise @ np.diff(edges) / 2
    variance = spread**2 + 1 / 12 + steps**2
    smooth = np.exp(-(points**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    found = np.sum(rippled * np.log2(rippled / smooth)) / 64
    assert found < leak_per_quadrature(steps) < 2.1 * found


def test_noise_has_the_stated_variance_and_is_gaussian() -> None:
    rng = np.random.default_rng(3)
    still = np.full(1_000_000, 0.2)
    noise = (dither(still, 0.01, rng.bytes) - still) / (0.01 * DITHER_STEPS)
    assert np.var(noise) == pytest.approx(1, abs=6e-3)
    assert np.mean(noise**4) == pytest.approx(3, abs=0.05)
    assert abs(np.mean(noise[0::2] * noise[1::2])) < 6e-3


@pytest.mark.parametrize("steps", [0.4, 1.1, math.nan])
def test_noise_outside_the_bounds_validity_is_refused(steps: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        leak_per_quadrature(steps)


def test_symbols_that_are_mostly_rounding_are_refused() -> None:
    rng = np.random.default_rng(4)
    with pytest.raises(InputError, match="gain"):
        dither(rng.normal(0, 9.0, 1000), 1.0, rng.bytes)
