"""Find a frame in a capture: the beat frequency from the pilots, the beginning from the preamble."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from kronborg_hdl.dsp.root_raised_cosine import root_raised_cosine
from numpy.typing import NDArray

from ..errors import InputError
from .frame_format import FrameFormat, zadoff_chu

SHAPED_SPAN = 32
PILOT_THRESHOLD_DB = 20.0
"""A tone this far above the median of the spectrum: noise alone reaches it in less than one of 1e40 bins."""
LONGEST_SPECTRUM = 1 << 18
"""Samples that the beat frequency is read from: a quarter of a millisecond at 1 GS/s, bins of 4 kHz."""
FALSE_ALARM = 1e-9
"""Probability that noise alone passes for a preamble, over the whole search."""


@dataclass(frozen=True)
class Acquisition:
    """Where a frame is.

    Attributes:
        beat_frequency_hz: Alice's optical frequency minus Bob's.
        frame_start: centre of the first payload symbol in samples of the capture, with its fraction.
        pilot_snr_db: power of the first pilot over the noise in the symbol-rate bandwidth.
        preamble_peak: height of the preamble's correlation over the rms of the correlation with noise.
    """

    beat_frequency_hz: float
    frame_start: float
    pilot_snr_db: float
    preamble_peak: float


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
        InputError: no pilot stands out of the noise, or no preamble does.
    """
    beat, pilot_snr_db = find_beat(samples, sample_rate_hz, frame)
    start, peak = find_preamble(samples, sample_rate_hz, frame, beat, search)
    return Acquisition(beat, start, pilot_snr_db, peak)


def find_beat(samples: NDArray[np.int16], sample_rate_hz: float, frame: FrameFormat) -> tuple[float, float]:
    """The beat frequency in Hz, and the first pilot's power over the noise in the symbol-rate bandwidth, in dB.

    The whole set of pilots is looked for: the beat frequency at which the weakest of them is strongest. A peak is
    placed between bins by the parabola through the logarithms of a Hann window's main lobe.
    """
    count = 1 << (min(len(samples), LONGEST_SPECTRUM).bit_length() - 1)
    if count < 1 << 12:
        raise InputError(f"a capture of {len(samples)} samples is too short to find a pilot in")
    # From the middle of the capture: there the frame is.
    offset = (len(samples) - count) // 2
    window = np.hanning(count).astype(np.float32)
    power = np.abs(np.fft.rfft(samples[offset : offset + count] * window)) ** 2
    power[:2] = 0.0
    bins = np.rint(np.asarray(frame.pilot_frequencies_hz) * count / sample_rate_hz).astype(int)
    low, high = int(-bins.min()), int(len(power) - bins.max())  # range of the beat's bin with all pilots in sight
    if low >= high:
        raise InputError("the pilots do not fit into half the sample rate; the metadata contradicts the recording")
    # Rounding may put the second pilot one bin beside where the first one says: widen each line by a bin.
    wide = np.maximum(power, np.maximum(np.roll(power, 1), np.roll(power, -1)))
    weakest = np.minimum.reduce([wide[low + bin_ : high + bin_] for bin_ in bins])
    peak = int(np.argmax(weakest)) + low
    floor = float(np.median(power)) / np.log(2)
    if weakest[peak - low] < floor * 10 ** (PILOT_THRESHOLD_DB / 10):
        raise InputError("no pilot stands out of the noise: is Alice's pilot on, and are the lasers close enough?")
    estimates, weights = [], []
    for bin_, frequency in zip(bins, frame.pilot_frequencies_hz, strict=True):
        near = peak + bin_ + int(np.argmax(power[peak + bin_ - 1 : peak + bin_ + 2])) - 1
        near = min(max(near, 1), len(power) - 2)
        left, centre, right = np.log(power[near - 1 : near + 2] + floor * 1e-9)
        fraction = 0.5 * (left - right) / (left - 2 * centre + right)
        estimates.append((near + fraction) * sample_rate_hz / count - frequency)
        weights.append(power[near])
    first = peak + bins[0]
    line = float(power[max(first - 8, 0) : first + 9].sum() - 17 * floor)
    # A line of amplitude a gives a**2/4 N sum(w**2) over its bins, noise of variance v gives v sum(w**2) a bin, and
    # v R / f_s of it falls into the symbol rate R.
    snr = line / (floor * count) * sample_rate_hz / frame.symbol_rate_hz
    beat = float(np.average(estimates, weights=weights))
    return beat, float(10 * np.log10(max(snr, 1e-30)))


