"""Bob's raw key is a discrete variable: his quadratures, rounded to few bits.

The composable key length pays ``4 log2(sqrt(d) + 2) sqrt(n log2(2 / eps_s**2))`` bits for an alphabet of d letters a
symbol (Pirandola & Papanastasiou 2024), so fewer bits make a longer key until the rounding noise costs more. Rounding
is a processing of Bob's variable: an eavesdropper knows no more of the result than of the original.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Digitiser:
    """Uniform mid-rise quantiser of real quadratures.

    Attributes:
        bits: bits a quadrature; the alphabet of a symbol has ``4**bits`` letters.
        limit: the outermost cells end here, sqrt(SNU); what lies beyond is put into them.
    """

    bits: int
    limit: float

    @classmethod
    def for_variance(cls, variance_snu: float, bits: int = 5, sigmas: float = 4.5) -> Digitiser:
        """Cells over +-`sigmas` standard deviations."""
        return cls(bits, sigmas * float(np.sqrt(variance_snu)))

    @property
    def step(self) -> float:
        """Width of a cell, sqrt(SNU)."""
        return 2 * self.limit / 2**self.bits

    @property
    def noise_variance_snu(self) -> float:
        """Variance that rounding adds, step**2 / 12."""
        return self.step**2 / 12

    def digitise(self, quadratures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Centres of the cells that quadratures fall into. Same shape, float64, sqrt(SNU)."""
        half = 2 ** (self.bits - 1)
        cell = np.clip(np.floor(quadratures / self.step), -half, half - 1)
        return np.asarray((cell + 0.5) * self.step)
