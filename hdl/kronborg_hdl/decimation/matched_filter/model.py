"""Bit-exact numpy model of the decimating matched filter; the core beside it gives the same words for every input.

    y[s] = saturate16( (sum_j h[j] * x[s M + M - L + j] + 2**(shift-1)) >> shift ),    j = 0 ... L - 1

for I and Q alike. Taps are in correlation order: tap 0 weighs the oldest sample of the window, tap L - 1 the newest,
sample ``s M + M - 1``. Samples before a frame's first are zero, so its first ``L / M - 1`` symbols come from
incomplete windows. A frame of n samples gives ``n // M`` symbols; the ``n % M`` that follow are dropped and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE, saturate

MAXIMUM_SHIFT = 31
"""Largest shift that the register holds."""

# How the sums are arranged for speed; results do not depend on it. A piece is one row of a matrix product, whose
# matrix has a column for each of its symbols; a block bounds the memory that is in use at one time.
SYMBOLS_PER_PIECE = 32
PIECES_PER_BLOCK = 256


class Symbols(NamedTuple):
    """What one frame gives.

    Attributes:
        words: symbols, int16, shape (n, 2), I then Q.
        saturated: words (I and Q count each) that did not fit and were clipped.
        dropped: samples after the last complete symbol.
    """

    words: NDArray[np.int16]
    saturated: int
    dropped: int


@dataclass(frozen=True)
class MatchedFilter:
    """A filter with its settings. ``process`` is pure: frames are independent of each other.

    Attributes:
        taps: int16, shape (L,), oldest sample first; L is a multiple of M.
        samples_per_symbol: M.
        shift: bits dropped from the sum, 0 to 31.

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
            raise ValueError(
                f"{len(self.taps)} taps are not a whole number of symbols of {self.samples_per_symbol} samples: "
                "append zero taps"
            )
        if not 0 <= self.shift <= MAXIMUM_SHIFT:
            raise ValueError(f"a shift of {self.shift} is outside 0 to {MAXIMUM_SHIFT}")

    @property
    def span(self) -> int:
        """K = L / M, the symbols that a window covers."""
        return len(self.taps) // self.samples_per_symbol

    @property
    def gain(self) -> float:
        """Output over input amplitude, exact for these integer taps: ``sqrt(sum h**2) / 2**shift``.

        It holds for white noise (ratio of standard deviations) and for a pulse of unit energy that matches the taps.
        """
        return float(np.linalg.norm(self.taps.astype(np.float64))) * 2.0**-self.shift

    def excess_noise_bound_snu(
        self, specification: NDArray[np.float64], shot_noise_words: float, signal_variance_snu: float = 0.0
    ) -> float:
        """Noise that integers add to the float specification, per quadrature at the detector, as a fraction of a SNU.

        Rounding once, to nearest, adds a variance of 1/12 word**2. A tap error e = h / 2**shift - specification adds
        ``sum(e**2)`` times the largest power spectral density at the input, which is that of shot noise (1 SNU) plus
        that of the signal (its variance per symbol: a root-raised cosine of unit energy has a flat top). For 264 taps
        of Q1.15, 100 words of shot noise and no signal: 0.0083 mSNU, of which the taps' part is below 0.0001.

        Args:
            specification: the taps as real numbers, float64, shape (L,): output words per input word.
            shot_noise_words: standard deviation of shot noise in the specification's output, in words.
            signal_variance_snu: Alice's signal at the detector, per quadrature.
        """
        error = self.taps * 2.0**-self.shift - specification
        unit = shot_noise_words**2
        relative = float(np.sum(error**2) / np.sum(specification**2))
        return 1 / (12 * unit) + relative * (1 + signal_variance_snu)

    def process(self, samples: NDArray[np.int16]) -> Symbols:
        """Filter and decimate one frame.

        Args:
            samples: int16, shape (n, 2), I then Q.

        Raises:
            ValueError: samples of another type or shape.
        """
        if samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[1] != 2:
            raise ValueError(f"samples must be int16 of shape (n, 2), not {samples.dtype} of shape {samples.shape}")
        count = len(samples) // self.samples_per_symbol
        words = np.empty((count, 2), np.int16)
        matrix = self._banded_matrix()
        saturated = 0
        for begin in range(0, count, SYMBOLS_PER_PIECE * PIECES_PER_BLOCK):
            end = min(begin + SYMBOLS_PER_PIECE * PIECES_PER_BLOCK, count)
            words[begin:end], clipped = self._block(samples, begin, end, matrix)
            saturated += clipped
        return Symbols(words, saturated, len(samples) - count * self.samples_per_symbol)

    def _banded_matrix(self) -> NDArray[np.float64]:
        """Column s holds the taps, s symbols down: a piece's samples times it are the piece's sums."""
        m, length = self.samples_per_symbol, len(self.taps)
        matrix = np.zeros((length + (SYMBOLS_PER_PIECE - 1) * m, SYMBOLS_PER_PIECE))
        for s in range(SYMBOLS_PER_PIECE):
            matrix[s * m : s * m + length, s] = self.taps
        return matrix

    def _block(
        self, samples: NDArray[np.int16], begin: int, end: int, matrix: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], int]:
        """Symbols `begin` to `end`: words, shape (end - begin, 2), and how many saturated."""
        m, width = self.samples_per_symbol, len(matrix)
        pieces = -(-(end - begin) // SYMBOLS_PER_PIECE)
        history = len(self.taps) - m
        first = begin * m - history
        rails = np.zeros((2, history + pieces * SYMBOLS_PER_PIECE * m))
        known = samples[max(first, 0) : end * m]
        offset = max(-first, 0)
        rails[:, offset : offset + len(known)] = known.T
        windows = np.lib.stride_tricks.sliding_window_view(rails, width, axis=1)[:, :: SYMBOLS_PER_PIECE * m]
        # Products are below 2**30 and windows far shorter than 2**23 samples: every float64 sum is exact.
        sums = windows @ matrix
        half = 1 << self.shift >> 1
        rounded = np.floor((sums + half) * 2.0**-self.shift).reshape(2, -1)[:, : end - begin]
        return saturate(rounded.T.astype(np.int64), SAMPLE)
