"""Find a frame in a capture: the beat frequency from the pilots, the beginning from the preamble."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.dsp.root_raised_cosine import root_raised_cosine
from kronborg_hdl.dsp.zadoff_chu import zadoff_chu

from ..errors import InputError
from .frame_format import SPAN_SYMBOLS, FrameFormat

PILOT_THRESHOLD_DB = 20.0
"""A tone this far above the mean noise of a bin: noise alone reaches it in less than one of 1e40 bins."""
LONGEST_SPECTRUM = 1 << 18
"""Samples that the beat frequency is read from: a quarter of a millisecond at 1 GS/s, bins of 4 kHz."""
FALSE_ALARM = 1e-9
"""Probability that noise alone passes for a preamble, over the whole search."""
MOST_CLOCK_OFFSET_PPM = 110.0
"""Between two ordinary oscillators, each within 50 ppm, and a little."""
PILOT_SYMBOLS = 64
"""Moving average of the pilot while the preamble is looked for, in symbols: 18 dB less noise than in one of them."""
PILOT_NOTCH_HZ = 1e6
"""What is left out on both sides of a pilot in the search for the preamble: a laser's line and its foot."""


class NoPilotError(InputError):
    """No pilot stands out of the noise."""


class NoPreambleError(InputError):
    """Nothing like the preamble is in the capture."""


@dataclass(frozen=True)
class ClockOffset:
    """How much faster Alice's clock runs than the recording's, in parts per million, and its standard deviation."""

    ppm: float
    std_ppm: float


@dataclass(frozen=True)
class Acquisition:
    """Where a frame is.

    Attributes:
        beat_frequency_hz: Alice's optical frequency minus Bob's.
        frame_start: centre of the first payload symbol in samples of the capture, with its fraction.
        pilot_snr_db: power of the first pilot over the noise in the symbol-rate bandwidth.
        preamble_peak: height of the preamble's correlation over the rms of the correlation with noise.
        clock_offset_ppm: how much faster Alice's clock runs than the recording's; zero where one pilot alone does not
            tell.
    """

    beat_frequency_hz: float
    frame_start: float
    pilot_snr_db: float
    preamble_peak: float
    clock_offset_ppm: float = 0.0


def acquire(
    samples: NDArray[np.int16], sample_rate_hz: float, frame: FrameFormat, *, search: int | None = None
) -> Acquisition:
    """Find the frame.

    Args:
        samples: the capture, int16, shape (n,).
        sample_rate_hz: its rate.
        frame: the frame's format.
        search: how many samples from the first on may hold the preamble's beginning; None searches the whole capture.

    Raises:
        NoPilotError: no pilot stands out of the noise.
        NoPreambleError: no preamble does.
        InputError: the format cannot be that of this capture.
    """
    _check(samples, sample_rate_hz, frame)
    beat, pilot_snr_db = find_beat(samples, sample_rate_hz, frame)
    start, peak = find_preamble(samples, sample_rate_hz, frame, beat, search)
    found = Acquisition(beat, start, pilot_snr_db, peak)
    if len(frame.pilot_frequencies_hz) < 2:
        return found
    offset = clock_offset(samples, sample_rate_hz, frame, found)
    # The correlation places the middle of the preamble: from there to the payload it is Alice's clock that counts.
    ahead = (frame.preamble.length / frame.preamble.rate_hz) * sample_rate_hz / 2
    return replace(found, frame_start=start - ahead * offset.ppm * 1e-6, clock_offset_ppm=offset.ppm)


def _check(samples: NDArray[np.int16], sample_rate_hz: float, frame: FrameFormat) -> None:
    """Refuse what cannot be, before memory is taken for it."""
    preamble = frame.preamble
    duration = preamble.length / preamble.rate_hz + frame.symbols / frame.symbol_rate_hz
    if not duration * sample_rate_hz <= len(samples):
        raise InputError(
            f"preamble and payload last {duration * 1e6:.6g} us by the metadata, the capture of {len(samples)} samples"
            f" only {len(samples) / sample_rate_hz * 1e6:.6g} us; is it cut short?"
        )
    if not frame.symbol_rate_hz * 2 <= sample_rate_hz:
        raise InputError(f"{frame.symbol_rate_hz:g} symbols/s need more than {sample_rate_hz:g} samples/s")
    if not max(map(abs, (*frame.pilot_frequencies_hz, frame.frequency_shift_hz))) < sample_rate_hz:
        raise InputError("signal or pilots lie outside the recording's band; the metadata contradicts the sample rate")


