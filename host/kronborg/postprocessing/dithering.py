"""Bob's quadratures are rounded words; before they meet secret bits they are made continuous again.

In eight-dimensional reconciliation Bob publishes r = u conj(y) for secret signs u. It says nothing of u only if y and
its rotated copies are equally likely, as they are for a Gaussian. Rounded quadratures lie on a lattice, and few of the
256 candidates u lead from r back to a point of it: without noise of his own Bob gives away 3.3 of every eight bits.

Gaussian noise of s rounding steps smooths the lattice: the density ripples by a = 2 exp(-2 pi**2 s**2) around a
Gaussian, which makes a relative entropy of a**2 / 4. The noise is the same in all directions, however the symbols were
turned.
Noise of Bob's own is a processing of his variable: an eavesdropper knows no more of the result than of the original.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

DITHER_STEPS = 1.0
"""Standard deviation of the noise in rounding steps."""

NARROWEST_STEPS = 10.0
"""The least standard deviation of quadratures, in rounding steps."""


def leak_per_quadrature(steps: float) -> float:
    """Bits that r tells of Bob's signs, per quadrature, at most: the relative entropy of his density to a Gaussian.

    For quadratures that spread over at least NARROWEST_STEPS the ripple is exp(2 pi**2 s**4 / spread**2) times larger
    than over infinitely many; the factor 2 on its square covers that and the higher harmonics.

    Args:
        steps: standard deviation of the noise in rounding steps, 0.5 to 1.

    Raises:
        ValueError: outside of these.
    """
    if not 0.5 <= steps <= 1:
        raise ValueError(f"noise of {steps:g} rounding steps is outside [0.5, 1]")
    return 2 * math.exp(-4 * (math.pi * steps) ** 2) / math.log(2)


def dither(
    quadratures: NDArray[np.float64], step: float, randomness: Callable[[int], bytes], steps: float = DITHER_STEPS
) -> NDArray[np.float64]:
    """Add Gaussian noise (Box & Muller 1958) of `steps` rounding steps to each quadrature.

    Args:
        quadratures: float64, shape (2 n,).
        step: what they were rounded to, in their unit.
        randomness: gives so many secret random bytes.
        steps: standard deviation of the noise in rounding steps.

    Returns:
        float64, shape (2 n,).

    Raises:
        InputError: the quadratures are so small that they are mostly rounding.
    """
    if np.mean(quadratures**2) < (NARROWEST_STEPS * step) ** 2:
        raise InputError(f"Bob's symbols spread over less than {NARROWEST_STEPS:g} words: raise the receiver's gain")
    uniform = np.frombuffer(randomness(4 * len(quadratures)), np.uint32)
    radius = steps * step * np.sqrt(-2 * np.log((uniform[0::2] + 0.5) / 2**32))
    angle = 2 * np.pi / 2**32 * uniform[1::2]
    noisy = quadratures.copy()
    noisy[0::2] += radius * np.cos(angle)
    noisy[1::2] += radius * np.sin(angle)
    return noisy
