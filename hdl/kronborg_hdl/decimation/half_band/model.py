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

from ...dsp.formats import BASEBAND, saturate

_CHUNK = 1 << 13
"""Words that are worked on at once: what is between two steps stays in the processor's cache."""


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
        count, reach = len(samples) // 2, len(self.taps)
        # A complex word is copied as one of 64 bits. Zeros lie before the stream.
        words = np.zeros((2 * reach + count, 2), np.int64)
        words[2 * reach :] = np.ascontiguousarray(samples[: 2 * count]).view(np.int64).reshape(count, 2)
        even, odd = (np.ascontiguousarray(words[:, half]).view(np.int32) for half in (0, 1))
        filtered = np.empty((count, 2), np.int32)
        saturated = 0
        for begin in range(0, count, _CHUNK):
            chunk = filtered[begin : begin + _CHUNK].reshape(-1)
            first, size = 2 * reach + begin, len(chunk)

            def rail_words(
                of: NDArray[np.int32], offset: int, first: int = first, size: int = size
            ) -> NDArray[np.int32]:
                return of[2 * (first + offset) :][:size]

            pairs = [rail_words(odd, k + 1 - reach) + rail_words(odd, -k - reach) for k in range(reach)]
            self._sum(rail_words(even, 1 - reach), pairs, chunk)
            if chunk.max() > BASEBAND.maximum or chunk.min() < BASEBAND.minimum:
                clipped, clips = saturate(chunk, BASEBAND)
                chunk[:] = clipped
                saturated += clips
        return filtered, saturated

    def _sum(self, middle: NDArray[np.int32], pairs: list[NDArray[np.int32]], out: NDArray[np.int32]) -> None:
        """The rounded sum of the middle word and of the pairs by their taps, each of the shape of `out`.

        Sums of more than 32 bits are made in two parts: of the taps' upper bits, and of their `low` lowest ones.
        """
        largest = (1 << (BASEBAND.width - 1)) * ((1 << (self.fraction - 1)) + 2 * sum(map(abs, self.taps)))
        low = max(0, largest.bit_length() - 31)
        np.left_shift(middle, self.fraction - 1 - low, out=out)
        rest = np.full(out.shape, 1 << (self.fraction - 1), np.int32)
        for tap, pair in zip(self.taps, pairs, strict=True):
            out += pair * np.int32(tap >> low)
            if tap & ((1 << low) - 1):
                rest += pair * np.int32(tap & ((1 << low) - 1))
        rest >>= low
        out += rest
        out >>= self.fraction - low


NARROW = HalfBand((2483, -553, 138, -20), 13, 0.1)
"""For five samples a symbol or more behind it: the signal's band is at most a tenth of the input's rate."""
WIDE = HalfBand((10194, -2821, 1150, -441, 134, -25), 15, 0.15)
"""For the last one, with two to four samples a symbol behind it (roll-off up to 0.2)."""
