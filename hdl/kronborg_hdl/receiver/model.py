"""Bit-exact model of the receiver: converter words to symbols, with the pilot's phase taken off.

    samples > mixer > half-bands > rotator > resampler > symbol filter > symbols
                  `-> phase smoother > unit phasor -^

Where timing comes from outside, from a host that has found the frame in a capture, the model is that of the chain with
these settings. With frames found by the gateware itself it is ``closed_loop``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..compensation.mixer.model import Mixer, MixerState
from ..compensation.phase_smoother.model import REACH as SMOOTHER_REACH
from ..compensation.phase_smoother.model import PhaseSmoother
from ..compensation.rotator.model import Rotator
from ..compensation.unit_phasor.model import unit_phasor
from ..decimation.half_band.model import NARROW, WIDE, HalfBand
from ..decimation.resampler.model import FRACTION, HISTORY, Resampler, ResamplerState
from ..decimation.symbol_filter.model import SymbolFilter

SETTLING_SYMBOLS = 40
"""From a capture's begin or end on, until windows lie wholly within it: half of a pulse, half-bands, rotator."""
FLUSH_HOPS = SMOOTHER_REACH + 64
"""Silence behind a capture that brings its last symbols out."""


def half_bands(halvings: int) -> tuple[HalfBand, ...]:
    """The decimating stages of so many: the last one is the wide one."""
    return (NARROW,) * (halvings - 1) + (WIDE,) * (halvings > 0)


@dataclass(frozen=True)
class Alignment:
    """How decimated samples lie against converter samples and hops.

    Attributes:
        lead: decimated sample k stands for converter sample ``2**halvings * (k - late) - lead``.
        late: decimated samples are delayed by none or one, so that a pair of them lies about the middle of a hop.
        hops: how many hops later than its own a pair comes: the rotator's delay.
    """

    lead: int
    late: int
    hops: int


def alignment(halvings: int) -> Alignment:
    """The alignment of so many half-band stages."""
    lead, scale = 0, 1
    for stage in half_bands(halvings):
        # The middle of output m's window is 2 m + 1 - delay.
        lead += scale * (stage.delay - 1)
        scale *= 2

    def off(late: int) -> tuple[float, int]:
        """How far the pair's middle is from that of the nearest hop, and which hop that is."""
        behind = lead + scale * (late - 0.5) + (2 * scale - 1) / 2
        hops = round(behind / (2 * scale))
        return abs(behind - 2 * scale * hops), hops

    late = min((0, 1), key=off)
    return Alignment(lead, late, off(late)[1])


def decimate(signal: NDArray[np.int32], halvings: int) -> tuple[NDArray[np.int32], int]:
    """The half-bands, and the one sample's delay where there is one.

    Args:
        signal: of the mixer, int32, shape (n, 2).
        halvings: stages.

    Returns:
        Decimated samples, int32, shape (n >> halvings, 2), and how many words saturated.
    """
    saturated = 0
    for stage in half_bands(halvings):
        signal, clipped = stage.process(signal)
        saturated += clipped
    if alignment(halvings).late:
        signal = np.concatenate([np.zeros((1, 2), np.int32), signal[:-1]])
    return signal, saturated


@dataclass(frozen=True)
class Received:
    """What the receiver hands on.

    Attributes:
        words: symbols, int16, shape (n, 2), I then Q.
        pilot: of each hop the smoothed phasor, int32, shape (m, 2).
        turn: and the unit phasor, int16, likewise.
        saturated: words that did not fit, anywhere in the chain.
    """

    words: NDArray[np.int16] = field(repr=False)
    pilot: NDArray[np.int32] = field(repr=False)
    turn: NDArray[np.int16] = field(repr=False)
    saturated: int


@dataclass(frozen=True, eq=False)
class Receiver:
    """The chain with its settings.

    Attributes:
        mixer: increments of the oscillators above the beat, and half-band stages.
        beat: increment, 2**-32 turns a sample.
        smoother: of the pilot's phase.
        resampler: its taps.
        symbol_filter: its taps and scale.
        position: of the resampler's first output in decimated samples, 2**-32 of them.
        step: from output to output, likewise.
    """

    mixer: Mixer
    beat: int
    smoother: PhaseSmoother
    resampler: Resampler
    symbol_filter: SymbolFilter
    position: int
    step: int

    @property
    def alignment(self) -> Alignment:
        """See there."""
        return alignment(self.mixer.halvings)

    @property
    def samples_per_symbol(self) -> float:
        """Of the converter."""
        return float(self.step * (2 << self.mixer.halvings) / 2**FRACTION)

    def process(self, samples: NDArray[np.int16], *, compensate: bool = True) -> Received:
        """Symbols of a capture; the first ones are from before the first whole window.

        Args:
            samples: int16, shape (n,) of a real receiver, (n, 2) of one with I and Q.
            compensate: take the pilot's phase off; not of noise alone, or to see what it does.

        Raises:
            ValueError: samples of another type or shape.
        """
        hop = self.mixer.hop
        silence = -len(samples) % hop + FLUSH_HOPS * hop
        padded = np.concatenate([samples, np.zeros((silence, *samples.shape[1:]), samples.dtype)])
        mixed = self.mixer.process(padded, MixerState(beat=self.beat))
        pilot = self.smoother.process(mixed.pilots[0])
        turn = unit_phasor(pilot)
        decimated, saturated = decimate(mixed.signal, self.mixer.halvings)
        rotated = Rotator(self.alignment.hops, compensate).process(decimated, turn)
        begin = ResamplerState(np.zeros((HISTORY, 2), np.int32), (HISTORY << FRACTION) + self.position, self.step)
        resampled = self.resampler.process(rotated.samples, begin)
        filtered = self.symbol_filter.process(resampled.samples)
        saturated += mixed.saturated + rotated.saturated + resampled.saturated + filtered.saturated
        return Received(filtered.words, pilot, turn, saturated)
