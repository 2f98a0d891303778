"""Numerically controlled oscillator, numpy half; ``oscillator.py`` is the Amaranth half, the same words bit for bit.

A 32-bit phase accumulator; its ``ANGLE_BITS`` upper bits are turned into cosine and sine, the others are dropped. The
angle is a quadrant, a coarse step within it and a fine part f of that step. With T the sine at the middle of each
coarse step of the first quadrant, and the cosine read from the same table backwards,

    cos = T[~k] - T[k] d[f]        sin = T[k] + T[~k] d[f]        d[f] = 2 pi (f - 16) / 2**17

is the first-order Taylor series about the middle; its error, d**2 / 2, is below 3e-7. A product with d is at most 25
words: eight bits of T and seven of d are enough for it, and no multiplier is needed. The quadrant then swaps the two
and gives the signs. Every word is within 0.8 of the exact one.

Spurs: dropping phase bits gives lines of at most ``3.92 - 6.02 * ANGLE_BITS`` dBc (Nicholas & Samueli, 41st Annual
Frequency Control Symposium, 1987), -98.4 dBc here; those of the words' rounding are lower but for periods of a few
samples. Measured for periods from 8 to 2**20 samples: below -98 dBc (``tests/hdl/dsp/test_nco.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .formats import SAMPLE

PHASE_BITS = 32
COARSE_BITS = 10
"""Of the first quadrant: 1024 words of 18 bits are one block RAM, whose two ports read sine and cosine."""
FINE_BITS = 5
ANGLE_BITS = 2 + COARSE_BITS + FINE_BITS

TABLE_BITS = 18
"""Width of a table word; unsigned, all bits fraction."""
SLOPE_BITS = 8
"""Upper bits of a table word, with which an offset is multiplied."""
OFFSET_FRACTION = 16
"""Fraction bits of an offset d, in radians."""
OFFSET_BITS = 7
"""Width of an offset, with its sign."""
RAISED_BITS = SLOPE_BITS + OFFSET_FRACTION - TABLE_BITS
"""Fraction bits that a product has below those of a table word."""
DROPPED_BITS = TABLE_BITS + RAISED_BITS - SAMPLE.fraction
"""What is rounded off the sum of a table word and a product."""

_COARSE = np.arange(1 << COARSE_BITS)
_FINE = np.arange(1 << FINE_BITS)
# Symmetric in sign: full scale is 32767, so that no product of two words can reach +1.
TABLE: NDArray[np.int64] = np.round(
    np.sin(np.pi / 2 * (_COARSE + 0.5) / len(_COARSE)) * SAMPLE.maximum / SAMPLE.scale * 2**TABLE_BITS
).astype(np.int64)
OFFSET: NDArray[np.int64] = np.round(2 * np.pi * (_FINE - len(_FINE) // 2) / 2**ANGLE_BITS * 2**OFFSET_FRACTION).astype(
    np.int64
)


def _turn() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Cosine and sine of all 2**ANGLE_BITS angles, by the gateware's arithmetic."""
    half = 1 << (DROPPED_BITS - 1)
    sine, cosine = TABLE[:, np.newaxis], TABLE[::-1, np.newaxis]
    low = TABLE_BITS - SLOPE_BITS
    c = (((cosine << RAISED_BITS) - (sine >> low) * OFFSET + half) >> DROPPED_BITS).ravel()
    s = (((sine << RAISED_BITS) + (cosine >> low) * OFFSET + half) >> DROPPED_BITS).ravel()
    return np.concatenate([c, -s, -c, s]).astype(np.int16), np.concatenate([s, c, -s, -c]).astype(np.int16)


COSINE, SINE = _turn()


def phase_word(frequency_hz: float, sample_rate_hz: float) -> int:
    """Phase increment per sample, in 2**-32 turns, nearest to a frequency (of either sign; it wraps at the rate)."""
    return round(frequency_hz / sample_rate_hz * 2**PHASE_BITS) % 2**PHASE_BITS


def word_frequency(word: int, sample_rate_hz: float) -> float:
    """The frequency in Hz, in (-rate/2, rate/2], that a phase increment stands for."""
    signed = word - 2**PHASE_BITS if word > 2 ** (PHASE_BITS - 1) else word
    return signed * sample_rate_hz / 2**PHASE_BITS


def oscillator(word: int, count: int, *, phase: int = 0) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Samples of exp(i theta): cosine and sine, int16, shape (count,) each, full scale 32767.

    Args:
        word: phase increment per sample, 2**-32 turns.
        count: number of samples.
        phase: accumulator at the first sample, 2**-32 turns.
    """
    accumulator = np.arange(count, dtype=np.uint32)
    accumulator *= np.uint32(word)
    accumulator += np.uint32(phase)
    accumulator >>= np.uint32(PHASE_BITS - ANGLE_BITS)
    angle = accumulator.astype(np.intp)
    return COSINE.take(angle), SINE.take(angle)
