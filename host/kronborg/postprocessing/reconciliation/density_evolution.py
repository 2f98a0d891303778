"""Density evolution: at which SNR does an infinitely long code of an ensemble decode?

Densities of log-likelihood ratios (LLR) are evolved on a grid, for flooding sum-product and the true virtual channel of
8-dimensional reconciliation: a binary-input Gaussian channel whose SNR is faded by chi2_8 / 8. At variables densities
are convolved in LLR; at checks in -ln tanh(|LLR| / 2), together with the sign (Richardson & Urbanke, Modern Coding
Theory, section 4.1). Mass between two grid points is split between them, which keeps the mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .ensembles import Ensemble, mixture

Density = NDArray[np.float64]

DIMENSION = 8
LLR_STEP = 1 / 64
LLR_POINTS = 8192
LLR = (np.arange(LLR_POINTS) - LLR_POINTS // 2) * LLR_STEP
"""Grid of log-likelihood ratios, -64 to 64. Sums must stay inside, since the convolutions are circular."""

WIDE_STEP = 1 / 16
"""Of a grid from -256 to 256, for columns of many edges."""

MAGNITUDE_STEP = 1 / 256
MAGNITUDE_POINTS = 8 * 256
"""Grid of -ln tanh(|LLR| / 2), 0 to 8: weaker messages than tanh(LLR / 2) = 3e-4 count as weak as that."""


def channel_density(snr: float) -> Density:
    """LLR of a code bit, given that the bit is 0, on the grid.

    With fade g = chi2_8 / 8 the LLR is Gaussian with mean 2 snr g and twice that as its variance.
    """
    fade = np.linspace(0, 6, 1201)[1:]
    weight = fade ** (DIMENSION / 2 - 1) * np.exp(-fade * DIMENSION / 2)
    mean = 2 * snr * fade[:, None]
    density = (weight[:, None] / np.sqrt(mean) * np.exp(-((LLR - mean) ** 2) / (4 * mean))).sum(0)
    return np.asarray(density / density.sum())


class Grid:
    """A grid of log-likelihood ratios, and the way to -ln tanh(|LLR| / 2) and back, as mass split over two points.

    Args:
        step: of the grid, which has LLR_POINTS.
    """

    def __init__(self, step: float) -> None:
        self.llr = (np.arange(LLR_POINTS) - LLR_POINTS // 2) * step
        self._step = step
        with np.errstate(divide="ignore"):
            self.forward = _split(-np.log(np.tanh(np.abs(self.llr) / 2)) / MAGNITUDE_STEP, MAGNITUDE_POINTS)
        magnitude = np.arange(MAGNITUDE_POINTS) * MAGNITUDE_STEP
        magnitude[0] = MAGNITUDE_STEP / 4  # certainty is not on the grid: stronger than its neighbour, but finite
        strength = -np.log(np.tanh(magnitude / 2)) / step  # the function is its own inverse
        self.positive = _split(LLR_POINTS // 2 + strength, LLR_POINTS)
        self.negative = _split(LLR_POINTS // 2 - strength, LLR_POINTS)

    def density(self, llr: Density, weight: Density) -> Density:
        """Of log-likelihood ratios that have these weights."""
        mass = _deposit(weight, _split(llr / self._step + LLR_POINTS // 2, LLR_POINTS), LLR_POINTS)
        return np.asarray(mass / mass.sum())

    def transform(self, density: Density, size: int) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Spectra of the magnitude, plain and weighed with the sign."""
        sign = np.sign(self.llr)
        return (
            np.fft.rfft(_deposit(density, self.forward, MAGNITUDE_POINTS), size),
            np.fft.rfft(_deposit(density * sign, self.forward, MAGNITUDE_POINTS), size),
        )

    def inverse(self, plain: NDArray[np.complex128], signed: NDArray[np.complex128], size: int) -> Density:
        """LLR density with these spectra."""
        masses = []
        for spectrum in (plain, signed):
            mass = np.fft.irfft(spectrum, size)
            mass[MAGNITUDE_POINTS - 1] += mass[MAGNITUDE_POINTS:].sum()
            masses.append(mass[:MAGNITUDE_POINTS])
        total, difference = masses
        positive = np.maximum(total + difference, 0) / 2
        negative = np.maximum(total - difference, 0) / 2
        return _deposit(positive, self.positive, LLR_POINTS) + _deposit(negative, self.negative, LLR_POINTS)


def _split(position: Density, points: int) -> tuple[NDArray[np.int64], Density]:
    position = np.clip(position, 0, points - 1)
    low = np.minimum(position.astype(np.int64), points - 2)
    return low, position - low


def _deposit(mass: Density, split: tuple[NDArray[np.int64], Density], points: int) -> Density:
    low, share = split
    return np.asarray(
        np.bincount(low, mass * (1 - share), minlength=points) + np.bincount(low + 1, mass * share, minlength=points)
    )


FINE = Grid(LLR_STEP)


