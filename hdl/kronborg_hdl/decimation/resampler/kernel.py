"""The resampler's taps: a delay by any 128th of a sample, by least squares.

Of all kernels of 10 taps, phase by phase, the one whose error against the ideal delay has the least power in the
signal's band and whose response has the least power in a stop band:

    minimise  integral over |f| < b of |H(f) - A(f) e^{2 pi i f mu}|**2  +  w integral over c < |f| < 1/2 of |H(f)|**2

with H(f) the sum over j of h_j e^{2 pi i f (j - 4)}, mu the fraction of a sample, and A(f) = cos(pi f)**(2 p). All
integrals are sincs, so the taps are the solution of ten linear equations (Laakso, Valimaki, Karjalainen & Laine,
Splitting the unit delay, IEEE Signal Processing Magazine 13 (1996), section "least squared integral error").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import Q

TAPS = 10
PHASES = 128
AHEAD = TAPS // 2
"""Samples behind a position's integer part that a window needs."""
TAP = Q(1, 17)
"""Taps: 18 bits are what a DSP slice and a block RAM take."""


@dataclass(frozen=True)
class Kernel:
    """Taps for each phase.

    Attributes:
        pass_band: b, in cycles a sample.
        stop_band: c, in cycles a sample; one half if there is none.
        stop_weight: w.
        fall: p; zero for a flat amplitude.
    """

    pass_band: float
    stop_band: float = 0.5
    stop_weight: float = 0.0
    fall: int = 0

    @cached_property
    def table(self) -> NDArray[np.int32]:
        """h_0 ... h_9 of each phase in Q1.17: int32, shape (128, 10). Row p delays by p / 128 of a sample."""
        place = np.arange(TAPS) - (AHEAD - 1.0)
        distance = place[:, np.newaxis] - place
        normal = _band(self.pass_band, distance) + self.stop_weight * (
            _band(0.5, distance) - _band(self.stop_band, distance)
        )
        ahead = place[:, np.newaxis] - np.arange(PHASES) / PHASES
        # A power of the cosine is a few shifts.
        shares = [math.comb(2 * self.fall, k) / 4**self.fall for k in range(2 * self.fall + 1)]
        wanted = sum(share * _band(self.pass_band, ahead + k - self.fall) for k, share in enumerate(shares))
        return TAP.quantise(np.linalg.solve(normal, wanted).T).astype(np.int32)

    def response(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Amplitude for a signal, the mean over all phases, at frequencies in cycles a sample: float64, same shape."""
        place = np.arange(TAPS) - (AHEAD - 1) - np.arange(PHASES)[:, np.newaxis] / PHASES
        turns = np.multiply.outer(np.asarray(frequency, np.float64), place)
        return np.asarray(np.sum(np.cos(2 * np.pi * turns) * TAP.to_float(self.table), axis=(-2, -1)) / PHASES)

    def gain(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Power that noise of a frequency has behind it, the mean over all phases: float64, same shape."""
        turns = np.multiply.outer(np.asarray(frequency, np.float64), np.arange(TAPS))
        spectra = np.exp(2j * np.pi * turns) @ TAP.to_float(self.table).T
        return np.asarray(np.mean(np.abs(spectra) ** 2, axis=-1))


def _band(edge: float, distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral of cos(2 pi f distance) over f from -edge to edge."""
    return np.asarray(2 * edge * np.sinc(2 * edge * distance))


WIDE = Kernel(0.35)
"""For 2 to 2.8 samples a symbol where no other tone is near: what would fold onto the signal was taken away before."""
NARROW = Kernel(0.2, 0.4, 3e-4)
"""For 2.8 to 4 samples a symbol: two a symbol are too few for all the noise, of which this takes most away."""
FALLING = Kernel(0.5, fall=2)
"""Where other tones lie close above the signal's band: a kernel of ten taps that is flat up to there would fold them
into it, 24 dB down. This one falls to nothing at half the sample rate, and folds less than -75 dB of anything; the
symbol filter makes the fall good.
"""

KERNELS = (WIDE, NARROW, FALLING)
"""By their number in the register."""
