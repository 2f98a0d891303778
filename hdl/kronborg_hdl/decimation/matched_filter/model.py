"""Stand-in until the pattern core lands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE

PIECE = 64


@dataclass(frozen=True)
class Symbols:
    words: NDArray[np.int16]
    saturated: int
    dropped: int


@dataclass(frozen=True)
class MatchedFilter:
    taps: NDArray[np.int16]
    samples_per_symbol: int
    shift: int

    def process(self, samples: NDArray[np.int16]) -> Symbols:
        m, length = self.samples_per_symbol, len(self.taps)
        count = len(samples) // m
        pieces = -(-count // PIECE)
        padded = np.zeros((2, pieces * PIECE * m + length - m))
        padded[:, length - m : length - m + count * m] = samples[: count * m].T
        width = length + (PIECE - 1) * m
        matrix = np.zeros((width, PIECE))
        for s in range(PIECE):
            matrix[s * m : s * m + length, s] = self.taps
        windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)[:, :: PIECE * m]
        sums = np.floor((windows @ matrix + (1 << self.shift >> 1)) * 2.0**-self.shift).reshape(2, -1)[:, :count]
        clipped = np.clip(sums, SAMPLE.minimum, SAMPLE.maximum)
        return Symbols(clipped.T.astype(np.int16), int(np.count_nonzero(clipped != sums)), len(samples) - count * m)
