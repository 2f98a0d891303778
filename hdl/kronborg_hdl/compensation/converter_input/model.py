"""Bit-exact numpy model of the converter's input: over-range, offset, gain and quadrature.

With the offsets o in use, for a real receiver and for the rails of one with I and Q

    y = saturate(x - o)            i' = saturate(i - o_i)            q' = saturate(q - o_q)
                                   y_i = i',   y_q = saturate( round( (gain q' + skew i') / 2**14 ) )

Raw words at a threshold or beyond are counted: the converter, or the amplifier before it, was at its end.

Offsets are tracked by a leaky integrator in steps of a block of 4096 samples. With S the sum of a block, and the mean m
in 2**-16 of a word,

    m  <-  m + round( (2**4 S - m) / 2**averaging )            o = round(m / 2**16)

the mean after block b is in use from the begin of block b + 2, so that a core has a block's time for it; and within a
block nothing changes: what is subtracted is a constant, not a filter. ``hold`` keeps mean and offset as they are.

Rounding is to nearest with ties towards plus infinity. What it adds: at most half a word at zero frequency, where no
signal is. For I and Q, with shot noise of s words a rail and sample, y_q's rounding 1 / 12 words**2, which the mixer
spreads over both rails: 1 / (24 s**2) SNU, 0.004 mSNU for s = 100, to be divided by eta T / 2 at the channel's input;
and the coefficients' last bit, at most 2**-15, an image of 2 * 2**-30 / 4, -93 dB: of a pilot P times as strong as the
signal V_A P 10**-9.3, 2e-4 mSNU at V_A = 4 and P = 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE

BLOCK_BITS = 12
BLOCK = 1 << BLOCK_BITS
"""Samples for which an offset is constant."""
MEAN_FRACTION = 16
"""Fraction bits of a mean."""
AVERAGING_BITS = 4
"""Width of the integrator's register: it averages 2**averaging blocks, up to 2**27 samples."""
COEFFICIENT_FRACTION = 14
GAIN_BITS = 15
"""Width of the gain, without sign: below 2."""
SKEW_BITS = 15
"""Width of the skew, with its sign: within -1 and 1. Then no sum of products leaves 32 bits."""
UNITY = 1 << COEFFICIENT_FRACTION
UPPER, LOWER = 32752, -32768
"""Thresholds after reset: the largest word of a converter of 12 bits, and beyond it that of one of 14; the smallest."""

_BLOCKS_AT_ONCE = 8
"""Blocks that are worked on at once: what is between two steps stays in the processor's cache."""


@dataclass(frozen=True)
class InputState:
    """Where the input stands between two pieces of a stream. Rails: one, or I and Q; as made, after reset.

    Attributes:
        means: of each rail, in 2**-16 words.
        offsets: in use, words.
        sums: of the block that has begun.
        position: samples of it so far.
    """

    means: tuple[int, int] = (0, 0)
    offsets: tuple[int, int] = (0, 0)
    sums: tuple[int, int] = (0, 0)
    position: int = 0


def fixed_offset(i: int, q: int = 0) -> InputState:
    """The state after these offsets, words, were loaded before the first sample."""
    return InputState(means=(i << MEAN_FRACTION, q << MEAN_FRACTION), offsets=(i, q))


@dataclass(frozen=True)
class Converted:
    """What comes of a piece of a stream.

    Attributes:
        words: int16, of the input's shape; the input itself if there was nothing to correct.
        over_range: raw words at a threshold or beyond.
        saturated: words that did not fit after a correction.
        state: for the next piece.
    """

    words: NDArray[np.int16] = field(repr=False)
    over_range: int
    saturated: int
    state: InputState


