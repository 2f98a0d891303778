"""Bit-exact numpy model of the mixer: converter words in, signal and pilots at baseband out.

Signal and pilots carry the beat of the two lasers. Three oscillators, of the signal and of pilots 0 and 1, each run at
the beat and an offset of their own; for sample n with the table's word e of exp(-i theta)

    y[n] = round( x[n] e_signal[n] / 2**13 )                               signal, Q1.17
    P[k] = sum over the hop's samples of round( x[n] e_pilot[n] / 2**15 )    pilots, Q5.15, one word a hop

A hop is two samples of the decimated signal, 2 to 16 of the converter. Phases are zero at the first sample and
continuous ever after. The beat is followed by commands that say at which hop a new one begins.

Rounding is to nearest with ties towards plus infinity. Products of real samples always fit; those of complex ones
beyond full scale saturate.

What it adds, for shot noise of s words a sample at the converter, of which mixing leaves s**2 / 2 words**2 to a rail:

* the signal's rounding, 1 / (12 * 4**2) words**2 a rail: 1 / (96 s**2) SNU, 0.001 mSNU for s = 100. This is in front of
  the detector's efficiency: referred to the channel's input, V_A = 4 or not, it is to be divided by eta T / 2;
* a pilot's rounding raises the pilot's noise by 1 / (6 s**2), 1.7e-5, and the residual phase variance, which goes with
  its root, by half of that: 4e-5 mSNU where the smoother leaves 5;
* the oscillators' phase and spurs, 5e-5 and at most 4e-3 mSNU (``dsp.phasor_table``).

Complex samples have s**2 a rail, and the first two figures are half as large.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import BASEBAND, SAMPLE
from ...dsp.nco import PHASE_BITS
from ...dsp.phasor_table import COSINE, DROPPED_BITS, SINE

PILOTS = 2
OSCILLATORS = 1 + PILOTS
HALVINGS = (0, 1, 2, 3)
"""Half-band stages behind the mixer."""
HOP_BITS = 32
"""Width of a hop's number."""
SIGNAL_DROP = 2 * SAMPLE.fraction - BASEBAND.fraction
PILOT_DROP = SAMPLE.fraction

_TURN = 1 << PHASE_BITS
_CHUNK = 1 << 14
"""Samples that are worked on at once: what is between two steps stays in the processor's cache."""
_BIAS = 1 << (SAMPLE.width - 1)

# A word times both components of exp(-i theta) in one pass: I below Q, as in the streams. For Q samples times i.
_IN_PHASE = np.stack([COSINE, -SINE], axis=-1).astype(np.int32).view(np.int64).ravel()
_QUADRATURE = np.stack([SINE, COSINE], axis=-1).astype(np.int32).view(np.int64).ravel()


@dataclass(frozen=True)
class Retune:
    """A command: from hop `at` on the beat is `beat`.

    Attributes:
        at: number of the hop, modulo 2**32; the first after reset is 0.
        beat: phase increment, 2**-32 turns a sample.

    Raises:
        ValueError: a number that its word cannot hold.
    """

    at: int
    beat: int

    def __post_init__(self) -> None:
        for name, bits in (("at", HOP_BITS), ("beat", PHASE_BITS)):
            if not 0 <= getattr(self, name) < 1 << bits:
                raise ValueError(f"a retune's {name} of {getattr(self, name)} does not fit {bits} bits")


@dataclass(frozen=True)
class MixerState:
    """Where the mixer stands between two pieces of a stream; as made, after reset.

    Attributes:
        beat: increment in use, 2**-32 turns a sample.
        phases: of signal, pilot 0 and pilot 1 at the next sample, 2**-32 turns.
        hop: number of the next hop.
        pending: commands that have not yet acted, in order.
    """

    beat: int = 0
    phases: tuple[int, int, int] = (0, 0, 0)
    hop: int = 0
    pending: tuple[Retune, ...] = ()


@dataclass(frozen=True)
class Mixed:
    """What comes of a piece of a stream of n samples.

    Attributes:
        signal: int32 that holds 18-bit words, shape (n, 2), I then Q.
        pilots: int32 that holds 20-bit words, shape (2, hops, 2): pilot, hop, rail.
        saturated: words that did not fit.
        late: commands whose hop had passed.
        state: for the next piece.
    """

    signal: NDArray[np.int32] = field(repr=False)
    pilots: NDArray[np.int32] = field(repr=False)
    saturated: int
    late: int
    state: MixerState


