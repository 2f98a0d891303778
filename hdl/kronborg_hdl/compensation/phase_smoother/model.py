"""Bit-exact numpy model of the phase smoother, and how its weights are chosen.

The best estimate of a phase that walks at random looks as far ahead as back: phasors are weighted by a**|k|, k being
the distance in hops. It is a product over doubling distances d = 2**i, up to a factor and to what lies beyond 2**S,

    sum over k of a**|k| z**k  ~  product over i < S of (a_i z**-d + 1 + a_i**2 + a_i z**d),    a_i = a**d

so that S stages of three taps make it, without feedback, each of them

    y[n] = x[n] + round( w_i (x[n - d] + x[n + d] - 2 x[n]) / 64 ),    w_i / 64 = a_i / (1 + a_i)**2

which weighs with positive numbers that sum to one: nothing can overflow. Weights of 16 / 64 in the first stages and
zeros behind make a triangle instead, a boxcar of 2**stages hops twice. Rounding is to nearest with ties towards plus
infinity. A stream has zeros before its first phasor, and so has the input of each stage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import Format

STAGES = 8
REACH = (1 << STAGES) - 1
"""Hops that the smoother sees ahead, and back."""
WEIGHT_BITS = 5
NEGLIGIBLE = 0.05
"""Of the phase error's variance: less in the signal's band is not worth a search."""
WEIGHT_FRACTION = 6
"""Weights are multiples of 1/64. Finer ones would gain 0.1 % of variance."""
BOXCAR_WEIGHT = 16

PHASOR = Format(5, 15)
"""Sums of up to 16 samples of Q1.15: 20 bits hold them exactly."""


@dataclass(frozen=True)
class PhaseSmoother:
    """The smoother with its weights. ``process`` is pure.

    Attributes:
        weights: in 1/64, each 0 to 31, that of the nearest neighbours first.

    Raises:
        ValueError: another number of weights, or one that its register cannot hold.
    """

    weights: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.weights) != STAGES:
            raise ValueError(f"{len(self.weights)} weights: there are {STAGES} stages")
        for weight in self.weights:
            if not 0 <= weight < 1 << WEIGHT_BITS:
                raise ValueError(f"a weight of {weight} is outside 0 to {(1 << WEIGHT_BITS) - 1}")

    def process(self, phasors: NDArray[np.int32]) -> NDArray[np.int32]:
        """Smooth a stream, with zeros behind its end.

        Args:
            phasors: int32 that holds 20-bit words, shape (n, 2), I then Q.

        Returns:
            The same shape: row k belongs to row k of the input.

        Raises:
            ValueError: phasors of another type or shape, or words of more than 20 bits.
        """
        if phasors.dtype != np.int32 or phasors.ndim != 2 or phasors.shape[1] != 2:
            raise ValueError(f"phasors must be int32 of shape (n, 2), not {phasors.dtype} of shape {phasors.shape}")
        if phasors.size and not PHASOR.minimum <= phasors.min() <= phasors.max() <= PHASOR.maximum:
            raise ValueError(f"a phasor does not fit {PHASOR.width} bits")
        words = np.zeros((len(phasors) + REACH, 2), np.int32)
        words[: len(phasors)] = phasors
        for stage, weight in enumerate(self.weights):
            if weight:
                words = self._stage(words, 1 << stage, weight)
        return words[: len(phasors)]

    @staticmethod
    def _stage(words: NDArray[np.int32], distance: int, weight: int) -> NDArray[np.int32]:
        difference = -2 * words
        difference[distance:] += words[:-distance]
        difference[:-distance] += words[distance:]
        # 22 bits of difference times 5 bits of weight: int32 holds it.
        return words + ((difference * weight + (1 << (WEIGHT_FRACTION - 1))) >> WEIGHT_FRACTION)

    @property
    def kernel(self) -> NDArray[np.float64]:
        """Weights of the whole cascade for the distances -REACH to REACH: float64, sum one."""
        kernel = np.ones(1)
        for stage, weight in enumerate(self.weights):
            taps = np.zeros((2 << stage) + 1)
            taps[[0, -1]] = weight / (1 << WEIGHT_FRACTION)
            taps[1 << stage] = 1 - 2 * weight / (1 << WEIGHT_FRACTION)
            kernel = np.convolve(kernel, taps)
        return kernel

    @property
    def effective_hops(self) -> float:
        """Length of the boxcar that would take as much noise away."""
        return float(1 / np.sum(self.kernel**2))

    def response(self, frequency: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Gain for tones at so many cycles a hop from the pilot: float64, of the frequency's shape."""
        gain = np.ones_like(np.asarray(frequency, np.float64))
        for stage, weight in enumerate(self.weights):
            gain = gain * (1 - 2 * weight / (1 << WEIGHT_FRACTION) * (1 - np.cos(2 * np.pi * frequency * (1 << stage))))
        return gain

    def phase_variance_rad2(self, walk_rad2: float, noise_rad2: float) -> float:
        """Variance of the smoothed phase against the true one, for a phase that walks from hop to hop.

        Args:
            walk_rad2: variance of the phase's step from one hop to the next, q.
            noise_rad2: variance of a hop's own phase noise, r = 1 / (2 SNR).
        """
        kernel = self.kernel
        # A step k hops ahead reaches the estimate with all weights from there on.
        ahead = np.cumsum(kernel[:REACH])
        return float(noise_rad2 * np.sum(kernel**2) + 2 * walk_rad2 * np.sum(ahead**2))