def find_beat(samples: NDArray[np.int16], sample_rate_hz: float, frame: FrameFormat) -> tuple[float, float]:
    """The beat frequency in Hz, and the first pilot's power over the noise in the symbol-rate bandwidth, in dB.

    The whole set of pilots is looked for: the beat frequency at which the weakest of them is strongest, among those
    that leave pilots and signal between zero and half the sample rate. A peak is placed between bins by the parabola
    through the logarithms of a Hann window's main lobe.

    Raises:
        NoPilotError: no pilot stands out of the noise.
        InputError: the capture is too short, or pilots and signal do not fit into its band.
    """
    count = 1 << (min(len(samples), LONGEST_SPECTRUM).bit_length() - 1)
    if count < 1 << 12:
        raise InputError(f"a capture of {len(samples)} samples is too short to find a pilot in")
    # From the middle of the capture: there the frame is.
    offset = (len(samples) - count) // 2
    window = np.hanning(count).astype(np.float32)
    power = np.abs(np.fft.rfft(samples[offset : offset + count] * window)) ** 2
    bins = np.rint(np.asarray(frame.pilot_frequencies_hz) * count / sample_rate_hz).astype(int)
    edge = frame.symbol_rate_hz * (1 + frame.roll_off) / 2
    lowest = min(*frame.pilot_frequencies_hz, frame.frequency_shift_hz - edge) * count / sample_rate_hz
    highest = max(*frame.pilot_frequencies_hz, frame.frequency_shift_hz + edge) * count / sample_rate_hz
    # Two bins away from both ends, where the window spreads an offset of the converter.
    low, high = int(np.ceil(2 - lowest)), int(np.floor(len(power) - 3 - highest))
    if low >= high:
        raise InputError("signal and pilots do not fit into half the sample rate; the metadata contradicts it")
    # Rounding may put the second pilot one bin beside where the first one says, and clocks that differ some more.
    spread = max(frame.pilot_frequencies_hz) - min(frame.pilot_frequencies_hz)
    beside = 1 + int(np.ceil(spread * MOST_CLOCK_OFFSET_PPM * 1e-6 * count / sample_rate_hz))
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(power, beside), 2 * beside + 1).max(axis=1)
    weakest = np.minimum.reduce([wide[low + bin_ : high + bin_] for bin_ in bins])
    peak = int(np.argmax(weakest)) + low
    floor = float(np.median(power)) / np.log(2)
    if not weakest[peak - low] > floor * 10 ** (PILOT_THRESHOLD_DB / 10):
        raise NoPilotError("no pilot stands out of the noise: is Alice's pilot on, and are the lasers close enough?")
    estimates, weights = [], []
    for bin_, frequency in zip(bins, frame.pilot_frequencies_hz, strict=True):
        first_near = max(peak + bin_ - beside, 1)
        near = first_near + int(np.argmax(power[first_near : peak + bin_ + beside + 1]))
        left, centre, right = np.log(power[near - 1 : near + 2] + power[near] * 1e-9)
        curvature = left - 2 * centre + right
        fraction = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
        estimates.append((near + fraction) * sample_rate_hz / count - frequency)
        weights.append(power[near])
    first = peak + bins[0]
    line_bins = power[max(first - 8, 0) : first + 9]
    line = float(line_bins.sum() - len(line_bins) * floor)
    # A line of amplitude a gives a**2/4 N sum(w**2) over its bins, noise of variance v gives v sum(w**2) a bin, and
    # v R / f_s of it falls into the symbol rate R. A capture without noise has no ratio: the floor is a converter's
    # rounding at least.
    floor = max(floor, float(np.sum(window**2)) / 12)
    snr = line / (floor * count) * sample_rate_hz / frame.symbol_rate_hz
    return float(np.average(estimates, weights=weights)), float(10 * np.log10(max(snr, 1e-30)))


