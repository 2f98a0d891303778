"""Bit-exact model of the pulse shaper: symbols in, root-raised-cosine samples out, M samples a symbol.

The core beside it gives the same words for every input:

``y[n M + j] = round(sum_k h[j + k M] a[n - k] / 2**shift)`` for each rail, with full-precision accumulation, one
rounding (to nearest, ties towards plus infinity) and saturation. Symbols, taps and samples are 16-bit words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE, saturate

MAXIMUM_SHIFT = 31
"""Largest shift that the register holds."""

SYMBOLS_PER_PIECE = 64
"""Outputs are computed as products with a banded matrix of this many symbols: an arrangement for speed only."""


def polyphase_sums(symbols: NDArray[np.int16], taps: NDArray[np.int16]) -> NDArray[np.float64]:
    """Exact sums of products of a frame, zeros before it and behind it, by a filter of M samples a symbol.

    Args:
        symbols: int16, shape (n, 2).
        taps: int16, shape (K, M): row k weighs the symbol k back.

    Returns:
        float64, shape (2, (n + K - 1) * M), a row for I and one for Q.
    """
    k, m = taps.shape
    outputs = len(symbols) + k - 1
    pieces = -(-outputs // SYMBOLS_PER_PIECE)
    padded = np.zeros((2, pieces * SYMBOLS_PER_PIECE + k - 1))
    padded[:, k - 1 : k - 1 + len(symbols)] = symbols.T

    # Row r of the matrix is symbol r of the piece's window; column n M + j is output sample j of symbol n.
    matrix = np.zeros((SYMBOLS_PER_PIECE + k - 1, SYMBOLS_PER_PIECE, m))
    for n in range(SYMBOLS_PER_PIECE):
        matrix[n : n + k, n] = taps[::-1]
    windows = np.lib.stride_tricks.sliding_window_view(padded, SYMBOLS_PER_PIECE + k - 1, axis=1)
    windows = windows[:, ::SYMBOLS_PER_PIECE]
    # |sum| < 2**38: float64 products are exact, and BLAS is fast.
    sums = windows @ matrix.reshape(SYMBOLS_PER_PIECE + k - 1, -1)
    return np.asarray(sums.reshape(2, -1)[:, : outputs * m])


@dataclass(frozen=True)
class PulseShaper:
    """Interpolating filter.

    Attributes:
        taps: int16, shape (M * K,), oldest output first: tap ``j + k M`` weighs the symbol ``k`` back at phase ``j``.
        samples_per_symbol: M.
        shift: bits dropped from the accumulator, 0 to 31.

    Raises:
        ValueError: the taps are no int16 vector of whole symbols, or the shift is out of range.
    """

    taps: NDArray[np.int16]
    samples_per_symbol: int
    shift: int

    def __post_init__(self) -> None:
        if self.taps.dtype != np.int16 or self.taps.ndim != 1 or not len(self.taps):
            raise ValueError(f"taps must be a vector of int16, not {self.taps.dtype} of shape {self.taps.shape}")
        if self.samples_per_symbol < 1 or len(self.taps) % self.samples_per_symbol:
            raise ValueError(f"{len(self.taps)} taps are not a whole number of {self.samples_per_symbol} phases")
        if not 0 <= self.shift <= MAXIMUM_SHIFT:
            raise ValueError(f"a shift of {self.shift} is outside 0 to {MAXIMUM_SHIFT}")

    @property
    def span(self) -> int:
        """K, the symbols that one output sample depends on."""
        return len(self.taps) // self.samples_per_symbol

    @property
    def tail(self) -> int:
        """Symbols by which a frame becomes longer."""
        return self.span - 1

    def process(self, symbols: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
        """Shape one frame, zeros before it and its tail flushed by K - 1 zero symbols.

        Args:
            symbols: int16, shape (n, 2), I then Q.

        Returns:
            Samples, int16, shape ((n + K - 1) * M, 2), and how many of its words saturated.
        """
        sums = polyphase_sums(symbols, self.taps.reshape(self.span, self.samples_per_symbol))
        words = np.floor((sums + (1 << self.shift >> 1)) * 2.0**-self.shift)
        clipped, saturated = saturate(words.astype(np.int64), SAMPLE)
        return np.ascontiguousarray(clipped.T.astype(np.int16)), saturated
