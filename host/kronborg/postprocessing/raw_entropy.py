"""Entropy of Bob's integers, counted, and how much of it may be chance.

In a collective attack symbols are alike and independent, whatever else an eavesdropper does to them. The entropy of
the counted shares lies below the true one on average (Jensen's inequality), and exceeds its average by little: to
replace one of n symbols takes one count down and another up, which changes the entropy by no more than

    c = (log2 n + log2 e) / n,

for k log2 k - (k - 1) log2 (k - 1) lies between 0 and log2 n + log2 e for 1 <= k <= n. So (McDiarmid 1989) it exceeds
the true one by t with probability exp(-2 t**2 / (n c**2)) at most. Neither Gaussian quadratures nor independent ones
are assumed: both integers of a symbol are counted together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PairEntropy:
    """Entropy of the pairs that were counted.

    Attributes:
        symbols: how many pairs.
        bits: entropy of their shares, a symbol.
    """

    symbols: int
    bits: float

    def deviation(self, epsilon: float) -> float:
        """Bits a symbol that the true entropy may lie below, but for this probability."""
        n = self.symbols
        return (math.log2(n) + math.log2(math.e)) * math.sqrt(-math.log(epsilon) / (2 * n)) if n else math.inf


class PairCounts:
    """How often each pair of integers occurred. Counts add up, in any order.

    Args:
        values: of each integer, from -values / 2 to values / 2 - 1.
    """

    def __init__(self, values: int) -> None:
        self._values = values
        self._counts = np.zeros(values * values, np.int64)

    def of(self, integers: NDArray[np.int32]) -> NDArray[np.int64]:
        """Counts of a block, its quadratures in pairs, shape (2 n,); to be added."""
        shifted = integers.reshape(-1, 2) + self._values // 2
        return np.bincount(shifted[:, 0] * self._values + shifted[:, 1], minlength=len(self._counts))

    def add(self, counts: NDArray[np.int64]) -> None:
        """Add those of a block."""
        self._counts += counts

    @property
    def entropy(self) -> PairEntropy:
        """Of all that was added."""
        counts = self._counts[self._counts > 0].astype(np.float64)
        n = int(self._counts.sum())
        return PairEntropy(n, math.log2(n) - float(np.sum(counts * np.log2(counts))) / n) if n else PairEntropy(0, 0.0)
