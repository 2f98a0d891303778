"""Bit-exact numpy model of the unit phasor: a complex word brought to unit length, without arctangent or division.

The larger component is shifted to 16 bits (block floating point). The squared length p is then between 2**30 and
2**33; from 2**32 on it is divided by four, and the result by two. A table of 768 straight lines gives the inverse root,

    root = round( 32767 * 2**17 / sqrt(p) ),        i' = round( i root / 2**17 ),     q' = round( q root / 2**17 ),

with roundings to nearest, ties towards plus infinity. Rounding to the mantissa and rounding the result each move the
phase by at most sqrt(1/2) of a word of 32767, 4.4e-5 rad together; the length is right to 1.2 words. Zero becomes
1 + 0i.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE, round_shift
from ..phase_smoother.model import PHASOR

MANTISSA_BITS = 16
"""Bits of the larger component, without its sign, before the length is known."""
LEAST_POWER_BITS = 2 * (MANTISSA_BITS - 1)
"""The squared length is 2**30 at least."""
SEGMENT_BITS = 8
"""An octave of the squared length from 2**30 to 2**31 has 2**SEGMENT_BITS lines, the next one twice as many."""
SEGMENTS = 3 << SEGMENT_BITS
FRACTION_BITS = 12
"""Of the squared length within a line."""
ROOT_FRACTION = 17

_KNOTS = np.arange(1 << SEGMENT_BITS, (4 << SEGMENT_BITS) + 1) * 2.0 ** (LEAST_POWER_BITS - SEGMENT_BITS)
_ROOTS = np.round(SAMPLE.maximum * 2.0**ROOT_FRACTION / np.sqrt(_KNOTS)).astype(np.int64)
ROOT: NDArray[np.int64] = _ROOTS[:-1]
"""The inverse root where each line begins."""
SLOPE: NDArray[np.int64] = _ROOTS[:-1] - _ROOTS[1:]
"""How much it falls along the line."""
_CHUNK = 1 << 12
"""Phasors that are worked on at once: what is between two steps stays in the processor's cache."""
ROOT_BITS, SLOPE_BITS = int(ROOT.max()).bit_length(), int(SLOPE.max()).bit_length()


def unit_phasor(phasors: NDArray[np.int32]) -> NDArray[np.int16]:
    """Phasors of unit length.

    Args:
        phasors: int32 that holds 20-bit words, shape (n, 2), I then Q.

    Returns:
        int16, shape (n, 2), of length 32767.

    Raises:
        ValueError: phasors of another type or shape, or words of more than 20 bits.
    """
    if phasors.dtype != np.int32 or phasors.ndim != 2 or phasors.shape[1] != 2:
        raise ValueError(f"phasors must be int32 of shape (n, 2), not {phasors.dtype} of shape {phasors.shape}")
    if phasors.size and not PHASOR.minimum <= phasors.min() <= phasors.max() <= PHASOR.maximum:
        raise ValueError(f"a phasor does not fit {PHASOR.width} bits")
    units = np.empty((len(phasors), 2), np.int16)
    for begin in range(0, len(phasors), _CHUNK):
        units[begin : begin + _CHUNK] = _unit(phasors[begin : begin + _CHUNK])
    return units


def _unit(phasors: NDArray[np.int32]) -> NDArray[np.int64]:
    """The same, of phasors that are known to fit; words of 16 bits."""
    largest = np.maximum(np.abs(phasors[:, 0]), np.abs(phasors[:, 1]))
    length = np.frexp(largest.astype(np.float64))[1]  # bits of the larger component
    # To the top of 20 bits first, then down to the mantissa with one rounding.
    mantissa = round_shift(
        phasors.astype(np.int64) << (PHASOR.width - length)[:, np.newaxis], PHASOR.width - MANTISSA_BITS
    )
    power = mantissa[:, 0] * mantissa[:, 0] + mantissa[:, 1] * mantissa[:, 1]
    long = power >> (LEAST_POWER_BITS + 2) > 0
    power = np.where(long, power >> 2, power)
    line = (power >> (LEAST_POWER_BITS - SEGMENT_BITS)) - (1 << SEGMENT_BITS)
    line = np.maximum(line, 0)  # zero has no line; it is replaced below
    fraction = power >> (LEAST_POWER_BITS - SEGMENT_BITS - FRACTION_BITS) & ((1 << FRACTION_BITS) - 1)
    root = ROOT[line] - round_shift(SLOPE[line] * fraction, FRACTION_BITS)
    product = mantissa * root[:, np.newaxis]
    unit = np.where(long[:, np.newaxis], round_shift(product, ROOT_FRACTION + 1), round_shift(product, ROOT_FRACTION))
    unit = np.clip(unit, -SAMPLE.maximum, SAMPLE.maximum)
    unit[largest == 0] = SAMPLE.maximum, 0
    return unit
