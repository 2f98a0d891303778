"""The arrays behind the report's pictures, from one frame and its calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.receiver.model import Receiver

from .positions import complex_symbols
from .receive import FrameReceiver

POINTS = 2000
SEGMENT = 4096


def power_density(samples: NDArray[np.int16], sample_rate_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One-sided power spectral density of real samples (Welch 1967, Hann window, half overlap).

    Returns:
        Frequencies in Hz and densities in words**2 / Hz, each of shape (SEGMENT / 2 + 1,).
    """
    window = np.hanning(SEGMENT)
    pieces = np.lib.stride_tricks.sliding_window_view(samples, SEGMENT)[:: SEGMENT // 2]
    density: NDArray[np.float64] = np.zeros(SEGMENT // 2 + 1)
    for piece in pieces:
        density += np.abs(np.fft.rfft(piece * window)) ** 2
    density *= 2 / (len(pieces) * sample_rate_hz * np.sum(window**2))
    return np.asarray(np.fft.rfftfreq(SEGMENT, 1 / sample_rate_hz)), density


def uncompensated(samples: NDArray[np.int16], chain: FrameReceiver, count: int) -> NDArray[np.complex128]:
    """Symbols as they would be without phase compensation.

    Args:
        samples: the capture.
        chain: the settings of its frame.
        count: how many, from the first wanted one on.

    Returns:
        complex128, shape (count,), in words.
    """
    words = chain.receiver.process(samples, compensate=False).words
    return complex_symbols(words[chain.first : chain.first + count])


def phase_track(
    samples: NDArray[np.int16], receiver: Receiver, sample_rate_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The smoothed pilot's phase through a frame.

    Returns:
        Time in s, unwrapped phase in rad less its straight line, both of at most POINTS points, and that line's slope
        as a frequency in Hz: how far the pilot lay from the pilot oscillator.
    """
    phasors = complex_symbols(receiver.process(samples).pilot[: len(samples) // receiver.mixer.hop])
    stride = -(-len(phasors) // POINTS)
    time = np.arange(len(phasors)) * receiver.mixer.hop / sample_rate_hz
    angle = np.unwrap(np.angle(phasors))
    slope, level = np.polyfit(time, angle, 1)
    flat = angle - (slope * time + level)
    return time[::stride], flat[::stride], float(slope / (2 * np.pi))
