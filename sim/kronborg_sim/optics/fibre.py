"""The fibre: loss and delay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def transmittance(distance_km: float, attenuation_db_per_km: float) -> float:
    """Power transmittance of a fibre."""
    return float(10 ** (-distance_km * attenuation_db_per_km / 10))


def delay(field: NDArray[np.complex64], samples: float) -> NDArray[np.complex64]:
    """Delay a band-limited field by any number of samples (circularly: leave silence at the ends). Same shape."""
    frequency = np.fft.fftfreq(len(field)).astype(np.float32)
    turns = frequency * np.float32(samples % 1.0)
    angle = np.float32(-2 * np.pi) * turns
    spectrum = np.fft.fft(np.roll(field, int(samples // 1)))
    ramp = np.empty(len(field), np.complex64)
    ramp.real, ramp.imag = np.cos(angle), np.sin(angle)
    return np.asarray(np.fft.ifft(spectrum * ramp), np.complex64)
