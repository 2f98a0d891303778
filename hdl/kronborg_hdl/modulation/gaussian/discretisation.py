"""How far what a grid of words can emit is from the thermal state of true Gaussian modulation.

Alice's average state is a mixture of coherent states on a square grid. In shot-noise units (vacuum variance 1,
[q, p] = 2i) a coherent state with means x and y has the wave function exp(-(q - x)**2 / 4 + i q y / 2). If x and y are
independent, with the same symmetric distribution, the mixture in the position representation is a product of functions
of the centre c = (q + q') / 2 and of the distance d = q - q'::

    rho(q, q') = f(c) exp(-d**2 / 8) g(d / 2),   f(c) = sum_x p_x N(c; x, 1),   g(s) = sum_y p_y cos(y s)

N(c; x, 1) being the normal density. For Gaussian modulation of variance V both sums are known: f is the normal density
of variance 1 + V, and g(s) = exp(-V s**2 / 2). The trace distance is half the sum of the absolute eigenvalues of the
difference, taken on an equidistant grid of q: for such functions the error falls faster than any power of its step.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE
from .tables import DEVIATION_FRACTION

# Positions and momenta that are looked at beyond the outermost coherent state, in vacuum standard deviations.
_MARGIN = 9.0


def trace_distance(levels: NDArray[np.float64], probabilities: NDArray[np.float64], variance_snu: float) -> float:
    """Trace distance, 0 to 1, between a discrete modulation and Gaussian modulation of the same nominal variance.

    Both quadratures are drawn from the one distribution, independently. Rounding errors are below 1e-12.

    Args:
        levels: values of a quadrature in sqrt(SNU), float64, shape (n,).
        probabilities: of the levels, the same shape, symmetric about zero.
        variance_snu: V_A of the Gaussian modulation, per quadrature.

    Raises:
        ValueError: the probabilities do not sum to one, or levels and probabilities are not symmetric.
    """
    if abs(float(np.sum(probabilities)) - 1) > 1e-9:
        raise ValueError(f"probabilities sum to {np.sum(probabilities):.9g}, not to 1")
    if abs(float(np.sum(probabilities * np.sin(levels)))) > 1e-9:
        raise ValueError("levels and probabilities must be symmetric about zero")
    used = probabilities > 1e-18
    levels, probabilities = levels[used], probabilities[used]
    reach = max(float(np.max(np.abs(levels))), 7 * math.sqrt(variance_snu)) + _MARGIN
    # Wave numbers go up to reach / 2, and the functions are products of two: a step of pi / reach tells them apart.
    half = math.ceil(1.25 * reach**2 / math.pi)
    step = reach / half
    index = np.arange(-half, half + 1)
    # Both functions are even.
    centres, distances = np.arange(2 * half + 1) * (step / 2), np.arange(2 * half + 1) * step
    density, coherence = np.zeros(len(centres)), np.zeros(len(distances))
    for begin in range(0, len(levels), 1024):
        x, p = levels[begin : begin + 1024], probabilities[begin : begin + 1024]
        density += np.exp(-((centres[:, None] - x) ** 2) / 2) @ p / math.sqrt(2 * math.pi)
        coherence += np.cos(distances[:, None] / 2 * x) @ p
    total = 1 + variance_snu
    gaussian_density = np.exp(-(centres**2) / (2 * total)) / math.sqrt(2 * math.pi * total)
    gaussian_coherence = np.exp(-variance_snu * distances**2 / 8)
    vacuum = np.exp(-(distances**2) / 8)

    centre, distance = np.abs(index[:, None] + index), np.abs(index[:, None] - index)
    difference = density[centre] * (vacuum * coherence)[distance]
    difference -= gaussian_density[centre] * (vacuum * gaussian_coherence)[distance]
    return float(np.sum(np.abs(np.linalg.eigvalsh(difference)))) * step / 2


def _rescaled(
    levels: NDArray[np.float64], probabilities: NDArray[np.float64], variance_snu: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels times what gives them the nominal variance: V_A is measured on what was emitted."""
    return levels * math.sqrt(variance_snu / float(np.sum(probabilities * levels**2))), probabilities


def _beyond(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that a normal variable lies above each edge."""
    return np.array([0.5 * math.erfc(edge) for edge in (edges / math.sqrt(2)).tolist()])


def clipped_grid(bits: int, clip: float, variance_snu: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A Gaussian in 2**bits equal cells from -clip to clip standard deviations; the tails fall into the outermost.

    Returns:
        Middles of the cells in sqrt(SNU), scaled to the nominal variance, and their probabilities; float64, shape
        (2**bits,).
    """
    count = 1 << bits
    edges = np.linspace(-clip, clip, count + 1)
    beyond = _beyond(edges)
    beyond[0], beyond[-1] = 1.0, 0.0
    middles = np.asarray((edges[:-1] + edges[1:]) / 2, np.float64)
    return _rescaled(middles, -np.diff(beyond), variance_snu)


def source_words(deviation: int, variance_snu: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the source emits: a Gaussian rounded to 16-bit words and clipped to full scale.

    Args:
        deviation: the scale register, 1/8 words.
        variance_snu: V_A that the words stand for.

    Returns:
        Levels in sqrt(SNU), scaled to the nominal variance, and their probabilities; float64, shape (65535,). The
        lowest word, which has no counterpart of the other sign, is counted with its neighbour.
    """
    sigma_words = deviation / 2**DEVIATION_FRACTION
    # One sign: both tails are then equally exact.
    beyond = _beyond((np.arange(SAMPLE.maximum + 1) + 0.5) / sigma_words)
    beyond[-1] = 0.0
    one_sided = -np.diff(beyond)
    probabilities = np.concatenate([one_sided[::-1], [1 - 2 * beyond[0]], one_sided])
    return _rescaled(np.arange(-SAMPLE.maximum, SAMPLE.maximum + 1, dtype=np.float64), probabilities, variance_snu)
