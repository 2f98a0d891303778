"""Bit-exact numpy model of the symbol filter: two samples a symbol in, one symbol out.

A symmetric filter of 65 taps about the even samples, of which 33 are distinct:

    y[s] = saturate( round( (c_0 x[2 s] + sum over k = 1 ... 32 of c_k (x[2 s - k] + x[2 s + k])) / 2**shift ) )

for I and Q alike, to nearest with ties towards plus infinity. Samples are Q1.17, taps Q1.17, symbols Q1.15: a shift of
19 is a gain of one. Before a stream there are zeros; symbol s comes when sample 2 s + 32 is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import BASEBAND, SAMPLE, Q

REACH = 32
"""Samples that a symbol's window reaches to either side: a pulse of 32 symbols."""
DISTINCT_TAPS = REACH + 1
TAP = Q(1, 17)
SAMPLES_PER_SYMBOL = 2
UNIT_SHIFT = BASEBAND.fraction + TAP.fraction - SAMPLE.fraction
"""Bits to drop for a gain of one."""
MAXIMUM_SHIFT = 31

SYMBOLS_PER_PIECE = REACH
"""The matrix product makes so many at once: their windows are two rows of as many symbols' samples."""
SAMPLES_PER_PIECE = SYMBOLS_PER_PIECE * SAMPLES_PER_SYMBOL
PIECES_AT_ONCE = 128
"""In one matrix product: what BLAS does on one core. Cores that share a larger one mostly wait for each other."""

START = np.zeros((REACH, 2), np.int32)
"""Samples before a stream."""


@dataclass(frozen=True)
class FilteredSymbols:
    """What came out.

    Attributes:
        words: int16, shape (n, 2).
        saturated: words that were clipped.
        state: samples that the next piece needs, int32, shape (n, 2).
    """

    words: NDArray[np.int16]
    saturated: int
    state: NDArray[np.int32]


@dataclass(frozen=True)
class SymbolFilter:
    """The filter with its settings. ``process`` is pure.

    Attributes:
        taps: c_0 ... c_32, int32 that holds 18-bit words, shape (33,).
        shift: bits dropped from the sum of products.

    Raises:
        ValueError: taps of another type or shape, or that do not fit; a shift out of range.
    """

    taps: NDArray[np.int32]
    shift: int = UNIT_SHIFT

    def __post_init__(self) -> None:
        if self.taps.dtype != np.int32 or self.taps.shape != (DISTINCT_TAPS,):
            raise ValueError(
                f"taps must be int32 of shape ({DISTINCT_TAPS},), not {self.taps.dtype} of shape {self.taps.shape}"
            )
        if not TAP.minimum <= self.taps.min() <= self.taps.max() <= TAP.maximum:
            raise ValueError(f"a tap does not fit {TAP.width} bits")
        if not 0 <= self.shift <= MAXIMUM_SHIFT:
            raise ValueError(f"a shift of {self.shift} bits: must be 0 to {MAXIMUM_SHIFT}")

    def process(self, samples: NDArray[np.int32], state: NDArray[np.int32] = START) -> FilteredSymbols:
        """Filter a piece of a stream: all symbols whose windows are complete.

        Args:
            samples: int32 that holds 18-bit words, shape (n, 2), I then Q.
            state: what the piece before left.

        Raises:
            ValueError: samples of another type or shape, or words of more than 18 bits.
        """
        if samples.dtype != np.int32 or samples.ndim != 2 or samples.shape[1] != 2:
            raise ValueError(f"samples must be int32 of shape (n, 2), not {samples.dtype} of shape {samples.shape}")
        if samples.size and not BASEBAND.minimum <= samples.min() <= samples.max() <= BASEBAND.maximum:
            raise ValueError(f"a sample does not fit {BASEBAND.width} bits")
        known = np.concatenate([state, samples])
        count = max(0, (len(known) - 2 * REACH + 1) // SAMPLES_PER_SYMBOL)
        pieces = -(-count // SYMBOLS_PER_PIECE)
        at_once = min(max(1, pieces), PIECES_AT_ONCE)
        rows = (2, -(-pieces // at_once), at_once, SAMPLES_PER_PIECE)
        rails = np.zeros((2, (rows[1] * at_once + 1) * SAMPLES_PER_PIECE))
        used = (count - 1) * SAMPLES_PER_SYMBOL + 2 * REACH + 1 if count else 0
        rails[:, :used] = known[:used].T
        matrix = self._banded_matrix()
        # Products are below 2**34 and a window has 65 of them: every float64 sum is exact.
        sums = rails[:, :-SAMPLES_PER_PIECE].reshape(rows) @ matrix[:SAMPLES_PER_PIECE]
        sums += rails[:, SAMPLES_PER_PIECE:].reshape(rows) @ matrix[SAMPLES_PER_PIECE:]
        sums += (1 << self.shift) / 2 if self.shift else 0
        sums *= 2.0**-self.shift
        words = np.floor(sums, out=sums).reshape(2, -1)[:, :count]
        saturated = 0
        if count and not (SAMPLE.minimum <= words.min() and words.max() <= SAMPLE.maximum):
            saturated = int(np.count_nonzero((words < SAMPLE.minimum) | (words > SAMPLE.maximum)))
            words = np.clip(words, SAMPLE.minimum, SAMPLE.maximum)
        return FilteredSymbols(
            words.T.astype(np.int16, order="C"), saturated, known[count * SAMPLES_PER_SYMBOL :].copy()
        )

    def _banded_matrix(self) -> NDArray[np.float64]:
        """Column s holds the taps, s symbols down."""
        window = np.concatenate([self.taps[:0:-1], self.taps])
        matrix = np.zeros((2 * SAMPLES_PER_PIECE, SYMBOLS_PER_PIECE))
        for s in range(SYMBOLS_PER_PIECE):
            matrix[s * SAMPLES_PER_SYMBOL :][: len(window), s] = window
        return matrix
