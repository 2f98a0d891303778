"""Sums over symbols on disk, in pieces: files of any length, exact in integers.

A file is .npy: words of int16, shape (n, 2), as boards deliver them, or complex symbols, shape (n,).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..native_library import native_library
from .estimation import NO_PAIRS, Moments

PIECE = 1 << 18
"""Symbols read at a time: a mebibyte of words."""

_ABI = 1


def _library() -> ctypes.CDLL | None:
    return native_library("kronborg_moments_abi", _ABI)


def word_sums(x: NDArray[np.int16], y: NDArray[np.int16], native: bool | None = None) -> tuple[int, int, int, int, int]:
    """Sums of x**2, x y and y**2, and how many words of x and of y are at an end of their range; exact.

    Args:
        x, y: int16, contiguous, of one size.
        native: True for the native library, False for numpy, None for the native one if it is there.
    """
    library = _library() if native is None or native else None
    if library is not None:
        sums = (ctypes.c_int64 * 5)()
        library.kronborg_moments(
            ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), ctypes.c_int64(x.size), sums
        )
        return sums[0], sums[1], sums[2], sums[3], sums[4]
    # A sum of 2**18 products is below 2**48: exact in float64.
    totals = [0, 0, 0]
    for begin in range(0, x.size, PIECE):
        a = x.reshape(-1)[begin : begin + PIECE].astype(np.float64)
        b = y.reshape(-1)[begin : begin + PIECE].astype(np.float64)
        for place, (left, right) in enumerate(((a, a), (a, b), (b, b))):
            totals[place] += int(np.dot(left, right))
    ends = [int(np.count_nonzero((words == 32767) | (words == -32768))) for words in (x, y)]
    return totals[0], totals[1], totals[2], ends[0], ends[1]


class _Symbols:
    """One file, read in pieces into one buffer."""

    def __init__(self, path: Path, whose: str, file: BufferedReader) -> None:
        self.whose, self._path, self._file = whose, path, file
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
        except ValueError:
            raise InputError(f"cannot read {whose} symbols: {str(path)!r} is no .npy file") from None
        self.are_words = dtype == np.dtype("<i2") and len(shape) == 2 and shape[1] == 2
        if fortran or not (self.are_words or (dtype.kind == "c" and len(shape) == 1)):
            raise InputError(
                f"{str(path)!r} has {dtype} of shape {shape}: {whose} symbols are int16 of shape (n, 2), or complex of"
                " shape (n,)"
            )
        self.count = int(shape[0])
        self._buffer = np.empty((PIECE, 2) if self.are_words else PIECE, dtype)
        self._first: np.generic | None = None
        self.constant = True

    def next(self, count: int) -> NDArray[Any]:
        """The next symbols; they are overwritten by those after them."""
        piece = self._buffer[:count]
        if self._file.readinto(piece.data.cast("B")) != piece.nbytes:
            raise InputError(f"{str(self._path)!r} ends before its {self.count} symbols: copy it again")
        if self.constant:
            if self._first is None:
                self._first = piece[0].copy()
            self.constant = bool(np.all(piece == self._first))
        return piece


def stream(alice: Path, bob: Path, advance: Callable[[int], None] = lambda symbols: None) -> Moments:
    """The sums of both ends' symbols, in the files' own units (see :meth:`Moments.scaled`).

    Args:
        alice: file of the symbols sent.
        bob: file of those received.
        advance: called with the number of symbols done, after each piece.

    Raises:
        InputError: files that cannot be read or do not match, symbols that are not finite, clipped or constant.
    """
    try:
        with alice.open("rb") as hers, bob.open("rb") as his:
            return _stream(_Symbols(alice, "Alice's", hers), _Symbols(bob, "Bob's", his), advance)
    except OSError as error:
        raise InputError(f"cannot read symbols from {str(error.filename)!r}: {error.strerror}") from None


def _stream(sent: _Symbols, received: _Symbols, advance: Callable[[int], None]) -> Moments:
    if sent.count != received.count:
        raise InputError(f"{sent.count} symbols sent and {received.count} received do not match")
    in_words = sent.are_words and received.are_words
    totals, clipped, real = [0, 0, 0], [0, 0], NO_PAIRS
    for begin in range(0, sent.count, PIECE):
        count = min(PIECE, sent.count - begin)
        x, y = sent.next(count), received.next(count)
        if in_words:
            *sums, high, low = word_sums(x, y)
            totals = [total + part for total, part in zip(totals, sums, strict=True)]
            clipped = [clipped[0] + high, clipped[1] + low]
        else:
            pair = []
            for place, (end, piece) in enumerate(((sent, x), (received, y))):
                if end.are_words:
                    clipped[place] += int(np.count_nonzero((piece == 32767) | (piece == -32768)))
                    piece = piece.astype(np.float64).view(np.complex128)[:, 0]
                pair.append(piece)
            real += Moments.of(pair[0], pair[1])
        advance(count)
    for end, words in zip((sent, received), clipped, strict=True):
        if words:
            raise InputError(f"{words} words of {end.whose} symbols are clipped: lower the gain before the converter")
        if end.count and end.constant:
            raise InputError(f"{end.whose} symbols are constant: there is no signal in them")
    return Moments(2 * sent.count, *map(float, totals)) if in_words else real
