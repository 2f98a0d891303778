"""The receiver on a recording that other software or another laboratory made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..postprocessing.calibration import calibrate
from .acquisition import acquire
from .frame_format import FrameFormat
from .receive import at_limits, receive, receive_noise, receiver_for
from .recording import Recording, read, read_symbols

LEAST_DEVIATIONS = 6.0
"""Chance passes for correlation, or for noise below vacuum, less than once in 1e8 recordings."""


@dataclass(frozen=True)
class Replayed:
    """What a recording holds.

    Attributes:
        symbols: payload symbols recovered.
        correlation: magnitude of the correlation coefficient with Alice's symbols.
        signal_variance_snu: variance of Alice's signal at the detector, per quadrature.
        excess_noise_at_detector_snu: noise beyond shot and electronic noise, per quadrature, at the detector.
        excess_noise_std_snu: its statistical standard deviation, that of the calibration included.
        electronic_noise_snu: from the calibration.
        snr: signal over all noise.
        beat_frequency_hz: where Alice's laser lies above Bob's.
        frame_start_sample: centre of the first payload symbol.
        pilot_snr_db: in the symbol-rate bandwidth.
        clock_offset_ppm: how much faster Alice's clock runs than the recording's.
        pilot_average_us: how long the average is that tracked the phase.
        saturated_words: words that did not fit, anywhere in the chain.
    """

    symbols: int
    correlation: float
    signal_variance_snu: float
    excess_noise_at_detector_snu: float
    excess_noise_std_snu: float
    electronic_noise_snu: float
    snr: float
    beat_frequency_hz: float
    frame_start_sample: float
    pilot_snr_db: float
    clock_offset_ppm: float
    pilot_average_us: float
    saturated_words: int

    def to_json(self) -> dict[str, Any]:
        """Plain values under the attributes' names."""
        return asdict(self)


def replay(recording: Recording, alice: np.ndarray, vacuum: Recording, dark: Recording) -> Replayed:
    """Receive one recorded frame and compare it with what Alice sent.

    Args:
        recording: the frame.
        alice: her symbols in order, complex, any unit, shape (n,).
        vacuum: recorded with the signal off.
        dark: recorded with the local oscillator off.

    Raises:
        InputError: the recordings do not belong together, or the frame is not found in the samples.
    """
    frame = FrameFormat.from_metadata(recording.metadata)
    for other, what in ((vacuum, "shot-noise"), (dark, "electronic-noise")):
        if other.sample_rate_hz != recording.sample_rate_hz:
            raise InputError(f"the {what} recording has another sample rate than the frame's")
    if len(alice) != frame.symbols:
        raise InputError(f"Alice's file has {len(alice)} symbols, the recording's metadata says {frame.symbols}")
    found = acquire(recording.samples, recording.sample_rate_hz, frame)
    if clipped := at_limits(recording.samples):
        raise InputError(f"{clipped} samples of the frame are at the converter's limits: lower the gain")
    received = receive(recording.samples, recording.sample_rate_hz, frame, found)
    receiver = receiver_for(
        frame,
        recording.sample_rate_hz,
        beat_frequency_hz=received.acquisition.beat_frequency_hz,
        first_symbol=received.acquisition.frame_start,
        clock_offset_ppm=received.acquisition.clock_offset_ppm,
        smoother=received.smoother,
    ).receiver
    shot_noise = calibrate(receive_noise(vacuum.samples, receiver), receive_noise(dark.samples, receiver))
    y = received.words / np.sqrt(shot_noise.unit)
    covariance = np.vdot(alice, y) / len(y)
    power = float(np.mean(np.abs(alice) ** 2))
    signal = abs(covariance) ** 2 / power / 2
    residual = y - covariance / power * alice
    noise = float(np.mean(np.abs(residual) ** 2)) / 2
    expected = 1 + shot_noise.electronic_noise_snu
    spread = noise * float(np.sqrt(1 / len(y) + shot_noise.relative_std**2))
    correlation = float(abs(covariance) / np.sqrt(power * np.mean(np.abs(y) ** 2)))
    if correlation * np.sqrt(len(y)) < LEAST_DEVIATIONS:
        raise InputError(
            f"the symbols received do not match Alice's (correlation {correlation:.4f}): is this her file for this"
            " frame, and does the metadata name all pilots and the right symbol rate?"
        )
    if noise + LEAST_DEVIATIONS * spread < expected:
        raise InputError(
            f"the frame's noise lies {expected - noise:.3f} SNU below vacuum and electronic noise: the noise recordings"
            " were made with another gain"
        )
    return Replayed(
        symbols=len(y),
        correlation=correlation,
        signal_variance_snu=signal,
        excess_noise_at_detector_snu=noise - expected,
        excess_noise_std_snu=spread,
        electronic_noise_snu=shot_noise.electronic_noise_snu,
        snr=signal / noise,
        beat_frequency_hz=received.acquisition.beat_frequency_hz,
        frame_start_sample=received.acquisition.frame_start,
        pilot_snr_db=received.acquisition.pilot_snr_db,
        clock_offset_ppm=received.acquisition.clock_offset_ppm,
        pilot_average_us=received.smoother.effective_hops * receiver.mixer.hop / recording.sample_rate_hz * 1e6,
        saturated_words=received.saturated,
    )


def replay_files(capture: Path, alice: Path) -> Replayed:
    """:func:`replay` on files; the noise recordings are those that the metadata names."""
    recording = read(capture)
    return replay(
        recording,
        read_symbols(alice),
        recording.neighbour("cvqkd:shot_noise_recording"),
        recording.neighbour("cvqkd:electronic_noise_recording"),
    )
