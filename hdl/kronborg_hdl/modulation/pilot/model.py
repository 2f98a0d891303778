"""Bit-exact model of the single-sideband shift and the pilot tones.

``y = round((x * e**(i theta)) / 2**15) + sum over pilots of round(amplitude * e**(i theta_p) / 2**15)``, saturated. All
oscillators start a frame at phase zero (plus the pilot's own phase), so the transmitter knows every phase it sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE
from ...dsp.nco import oscillator

HALF = 1 << 14


@dataclass(frozen=True)
class Pilot:
    """One tone.

    Attributes:
        word: phase increment, 2**-32 turns a sample.
        amplitude: word; 32767 is full scale.
        phase: at the frame's first sample, 2**-32 turns.
    """

    word: int
    amplitude: int
    phase: int = 0


def shift_and_pilots(
    samples: NDArray[np.int16], shift_word: int, pilots: Sequence[Pilot]
) -> tuple[NDArray[np.int16], int]:
    """Shift complex samples by a phase increment per sample and add the pilots.

    Args:
        samples: int16, shape (n, 2), I then Q.
        shift_word: phase increment of the shift, 2**-32 turns a sample.
        pilots: the tones to add.

    Returns:
        Samples of the same shape, and how many words saturated.
    """
    i, q = samples[:, 0].astype(np.int32), samples[:, 1].astype(np.int32)
    cosine, sine = oscillator(shift_word, len(samples))
    # int32 holds the sums: |x| <= sqrt(2) * 2**15 and |e| < 2**15 give less than 2**30.6.
    out_i = (i * cosine - q * sine + HALF) >> 15
    out_q = (i * sine + q * cosine + HALF) >> 15
    for pilot in pilots:
        cosine, sine = oscillator(pilot.word, len(samples), phase=pilot.phase)
        out_i += (cosine * np.int32(pilot.amplitude) + HALF) >> 15
        out_q += (sine * np.int32(pilot.amplitude) + HALF) >> 15
    words = np.stack([out_i, out_q], axis=-1)
    clipped = np.clip(words, SAMPLE.minimum, SAMPLE.maximum)
    return clipped.astype(np.int16), int(np.count_nonzero(clipped != words))
