"""Bit-exact model of the fibre emulator: samples of the transmitter to samples of the receiver's converter.

For sample n of clock k, with x its complex words::

    theta[n + 1] = theta[n] + frequency + sign[k] step            32 bits, 2**-32 turns
    p[n] = round(x[n] exp(i theta[n]) / 2)                        of a real converter the real part alone; Q2.16
    y[n] = saturate( round(p[n] amplitude / 2**17 + noise[n] / 2) )

exp(i theta) is that of ``dsp.phasor_table``; a sign is one for all samples of a clock. Products are exact; there are
two roundings, both to nearest with ties towards plus infinity.

Phase walk: in a clock of L samples the phase moves by L step, up or down, in a straight line. After many clocks that is
a Wiener process of variance (2 pi L step)**2 a clock: the linewidth is 2 pi L f_sample step**2, with the step in turns.

Noise: words of the Gaussian transform (``modulation.gaussian``) in half a converter word, from xoshiro256++
(``generator_model``): independent samples, a tail to 8.24 standard deviations of the complex amplitude, of which what
is beyond 2**15 steps is clipped: nothing within 6 standard deviations of a rail. It stands for shot and electronic
noise together, and is a channel's noise: **no key material**.

What rounding adds: 1/12 word**2 from the last one and less than that from the noise's own (``gaussian.accuracy``), with
a noise of s words 1 / (6 s**2) of it, 7e-8 for the 1500 words of a converter that shot noise fills; p's is a quarter of
a word at amplitude one, and smaller with the loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE, Q, round_shift, saturate
from ...dsp.nco import PHASE_BITS, phase_word
from ...dsp.phasor_table import COSINE, DROPPED_BITS, SINE
from ...dsp.rates import check_lanes
from ...modulation.gaussian.model import MAXIMUM_DEVIATION, MINIMUM_DEVIATION, GaussianSource
from ...modulation.gaussian.tables import DEVIATION_FRACTION
from .generator_model import next_signs, seed_words, split_seed, xoshiro

AMPLITUDE_BITS = 16
"""Width of the amplitude, unsigned, all bits fraction: a loss at the least."""
TURNED = Q(2, 16)
"""Of a sample that is turned: as large as sqrt(2), and 18 bits are a multiplier's input."""
TURNED_DROP = 2 * SAMPLE.fraction - TURNED.fraction
NOISE_FRACTION = 1
"""Bits of a word of noise below the converter's."""
OUT_DROP = TURNED.fraction + AMPLITUDE_BITS - SAMPLE.fraction
NOISE_SCALE = 2.0 ** -(DEVIATION_FRACTION + NOISE_FRACTION)
"""Converter words in a step of the deviation's register."""

_TURN = 1 << PHASE_BITS


