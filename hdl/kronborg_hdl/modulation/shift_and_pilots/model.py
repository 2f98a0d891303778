"""Bit-exact model of the single-sideband shift and the pilot tones; the core beside it gives the same words.

``y = round((x * e**(i theta)) / 2**15) + sum over pilots of round(amplitude * e**(i theta_p) / 2**15)``, saturated. All
oscillators start a frame at phase zero (plus the pilot's own phase), so the transmitter knows every phase it sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE
from ...dsp.nco import PHASE_BITS, oscillator

HALF = 1 << 14
PILOTS = 2
"""Tones that the core can send."""
AMPLITUDE_BITS = 15
"""Width of an amplitude's register; it has no sign."""


@dataclass(frozen=True)
class Pilot:
    """One tone.

    Attributes:
        word: phase increment, 2**-32 turns a sample.
        amplitude: word; 32767 is full scale.
        phase: at the frame's first sample, 2**-32 turns.

    Raises:
        ValueError: a value that its register cannot hold.
    """

    word: int
    amplitude: int
    phase: int = 0

    def __post_init__(self) -> None:
        for name, bits in (("word", PHASE_BITS), ("amplitude", AMPLITUDE_BITS), ("phase", PHASE_BITS)):
            if not 0 <= getattr(self, name) < 1 << bits:
                raise ValueError(f"a pilot's {name} of {getattr(self, name)} is outside 0 to {(1 << bits) - 1}")


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

    Raises:
        ValueError: more pilots than the core has.
    """
    if len(pilots) > PILOTS:
        raise ValueError(f"{len(pilots)} pilots: there can be {PILOTS}")
    i, q = samples[:, 0].astype(np.int32), samples[:, 1].astype(np.int32)
    cosine, sine = oscillator(shift_word, len(samples))
    # int32 holds the sums: |x| <= sqrt(2) * 2**15 and |e| < 2**15 + 1 give less than 2**30.6.
    out_i = (i * cosine - q * sine + HALF) >> 15
    out_q = (i * sine + q * cosine + HALF) >> 15
    for pilot in pilots:
        cosine, sine = oscillator(pilot.word, len(samples), phase=pilot.phase)
        # The type is named: numpy 1, which boards have, would multiply a row of int16 by one int32 in int16.
        for out, wave in ((out_i, cosine), (out_q, sine)):
            out += (np.multiply(wave, pilot.amplitude, dtype=np.int32) + HALF) >> 15
    words = np.stack([out_i, out_q], axis=-1)
    clipped = np.clip(words, SAMPLE.minimum, SAMPLE.maximum)
    return clipped.astype(np.int16), int(np.count_nonzero(clipped != words))
