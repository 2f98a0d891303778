"""Bob's detector: radio-frequency heterodyne with one balanced detector and one converter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RfHeterodyne:
    """Photocurrent of signal and local oscillator at different frequencies, as a real converter records it.

    In shot-noise units a mode whose field has quadratures y in the photocurrent ``sqrt(2) Re(y e**(i phi))`` is read
    with vacuum variance 1 per quadrature: shot noise is white with that variance a sample, signal and image band
    together.

    Attributes:
        shot_noise_words: standard deviation of the shot noise in converter words (16 bits, left-justified).
        electronic_noise_snu: variance of the electronic noise, relative to shot noise.
        converter_bits: bits that the converter resolves; the lower ones of each word are zero.
    """

    shot_noise_words: float = 1500.0
    electronic_noise_snu: float = 0.05
    converter_bits: int = 14

    def record(
        self,
        count: int,
        rng: np.random.Generator,
        *,
        local_oscillator: bool = True,
        field: NDArray[np.complex64] | None = None,
        phase: NDArray[np.float32] | None = None,
        thermal_snu: float = 0.0,
    ) -> NDArray[np.int16]:
        """One capture.

        Args:
            count: number of samples.
            rng: source of the noise.
            local_oscillator: off leaves the electronic noise alone.
            field: complex envelope at the detector in sqrt(SNU), shape (count,); None is vacuum.
            phase: beat phase of each sample, radians.
            thermal_snu: variance of white thermal noise that arrives with the signal, SNU at the detector.

        Returns:
            int16, shape (count,).
        """
        variance = self.electronic_noise_snu + (1.0 + thermal_snu if local_oscillator else 0.0)
        current = rng.standard_normal(count, dtype=np.float32)
        current *= np.float32(np.sqrt(variance))
        if field is not None and phase is not None:
            current += np.float32(np.sqrt(2)) * (field.real * np.cos(phase) - field.imag * np.sin(phase))
        step = 2 ** (16 - self.converter_bits)
        current *= np.float32(self.shot_noise_words / step)
        limit = 2 ** (self.converter_bits - 1)
        words = np.clip(np.rint(current), -limit, limit - 1).astype(np.int16)
        return words * np.int16(step)
