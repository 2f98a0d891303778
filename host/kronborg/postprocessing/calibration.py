"""The shot-noise unit: what vacuum and electronic noise look like behind the signal's own filter chain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

FEWEST_SYMBOLS = 1000


@dataclass(frozen=True)
class ShotNoise:
    """A calibration.

    Attributes:
        unit: variance of shot noise per quadrature, words**2: one SNU.
        electronic_noise_snu: variance of the electronic noise, v_el.
        relative_std: statistical standard deviation of `unit`, relative to it.
    """

    unit: float
    electronic_noise_snu: float
    relative_std: float


def calibrate(vacuum: NDArray[np.int16], dark: NDArray[np.int16]) -> ShotNoise:
    """Shot and electronic noise from recordings of vacuum (signal off) and dark (local oscillator off).

    The variance of n independent complex words is known to 1 / sqrt(n) of itself. Means are removed.

    Args:
        vacuum: words behind the receiver's chain, int16, shape (n, 2).
        dark: likewise, shape (m, 2).

    Raises:
        InputError: too few words, constant or clipped ones, or dark noise that is not below vacuum noise.
    """
    variances = []
    for words, name in ((vacuum, "vacuum"), (dark, "dark")):
        if len(words) < FEWEST_SYMBOLS:
            raise InputError(f"the {name} recording gives {len(words)} symbols; {FEWEST_SYMBOLS} are the least")
        if np.any(words == np.iinfo(np.int16).max) or np.any(words == np.iinfo(np.int16).min):
            raise InputError(f"the {name} recording is clipped: lower the gain before the converter")
        variance = float(words.var(axis=0, dtype=np.float64).mean())
        if not math.isfinite(variance):
            raise InputError(f"the {name} recording has values that are not numbers")
        variances.append(variance)
    shot_and_dark, electronic = variances
    if shot_and_dark == 0:
        raise InputError("the vacuum recording is constant: is the detector connected?")
    if electronic >= shot_and_dark:
        raise InputError(
            "the dark recording is as noisy as vacuum: is the local oscillator on in the vacuum recording?"
        )
    unit = shot_and_dark - electronic
    spread = math.hypot(shot_and_dark / math.sqrt(len(vacuum)), electronic / math.sqrt(len(dark)))
    return ShotNoise(unit, electronic / unit, spread / unit)
