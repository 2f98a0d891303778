"""Bit-exact numpy model of the Gaussian source; the core beside it gives the same symbols for every input.

``tables`` has the transform, how its functions are cut into polynomials, and every width.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE
from . import tables
from .tables import (
    AMPLITUDE_FRACTION,
    ANGLE,
    ANGLE_FRACTION,
    ARGUMENT_BITS,
    COSINE_FRACTION,
    DEVIATION_FRACTION,
    FINE_BITS,
    QUARTER_BITS,
    RADIUS,
    RADIUS_FRACTION,
)

DEFAULT_DEVIATION = 4096 << DEVIATION_FRACTION
"""After reset: 4096 words, so that 8 standard deviations fit a symbol."""
MAXIMUM_DEVIATION = (SAMPLE.maximum << DEVIATION_FRACTION) // 6
"""5461.125 words: above it symbols would be clipped within 6 standard deviations, which is refused."""
MINIMUM_DEVIATION = 64 << DEVIATION_FRACTION
"""64 words: below it the grid of words would no longer be far finer than a coherent state is wide."""

MULTIPLIERS_PER_SYMBOL = 5
"""Two for the radius, one for the scale, and one a rail for the product. The lines' arguments are short: adders do."""

# Samples that are in work at one time: all that they need stays in the processor's cache. Results do not depend on it.
SAMPLES_PER_BLOCK = 1 << 13

_DOUBLE_FRACTION, _DOUBLE_BIAS = 52, 1023
COSINE_DROP = ANGLE_FRACTION - COSINE_FRACTION
AMPLITUDE_DROP = RADIUS_FRACTION + DEVIATION_FRACTION - AMPLITUDE_FRACTION
PRODUCT_DROP = AMPLITUDE_FRACTION + COSINE_FRACTION


@dataclass(frozen=True)
class Symbols:
    """What a run of the source gives. Neither field is shown: symbols are raw key.

    Attributes:
        words: int16, shape (n, 2), I then Q.
        saturated: words (I and Q count each) that did not fit and were clipped.
    """

    words: NDArray[np.int16] = field(repr=False)
    saturated: int


def deviation_word(modulation_variance_snu: float, snu_per_word: float) -> int:
    """The scale register for a modulation variance.

    Args:
        modulation_variance_snu: V_A, per quadrature, at the fibre's input.
        snu_per_word: the quadrature, in sqrt(SNU) at the fibre's input, that one symbol word stands for.

    Raises:
        ValueError: symbols would be clipped within 6 standard deviations, or their grid would be too coarse.
    """
    if not (modulation_variance_snu > 0 and snu_per_word > 0):
        raise ValueError("modulation variance and quadrature per word must be positive")
    words = float(np.sqrt(modulation_variance_snu)) / snu_per_word
    largest, smallest = (limit / 2**DEVIATION_FRACTION for limit in (MAXIMUM_DEVIATION, MINIMUM_DEVIATION))
    if words > largest:
        raise ValueError(
            f"a standard deviation of {words:.1f} words clips within 6 sigma: at most {largest} fit;"
            " let a word stand for more, or lower the modulation variance"
        )
    if words < smallest:
        raise ValueError(
            f"a standard deviation of {words:.1f} words is below {smallest}: let a word stand for less of a quadrature"
        )
    return round(words * 2**DEVIATION_FRACTION)