@dataclass(frozen=True)
class Mixer:
    """The mixer with its settings. ``process`` is pure.

    Attributes:
        offsets: increments of signal, pilot 0 and pilot 1 above the beat, 2**-32 turns a sample (of either sign).
        halvings: half-band stages D behind it; a hop has 2 << D samples.
        hops_per_clock: H of the core. Commands act between clocks, one at a time: one for a hop within a clock acts at
            the next clock, and so does the second of two for the same hop.

    Raises:
        ValueError: a number of stages, or of hops per clock, that there is not.
    """

    offsets: tuple[int, int, int]
    halvings: int
    hops_per_clock: int = 1

    def __post_init__(self) -> None:
        if self.halvings not in HALVINGS:
            raise ValueError(f"{self.halvings} half-band stages: must be one of {', '.join(map(str, HALVINGS))}")
        if self.hops_per_clock not in (1, 2, 4, 8):
            raise ValueError(f"{self.hops_per_clock} hops per clock: must be one of 1, 2, 4, 8")

    @property
    def hop(self) -> int:
        """Samples of a hop."""
        return 2 << self.halvings

    def process(
        self, samples: NDArray[np.int16], state: MixerState | None = None, retunes: Iterable[Retune] = ()
    ) -> Mixed:
        """Mix a piece of a stream.

        Args:
            samples: int16, shape (n,) of a real receiver, (n, 2) of one with I and Q; whole clocks.
            state: where the piece before it ended; None after reset.
            retunes: commands that come with this piece, after those that are pending.

        Raises:
            ValueError: samples of another type or shape, or a piece that ends within a hop or a clock.
        """
        if samples.dtype != np.int16 or samples.ndim not in (1, 2) or samples.shape[1:] not in ((), (2,)):
            raise ValueError(
                f"samples must be int16 of shape (n,) or (n, 2), not {samples.dtype} of shape {samples.shape}"
            )
        state = state or MixerState()
        hops, rest = divmod(len(samples), self.hop)
        if rest or hops % self.hops_per_clock:
            raise ValueError(f"{len(samples)} samples are no whole number of {self.hops_per_clock} hops of {self.hop}")
        signal = np.empty((len(samples), 2), np.int32)
        pilots = np.empty((PILOTS, hops, 2), np.int32)
        pending = [*state.pending, *retunes]
        begin, beat, phases, late, saturated = 0, state.beat, state.phases, 0, 0
        while begin < hops:
            end = hops
            if pending and (ahead := self._ahead(pending[0], state.hop + begin)) <= 0:
                beat = pending.pop(0).beat
                late += ahead < 0
                end = begin + self.hops_per_clock
            elif pending:
                end = min(hops, begin + ahead)
            words = [(beat + offset) % _TURN for offset in self.offsets]
            part = slice(begin * self.hop, end * self.hop)
            saturated += self._mix(samples[part], words, phases, signal[part], pilots[:, begin:end])
            phases = _advance(phases, words, (end - begin) * self.hop)
            begin = end
        after = MixerState(beat, phases, (state.hop + hops) % (1 << HOP_BITS), tuple(pending))
        return Mixed(signal, pilots, saturated, late, after)

    def _ahead(self, command: Retune, hop: int) -> int:
        """Hops from `hop`, which begins a clock, to the clock at which a command acts; negative if that has passed."""
        ahead = (command.at - hop + (1 << (HOP_BITS - 1))) % (1 << HOP_BITS) - (1 << (HOP_BITS - 1))
        return -(-ahead // self.hops_per_clock) * self.hops_per_clock

    def _mix(
        self,
        samples: NDArray[np.int16],
        words: Sequence[int],
        phases: Sequence[int],
        signal: NDArray[np.int32],
        pilots: NDArray[np.int32],
    ) -> int:
        """Mix samples of one beat into arrays that are there; returns how many words saturated."""
        size = min(_CHUNK, len(samples))
        numbers = np.arange(size, dtype=np.uint32)
        ramps = [numbers * np.uint32(word) for word in words]
        work = _Workspace(size, samples.ndim)
        saturated = 0
        for begin in range(0, len(samples), size):
            end = min(begin + size, len(samples))
            work.load(samples[begin:end])
            starts = _advance(phases, words, begin)
            product = work.mix(ramps[0], starts[0])
            product += 1 << (SIGNAL_DROP - 1)
            saturated += _shift_and_saturate(product, SIGNAL_DROP, signal[begin:end].reshape(-1), samples.ndim)
            hops = slice(begin // self.hop, end // self.hop)
            for out, ramp, start in zip(pilots, ramps[1:], starts[1:], strict=True):
                product = work.mix(ramp, start)
                product += 1 << (PILOT_DROP - 1)
                saturated += _shift_and_saturate(product, PILOT_DROP, product, samples.ndim)
                _sum_hops(product, self.hop, out[hops])
        return saturated


class _Workspace:
    """Arrays that chunk after chunk of a stream goes through."""

    def __init__(self, size: int, rails: int) -> None:
        self._phase = np.empty(size, np.uint32)
        self._angle = np.empty(size, np.intp)
        self._phasors = np.empty(size, np.int64)
        self._rails = np.empty((rails, 2 * size), np.int32)
        self._products = np.empty((rails, 2 * size), np.int32)
        self._count = size

    def load(self, samples: NDArray[np.int16]) -> None:
        """Put each rail's samples where I and where Q of a phasor will be."""
        self._count = len(samples)
        for twice, rail in zip(self._rails, samples.reshape(self._count, len(self._rails)).T, strict=True):
            twice[0 : 2 * self._count : 2] = rail
            twice[1 : 2 * self._count : 2] = rail

    def mix(self, ramp: NDArray[np.uint32], start: int) -> NDArray[np.int32]:
        """The exact products of the samples and exp(-i theta), I and Q in turn; valid until the next call."""
        count = self._count
        phase, angle, phasors = self._phase[:count], self._angle[:count], self._phasors[:count]
        np.add(ramp[:count], np.uint32(start), out=phase)
        np.right_shift(phase, np.uint32(DROPPED_BITS), out=phase)
        np.copyto(angle, phase)
        for rail, table, product in zip(self._rails, (_IN_PHASE, _QUADRATURE), self._products, strict=False):
            # The angle is always within the table; "clip" spares a copy.
            np.take(table, angle, out=phasors, mode="clip")
            np.multiply(rail[: 2 * count], phasors.view(np.int32), out=product[: 2 * count])
        total = self._products[0, : 2 * count]
        if len(self._products) == 2:
            # At most sqrt(2) 2**30: int32 holds it.
            total += self._products[1, : 2 * count]
        return total


def _advance(phases: Sequence[int], words: Sequence[int], count: int) -> tuple[int, int, int]:
    """The phases so many samples later."""
    signal, pilot_0, pilot_1 = ((phase + word * count) % _TURN for phase, word in zip(phases, words, strict=True))
    return signal, pilot_0, pilot_1


def _shift_and_saturate(product: NDArray[np.int32], drop: int, out: NDArray[np.int32], rails: int) -> int:
    """Drop bits; clip what complex samples can make too large. Returns how many words were clipped."""
    np.right_shift(product, drop, out=out)
    largest = (1 << (2 * SAMPLE.fraction - drop)) - 1
    if rails == 1 or not len(out) or (out.max() <= largest and out.min() >= ~largest):
        return 0
    clipped = np.clip(out, ~largest, largest)
    saturated = int(np.count_nonzero(clipped != out))
    out[:] = clipped
    return saturated


def _sum_hops(words: NDArray[np.int32], hop: int, out: NDArray[np.int32]) -> None:
    """Sums of `hop` complex words of 16 bits each."""
    # Above zero, I and Q are summed as one word of 64 bits: no sum of I reaches Q.
    words += _BIAS
    pairs = words.view(np.int64)
    while len(pairs) > len(out):
        pairs = pairs[0::2] + pairs[1::2]
    np.subtract(pairs.view(np.int32).reshape(-1, 2), _BIAS * hop, out=out)
