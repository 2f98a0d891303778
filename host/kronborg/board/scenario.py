"""The world that a simulated board stands in."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Scenario:
    """Lasers, fibre and detector of one link.

    Attributes:
        distance_km: length of the fibre.
        attenuation_db_per_km: its loss.
        excess_noise_snu: excess noise that the channel adds, at its input.
        linewidth_hz: sum of the two lasers' linewidths.
        beat_frequency_hz: Alice's optical frequency minus Bob's, nominal.
        beat_spread_hz: the true beat lies anywhere within this of the nominal one.
        beat_drift_hz_per_s: its drift.
        detector_efficiency: quantum efficiency of Bob's detector, trusted.
        electronic_noise_snu: its electronic noise, trusted.
    """

    distance_km: float = 10.0
    attenuation_db_per_km: float = 0.2
    excess_noise_snu: float = 0.01
    linewidth_hz: float = 2e3
    beat_frequency_hz: float = 60e6
    beat_spread_hz: float = 20e6
    beat_drift_hz_per_s: float = 1e6
    detector_efficiency: float = 0.6
    electronic_noise_snu: float = 0.05

    def __post_init__(self) -> None:
        limits = {
            "distance_km": (0, 1000),
            "attenuation_db_per_km": (0, 100),
            "excess_noise_snu": (0, 100),
            "linewidth_hz": (0, 1e7),
            "electronic_noise_snu": (0, 100),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} = {value:g} is outside {low} to {high}")
        if not 0 < self.detector_efficiency <= 1:
            raise InputError(f"detector_efficiency = {self.detector_efficiency:g} is outside (0, 1]")

    @property
    def loss_db(self) -> float:
        """Loss of the fibre."""
        return self.distance_km * self.attenuation_db_per_km

    @property
    def transmittance(self) -> float:
        """Power transmittance of the fibre."""
        return float(10 ** (-self.loss_db / 10))