@dataclass(frozen=True)
class ConverterInput:
    """The input with its settings; as made, what the registers hold after reset. ``process`` is pure.

    Attributes:
        averaging: the mean's time constant is 2**averaging blocks, 0 to 15.
        hold: keep the offset.
        gain: of Q, in 2**-14, 0 to 32767.
        skew: of I in Q, in 2**-14, -16384 to 16383.
        upper: a raw word of this or more is over-range.
        lower: a raw word of this or less is.

    Raises:
        ValueError: a value that its register cannot hold.
    """

    averaging: int = 0
    hold: bool = True
    gain: int = UNITY
    skew: int = 0
    upper: int = UPPER
    lower: int = LOWER

    def __post_init__(self) -> None:
        for name, least, most in (
            ("averaging", 0, (1 << AVERAGING_BITS) - 1),
            ("gain", 0, (1 << GAIN_BITS) - 1),
            ("skew", -(1 << (SKEW_BITS - 1)), (1 << (SKEW_BITS - 1)) - 1),
            ("upper", SAMPLE.minimum, SAMPLE.maximum),
            ("lower", SAMPLE.minimum, SAMPLE.maximum),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} = {getattr(self, name)} is outside {least} to {most}")

    def process(self, samples: NDArray[np.int16], state: InputState | None = None) -> Converted:
        """Correct a piece of a stream, which may begin and end anywhere.

        Args:
            samples: int16, shape (n,) of a real receiver, (n, 2) of one with I and Q.
            state: where the piece before it ended; None after reset.

        Raises:
            ValueError: samples of another type or shape.
        """
        if samples.dtype != np.int16 or samples.ndim not in (1, 2) or samples.shape[1:] not in ((), (2,)):
            raise ValueError(
                f"samples must be int16 of shape (n,) or (n, 2), not {samples.dtype} of shape {samples.shape}"
            )
        state = state or InputState()
        if not len(samples):
            return Converted(samples, 0, 0, state)
        means, offsets, sums, position = list(state.means), list(state.offsets), list(state.sums), state.position
        rails = samples.reshape(len(samples), samples.ndim)
        edges = [0, *range(BLOCK - position, len(samples), BLOCK), len(samples)]
        in_use = np.zeros((len(edges) - 1, 2), np.int16)
        totals = np.stack([np.add.reduceat(rail, edges[:-1], dtype=np.int32) for rail in rails.T], axis=-1).tolist()
        for block, (total, end) in enumerate(zip(totals, edges[1:], strict=True)):
            in_use[block] = offsets
            position += end - edges[block]
            for rail, part in enumerate(total):
                sums[rail] += part
                if position == BLOCK:
                    offsets[rail], means[rail] = self._next(means[rail], sums[rail])
                    sums[rail] = 0
            position %= BLOCK
        words, over_range, saturated = self._correct(rails, edges, in_use)
        after = InputState((means[0], means[1]), (offsets[0], offsets[1]), (sums[0], sums[1]), position)
        return Converted(words.reshape(samples.shape), over_range, saturated, after)

    def _next(self, mean: int, total: int) -> tuple[int, int]:
        """The next block's offset, and the mean, when a block of this sum is over."""
        offset = (mean + (1 << (MEAN_FRACTION - 1))) >> MEAN_FRACTION
        if self.hold:
            return offset, mean
        difference = (total << (MEAN_FRACTION - BLOCK_BITS)) - mean
        return offset, mean + ((difference + (1 << self.averaging >> 1)) >> self.averaging)

    def _correct(
        self, rails: NDArray[np.int16], edges: Sequence[int], in_use: NDArray[np.int16]
    ) -> tuple[NDArray[np.int16], int, int]:
        """Words, and how many were over-range and how many saturated."""
        over_range = saturated = 0
        nothing_to_do = self.gain == UNITY and not self.skew and not in_use.any()
        words = rails if nothing_to_do else np.empty_like(rails)
        for first in range(0, len(edges) - 1, _BLOCKS_AT_ONCE):
            blocks = range(first, min(first + _BLOCKS_AT_ONCE, len(edges) - 1))
            part = slice(edges[blocks.start], edges[blocks.stop])
            raw = rails[part]
            if raw.max() >= self.upper or raw.min() <= self.lower:
                over_range += int(np.count_nonzero((raw >= self.upper) | (raw <= self.lower)))
            if nothing_to_do:
                continue
            wide = raw.astype(np.int32)
            for block in blocks:
                wide[edges[block] - part.start : edges[block + 1] - part.start] -= in_use[block, : rails.shape[1]]
            saturated += _saturate(wide)
            if rails.shape[1] == 2 and (self.gain != UNITY or self.skew):
                wide[:, 1] *= self.gain
                wide[:, 1] += wide[:, 0] * self.skew + (UNITY >> 1)
                wide[:, 1] >>= COEFFICIENT_FRACTION
                saturated += _saturate(wide)
            words[part] = wide
        return words, over_range, saturated


def _saturate(words: NDArray[np.int32]) -> int:
    """Clip to 16 bits in place; returns how many words did not fit."""
    if words.max() <= SAMPLE.maximum and words.min() >= SAMPLE.minimum:
        return 0
    clipped = np.clip(words, SAMPLE.minimum, SAMPLE.maximum)
    count = int(np.count_nonzero(clipped != words))
    words[:] = clipped
    return count


def imbalance_correction(gain: float, skew_rad: float) -> tuple[int, int]:
    """The registers `gain` and `skew` for a receiver whose Q rail is ``gain (q cos(skew) + i sin(skew))``.

    Raises:
        ValueError: an imbalance that the registers cannot undo.
    """
    words = round(UNITY / (gain * np.cos(skew_rad))), round(-UNITY * np.tan(skew_rad))
    ConverterInput(gain=words[0], skew=words[1])
    return words
