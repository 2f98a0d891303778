"""Which symbols serve which purpose and in which order, the same at both ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
    mask, begin = np.empty(symbols, bool), 0
    for piece in lots():
        np.less_equal(piece, last, out=mask[begin : begin + len(piece)])
        begin += len(piece)
    return mask


class Exchanged:
    """One end's symbols, frame after frame; once some are disclosed, the others in their order.

    Frames are looked up whenever they are needed and never put together: a mapping that makes them on demand keeps the
    memory of a run bounded. Threads may share it.

    Args:
        symbols: frame number to symbols, an array whose first axis counts them.
        frames: which of them, in order.

    Attributes:
        frames: as given.
    """

    def __init__(self, symbols: Mapping[int, NDArray[Any]], frames: Sequence[int]) -> None:
        self._symbols, self.frames = symbols, tuple(frames)
        self._ends = np.cumsum([0, *(len(symbols[frame]) for frame in self.frames)])
        self.total = int(self._ends[-1])
        """Symbols of all frames."""
        self._hidden: NDArray[np.uint8] | None = None  # packed: which are not disclosed
        self._kept_ends = np.zeros(1, np.int64)

    def disclose(self, seed: bytes, count: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The symbols at `count` positions (`estimation_mask`), in order, and how many of them each frame has."""
        mask = estimation_mask(seed, self.total, count)
        parts = [self._symbols[frame][mask[a:b]] for frame, a, b in self._spans()]
        counts = np.array([len(part) for part in parts], np.int64)
        self._kept_ends = self._ends - np.cumsum([0, *counts])
        self._hidden = np.packbits(~mask)
        return np.concatenate(parts), counts

    @property
    def kept(self) -> int:
        """Symbols that were not disclosed; none before any are."""
        return int(self._kept_ends[-1])

    def part(self, begin: int, end: int) -> NDArray[Any]:
        """Of those, numbers `begin` to before `end`."""
        assert self._hidden is not None
        parts = []
        first = int(np.searchsorted(self._kept_ends, begin, "right")) - 1
        for index in range(first, len(self.frames)):
            start = int(self._kept_ends[index])
            if start >= end:
                break
            a, b = int(self._ends[index]), int(self._ends[index + 1])
            bits = np.unpackbits(self._hidden[a // 8 : -(-b // 8)])[a % 8 :][: b - a].view(bool)
            parts.append(self._symbols[self.frames[index]][bits][max(begin - start, 0) : end - start])
        return np.concatenate(parts)

    def _spans(self) -> Iterator[tuple[int, int, int]]:
        for index, frame in enumerate(self.frames):
            yield frame, int(self._ends[index]), int(self._ends[index + 1])


def quadratures(words: NDArray[np.int16]) -> NDArray[np.float64]:
    """Real quadratures in the order both ends use: I, Q, I, Q... float64, shape (2 n,), from words of shape (n, 2)."""
    return words.reshape(-1).astype(np.float64)


def complex_symbols(words: NDArray[np.signedinteger]) -> NDArray[np.complex128]:
    """I + iQ, complex128, shape (n,), from words of shape (n, 2)."""
    return np.asarray(words[:, 0] + 1j * words[:, 1], np.complex128)
