"""One run as the tests need it: numbers that agree with each other, pictures from a seeded channel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kronborg.console.result import Pictures, RunResult

SYMBOL_RATE = 100e6
TRANSMITTANCE = 10**-0.2
EFFICIENCY = 0.6
ELECTRONIC_NOISE = 0.05
EXCESS_NOISE = 0.0113
V_A = 3.2


@pytest.fixture(scope="session")
def example() -> SimpleNamespace:
    """`example.result(**changes)` and `example.pictures(points, frames)`."""
    return SimpleNamespace(result=result, pictures=pictures)


def result(**changes: Any) -> RunResult:
    symbols = 10_240_000
    key = 1_270_311
    values: dict[str, Any] = {
        "seed": 7,
        "simulated_board": True,
        "distance_km": 10.0,
        "loss_db": 2.0,
        "linewidth_hz": 2e3,
        "symbol_rate_hz": SYMBOL_RATE,
        "frames_sent": 104,
        "frames_received": 103,
        "symbols": symbols,
        "modulation_variance_snu": V_A,
        "pilot_snr_db": 20.3,
        "transmittance": 0.6304,
        "transmittance_worst_case": 0.6251,
        "excess_noise_snu": EXCESS_NOISE,
        "excess_noise_std_snu": 0.0027,
        "excess_noise_worst_case_snu": 0.0298,
        "null_key_excess_noise_snu": 0.1874,
        "detector_efficiency": EFFICIENCY,
        "electronic_noise_snu": ELECTRONIC_NOISE,
        "snr": 0.5737,
        "code_rate": 0.2,
        "reconciliation_efficiency": 0.911,
        "code_blocks": 80,
        "code_blocks_failed": 2,
        "frame_error_rate": 0.025,
        "disclosed_bits": 16_384_312,
        "budget": (
            ("uniform code bits", 20_447_232),
            ("disclosed syndrome", -16_384_000),
            ("verification tags", -312),
            ("Holevo bound", -2_610_844),
            ("finite-size (AEP) term", -181_602),
            ("hashing", -163),
            ("key", key),
        ),
        "key_bits": key,
        "keys_identical": True,
        "key_rate_bit_per_symbol": key / symbols,
        "key_rate_bit_per_second": key / symbols * SYMBOL_RATE,
        "asymptotic_rate_bit_per_symbol": 0.1904,
        "plob_bound_bit_per_symbol": 1.4381,
        "epsilon": 4.5e-10,
        "wall_seconds": 131.2,
        "stage_seconds": {"calibrate": 4.12, "transmit and receive": 71.9, "estimate": 2.5, "reconcile": 44.1},
    }
    return RunResult(**(values | changes))


def pictures(points: int = 4000, frames: int = 103) -> Pictures:
    rng = np.random.default_rng(11)
    complex_normal = lambda n: rng.normal(size=n) + 1j * rng.normal(size=n)  # noqa: E731
    gain = np.sqrt(EFFICIENCY * TRANSMITTANCE / 2)
    noise = 1 + ELECTRONIC_NOISE + gain**2 * EXCESS_NOISE
    alice = np.sqrt(V_A) * complex_normal(points)
    bob = gain * alice + np.sqrt(noise) * complex_normal(points)
    lasers = np.exp(2j * np.pi * rng.random(points))

    frequency = np.linspace(0, 500e6, 1025)
    beat, shift, pilot = 63.2e6, 100e6, 163.2e6 + 110e6
    offset = np.abs(frequency - beat - shift)
    edge = np.clip((offset - 40e6) / 20e6, 0, 1)
    plateau = gain**2 * V_A * np.cos(np.pi / 2 * edge) ** 2
    roll = 1 - 0.25 * (frequency / 500e6) ** 2
    dark = ELECTRONIC_NOISE * (1 + 4 * np.exp(-frequency / 4e6))
    line = 900 * np.exp(-(((frequency - pilot) / 0.4e6) ** 2))
    ripple = lambda: rng.chisquare(400, size=frequency.size) / 400  # noqa: E731
    db = lambda density: 10 * np.log10(density * ripple())  # noqa: E731

    time = np.linspace(0, 1.04e-3, 2000)
    walk = np.cumsum(rng.normal(scale=np.sqrt(2 * np.pi * 2e3 * (time[1] - time[0])), size=time.size))
    walk -= np.polyval(np.polyfit(time, walk, 1), time)
    std = np.full(frames, 0.021)
    return Pictures(
        spectrum_frequency_hz=frequency,
        spectrum_signal_db=db(roll * (1 + plateau) + dark + line),
        spectrum_vacuum_db=db(roll + dark),
        spectrum_dark_db=db(dark),
        beat_frequency_hz=beat,
        signal_band_hz=(beat + shift - 60e6, beat + shift + 60e6),
        pilot_frequencies_hz=(pilot,),
        constellation_before=bob * lasers,
        constellation_after=bob,
        constellation_alice=alice,
        phase_time_s=time,
        phase_rad=walk,
        phase_frequency_offset_hz=pilot - 203.1,
        frame_number=np.delete(np.arange(frames + 1), frames // 3),
        frame_excess_noise_snu=EXCESS_NOISE + std * rng.normal(size=frames),
        frame_excess_noise_std_snu=std,
    )
