"""How far the source is from the transform it stands for: the transform in double precision, and a proved bound.

The bound is not sampled. Radius and angle are separate until their product, and either takes few values: 2 x 48 octaves
of 2**18 arguments, and 2**13 angles of an octant. All of them are tried, so that what remains is three roundings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE
from . import tables
from .model import GaussianSource, octant_functions, radius
from .tables import ARGUMENT_BITS, LARGEST_RADIUS, QUARTER_BITS, RADIUS_BITS, exact_radius, radius_address


def exact_symbols(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """The transform of ``tables`` in double precision, for a standard deviation of one. float64, shape (n, 2)."""
    k = bits >> np.uint64(tables.ANGLE_BITS)
    upper = k >= 1 << (RADIUS_BITS - 1)
    # Near u = 1 a double has no room for 1 - u: the distance to the nearer end is exact.
    distance = np.where(upper, (1 << RADIUS_BITS) - 1 - k, k).astype(np.float64)
    x = np.ldexp(distance + 0.5, -RADIUS_BITS)
    r = np.sqrt(-2 * np.where(upper, np.log1p(-x), np.log(x)))
    turns = (bits & np.uint64((1 << tables.ANGLE_BITS) - 1)).astype(np.float64) + 0.5
    theta = 2 * np.pi * np.ldexp(turns, -tables.ANGLE_BITS)
    return np.stack([r * np.cos(theta), r * np.sin(theta)], axis=1)


def largest_error_words(source: GaussianSource, bits: NDArray[np.uint64]) -> float:
    """Largest distance, in words, between the source's symbols and the transform clipped to their range."""
    exact = exact_symbols(bits) * (source.deviation / 2**tables.DEVIATION_FRACTION)
    np.clip(exact, SAMPLE.minimum, SAMPLE.maximum, out=exact)
    return float(np.max(np.abs(source.process(bits).words - exact)))


@dataclass(frozen=True)
class FunctionErrors:
    """What exhausting both functions found.

    Attributes:
        radius: largest error in each octave, standard deviations, float64, shape (2, 48): side, exponent.
        largest_radius: largest radius in each octave, the same.
        smallest_radius_word, largest_radius_word: extremes of what the polynomials give, in 2**-19.
        octant: largest error of cosine and of sine.
    """

    radius: NDArray[np.float64]
    largest_radius: NDArray[np.float64]
    smallest_radius_word: int
    largest_radius_word: int
    octant: float


def exhaust_functions() -> FunctionErrors:
    """Try all arguments of radius and angle.

    An argument stands for all words with the same leading bits. The radius falls or rises throughout, so the error is
    largest at one of the two ends of those words, and both are looked at.
    """
    mantissa_bits = QUARTER_BITS + ARGUMENT_BITS
    ends = 1 + np.arange((1 << mantissa_bits) + 1) / (1 << mantissa_bits)
    argument = np.arange(1 << ARGUMENT_BITS) - (1 << (ARGUMENT_BITS - 1))
    errors, largest = np.zeros((2, RADIUS_BITS)), np.zeros((2, RADIUS_BITS))
    least, most = 0, 0
    for side in (0, 1):
        for exponent in range(RADIUS_BITS):
            exact = exact_radius(side, np.ldexp(ends, exponent - RADIUS_BITS - 1))
            rows = np.arange(4) + radius_address(side, exponent, 0)
            words = radius(np.repeat(rows, 1 << ARGUMENT_BITS), np.tile(argument, 4))
            given = words * 2.0**-tables.RADIUS_FRACTION
            errors[side, exponent] = max(np.max(np.abs(given - exact[:-1])), np.max(np.abs(given - exact[1:])))
            largest[side, exponent] = np.max(exact)
            least, most = min(least, int(words.min())), max(most, int(words.max()))
    index = np.arange(1 << (tables.ANGLE_BITS - tables.OCTANT_BITS))
    theta = (index + 0.5) * (2 * np.pi / (1 << tables.ANGLE_BITS))
    fine = 2 * (index & ((1 << tables.FINE_BITS) - 1)) - ((1 << tables.FINE_BITS) - 1)
    octant = max(
        float(np.max(np.abs(given * 2.0**-tables.COSINE_FRACTION + function(theta))))
        for given, function in zip(octant_functions(index >> tables.FINE_BITS, fine), (np.cos, np.sin), strict=True)
    )
    return FunctionErrors(errors, largest, least, most, octant)


def error_bound_words(errors: FunctionErrors, source: GaussianSource) -> float:
    """Upper bound of :func:`largest_error_words` over all 2**64 words of bits.

    With r and c exact, e their errors and A the amplitude's rounding, the word is (s (r + e_r) + A)(c + e_c) + 1/2 at
    most, and |c + e_c| <= 1. Where s r exceeds full scale only the part that is not clipped can be wrong.
    """
    deviation = source.deviation / 2**tables.DEVIATION_FRACTION
    reach = deviation * np.minimum(errors.largest_radius, LARGEST_RADIUS)
    rounding = 2.0 ** -(tables.AMPLITUDE_FRACTION + 1)
    return float(np.max(deviation * errors.radius + rounding + reach * errors.octant)) + 0.5