def generators(lanes: int, complex_output: bool) -> int:
    """Generators that so many samples need: a complex word of noise is two real samples, of which one lane has one."""
    return lanes if complex_output else -(-lanes // 2)


@dataclass(frozen=True, eq=False)
class EmulatorState:
    """Where the emulator stands between two pieces of a stream.

    Attributes:
        phase: of the next sample, 2**-32 turns.
        signs: the walk's last bits.
        noise: states of the generators of noise, uint64, shape (generators, 4).
    """

    phase: int
    signs: NDArray[np.uint8] = field(repr=False)
    noise: NDArray[np.uint64] = field(repr=False)


@dataclass(frozen=True)
class Emulated:
    """What comes of a piece of a stream.

    Attributes:
        words: int16, shape (n,) for a real converter, (n, 2) for one with I and Q.
        saturated: words that did not fit.
        state: for the next piece.
    """

    words: NDArray[np.int16] = field(repr=False)
    saturated: int
    state: EmulatorState = field(repr=False)


@dataclass(frozen=True)
class FibreEmulator:
    """The emulator with its settings. ``process`` is pure.

    Attributes:
        lanes: samples per clock of the core.
        amplitude: 2**-16.
        frequency: of the beat, 2**-32 turns a sample.
        step: of the walk, 2**-32 turns a sample.
        deviation: of the noise, 1/16 words; 0 for none.
        seed: of all generators.
        complex_output: samples that come out have I and Q.

    Raises:
        ValueError: a setting that the core does not have, or refuses.
    """

    lanes: int
    amplitude: int
    frequency: int = 0
    step: int = 0
    deviation: int = 0
    seed: int = 1
    complex_output: bool = False

    def __post_init__(self) -> None:
        check_lanes(self.lanes)
        for name, bits in (("amplitude", AMPLITUDE_BITS), ("frequency", PHASE_BITS), ("step", PHASE_BITS)):
            if not 0 <= getattr(self, name) < 1 << bits:
                raise ValueError(f"an emulator's {name} of {getattr(self, name)} does not fit {bits} bits")
        if self.deviation and not MINIMUM_DEVIATION <= self.deviation <= MAXIMUM_DEVIATION:
            raise ValueError(
                f"noise of {self.deviation * NOISE_SCALE:g} words: there can be none, or"
                f" {MINIMUM_DEVIATION * NOISE_SCALE:g} to {MAXIMUM_DEVIATION * NOISE_SCALE:g} words"
            )
        seed_words(self.seed, 0)

    @classmethod
    def of(
        cls,
        *,
        lanes: int,
        sample_rate_hz: float,
        amplitude: float,
        beat_hz: float = 0.0,
        linewidth_hz: float = 0.0,
        noise_words: float = 0.0,
        seed: int = 1,
        complex_output: bool = False,
    ) -> FibreEmulator:
        """The nearest settings to these figures.

        Args:
            lanes: samples per clock.
            sample_rate_hz: of both converters.
            amplitude: converter words for each word sent, 0 to 1 - 2**-16: 10**(-loss / 20) in decibels of loss.
            beat_hz: Alice's optical frequency minus Bob's.
            linewidth_hz: sum of the two lasers'.
            noise_words: standard deviation of a rail.
            seed: of the generators.
            complex_output: as the class has it.

        Raises:
            ValueError: the core cannot have them.
        """
        return cls(
            lanes,
            round(amplitude * 2**AMPLITUDE_BITS),
            phase_word(beat_hz, sample_rate_hz),
            round(float(np.sqrt(linewidth_hz / (2 * np.pi * lanes * sample_rate_hz))) * 2**PHASE_BITS),
            round(noise_words / NOISE_SCALE),
            seed,
            complex_output,
        )

    @property
    def seed_words(self) -> NDArray[np.uint32]:
        """What the host writes to the seed register, in this order."""
        return seed_words(self.seed, generators(self.lanes, self.complex_output))

    def begin(self) -> EmulatorState:
        """The state behind the seed's last word."""
        signs, noise = split_seed(self.seed_words)
        return EmulatorState(0, signs, noise)

    def process(self, samples: NDArray[np.int16], state: EmulatorState | None = None) -> Emulated:
        """What the receiver's converter gives for a piece of a stream.

        Args:
            samples: int16, shape (n, 2), I then Q; whole clocks.
            state: where the piece before it ended; None behind the seed.

        Raises:
            ValueError: samples of another type or shape, or a part of a clock.
        """
        if samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[1] != 2:
            raise ValueError(f"samples must be int16 of shape (n, 2), not {samples.dtype} of shape {samples.shape}")
        clocks, rest = divmod(len(samples), self.lanes)
        if rest:
            raise ValueError(f"{len(samples)} samples are no whole number of clocks of {self.lanes}")
        state = state or self.begin()
        bits, signs = next_signs(state.signs, clocks)
        phases, phase = self._phases(bits, state.phase)
        noise, states = self._noise(state.noise, clocks)
        turned = self._turn(samples, phases)
        total = turned * self.amplitude + (noise << (OUT_DROP - NOISE_FRACTION))
        words, saturated = saturate(round_shift(total, OUT_DROP), SAMPLE)
        return Emulated(words.astype(np.int16), saturated, EmulatorState(phase, signs, states))

    def _phases(self, bits: NDArray[np.uint8], phase: int) -> tuple[NDArray[np.uint32], int]:
        """Of each sample, and of the one behind them; uint32, shape (n,)."""
        up, down = np.uint32((self.frequency + self.step) % _TURN), np.uint32((self.frequency - self.step) % _TURN)
        words = np.where(bits != 0, up, down)
        begins = np.empty(len(words) + 1, np.uint32)
        begins[0] = phase
        np.cumsum(words * np.uint32(self.lanes), dtype=np.uint32, out=begins[1:])
        begins[1:] += np.uint32(phase)
        inner = begins[:-1, np.newaxis] + words[:, np.newaxis] * np.arange(self.lanes, dtype=np.uint32)
        return inner.ravel(), int(begins[-1])

    def _noise(self, states: NDArray[np.uint64], clocks: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Words of noise, int64, in the shape of the output."""
        words, states = xoshiro(states, clocks)
        shape = (clocks * self.lanes, 2)[: 1 + self.complex_output]
        if not self.deviation:
            return np.zeros(shape, np.int64), states
        made = GaussianSource(self.deviation).process(words.ravel()).words.astype(np.int64)
        if self.lanes == 1 and not self.complex_output:
            made = made[:, 0]
        return made.reshape(shape), states

    def _turn(self, samples: NDArray[np.int16], phases: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Samples times exp(i theta), rounded; int64, in the shape of the output."""
        angles = (phases >> np.uint32(DROPPED_BITS)).astype(np.intp)
        cosine, sine = COSINE.take(angles).astype(np.int64), SINE.take(angles).astype(np.int64)
        i, q = samples[:, 0].astype(np.int64), samples[:, 1].astype(np.int64)
        rails = [i * cosine - q * sine]
        if self.complex_output:
            rails.append(i * sine + q * cosine)
        turned = round_shift(np.stack(rails, axis=-1), TURNED_DROP)
        return turned if self.complex_output else turned[:, 0]
