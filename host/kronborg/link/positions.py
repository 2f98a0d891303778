"""Which symbols serve which purpose and in which order, the same at both ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_PIECE = 1 << 20


def estimation_mask(seed: bytes, symbols: int, count: int) -> NDArray[np.bool_]:
    """Choose `count` of `symbols` positions at random: True where a symbol is disclosed. Shape (symbols,).

    The seed is drawn after the last symbol was received, so nobody could treat the chosen ones differently.
    """
    if count == 0:
        return np.zeros(symbols, bool)
    # The raw stream of a bit generator is the same in every release of numpy; the methods built on it are not. Each
    # symbol has a lot, and the lowest are chosen. Lots are drawn again rather than kept, for they would take more
    # memory than the symbols.

    def lots() -> Iterator[NDArray[np.uint64]]:
        stream = np.random.PCG64(int.from_bytes(seed, "big"))
        for begin in range(0, symbols, _PIECE):
            yield stream.random_raw(min(_PIECE, symbols - begin))

    high = np.uint64(48)
    counts = sum(np.bincount((piece >> high).astype(np.intp), minlength=1 << 16) for piece in lots())
    up_to = np.cumsum(counts)
    bin_ = int(np.searchsorted(up_to, count))
    within = np.concatenate([piece[piece >> high == bin_] for piece in lots()])
    wanted = count - int(up_to[bin_] - np.asarray(counts)[bin_]) - 1
    last = np.partition(within, wanted)[wanted]
    return np.concatenate([piece <= last for piece in lots()])


def quadratures(words: NDArray[np.int16]) -> NDArray[np.float64]:
    """Real quadratures in the order both ends use: I, Q, I, Q... float64, shape (2 n,), from words of shape (n, 2)."""
    return words.reshape(-1).astype(np.float64)


def complex_symbols(words: NDArray[np.signedinteger]) -> NDArray[np.complex128]:
    """I + iQ, complex128, shape (n,), from words of shape (n, 2)."""
    return np.asarray(words[:, 0] + 1j * words[:, 1], np.complex128)
