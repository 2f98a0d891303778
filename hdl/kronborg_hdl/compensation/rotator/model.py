"""Bit-exact numpy model of the rotator: decimated samples times the conjugate of the pilot's phasor.

A hop is two decimated samples, a quarter of a hop before and behind its middle. With u_k the unit phasor of hop k, the
phasor in between is the straight line's,

    v[2 k] = round( (3 u_k + u_(k-1)) / 4 ),    v[2 k + 1] = round( (3 u_k + u_(k+1)) / 4 ),

so that a strong pilot in the samples is not modulated by steps from hop to hop: those would reach into the signal's
band. Where the phase steps by d from hop to hop v is shorter than one, and takes 3/16 d**2 of the power of signal and
noise alike: :func:`power_gain` says how much, for a noise that was measured unturned. With z a sample

    y[n] = saturate( round( z[n] conj(v[n - 2 delay]) / 2**15 ) ),

all rounded to nearest with ties towards plus infinity. ``delay`` says by how many hops the samples are late against the
phasors: half-band filters take their time, the pilots' hop sums take none. Before the first phasor there are zeros, and
so are samples that belong to them. A sample waits until all phasors are there that any delay could ask for,
:data:`REACH` hops ahead of its own: so a delay can be changed without a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import BASEBAND, SAMPLE, round_shift, saturate

REACH = 8
"""Hops of phasors that are kept ahead of a sample's own, and behind."""
MOST_DELAY = REACH - 1
"""Hops by which samples can be late or early: the next hop's phasor is needed too."""
SAMPLES_PER_HOP = 2


@dataclass(frozen=True)
class RotatorState:
    """What waits between two pieces of a stream.

    Attributes:
        samples: that still wait for phasors, int32, shape (n, 2); the first of them is the first of its hop.
        phasors: int16, shape (m, 2), from `REACH` hops before that one's on.
    """

    samples: NDArray[np.int32]
    phasors: NDArray[np.int16]


START = RotatorState(np.zeros((0, 2), np.int32), np.zeros((REACH, 2), np.int16))
"""After reset."""


@dataclass(frozen=True)
class Rotated:
    """What came out.

    Attributes:
        samples: int32 that holds 18-bit words, shape (n, 2).
        saturated: words that were clipped.
        state: for the next piece.
    """

    samples: NDArray[np.int32]
    saturated: int
    state: RotatorState


@dataclass(frozen=True)
class Rotator:
    """The rotator with its delay. ``process`` is pure.

    Attributes:
        delay: hops by which the samples are late, -MOST_DELAY to MOST_DELAY.
        turns: without, every phasor is 32767 + 0i: for noise alone, of which phasors would be made too, and those are
            far from each other.

    Raises:
        ValueError: a delay out of range.
    """

    delay: int = 0
    turns: bool = True

    def __post_init__(self) -> None:
        if abs(self.delay) > MOST_DELAY:
            raise ValueError(f"a delay of {self.delay} hops: must be {-MOST_DELAY} to {MOST_DELAY}")

    def process(self, samples: NDArray[np.int32], phasors: NDArray[np.int16], state: RotatorState = START) -> Rotated:
        """Rotate a piece of a stream; whole hops come out.

        Args:
            samples: int32 that holds 18-bit words, shape (n, 2), I then Q.
            phasors: int16, shape (m, 2); there may be more or fewer than the samples need.
            state: what the piece before left.

        Raises:
            ValueError: arrays of another type or shape, or words of more than 18 bits.
        """
        _check("samples", samples, np.int32)
        _check("phasors", phasors, np.int16)
        if samples.size and not BASEBAND.minimum <= samples.min() <= samples.max() <= BASEBAND.maximum:
            raise ValueError(f"a sample does not fit {BASEBAND.width} bits")
        samples = np.concatenate([state.samples, samples])
        phasors = np.concatenate([state.phasors, phasors])
        hops = max(0, min(len(samples) // SAMPLES_PER_HOP, len(phasors) - 2 * REACH))
        count = hops * SAMPLES_PER_HOP
        u = self._between(phasors[REACH - self.delay - 1 :][: hops + 2].astype(np.int64))
        if not self.turns:
            u = np.broadcast_to(np.array([SAMPLE.maximum, 0], np.int64), u.shape)
        z = samples[:count].astype(np.int64).reshape(hops, SAMPLES_PER_HOP, 2)
        # Two products of 18 and 16 bits: 34 bits hold their sum.
        turned = np.empty_like(z)
        np.add(z[..., 0] * u[..., 0], z[..., 1] * u[..., 1], out=turned[..., 0])
        np.subtract(z[..., 1] * u[..., 0], z[..., 0] * u[..., 1], out=turned[..., 1])
        words, saturated = saturate(round_shift(turned, SAMPLE.fraction), BASEBAND)
        return Rotated(
            words.astype(np.int32).reshape(count, 2), saturated, RotatorState(samples[count:], phasors[hops:])
        )

    @staticmethod
    def _between(phasors: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of each hop but the first and the last the phasors of its two samples, shape (n - 2, 2, 2)."""
        own = 3 * phasors[1:-1]
        # Four words over four fit a word again.
        return np.stack([own + phasors[:-2] + 2, own + phasors[2:] + 2], axis=1) >> 2


def power_gain(phasors: NDArray[np.int16]) -> float:
    """What the power of circular noise is multiplied by when these phasors turn it.

    Args:
        phasors: of a stretch of hops, unit phasors, int16, shape (n, 2), two or more.
    """
    own, following = phasors[:-1].astype(np.float64), phasors[1:].astype(np.float64)
    squares = 9 * np.sum(own**2) + np.sum(following**2) + 6 * np.sum(own * following)
    return float(squares / (16 * SAMPLE.scale**2 * len(own)))


def _check(name: str, words: NDArray[np.signedinteger], of: type[np.signedinteger]) -> None:
    if words.dtype != of or words.ndim != 2 or words.shape[1] != 2:
        raise ValueError(f"{name} must be {of.__name__} of shape (n, 2), not {words.dtype} of shape {words.shape}")