@dataclass(frozen=True)
class GaussianSource:
    """The source with its scale. ``process`` is pure: samples are independent of each other.

    Attributes:
        deviation: standard deviation of I and of Q, in 1/8 words.

    Raises:
        ValueError: the deviation is one that the core refuses.
    """

    deviation: int = DEFAULT_DEVIATION

    def __post_init__(self) -> None:
        if not MINIMUM_DEVIATION <= self.deviation <= MAXIMUM_DEVIATION:
            raise ValueError(
                f"a deviation of {self.deviation} eighths of a word is outside {MINIMUM_DEVIATION} to"
                f" {MAXIMUM_DEVIATION}: the source refuses it"
            )

    def process(self, bits: NDArray[np.uint64]) -> Symbols:
        """One complex sample for each word of uniform bits.

        Args:
            bits: uint64, shape (n,).

        Raises:
            ValueError: bits of another type or shape.
        """
        if bits.dtype != np.uint64 or bits.ndim != 1:
            raise ValueError(f"bits must be a vector of uint64, not {bits.dtype} of shape {bits.shape}")
        words = np.empty((len(bits), 2), np.int16)
        saturated = 0
        for begin in range(0, len(bits), SAMPLES_PER_BLOCK):
            block = slice(begin, begin + SAMPLES_PER_BLOCK)
            saturated += self._block(bits[block], words[block])
        return Symbols(words, saturated)

    def _block(self, bits: NDArray[np.uint64], words: NDArray[np.int16]) -> int:
        """Fill `words`; returns how many were clipped."""
        row, argument = split_radius(bits)
        amplitude = _drop(radius(row, argument) * self.deviation, AMPLITUDE_DROP)
        octant, line, fine = split_angle(bits)
        minus_cosine, minus_sine = octant_functions(line, fine)
        swap = (octant ^ octant >> 1) & 1 != 0
        saturated = 0
        for rail, (near, far) in enumerate(((minus_cosine, minus_sine), (minus_sine, minus_cosine))):
            product = amplitude * np.where(swap, far, near)
            # Cosines are negative in octants 2 to 5, sines in 4 to 7; the functions are negated once already.
            negative = (octant ^ octant << 1) & 4 if rail == 0 else octant & 4
            rounded = _drop(product, PRODUCT_DROP)
            word = np.where(negative, rounded, -rounded)
            clipped = np.clip(word, SAMPLE.minimum, SAMPLE.maximum)
            saturated += int(np.count_nonzero(clipped != word))
            words[:, rail] = clipped
        return saturated


def split_radius(bits: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row of the radius table, and the signed argument of its polynomial, in 2**-16."""
    signed = bits.view(np.int64)
    side = signed >> (tables.WORD_BITS - 1)  # 0 or -1
    odd = (signed ^ side) >> (tables.ANGLE_BITS - 1) | 1
    # A double is a normalised number: its exponent and its fraction are what the core's shifter finds.
    double = odd.astype(np.float64).view(np.int64)
    row = (double >> (_DOUBLE_FRACTION - QUARTER_BITS)) - ((_DOUBLE_BIAS - 16) << QUARTER_BITS) + (side & 256)
    argument = double >> (_DOUBLE_FRACTION - QUARTER_BITS - ARGUMENT_BITS)
    return row, (argument & ((1 << ARGUMENT_BITS) - 1)) - (1 << (ARGUMENT_BITS - 1))


def radius(row: NDArray[np.int64], argument: NDArray[np.int64]) -> NDArray[np.int64]:
    """The radius in 2**-19 standard deviations."""
    slope = _drop(_RADIUS_COLUMNS[2].take(row) * argument, ARGUMENT_BITS) + _RADIUS_COLUMNS[1].take(row)
    return _drop(slope * argument, ARGUMENT_BITS) + _RADIUS_COLUMNS[0].take(row)


def split_angle(bits: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Octant, row of the angle table, and the argument of its lines: the odd number 2 f - 15."""
    signed = bits.view(np.int64)
    octant = (signed >> (tables.ANGLE_BITS - tables.OCTANT_BITS)) & 7
    within = (signed ^ -(octant & 1)) & ((1 << (tables.LINE_BITS + FINE_BITS)) - 1)  # odd octants run backwards
    return octant, within >> FINE_BITS, ((within & ((1 << FINE_BITS) - 1)) << 1) - ((1 << FINE_BITS) - 1)


def octant_functions(line: NDArray[np.int64], fine: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Minus cosine and minus sine of an angle in the first octant, in 2**-17."""
    cosine, cosine_slope, sine, sine_slope = (column.take(line) for column in _ANGLE_COLUMNS)
    return _drop(cosine + cosine_slope * fine, COSINE_DROP), _drop(sine + sine_slope * fine, COSINE_DROP)


def _drop(words: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    """``formats.round_shift`` in place: the words are changed."""
    words += 1 << (shift - 1)
    words >>= shift
    return words


_RADIUS_COLUMNS = np.ascontiguousarray(RADIUS.T)
_ANGLE_COLUMNS = np.ascontiguousarray(ANGLE.T)
