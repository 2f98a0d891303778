"""What a receiver made of a recording, judged against filters that are told the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kronborg.link.frame_format import FrameFormat

from ...recordings import Light, Recorded, told_the_truth

EDGE_SYMBOLS = 32
LOST_OF_SIGNAL = 0.5
"""A receiver that adds so much of the signal's variance has lost the frame."""
REACH = 12.0
"""Time constants of the smoother that are summed: what is beyond is 6e-6 of the weights."""


@dataclass(frozen=True)
class Reception:
    """What a receiver made of a recording.

    Attributes:
        added_msnu: noise added over a filter that is told the truth, for a signal of the recording's variance at the
            detector; None where the frame was lost.
        phase_variance_rad2: of the angle between its symbols and that filter's; None likewise.
        microseconds_per_symbol: of processor time.
    """

    added_msnu: float | None
    phase_variance_rad2: float | None
    microseconds_per_symbol: float


def judge(
    pieces: Sequence[NDArray[np.complex128]],
    recorded: Recorded,
    truth: NDArray[np.complex128],
    signal_snu: float,
    cpu_seconds: float,
) -> Reception:
    """Compare a receiver's symbols with those of the filter that is told the truth.

    Each piece is turned by one angle first: a receiver that works piece by piece leaves one phase in each, and a peer
    finds them from symbols that Alice reveals. Signal over noise follows from the correlation with Alice's symbols, so
    that neither gain nor a constant phase nor the noise's unit matter.

    Args:
        pieces: symbols that follow each other, shape (n,) each.
        recorded: what was received.
        truth: symbols of :func:`~kronborg_sim.recordings.told_the_truth`.
        signal_snu: variance of the signal at the detector.
        cpu_seconds: that the receiver took.
    """
    per_symbol = 1e6 * cpu_seconds / len(recorded.symbols)
    symbols = _turned(pieces, truth)
    # The loud preamble before the first symbols reaches into their pulses.
    y, x, g = (values[EDGE_SYMBOLS : len(symbols)] for values in (symbols, recorded.symbols, truth))
    if not np.any(y):
        return Reception(None, None, per_symbol)
    added = signal_snu * (1 / _signal_to_noise(y, x) - 1 / _signal_to_noise(g, x))
    if added > LOST_OF_SIGNAL * signal_snu:
        return Reception(None, None, per_symbol)
    turned = y / (np.vdot(g, y) / np.vdot(g, g))
    variance = np.average(np.angle(turned * np.conj(g)) ** 2, weights=np.abs(g) ** 2)
    return Reception(1e3 * float(added), float(variance), per_symbol)


def all_but_the_phase(
    recorded: Recorded,
    frame: FrameFormat,
    light: Light,
    sample_rate_hz: float,
    truth: NDArray[np.complex128],
    rng: np.random.Generator,
) -> Reception:
    """What a filter adds that knows all but the phase, and smooths that as well as it can be.

    It has the lasers' true phase under the noise of the first pilot, sample by sample, and smooths it with the best
    smoother of a walk under white noise, the two-sided exponential. In floating point, without end and without delay.
    What it adds has two parts: the signal is turned by the error that is left, and so is the strong pilot, whose
    skirt then lies in the signal's band. A receiver that leaves the pilots in the signal's way stays above it.
    """
    samples = np.arange(len(recorded.samples))
    carrier = 2 * np.pi * light.beat_frequency_hz / sample_rate_hz * samples
    wandered = np.unwrap(np.angle(np.exp(1j * (recorded.phase - carrier))))
    walk = 2 * np.pi * light.linewidth_hz / sample_rate_hz
    noise = recorded.samples_per_symbol / (2 * 10 ** (light.pilot_snr_db / 10))
    half = 1 + walk / (2 * noise)
    decay = half - np.sqrt(half * half - 1)
    seen = wandered + np.sqrt(noise) * rng.standard_normal(len(wandered))
    reach = min(int(np.ceil(REACH / (1 - decay))), len(seen) // 2)
    weights = decay ** np.abs(np.arange(-reach, reach + 1)).astype(np.float64)
    size = 1 << (len(seen) + len(weights)).bit_length()
    smoothed = np.fft.irfft(np.fft.rfft(seen, size) * np.fft.rfft(weights / weights.sum(), size), size)
    known = replace(recorded, phase=smoothed[reach : reach + len(seen)] + carrier)
    return judge([told_the_truth(known, frame, sample_rate_hz)], recorded, truth, light.signal_snu, 0.0)


def _turned(pieces: Sequence[NDArray[np.complex128]], truth: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Pieces one after the other, each turned by the angle that brings it closest to the truth."""
    turned, at = [np.zeros(0, np.complex128)], 0
    for piece in pieces:
        known = truth[at : at + len(piece)]
        part = piece[: len(known)]
        turned.append(part * np.exp(-1j * np.angle(np.vdot(known, part))))
        at += len(part)
    return np.concatenate(turned)


def _signal_to_noise(y: NDArray[np.complex128], x: NDArray[np.complex128]) -> float:
    share = abs(np.vdot(x, y)) ** 2 / (np.vdot(x, x).real * np.vdot(y, y).real)
    return float(share / (1 - share))