def preamble_waveform(frame: FrameFormat, sample_rate_hz: float) -> tuple[NDArray[np.complex128], float]:
    """The preamble as the capture holds it, relative to the beat frequency, at unit energy.

    Returns:
        Samples, complex128, shape (n,), and where the centre of the first payload symbol lies from the first of them.
    """
    preamble = frame.preamble
    chips = zadoff_chu(preamble.root, preamble.length)
    if preamble.shaped:
        m = round(sample_rate_hz / frame.symbol_rate_hz)
        taps = root_raised_cosine(m, SPAN_SYMBOLS + 1, frame.roll_off)
        spread = np.zeros(preamble.length * m, complex)
        spread[::m] = chips
        size = 1 << (len(spread) + len(taps)).bit_length()
        wave = np.fft.ifft(np.fft.fft(spread, size) * np.fft.fft(taps, size))[: len(spread) + len(taps)]
        wave = wave * np.exp(2j * np.pi * frame.frequency_shift_hz / sample_rate_hz * np.arange(len(wave)))
        first = preamble.length * m + len(taps) / 2
    else:
        # Chips on the transmitter's samples, band-limited to the receiver's. A hold in the converter delays preamble
        # and payload alike.
        ratio = sample_rate_hz / frame.transmitter_sample_rate_hz
        sent = np.repeat(chips, round(frame.transmitter_sample_rate_hz / preamble.rate_hz))
        wave = _resample(sent, ratio)
        # A symbol's pulse is centred in its period, on a sample of the transmitter.
        centre = round(frame.transmitter_sample_rate_hz / frame.symbol_rate_hz) // 2
        first = (len(sent) + centre) * ratio
    return wave / np.linalg.norm(wave), first


