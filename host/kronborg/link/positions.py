"""Which symbols serve which purpose and in which order, the same at both ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def estimation_mask(seed: bytes, symbols: int, count: int) -> NDArray[np.bool_]:
    """Choose `count` of `symbols` positions at random: True where a symbol is disclosed. Shape (symbols,).

    The seed is drawn after the last symbol was received, so nobody could treat the chosen ones differently.
    """
    if count == 0:
        return np.zeros(symbols, bool)
    # The raw stream of a bit generator is the same in every release of numpy; the methods built on it are not.
    lots = np.random.PCG64(int.from_bytes(seed, "big")).random_raw(symbols)
    return np.asarray(lots <= np.partition(lots, count - 1)[count - 1])


def quadratures(words: NDArray[np.int16]) -> NDArray[np.float64]:
    """Real quadratures in the order both ends use: I, Q, I, Q... float64, shape (2 n,), from words of shape (n, 2)."""
    return words.reshape(-1).astype(np.float64)


def complex_symbols(words: NDArray[np.int16]) -> NDArray[np.complex128]:
    """I + iQ, complex128, shape (n,), from words of shape (n, 2)."""
    return np.asarray(words[:, 0] + 1j * words[:, 1], np.complex128)