def check_messages(
    message: Density, others: list[tuple[float, int]], factor: Density | None, grid: Grid = FINE
) -> Density:
    """What checks send along an edge. `others`: share and number of further messages; `factor`: the leaf's, if any."""
    most = max(number for _, number in others) + (factor is not None)
    size = 1 << (MAGNITUDE_POINTS * most - 1).bit_length()
    plain, signed = grid.transform(message, size)
    plain_sum, signed_sum = (
        np.sum([share * spectrum**n for share, n in others], axis=0) for spectrum in (plain, signed)
    )
    if factor is not None:
        leaf_plain, leaf_signed = grid.transform(factor, size)
        plain_sum, signed_sum = plain_sum * leaf_plain, signed_sum * leaf_signed
    return grid.inverse(plain_sum, signed_sum, size)


def _spectrum(density: Density) -> NDArray[np.complex128]:
    return np.fft.rfft(np.fft.ifftshift(density))


def _density(spectrum: NDArray[np.complex128]) -> Density:
    density = np.maximum(np.fft.fftshift(np.fft.irfft(spectrum, LLR_POINTS)), 0)
    return np.asarray(density / density.sum())


CONVERGED = 1e-4
"""Core bit error rate from which on stability decides: the grid, which ends at tanh(LLR / 2) = 1, cannot."""


def residual_error(ensemble: Ensemble, leaves: int, snr: float, iterations: int = 600) -> float:
    """Bit error rate of core variables after so many iterations, or the first one below `CONVERGED`."""
    return residual_error_behind(channel_density(snr), ensemble, leaves, iterations)


def residual_error_behind(
    channel: Density, ensemble: Ensemble, leaves: int, iterations: int = 600, grid: Grid = FINE
) -> float:
    """The same behind any symmetric channel, given as the density of a bit's LLR on a grid; without leaves, too."""
    channel_spectrum = _spectrum(channel)
    core_others = [(share, degree - 1) for share, degree in mixture(ensemble.core_check_degrees())]
    leaf_others = [(share, degree - 1) for share, degree in mixture(ensemble.leaf_check_degrees(leaves))]
    classes = ensemble.classes(leaves)
    core_edges = sum(share * core_degree for share, core_degree, _ in classes)
    leaf_edges = sum(share * leaf_degree for share, _, leaf_degree in classes)
    to_core = to_leaf = channel
    error = 0.5
    for _ in range(iterations):
        from_core = _spectrum(check_messages(to_core, core_others, None, grid))
        from_leaf = np.ones_like(channel_spectrum)
        if leaves:
            from_leaf = _spectrum(check_messages(to_leaf, leaf_others, channel, grid))
        core_spectrum = leaf_spectrum = np.zeros_like(channel_spectrum)
        previous, error = error, 0.0
        for share, core_degree, leaf_degree in classes:
            base = channel_spectrum * from_core ** (core_degree - 1) * from_leaf ** max(leaf_degree - 1, 0)
            core_spectrum = core_spectrum + share * core_degree / core_edges * base * from_leaf
            if leaves:
                leaf_spectrum = leaf_spectrum + share * leaf_degree / leaf_edges * base * from_core
            posterior = _density(base * from_leaf * from_core)
            wrong = posterior[grid.llr < 0].sum() + posterior[LLR_POINTS // 2] / 2
            error += share * float(wrong)
        to_core, to_leaf = _density(core_spectrum), _density(leaf_spectrum) if leaves else channel
        if error < CONVERGED or abs(error / previous - 1) < 1e-5:
            break
    return error


def threshold_snr(ensemble: Ensemble, leaves: int, low: float, high: float, accuracy: float = 1e-3) -> float:
    """SNR per quadrature, between `low` and `high`, above which the residual error vanishes; relative accuracy."""
    while high / low > 1 + accuracy:
        middle = (low * high) ** 0.5
        if residual_error(ensemble, leaves, middle) < CONVERGED:
            high = middle
        else:
            low = middle
    return high


def stability_margin(ensemble: Ensemble, leaves: int, snr: float) -> float:
    """Below 1, few remaining errors grow again instead of dying out: an error floor.

    Near the end all leaf checks deliver their leaf's LLR, so a core variable sees 1 + leaf degree looks at the channel,
    each with Bhattacharyya parameter (1 + snr / 8)^-4. Errors survive along edges of core degree two:
    1 / (sum of their share times B^(1 + leaf degree) times rho'(1)).
    """
    return stability_margin_behind((1 + snr / DIMENSION) ** (-DIMENSION / 2), ensemble, leaves)


def stability_margin_behind(bhattacharyya: float, ensemble: Ensemble, leaves: int) -> float:
    """The same behind any symmetric channel with this Bhattacharyya parameter."""
    classes = ensemble.classes(leaves)
    edges = sum(share * core_degree for share, core_degree, _ in classes)
    growth = sum(
        2 * share / edges * bhattacharyya ** (1 + leaf_degree)
        for share, core_degree, leaf_degree in classes
        if core_degree == 2
    ) * sum(share * (degree - 1) for share, degree in mixture(ensemble.core_check_degrees()))
    return 1 / growth if growth else float("inf")


def efficiency(rate: float, snr: float) -> float:
    """beta = rate / (log2(1 + snr) / 2), both per quadrature."""
    return rate / (0.5 * float(np.log2(1 + snr)))


def snr_at(rate: float, beta: float) -> float:
    """SNR per quadrature at which a rate has an efficiency: the inverse of `efficiency`."""
    return float(2 ** (2 * rate / beta) - 1)
