"""Bit-exact model of the transmitter: symbols, pulse shaper, shift and pilots, converter words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..modulation.pulse_shaper.model import PulseShaper
from ..modulation.shift_and_pilots.model import Pilot, shift_and_pilots


@dataclass(frozen=True)
class Transmitter:
    """The assembly with its settings.

    Attributes:
        shaper: the interpolating filter.
        shift_word: single-sideband shift, 2**-32 turns a sample.
        pilots: tones, sent from the first sample of a frame to the last.
        leading: samples before the first shaped sample, in which only the pilots are sent.
    """

    shaper: PulseShaper
    shift_word: int
    pilots: tuple[Pilot, ...]
    leading: int

    def frame(self, symbols: NDArray[np.int16], count: int) -> tuple[NDArray[np.int16], int]:
        """The converter words of one frame.

        Args:
            symbols: preamble and payload, int16, shape (n, 2), I then Q.
            count: samples of the frame; the pilots fill it to its end.

        Returns:
            int16, shape (count, 2), and how many words saturated on the way.

        Raises:
            ValueError: the symbols do not fit into `count` samples.
        """
        shaped, saturated = self.shaper.process(symbols)
        if self.leading + len(shaped) > count:
            raise ValueError(f"a frame of {count} samples is shorter than its {self.leading + len(shaped)} samples")
        samples = np.zeros((count, 2), np.int16)
        samples[self.leading : self.leading + len(shaped)] = shaped
        words, clipped = shift_and_pilots(samples, self.shift_word, self.pilots)
        return words, saturated + clipped