def _resample(signal: NDArray[np.complex128], ratio: float) -> NDArray[np.complex128]:
    """Band-limited interpolation at `ratio` samples a sample, by zeros (or a cut) in the middle of the spectrum."""
    # Zeros behind the signal make both lengths whole.
    exact = Fraction(ratio).limit_denominator(10_000)
    count = -(-len(signal) // exact.denominator) * exact.denominator
    wanted = count // exact.denominator * exact.numerator
    spectrum = np.fft.fft(signal, count)
    kept = min(count, wanted)
    half = kept // 2
    padded = np.zeros(wanted, complex)
    padded[: kept - half] = spectrum[: kept - half]
    padded[wanted - half :] = spectrum[count - half :]
    return np.asarray(np.fft.ifft(padded)[: round(len(signal) * ratio)] * (wanted / count))


def find_preamble(
    samples: NDArray[np.int16], sample_rate_hz: float, frame: FrameFormat, beat_hz: float, search: int | None
) -> tuple[float, float]:
    """Centre of the first payload symbol (samples, with fraction), and the preamble's peak over the noise.

    Correlates the capture, brought down by the beat frequency, with the reference. A Zadoff-Chu sequence is a chirp:
    what is left of a frequency looks like a delay. So where the pilots are on, the phase of the first one is taken
    out, which is the beat's own phase.

    Raises:
        NoPreambleError: the correlation does not rise above noise.
        InputError: the capture is shorter than the preamble.
    """
    wave, first = preamble_waveform(frame, sample_rate_hz)
    # A preamble that is seen in part has side lobes well above the noise, and so has one a little beyond the search.
    # All lags at which it touches the samples are looked at: the highest must be one that is asked for.
    length = len(samples) if search is None else min(search + 2 * len(wave), len(samples))
    if length < len(wave):
        raise InputError("the capture is shorter than the preamble that the metadata describes")
    down = _mix(samples[:length], beat_hz / sample_rate_hz)
    if frame.preamble.shaped:
        half = round(PILOT_SYMBOLS * sample_rate_hz / frame.symbol_rate_hz) // 2
        total = np.cumsum(_mix(down, frame.pilot_frequencies_hz[0] / sample_rate_hz))
        total = np.concatenate([np.zeros(half + 1), total, np.full(half, total[-1])])
        pilot = total[2 * half + 1 :] - total[:length]
        down *= np.conj(pilot) / np.maximum(np.abs(pilot), 1e-30)
    size = 1 << (length + len(wave) - 2).bit_length()
    spectrum = np.fft.fft(down, size) * np.conj(np.fft.fft(wave, size))
    # The payload's pilots would be the strongest noise for a preamble whose band they lie in.
    frequency = np.fft.fftfreq(size, 1 / sample_rate_hz)
    for pilot_hz in frame.pilot_frequencies_hz:
        spectrum[np.abs(frequency - pilot_hz) < PILOT_NOTCH_HZ] = 0
    power = np.abs(np.fft.ifft(spectrum)) ** 2
    peak = int(np.argmax(power))
    whole = length - len(wave)  # the last lag at which all of the preamble is seen; those above `length` are negative
    noise = float(np.median(power[: whole + 1])) / np.log(2)
    if not power[peak] > noise * np.log(len(power) / FALSE_ALARM):
        raise NoPreambleError("no preamble was found: the capture does not hold the frame that its metadata describes")
    if peak > (whole if search is None else min(search, whole)):
        raise NoPreambleError(
            "the preamble does not begin where it was looked for, or the capture holds a part of it only"
        )
    height = float(np.sqrt(power[peak] / noise)) if noise else float("inf")
    return _between_samples(down, wave, peak) + first, height


def _mix(samples: NDArray[np.generic], frequency: float) -> NDArray[np.complex128]:
    """Bring `frequency`, in cycles a sample, down to zero."""
    return np.asarray(samples * np.exp(-2j * np.pi * ((frequency * np.arange(len(samples))) % 1.0)))


def _between_samples(down: NDArray[np.complex128], wave: NDArray[np.complex128], peak: int) -> float:
    """The lag of the correlation's maximum, from the sample at which it is largest.

    The correlation C(d) = sum_f X(f) exp(2 pi i f d) is known between samples, for it is band-limited. Newton's method
    on |C|**2 finds its maximum to rounding in a few steps.
    """
    margin = 32  # keeps what the transform wraps around away from the reference
    begin, end = max(peak - margin, 0), min(peak + len(wave) + margin, len(down))
    size = 1 << (end - begin + margin - 1).bit_length()
    cross = np.fft.fft(down[begin:end], size) * np.conj(np.fft.fft(wave, size))
    omega = 2 * np.pi * np.fft.fftfreq(size)
    lag = float(peak - begin)
    for _ in range(8):
        terms = cross * np.exp(1j * omega * lag)
        value, slope, bend = terms.sum(), (1j * omega * terms).sum(), (-(omega**2) * terms).sum()
        gradient = (np.conj(value) * slope).real
        curvature = abs(slope) ** 2 + (np.conj(value) * bend).real
        if curvature >= 0:
            break
        step = float(np.clip(-gradient / curvature, -0.5, 0.5))
        lag += step
        if abs(step) < 1e-6:
            break
    return begin + lag


def clock_offset(
    samples: NDArray[np.int16], sample_rate_hz: float, frame: FrameFormat, found: Acquisition
) -> ClockOffset:
    """Alice's clock against the recording's, from how the phase between two pilots runs through the frame.

    Both pilots carry the same phase of the lasers, which their difference does not. The regression's residue gives the
    standard deviation (a straight line's slope through N phases of variance v at steps t: 12 v / (t**2 N (N**2 - 1))).

    Raises:
        InputError: the frame has one pilot only.
    """
    if len(frame.pilot_frequencies_hz) < 2:
        raise InputError("one pilot alone does not tell the clock offset: two or more do")
    near, far = min(frame.pilot_frequencies_hz), max(frame.pilot_frequencies_hz)
    begin = max(round(found.frame_start), 0)
    end = min(begin + int(frame.symbols / frame.symbol_rate_hz * sample_rate_hz), len(samples))
    block = round(PILOT_SYMBOLS * sample_rate_hz / frame.symbol_rate_hz)
    down = _mix(samples[begin:end], found.beat_frequency_hz / sample_rate_hz)
    down = down[: len(down) // block * block]
    first, second = (
        _mix(down, frequency / sample_rate_hz).reshape(-1, block).mean(axis=1) for frequency in (near, far)
    )
    if len(first) < 3:
        raise InputError("the frame is too short to tell the clock offset")
    phase = np.unwrap(np.angle(second * np.conj(first)))
    time = (np.arange(len(phase)) - (len(phase) - 1) / 2) * block / sample_rate_hz
    slope = float(time @ phase / (time @ time))
    residue = phase - phase.mean() - slope * time
    std = float(np.sqrt(residue @ residue / (len(phase) - 2) / (time @ time)))
    to_ppm = 1e6 / (2 * np.pi * (far - near))
    return ClockOffset(slope * to_ppm, std * to_ppm)
