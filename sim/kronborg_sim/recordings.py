"""Recordings as public software's transmitter would make them, with the truth beside: to compare receivers.

A frame as in ``kronborg.link.frame_format``, its preamble not shaped: silence, Zadoff-Chu chips at the beat frequency,
then root-raised-cosine symbols, shifted, with pilots. Lasers, clock and shot noise are simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kronborg.link.frame_format import SPAN_SYMBOLS, FrameFormat
from kronborg_hdl.dsp.root_raised_cosine import root_raised_cosine
from kronborg_hdl.dsp.zadoff_chu import zadoff_chu

from .optics.clock import sampled_by_another_clock
from .optics.detector import RfHeterodyne
from .optics.lasers import LaserPair

PULSE_SYMBOLS = 4 * SPAN_SYMBOLS
"""Span of the transmitter's pulse: what it lacks to infinity is no receiver's fault."""
TIMING_PHASES = 256
"""Steps of a sample in which the true matched filter is placed: at ten samples a symbol 1e-4 mSNU at V_A = 4."""


@dataclass(frozen=True)
class Light:
    """What reaches the detector, and the detector.

    Attributes:
        signal_snu: variance of the signal per quadrature, at the detector.
        pilot_snr_db: of the first pilot, over shot and electronic noise in the symbol-rate bandwidth.
        pilot_step_db: how much weaker every further pilot is than the one before it.
        preamble_snu: power of a chip per quadrature, at the detector.
        beat_frequency_hz, beat_drift_hz_per_s, linewidth_hz: of the two lasers, see :class:`.optics.lasers.LaserPair`.
        clock_offset_ppm: how much faster the converter's clock runs than Alice's.
        delay: of the frame in the recording, samples.
    """

    signal_snu: float = 0.5
    pilot_snr_db: float = 20.0
    pilot_step_db: float = 0.0
    preamble_snu: float = 20.0
    beat_frequency_hz: float = 20e6
    beat_drift_hz_per_s: float = 0.0
    linewidth_hz: float = 2e3
    clock_offset_ppm: float = 0.0
    delay: float = 0.0


@dataclass(frozen=True)
class Recorded:
    """A recording and what is true of it.

    Attributes:
        samples: int16, shape (n,).
        current: what of them is light, without noise and rounding, in words, float64, shape (n,).
        symbols: Alice's, complex128, unit variance per quadrature, shape (m,).
        phase: of the beat, radians modulo one turn, float32, shape (n,).
        first_symbol: centre of symbol 0 in samples.
        samples_per_symbol: by the converter's clock.
        shot_noise_words: standard deviation of shot noise in words.
    """

    samples: NDArray[np.int16] = field(repr=False)
    current: NDArray[np.float64] = field(repr=False)
    symbols: NDArray[np.complex128] = field(repr=False)
    phase: NDArray[np.float32] = field(repr=False)
    first_symbol: float
    samples_per_symbol: float
    shot_noise_words: float


def record(frame: FrameFormat, light: Light, sample_rate_hz: float, rng: np.random.Generator) -> Recorded:
    """Make a recording of one frame.

    Raises:
        ValueError: the rates are no whole multiples of each other.
    """
    m = sample_rate_hz / frame.symbol_rate_hz
    chip = sample_rate_hz / frame.preamble.rate_hz
    step = sample_rate_hz / frame.transmitter_sample_rate_hz
    if any(abs(ratio - round(ratio)) > 1e-9 for ratio in (m, chip, step)):
        raise ValueError(f"{sample_rate_hz:g} samples/s are no whole multiple of symbols, chips and sent samples")
    m, chip, step = round(m), round(chip), round(step)
    symbols = (rng.standard_normal(frame.symbols) + 1j * rng.standard_normal(frame.symbols)).astype(np.complex128)

    # By Alice's clock.
    silence = frame.leading_zeros_at_transmitter * step
    payload_begins = silence + frame.preamble.length * chip
    centre = payload_begins + m // step // 2 * step
    length = payload_begins + frame.symbols * m + silence
    pulses = np.zeros(length, np.complex128)
    pulses[centre : centre + frame.symbols * m : m] = symbols
    shape = root_raised_cosine(m, PULSE_SYMBOLS + 1, frame.roll_off, delay=_off_middle(m, PULSE_SYMBOLS + 1))
    signal = _filter(pulses, shape)[m * (PULSE_SYMBOLS + 1) // 2 :][:length]
    time = np.arange(length) - payload_begins
    signal *= np.sqrt(light.signal_snu) * np.exp(2j * np.pi * frame.frequency_shift_hz / sample_rate_hz * time)
    amplitude = np.sqrt(2 * (1 + RfHeterodyne().electronic_noise_snu) * 10 ** (light.pilot_snr_db / 10) / m)
    for number, frequency_hz in enumerate(frame.pilot_frequencies_hz):
        tone = (
            amplitude
            * 10 ** (-number * light.pilot_step_db / 20)
            * np.exp(2j * np.pi * frequency_hz / sample_rate_hz * time)
        )
        signal += np.where((time >= 0) & (time < frame.symbols * m), tone, 0)
    chips = zadoff_chu(frame.preamble.root, frame.preamble.length)
    sent = np.zeros(length // step, np.complex128)
    held = np.repeat(chips, chip // step)
    sent[silence // step :][: len(held)] = held * np.sqrt(2 * light.preamble_snu)
    signal += _interpolate(sent, step, length)

    # By Bob's.
    rate = 1 + light.clock_offset_ppm * 1e-6
    count = int(length * rate + light.delay) + 1
    field_seen = sampled_by_another_clock(
        signal.astype(np.complex64), count, offset_ppm=light.clock_offset_ppm, delay=light.delay
    )
    lasers = LaserPair(light.beat_frequency_hz, light.beat_drift_hz_per_s, light.linewidth_hz)
    phase = lasers.beat_phase(0.0, count, sample_rate_hz, rng)
    detector = RfHeterodyne()
    samples = detector.record(count, rng, field=field_seen, phase=phase)
    current = np.sqrt(2) * detector.shot_noise_words * (field_seen * np.exp(1j * phase.astype(np.float64))).real
    return Recorded(
        samples,
        current,
        symbols,
        phase,
        (centre + light.delay) * rate,
        m * rate,
        detector.shot_noise_words,
    )


def told_the_truth(recorded: Recorded, frame: FrameFormat, sample_rate_hz: float) -> NDArray[np.complex128]:
    """Symbols behind a matched filter that is told phase, frequency and timing: sqrt(SNU) per quadrature, shape (m,).

    In floating point. What another receiver has more noise than this, it has added.
    """
    m, rate = recorded.samples_per_symbol, recorded.samples_per_symbol * frame.symbol_rate_hz / sample_rate_hz
    time = (np.arange(len(recorded.samples)) - recorded.first_symbol) / rate
    angle = recorded.phase + 2 * np.pi * frame.frequency_shift_hz / sample_rate_hz * time
    baseband = recorded.samples * np.exp(-1j * angle) * (np.sqrt(2) / recorded.shot_noise_words)
    whole = round(m)
    half = whole * (SPAN_SYMBOLS + 1) // 2
    centres = recorded.first_symbol + m * np.arange(len(recorded.symbols))
    first = np.floor(centres).astype(np.int64)
    phases = np.rint((centres - first) * TIMING_PHASES).astype(np.int64)
    padded = np.concatenate([np.zeros(half), baseband, np.zeros(half + 2)])
    received = np.empty(len(centres), np.complex128)
    for step in np.unique(phases):
        late = step / TIMING_PHASES + _off_middle(whole, SPAN_SYMBOLS + 1)
        taps = root_raised_cosine(whole, SPAN_SYMBOLS + 1, frame.roll_off, delay=late)
        chosen = np.flatnonzero(phases == step)
        # Tap j looks at sample first - half + j of the recording.
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps))[first[chosen]]
        received[chosen] = windows @ taps
    return received


def _off_middle(samples_per_symbol: int, span: int) -> float:
    """By how much a pulse has to be late for its centre to be tap ``M * span // 2``: not at all if they are even."""
    return -(samples_per_symbol * span % 2) / 2


def _interpolate(samples: NDArray[np.complex128], factor: int, count: int) -> NDArray[np.complex128]:
    """The band-limited signal through the samples, so many times as often: a converter without images."""
    padded = np.zeros(-(-count // factor), np.complex128)
    padded[: len(samples)] = samples
    spectrum, size = np.fft.fft(padded), len(padded)
    wide = np.zeros(size * factor, np.complex128)
    wide[: size // 2] = spectrum[: size // 2]
    wide[size // 2 - size :] = spectrum[size // 2 :]
    return np.asarray(np.fft.ifft(wide)[:count] * factor)


def _filter(samples: NDArray[np.complex128], taps: NDArray[np.float64]) -> NDArray[np.complex128]:
    size = 1 << (len(samples) + len(taps)).bit_length()
    return np.asarray(np.fft.ifft(np.fft.fft(samples, size) * np.fft.fft(taps, size)))