def preamble_waveform(frame: FrameFormat, sample_rate_hz: float) -> tuple[NDArray[np.complex128], float]:
    """The preamble as the capture holds it, relative to the beat frequency, at unit energy.

    Returns:
        Samples, complex128, shape (n,), and where the centre of the first payload symbol lies from the first of them.
    """
    preamble = frame.preamble
    chips = zadoff_chu(preamble.root, preamble.length)
    if preamble.shaped:
        m = round(sample_rate_hz / frame.symbol_rate_hz)
        taps = root_raised_cosine(m, SHAPED_SPAN + 1, frame.roll_off)
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
        sent = np.repeat(chips, max(round(frame.transmitter_sample_rate_hz / preamble.rate_hz), 1))
        wave = _resample(sent, ratio)
        # A symbol's pulse is centred in its period, on a sample of the transmitter.
        centre = int(frame.transmitter_sample_rate_hz / frame.symbol_rate_hz) // 2
        first = (len(sent) + centre) * ratio
    return wave / np.linalg.norm(wave), first


def _resample(signal: NDArray[np.complex128], ratio: float) -> NDArray[np.complex128]:
    """Band-limited interpolation at `ratio` samples a sample, by zeros (or a cut) in the middle of the spectrum."""
    count, wanted = len(signal), round(len(signal) * ratio)
    spectrum = np.fft.fft(signal)
    kept = min(count, wanted)
    half = kept // 2
    padded = np.zeros(wanted, complex)
    padded[: kept - half] = spectrum[: kept - half]
    padded[wanted - half :] = spectrum[count - half :]
    return np.asarray(np.fft.ifft(padded) * (wanted / count))


def find_preamble(
    samples: NDArray[np.int16], sample_rate_hz: float, frame: FrameFormat, beat_hz: float, search: int | None
) -> tuple[float, float]:
    """Centre of the first payload symbol (samples, with fraction), and the preamble's peak over the noise.

    Correlates the capture, brought down by the beat frequency, with the reference, and places the peak by a parabola
    on a correlation interpolated in the frequency domain.
    """
    wave, first = preamble_waveform(frame, sample_rate_hz)
    length = len(samples) if search is None else min(search + len(wave), len(samples))
    if length < len(wave):
        raise InputError("the capture is shorter than the preamble that the metadata describes")
    size = 1 << (length + len(wave) - 1).bit_length()
    turns = (beat_hz / sample_rate_hz * np.arange(length)) % 1.0
    down = samples[:length] * np.exp(-2j * np.pi * turns)
    spectrum = np.fft.fft(down, size) * np.conj(np.fft.fft(wave, size))
    correlation = np.fft.ifft(spectrum)[: length - len(wave) + 1]
    power = np.abs(correlation) ** 2
    peak = int(np.argmax(power))
    noise = float(np.median(power)) / np.log(2)
    if power[peak] < noise * np.log(len(power) / FALSE_ALARM):
        raise InputError("no preamble was found: the capture does not hold the frame that its metadata describes")
    # Band-limited interpolation around the peak: the correlation at sixteenths of a sample, then a parabola.
    grid = np.arange(-16, 17) / 16
    frequency = np.fft.fftfreq(size)
    strong = np.abs(spectrum) > 1e-3 * np.abs(spectrum).max()
    near = spectrum[strong] * np.exp(2j * np.pi * frequency[strong] * peak)
    fine = np.abs(np.exp(2j * np.pi * np.outer(grid, frequency[strong])) @ near)
    best = min(max(int(np.argmax(fine)), 1), len(grid) - 2)
    left, centre, right = fine[best - 1 : best + 2]
    fraction = grid[best] + 0.5 * (left - right) / (left - 2 * centre + right) / 16
    return peak + float(fraction) + first, float(np.sqrt(power[peak] / noise))
