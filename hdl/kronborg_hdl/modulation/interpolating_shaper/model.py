"""Bit-exact model of the interpolating shaper: symbols in, root-raised-cosine samples out, 2, 4, 8 or 16 a symbol.

The core beside it gives the same words for every input. For each rail, with c the K taps of a symmetric pulse of
2 K - 1 taps at two samples a symbol,

    x[m] = saturate( round( 4 sum_n c_|m - (K - 1) - 2 n| a[n] / 2**shift ) )                  Q1.17

and then a half-band interpolator for each doubling. With P distinct taps h in ``2**-fraction``
(``decimation.half_band`` has the filters) it gives

    y[2 n] = x[n - P],    y[2 n + 1] = saturate( round( 2 sum over k < P of h_k (x[n - P - k] + x[n - P + 1 + k]) ) )

The last stage rounds to Q1.15, from its exact sum; of two samples a symbol that is the sum of products. All rounding is
to nearest with ties towards plus infinity.

Half-bands leave images of the signal behind. They are below :data:`IMAGES_DB` up to a roll-off of :data:`ROLL_OFF`;
beyond that the first half-band is too narrow: at a roll-off of 0.5 they are at -55 dB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...decimation.half_band.model import NARROW, WIDE, HalfBand
from ...dsp.formats import BASEBAND, SAMPLE, Format, round_shift, saturate
from ...dsp.rates import LANES
from ...dsp.root_raised_cosine import root_raised_cosine
from ..pulse_shaper.model import MAXIMUM_SHIFT, polyphase_sums

HALF_BANDS: dict[int, tuple[HalfBand, ...]] = {2: (), 4: (WIDE,), 8: (WIDE, NARROW), 16: (WIDE, NARROW, NARROW)}
"""Interpolators, the first one first, by samples a symbol. The signal's band is narrower in each than in the last."""
PULSE_RATE = 2
"""Samples a symbol of the pulse."""
GUARD_BITS = BASEBAND.fraction - SAMPLE.fraction
"""Bits that a word between two stages has below those of a sample."""
ROLL_OFF = 0.2
IMAGES_DB = -80.0


def tail_symbols(samples_per_symbol: int, span: int) -> int:
    """Symbols by which a frame becomes longer, so that every filter has given all that it has.

    Rounded up so that it is whole beats for any number of lanes.
    """
    samples = 2 * span - 1  # of one symbol
    for half_band in HALF_BANDS[samples_per_symbol]:
        samples = 2 * (samples + 2 * len(half_band.taps) - 1)
    whole = max(LANES) // samples_per_symbol
    return -(-(-(-samples // samples_per_symbol) - 1) // whole) * whole


def interpolate(words: NDArray[np.int64], half_band: HalfBand, to: Format = BASEBAND) -> tuple[NDArray[np.int64], int]:
    """Double the rate of one frame; zeros lie before it.

    Args:
        words: of Q1.17, int64, shape (..., n).
        half_band: the filter.
        to: format of what comes out.

    Returns:
        int64, shape (..., 2 n), and how many words saturated.
    """
    reach, count = len(half_band.taps), words.shape[-1]
    drop = BASEBAND.fraction - to.fraction
    before = np.concatenate([np.zeros((*words.shape[:-1], 2 * reach), np.int64), words], axis=-1)
    # Place p of a frame is x[p - 2 P]; output n is between n - P and the next one.
    sums = np.zeros(words.shape, np.int64)
    for k, tap in enumerate(half_band.taps):
        sums += tap * (before[..., reach - k :][..., :count] + before[..., reach + 1 + k :][..., :count])
    doubled = np.empty((*words.shape, 2), np.int64)
    doubled[..., 0] = round_shift(before[..., reach:][..., :count], drop)
    doubled[..., 1] = round_shift(sums, half_band.fraction - 1 + drop)
    return saturate(doubled.reshape(*words.shape[:-1], 2 * count), to)


def pulse_taps(samples_per_symbol: int, span: int, roll_off: float) -> NDArray[np.float64]:
    """c_0 ... c_(K-1) of a root-raised cosine whose samples behind the half-bands have unit energy.

    Args:
        samples_per_symbol: M, 2, 4, 8 or 16.
        span: K: the pulse reaches K - 1 half symbols to either side, which for K = 33 is a span of 32 symbols.
        roll_off: see :data:`ROLL_OFF`.

    Returns:
        float64, shape (K,).

    Raises:
        ValueError: no such M, or a roll-off out of range.
    """
    check_samples_per_symbol(samples_per_symbol)
    taps = root_raised_cosine(PULSE_RATE, span, roll_off)[span:]
    return taps * np.sqrt(PULSE_RATE / samples_per_symbol)


def check_samples_per_symbol(samples_per_symbol: int) -> None:
    """ValueError unless half-bands lead from two samples a symbol to so many."""
    if samples_per_symbol not in HALF_BANDS:
        raise ValueError(f"{samples_per_symbol} samples per symbol: must be one of {', '.join(map(str, HALF_BANDS))}")


@dataclass(frozen=True)
class InterpolatingShaper:
    """The filter with its settings. ``process`` is pure.

    Attributes:
        taps: int16, shape (K,): c_0, in the middle of the pulse, outwards.
        samples_per_symbol: M, 2, 4, 8 or 16.
        shift: bits dropped from the sum of products for a sample's word, 0 to 31; 15 is a gain of one.

    Raises:
        ValueError: the taps are no int16 vector, no such M, or the shift is out of range.
    """

    taps: NDArray[np.int16]
    samples_per_symbol: int
    shift: int

    def __post_init__(self) -> None:
        if self.taps.dtype != np.int16 or self.taps.ndim != 1 or not len(self.taps):
            raise ValueError(f"taps must be a vector of int16, not {self.taps.dtype} of shape {self.taps.shape}")
        check_samples_per_symbol(self.samples_per_symbol)
        if not 0 <= self.shift <= MAXIMUM_SHIFT:
            raise ValueError(f"a shift of {self.shift} is outside 0 to {MAXIMUM_SHIFT}")

    @property
    def span(self) -> int:
        """K, the number of taps, and of symbols that meet a sample of the pulse."""
        return len(self.taps)

    @property
    def tail(self) -> int:
        """Symbols by which a frame becomes longer."""
        return tail_symbols(self.samples_per_symbol, self.span)

    def process(self, symbols: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
        """Shape one frame, zeros before it and its tail flushed by zero symbols.

        Args:
            symbols: int16, shape (n, 2), I then Q.

        Returns:
            Samples, int16, shape ((n + tail) * M, 2), and how many words of any stage saturated.
        """
        half_bands = HALF_BANDS[self.samples_per_symbol]
        to, kept = (BASEBAND, GUARD_BITS) if half_bands else (SAMPLE, 0)
        pulse = np.concatenate([self.taps[:0:-1], self.taps, [0]])
        sums = polyphase_sums(symbols, pulse.reshape(self.span, PULSE_RATE))
        # |sum| < 2**38: exact in float64 with the guard bits too.
        words = np.floor((sums * 2.0**kept + (1 << self.shift >> 1)) * 2.0**-self.shift)
        rates = np.zeros((2, (len(symbols) + self.tail) * PULSE_RATE), np.int64)
        rates[:, : words.shape[1]], saturated = saturate(words.astype(np.int64), to)
        for number, half_band in enumerate(half_bands):
            rates, clipped = interpolate(rates, half_band, SAMPLE if number == len(half_bands) - 1 else BASEBAND)
            saturated += clipped
        return np.ascontiguousarray(rates.T.astype(np.int16)), saturated
