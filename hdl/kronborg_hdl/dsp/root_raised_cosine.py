"""The root-raised-cosine pulse that transmitter and receiver share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .formats import SAMPLE


def root_raised_cosine(samples_per_symbol: int, span: int, roll_off: float, delay: float = 0.0) -> NDArray[np.float64]:
    """Samples of a root-raised cosine of unit energy (Proakis, Digital Communications, eq. 9.2-39's square root).

    Args:
        samples_per_symbol: M.
        span: symbols that the pulse covers; it has ``M * span`` taps.
        roll_off: excess bandwidth, 0 < roll_off <= 1.
        delay: how much later than tap ``M * span / 2`` the pulse is centred, in samples.

    Returns:
        float64, shape (M * span,), with sum of squares 1.
    """
    if not 0 < roll_off <= 1:
        raise ValueError(f"a roll-off of {roll_off:g} is outside (0, 1]")
    count = samples_per_symbol * span
    t = (np.arange(count) - count / 2 - delay) / samples_per_symbol
    a = roll_off
    # The formula has removable poles at t = 0 and |t| = 1 / (4 a); close to them its limits are taken.
    at_zero, at_pole = np.abs(t) < 1e-8, np.abs(np.abs(t) - 1 / (4 * a)) < 1e-8
    safe = np.where(at_zero | at_pole, 0.1234567, t)
    taps = (np.sin(np.pi * safe * (1 - a)) + 4 * a * safe * np.cos(np.pi * safe * (1 + a))) / (
        np.pi * safe * (1 - (4 * a * safe) ** 2)
    )
    taps = np.where(at_zero, 1 - a + 4 * a / np.pi, taps)
    quarter = np.pi / (4 * a)
    limit = a / np.sqrt(2) * ((1 + 2 / np.pi) * np.sin(quarter) + (1 - 2 / np.pi) * np.cos(quarter))
    taps = np.where(at_pole, limit, taps)
    return np.asarray(taps / np.sqrt(np.sum(taps**2)))


def quantise_taps(taps: NDArray[np.float64]) -> NDArray[np.int16]:
    """Taps as Q1.15 words."""
    return SAMPLE.quantise(taps).astype(np.int16)
