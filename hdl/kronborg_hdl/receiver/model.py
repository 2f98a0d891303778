"""Bit-exact model of the receiver: converter words, phase compensation, matched filter and decimation, symbols."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..compensation.pilot_phase.model import PhaseSettings, compensate
from ..decimation.matched_filter.model import MatchedFilter


@dataclass(frozen=True)
class Received:
    """What the receiver hands on.

    Attributes:
        words: symbols, int16, shape (n, 2), I then Q.
        saturated: words that did not fit, anywhere in the chain.
    """

    words: NDArray[np.int16] = field(repr=False)
    saturated: int


@dataclass(frozen=True)
class Receiver:
    """The assembly with its settings.

    Attributes:
        phase: settings of the phase compensation.
        matched_filter: the decimating filter; its taps hold the fraction of the sampling phase.
        start: first sample of the first symbol's filter window, in samples of the capture.
    """

    phase: PhaseSettings
    matched_filter: MatchedFilter
    start: int

    def process(self, samples: NDArray[np.int16], symbols: int) -> Received:
        """Symbols of one frame.

        Args:
            samples: int16, shape (n,), the converter's words.
            symbols: how many to return.

        Raises:
            ValueError: the capture ends before the last symbol's window, or begins after the first one's.
        """
        m, taps = self.matched_filter.samples_per_symbol, len(self.matched_filter.taps)
        stop = self.start + (symbols - 1) * m + taps
        if self.start < 0 or stop > len(samples):
            raise ValueError(f"{symbols} symbols need samples {self.start} to {stop} of a capture of {len(samples)}")
        baseband, saturated = compensate(samples, self.phase)
        filtered = self.matched_filter.process(baseband[self.start : stop])
        # The filter's history is empty at first: its first span - 1 symbols come from incomplete windows.
        return Received(filtered.words[taps // m - 1 :], saturated + filtered.saturated)