def smoother_limit_rad2(walk_rad2: float, noise_rad2: float) -> float:
    """Least variance that any smoother reaches, with infinite reach: q r / sqrt(q**2 + 4 q r).

    The steady state of the Rauch-Tung-Striebel smoother of a random walk (Anderson & Moore, Optimal Filtering, 1979,
    chapter 7). Arguments as for :meth:`PhaseSmoother.phase_variance_rad2`.
    """
    if not walk_rad2:
        return 0.0
    return noise_rad2 / float(np.sqrt(1 + 4 * noise_rad2 / walk_rad2))


def exponential(pole: float) -> PhaseSmoother:
    """The two-sided exponential a**|k|.

    Args:
        pole: a, from 0 (no smoothing) to 1 (the triangle of the full reach).

    Raises:
        ValueError: a pole outside 0 to 1.
    """
    if not 0 <= pole <= 1:
        raise ValueError(f"a pole of {pole:g} is outside 0 to 1")
    powers = [pole ** (1 << stage) for stage in range(STAGES)]
    return PhaseSmoother(tuple(round((1 << WEIGHT_FRACTION) * a / (1 + a) ** 2) for a in powers))


def triangle(stages: int) -> PhaseSmoother:
    """A boxcar of ``2**stages`` hops, applied twice.

    Raises:
        ValueError: more stages than there are.
    """
    if not 0 <= stages <= STAGES:
        raise ValueError(f"{stages} stages: must be 0 to {STAGES}")
    return PhaseSmoother((BOXCAR_WEIGHT,) * stages + (0,) * (STAGES - stages))


def best_smoother(walk_rad2: float, noise_rad2: float) -> PhaseSmoother:
    """The exponential of the steady-state smoother: its pole is the root of ``a + 1 / a = 2 + q / r`` below one.

    Arguments as for :meth:`PhaseSmoother.phase_variance_rad2`; a walk of zero gives the longest average.
    """
    if noise_rad2 <= 0:
        return exponential(0.0)
    half = 1 + walk_rad2 / (2 * noise_rad2)
    return exponential(float(half - np.sqrt(half * half - 1)))


@dataclass(frozen=True)
class SignalBand:
    """The signal beside the pilot: what the pilot's phase error modulates onto a strong pilot, it receives as noise.

    Attributes:
        low, high: its edges, in cycles a hop from the pilot; both positive.
        pilot: power of the pilot over the signal's.
    """

    low: float
    high: float
    pilot: float

    def leak(self, smoother: PhaseSmoother, noise_rad2: float) -> float:
        """What the phasors' noise modulates from the pilot into the band, over the signal's power.

        With H the smoother and I the straight lines between hops (``rotator.model``) the noise's spectrum is that of a
        hop times (H I)**2. The walk's own spectrum there is in the light, and is left out: a smoother that would track
        it sees it through the same noise.
        """
        frequency = np.linspace(self.low, self.high, 33)
        lines = (3 * np.cos(np.pi * frequency / 2) + np.cos(3 * np.pi * frequency / 2)) / 4
        seen = smoother.response(frequency) * lines
        return float(self.pilot * noise_rad2 * np.mean(seen**2) * (self.high - self.low))


def fitted_smoother(
    walk_rad2: float, noise_rad2: float, tones: Sequence[tuple[float, float]] = (), band: SignalBand | None = None
) -> PhaseSmoother:
    """The smoother with the least error when other tones are near the pilot, or the signal is.

    Each stage has a null where its two outer taps turn against the middle one, so that a few weights off the
    exponential take a second pilot away, or keep noise of the phase out of the signal's band, at little cost. Found by
    changing one weight at a time.

    Arguments as for :meth:`PhaseSmoother.phase_variance_rad2`, and

    Args:
        walk_rad2: see there.
        noise_rad2: see there.
        tones: of each its distance from the pilot in cycles a hop, and its power in a hop's phasor over the pilot's.
        band: where the signal is.
    """

    def error(smoother: PhaseSmoother) -> float:
        leaks = sum(power * float(smoother.response(frequency)) ** 2 for frequency, power in tones)
        beside = band.leak(smoother, noise_rad2) if band else 0.0
        return smoother.phase_variance_rad2(walk_rad2, noise_rad2) + leaks / 2 + beside

    best = best_smoother(walk_rad2, noise_rad2)
    least, before = error(best), math.inf
    # A quick phase is tracked by a wide filter: only then does the band matter.
    alone = best.phase_variance_rad2(walk_rad2, noise_rad2)
    search = bool(tones) or bool(band and band.leak(best, noise_rad2) > NEGLIGIBLE * alone)
    while search and least < before:
        before = least
        for stage in range(STAGES):
            for weight in range(1 << WEIGHT_BITS):
                candidate = PhaseSmoother((*best.weights[:stage], weight, *best.weights[stage + 1 :]))
                if (found := error(candidate)) < least:
                    best, least = candidate, found
    return best
