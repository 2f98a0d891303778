"""Bit-exact numpy model of the source of discrete alphabets; the core beside it gives the same symbols for every input.

I and Q are drawn alike and independently, from up to 16 levels with any probabilities: QPSK, square QAM up to 256
points, and such QAM with shaped probabilities. A table of 16 rows does it without arithmetic (Walker, ACM Trans. Math.
Software 3, 253 (1977)): four of a rail's 32 bits choose a row, and the other 28, as a number, are compared with the
row's share. Below it the rail has the row's own level, else its other level::

    word = own[row] if draw < share[row] else other[row]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE

WORD_BITS = 64
ROW_BITS = 4
ROWS = 1 << ROW_BITS
SHARE_BITS = WORD_BITS // 2 - ROW_BITS
FULL_SHARE = 1 << SHARE_BITS
ORDERS = (4, 16, 64, 256)
"""Points of the constellations that :func:`square_qam` and :func:`shaped_qam` make; 4 is QPSK."""


@dataclass(frozen=True)
class AlphabetSource:
    """The source with its table. ``process`` is pure: symbols are independent of each other.

    Attributes:
        share: int64, shape (16,), in 2**-28, 0 to 2**28 - 1.
        own, other: the levels of each row, int16, shape (16,).

    Raises:
        ValueError: an array of another type, shape or range.
    """

    share: NDArray[np.int64]
    own: NDArray[np.int16]
    other: NDArray[np.int16]

    def __post_init__(self) -> None:
        for levels in (self.own, self.other):
            if levels.dtype != np.int16 or levels.shape != (ROWS,):
                raise ValueError(f"levels must be {ROWS} of int16, not {levels.dtype} of shape {levels.shape}")
        if self.share.shape != (ROWS,) or np.any((self.share < 0) | (self.share >= FULL_SHARE)):
            raise ValueError(f"shares must be {ROWS} numbers from 0 to 2**{SHARE_BITS} - 1")

    def distribution(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The levels, in order, and their exact probabilities, which are multiples of 2**-32."""
        levels, inverse = np.unique(np.concatenate([self.own, self.other]).astype(np.int64), return_inverse=True)
        weights = np.concatenate([self.share, FULL_SHARE - self.share]) / (FULL_SHARE * ROWS)
        probabilities = np.asarray(np.bincount(inverse, weights), np.float64)
        return levels[probabilities > 0], probabilities[probabilities > 0]

    def process(self, bits: NDArray[np.uint64]) -> NDArray[np.int16]:
        """One complex symbol for each word of uniform bits: int16, shape (n, 2), I from the lower half of a word.

        Args:
            bits: uint64, shape (n,).

        Raises:
            ValueError: bits of another type or shape.
        """
        if bits.dtype != np.uint64 or bits.ndim != 1:
            raise ValueError(f"bits must be a vector of uint64, not {bits.dtype} of shape {bits.shape}")
        rails = bits[:, None] >> np.array([0, WORD_BITS // 2], np.uint64)
        draw = (rails & np.uint64(FULL_SHARE - 1)).astype(np.int64)
        row = (rails >> np.uint64(SHARE_BITS) & np.uint64(ROWS - 1)).astype(np.intp)
        return np.where(draw < self.share[row], self.own[row], self.other[row])


def alphabet(levels: NDArray[np.int16], probabilities: NDArray[np.float64]) -> AlphabetSource:
    """The table for a distribution of a rail, exact to 2**-31.

    Args:
        levels: int16, shape (n,), n from 1 to 16.
        probabilities: float64, the same shape, not negative, sum 1.

    Raises:
        ValueError: too many levels, or no distribution.
    """
    if levels.dtype != np.int16 or levels.ndim != 1 or not 1 <= len(levels) <= ROWS:
        raise ValueError(f"levels must be 1 to {ROWS} of int16, not {levels.dtype} of shape {levels.shape}")
    # Turned round, so that what is no number is refused.
    if probabilities.shape != levels.shape or not (
        np.all(probabilities >= 0) and abs(float(probabilities.sum()) - 1) <= 1e-9
    ):
        raise ValueError("probabilities must be one a level, not negative, and sum to 1")
    # Integers from here on. Every row holds FULL_SHARE units; what rounding leaves over goes to the likeliest level.
    units = np.round(probabilities * (FULL_SHARE * ROWS)).astype(np.int64)
    units[np.argmax(units)] += FULL_SHARE * ROWS - int(units.sum())
    left = [*units.tolist(), *[0] * (ROWS - len(levels))]
    share, own, other = np.zeros(ROWS, np.int64), np.zeros(ROWS, np.int16), np.zeros(ROWS, np.int16)
    for row in range(ROWS):
        # The level with least left has less than a row; the one with most fills it up (Vose 1991).
        open_levels = [n for n in range(ROWS) if left[n] >= 0]
        least = min(open_levels, key=lambda n: left[n])
        most = max(open_levels, key=lambda n: left[n])
        share[row], own[row], other[row] = left[least] % FULL_SHARE, levels[least % len(levels)], levels[most]
        left[most] -= FULL_SHARE - left[least]
        left[least] = -1
    return AlphabetSource(share, own, other)


def square_qam(order: int, deviation: float) -> AlphabetSource:
    """Equally likely points on a square grid; order 4 is QPSK. See :func:`shaped_qam`."""
    return shaped_qam(order, deviation, 0.0)


def shaped_qam(order: int, deviation: float, shape: float) -> AlphabetSource:
    """Points on a square grid with probabilities exp(-shape x**2 / 2), x being odd numbers (Maxwell-Boltzmann).

    Args:
        order: points, one of ``ORDERS``.
        deviation: standard deviation of I and of Q in words; levels are rounded to words.
        shape: 0 for equal probabilities; 1 / s**2 for a Gaussian of s half-spacings.

    Raises:
        ValueError: no such order, a negative shape, or levels that do not fit a word or fall together in one.
    """
    if order not in ORDERS:
        raise ValueError(f"{order} points: must be one of {', '.join(map(str, ORDERS))}")
    if not (0 <= shape < math.inf and deviation > 0):
        raise ValueError("the shape must not be negative or infinite and the deviation must be positive")
    side = math.isqrt(order)
    x = np.arange(1 - side, side, 2).astype(np.float64)
    probabilities = np.exp(-shape * (x**2 - 1) / 2)
    probabilities /= probabilities.sum()
    levels = np.round(x * (deviation / math.sqrt(float(probabilities @ x**2))))
    if levels[-1] > SAMPLE.maximum:
        raise ValueError(
            f"the outermost level is {levels[-1]:.0f} words, above {SAMPLE.maximum}: lower the deviation or the shape"
        )
    if np.any(np.diff(levels) < 1):
        raise ValueError(f"a deviation of {deviation:g} words is too small for {side} levels: raise it")
    return alphabet(levels.astype(np.int16), probabilities)
