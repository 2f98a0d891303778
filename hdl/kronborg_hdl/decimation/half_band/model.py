"""Bit-exact numpy model of the half-band decimator: two samples in, one out.

Every second tap of a half-band filter is zero, but for the one in the middle, which is one half. With P distinct taps

    y[n] = round( x[2 n + 2 - 2 P] / 2 + sum over k < P of h_k (x[2 n + 3 - 2 P + 2 k] + x[2 n + 1 - 2 P - 2 k]) )

for I and Q alike; output n needs samples up to 2 n + 1, and zeros lie before a stream. There is one rounding, to
nearest with ties towards plus infinity, and saturation.

The taps are fixed and are sums of few powers of two, so that a core needs adders only. What folds onto the pass band is
suppressed by :attr:`HalfBand.stop_band_db`, and the pass band is flat to as much: the error of a half-band filter is
antisymmetric about a quarter of the sample rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import BASEBAND, round_shift, saturate


@dataclass(frozen=True)
class HalfBand:
    """A half-band filter. ``process`` is pure.

    Attributes:
        taps: h_0 ... h_(P-1), from the middle outwards, in ``2**-fraction``.
        fraction: fraction bits of the taps.
        pass_band: edge of the pass band, in cycles a sample of the input.
    """

    taps: tuple[int, ...]
    fraction: int
    pass_band: float

    @property
    def delay(self) -> int:
        """Input samples from the middle of output n's window to sample 2 n + 1, the last that it needs."""
        return 2 * len(self.taps) - 1

    def response(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Amplitude, without the delay, at frequencies in cycles a sample of the input: float64, the same shape."""
        angles = 2 * np.pi * np.multiply.outer(frequency, 2 * np.arange(len(self.taps)) + 1)
        return np.asarray(0.5 + 2 * np.cos(angles) @ np.asarray(self.taps) / 2**self.fraction)

    @property
    def stop_band_db(self) -> float:
        """The most that is left of what folds onto the pass band, in dB."""
        edge = np.linspace(0.5 - self.pass_band, 0.5, 2001)
        return float(20 * np.log10(np.abs(self.response(edge)).max()))

    def process(self, samples: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
        """Filter and decimate a stream.

        Args:
            samples: int32 that holds 18-bit words, shape (n, 2), I then Q.

        Returns:
            int32, shape (n // 2, 2), and how many words saturated.

        Raises:
            ValueError: samples of another type or shape.
        """
        if samples.dtype != np.int32 or samples.ndim != 2 or samples.shape[1] != 2:
            raise ValueError(f"samples must be int32 of shape (n, 2), not {samples.dtype} of shape {samples.shape}")
        count, taps = len(samples) // 2, len(self.taps)
        even = np.zeros((count + taps, 2), np.int32)
        odd = np.zeros((count + 2 * taps, 2), np.int32)
        even[taps:] = samples[0 : 2 * count : 2]
        odd[2 * taps :] = samples[1 : 2 * count : 2]
        # In units of 2**-fraction words; 18 bits and the taps' sum of less than one fit 34 bits.
        total = even[1 : 1 + count].astype(np.int64) << (self.fraction - 1)
        for k, tap in enumerate(self.taps):
            later, earlier = 1 + taps + k, taps - k
            total += tap * (odd[later : later + count] + odd[earlier : earlier + count]).astype(np.int64)
        words, saturated = saturate(round_shift(total, self.fraction), BASEBAND)
        return words.astype(np.int32), saturated


NARROW = HalfBand((2483, -553, 138, -20), 13, 0.1)
"""For five samples a symbol or more behind it: the signal's band is at most a tenth of the input's rate."""
WIDE = HalfBand((10194, -2821, 1150, -441, 134, -25), 15, 0.15)
"""For the last one, with two to four samples a symbol behind it (roll-off up to 0.2)."""
