"""The fibre's delay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def delay(field: NDArray[np.complex64], samples: float) -> NDArray[np.complex64]:
    """Delay a band-limited field by any number of samples (circularly: leave silence at the ends). Same shape."""
    frequency = np.fft.fftfreq(len(field)).astype(np.float32)
    turns = frequency * np.float32(samples % 1.0)
    angle = np.float32(-2 * np.pi) * turns
    spectrum = np.fft.fft(np.roll(field, int(samples // 1)))
    ramp = np.empty(len(field), np.complex64)
    ramp.real, ramp.imag = np.cos(angle), np.sin(angle)
    return np.asarray(np.fft.ifft(spectrum * ramp), np.complex64)
