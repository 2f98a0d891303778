"""The beat of two free-running lasers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LaserPair:
    """Alice's laser against Bob's local oscillator.

    Only the phase difference reaches the detector, and the difference of two Wiener processes is a Wiener process
    whose linewidth is the sum of the two (Lorentzian lines).

    Attributes:
        beat_frequency_hz: Alice's optical frequency minus Bob's, at the start.
        drift_hz_per_s: its linear drift.
        linewidth_hz: sum of the two linewidths (FWHM).
    """

    beat_frequency_hz: float
    drift_hz_per_s: float
    linewidth_hz: float

    def beat_phase(
        self, start_s: float, count: int, sample_rate_hz: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Beat phase of `count` samples from `start_s`, in radians modulo one turn, float32.

        The initial phase is uniform: between two frames free-running lasers forget it.
        """
        time = np.arange(count) / sample_rate_hz
        turns = (self.beat_frequency_hz + self.drift_hz_per_s * (start_s + time / 2)) * time
        walk = np.cumsum(rng.standard_normal(count, dtype=np.float32), dtype=np.float64)
        turns += walk * (np.sqrt(2 * np.pi * self.linewidth_hz / sample_rate_hz) / (2 * np.pi))
        turns += rng.random()
        turns -= np.floor(turns)
        return (turns * (2 * np.pi)).astype(np.float32)
