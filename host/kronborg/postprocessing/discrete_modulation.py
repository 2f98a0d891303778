"""Asymptotic key rates of discrete alphabets, by the bound of Denys, Brown & Leverrier (Quantum 5, 540, 2021).

Collective attacks, reverse reconciliation. An alphabet of coherent states alpha_k with probabilities p_k looks to the
channel like the mixture tau = sum p_k |alpha_k><alpha_k|, which is not thermal. With the annihilation operator a,

    Z = Tr(tau^(1/2) a tau^(1/2) a+),
    w = sum p_k (<alpha_k| b+ b |alpha_k> - |<alpha_k| b |alpha_k>|^2),     b = tau^(1/2) a tau^(-1/2),

the covariance between the purification that Alice might have held and what leaves a channel of transmittance T and
excess noise xi is at least

    c = 2 sqrt(T) Z - sqrt(2 T xi w),

and the Holevo bound is that of the Gaussian state with this covariance (for Gaussian modulation Z = sqrt(n^2 + n) at n
photons, w = 0, and c is the usual sqrt(T (V^2 - 1))). The paper treats ideal detectors; behind one with trusted loss
and noise the same Gaussian state is measured, as in :mod:`.security`. No finite-size proof is worked out here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.modulation.alphabet.model import shaped_qam

from ..errors import InputError
from .security import Link, check_efficiency, holevo_of_covariance, mutual_information

ORDERS = {"qpsk": 4, "qam-16": 16, "qam-64": 64, "qam-256": 256}
"""The gateware's alphabets, by name: points of a square grid."""

DEFAULT_SHAPES = {"qpsk": 0.0, "qam-16": 0.2, "qam-64": 0.16, "qam-256": 0.07}
"""Probabilities exp(-shape x**2 / 2) at odd numbers x: near the best at V_A = 4 and xi = 0.01."""

MOST_PHOTONS = 200.0
"""Of the outermost state: matrices have some rows for each photon."""

_GATEWARE_DEVIATION = 4096.0
"""Words. The levels are rounded to words, which is far finer than anything seen here."""


@dataclass(frozen=True, eq=False)
class Alphabet:
    """Coherent states and how often each is sent.

    Attributes:
        amplitudes: alpha_k, complex128, shape (k,); their quadratures in sqrt(SNU) are twice real and imaginary part.
        probabilities: float64, the same shape, positive, sum 1.
    """

    amplitudes: NDArray[np.complex128]
    probabilities: NDArray[np.float64]

    @property
    def modulation_variance_snu(self) -> float:
        """V_A: twice the mean photon number."""
        return float(2 * self.probabilities @ np.abs(self.amplitudes) ** 2)


@dataclass(frozen=True)
class Overlap:
    """What the bound needs to know of an alphabet.

    Attributes:
        correlation: Z.
        defect: w, 0 for a Gaussian.
    """

    correlation: float
    defect: float


def gateware_alphabet(name: str, modulation_variance_snu: float, shape: float | None = None) -> Alphabet:
    """One of the gateware's alphabets at this modulation, with the levels and probabilities of its table.

    Args:
        name: one of ``ORDERS``.
        modulation_variance_snu: V_A, per quadrature.
        shape: probabilities exp(-shape x**2 / 2) at odd numbers x; 0 for equal ones, None for the default.

    Raises:
        InputError: no such alphabet, a shape that the gateware cannot hold, or too strong a modulation.
    """
    if name not in ORDERS:
        raise InputError(f"no alphabet is called {name!r}: choose from {', '.join(ORDERS)}")
    if not 0 < modulation_variance_snu < math.inf:
        raise InputError(f"a modulation variance of {modulation_variance_snu:g} SNU is not positive")
    try:
        source = shaped_qam(ORDERS[name], _GATEWARE_DEVIATION, DEFAULT_SHAPES[name] if shape is None else shape)
    except ValueError as error:
        raise InputError(f"{name} cannot be shaped so: {error}") from None
    levels, probabilities = source.distribution()
    variance = float(probabilities @ levels.astype(np.float64) ** 2)
    rail = levels * math.sqrt(modulation_variance_snu / variance) / 2
    amplitudes = (rail[:, None] + 1j * rail[None, :]).reshape(-1)
    if np.abs(amplitudes).max() ** 2 > MOST_PHOTONS:
        raise InputError(f"{name} at {modulation_variance_snu:g} SNU has states of more than {MOST_PHOTONS:g} photons")
    return Alphabet(amplitudes, np.outer(probabilities, probabilities).reshape(-1))


@lru_cache(maxsize=32)
def overlap(alphabet: Alphabet) -> Overlap:
    """Z and w, in the Fock basis.

    With Psi = (sqrt(p_k) |alpha_k>) = U S V+, tau^(1/2) = U S U+ and tau^(-1/2) Psi = U V+: nothing is divided by the
    smallest eigenvalues of tau, which are below any precision.
    """
    brightest = float(np.abs(alphabet.amplitudes).max() ** 2)
    size = math.ceil(brightest + 12 * math.sqrt(brightest) + 24)
    photons = np.arange(size)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(photons[1:]))])
    log_modulus = np.log(np.maximum(np.abs(alphabet.amplitudes), 1e-300))
    log_states = photons[:, None] * log_modulus - (np.abs(alphabet.amplitudes) ** 2 + log_factorial[:, None]) / 2
    states = np.exp(log_states) * np.exp(1j * photons[:, None] * np.angle(alphabet.amplitudes))
    lower = np.diag(np.sqrt(photons[1:].astype(np.float64)), 1)
    left, singular, right = np.linalg.svd(states * np.sqrt(alphabet.probabilities), full_matrices=False)
    root = (left * singular) @ left.conj().T
    correlation = float(np.trace(root @ lower @ root @ lower.T).real)
    moved = root @ lower @ (left @ right)  # sqrt(p_k) b |alpha_k>
    along = np.einsum("nk,nk->k", states.conj(), moved)
    defect = float(np.sum(np.abs(moved) ** 2) - np.sum(np.abs(along) ** 2))
    return Overlap(correlation, max(defect, 0.0))


def covariance_bound(link: Link, alphabet: Alphabet) -> float:
    """c: the least covariance between Alice's purification and the channel's output, SNU."""
    found, t = overlap(alphabet), link.transmittance
    return max(
        2 * math.sqrt(t) * found.correlation - math.sqrt(2 * t * link.excess_noise_snu * found.defect),
        0.0,
    )


def discrete_holevo_bound(link: Link, alphabet: Alphabet) -> float:
    """chi_BE at most, bits per symbol, for a link whose modulation variance is that of the alphabet."""
    if not math.isclose(alphabet.modulation_variance_snu, link.modulation_variance_snu, rel_tol=1e-9):
        raise InputError("the alphabet has another modulation variance than the link")
    variance = link.modulation_variance_snu + 1
    output = link.transmittance * (variance + link.chi_line)
    return holevo_of_covariance(variance, output, covariance_bound(link, alphabet), link.chi_detector, link.detection)


def discrete_asymptotic_rate(link: Link, alphabet: Alphabet, beta: float) -> float:
    """K = beta log2(1 + SNR) - chi_BE, bits per symbol; negative means no key.

    As for a Gaussian, beta is the code's rate over the capacity of the channel, which an alphabet does not quite reach:
    its loss is part of beta.
    """
    return check_efficiency(beta) * mutual_information(link) - discrete_holevo_bound(link, alphabet)
