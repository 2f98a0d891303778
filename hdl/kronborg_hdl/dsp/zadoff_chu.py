"""The Zadoff-Chu sequence that transmitter and receiver share: what marks a frame's beginning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def zadoff_chu(root: int, length: int) -> NDArray[np.complex128]:
    """The sequence exp(-i pi root k (k + length mod 2) / length), k = 0 ... length - 1 (Chu 1972). complex128.

    Its amplitude is one, and so is, if root and length are coprime, that of its spectrum divided by sqrt(length).
    """
    k = np.arange(length, dtype=np.int64)
    # The phase repeats with 2 * length: reducing it first keeps long sequences exact.
    phase = (root * k * (k + length % 2)) % (2 * length)
    return np.asarray(np.exp(-1j * np.pi * phase / length))
