"""Alice's modulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class IQModulator:
    """Two nested Mach-Zehnder modulators at their null points, in quadrature.

    Each arm gives ``sin(pi/2 * depth * v)`` for a drive v in [-1, 1): linear for a small drive, with the third-order
    compression of a real device when pilot and signal are driven hard.

    Attributes:
        depth: drive at the converter's full scale, in units of V_pi.
    """

    depth: float = 0.25

    def field(self, words: NDArray[np.int16]) -> NDArray[np.complex64]:
        """Complex envelope, in units of the largest field, for converter words int16 of shape (n, 2)."""
        drive = words.astype(np.float32) * np.float32(np.pi / 2 * self.depth / 2**15)
        np.sin(drive, out=drive)
        return drive.view(np.complex64)[:, 0]
