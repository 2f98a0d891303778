"""The two functions of the Box-Muller transform as short polynomials: formats and coefficients for core and model.

A word of 64 uniform bits becomes one complex sample. Its upper 48 bits k are the radius' and its lower 16 bits t the
angle's, both taken in the middle of their cell, so that neither is ever on an edge::

    u = (k + 1/2) 2**-48,   theta = 2 pi (t + 1/2) 2**-16,   I + i Q = deviation sqrt(-2 ln u) exp(i theta)

The largest radius is sqrt(2 * 49 ln 2) = 8.24 standard deviations.

Radius: the function is steep at both ends of u, so it is cut at u = 1/2, and either side into octaves of the distance
x to its end (x = u below, 1 - u above). With the odd number W = 2 w + 1 of 48 bits, w being k or its complement,
x = W 2**-49 has a leading one at exponent p = 0 ... 47. The bits after it are cut to 18: two choose a quarter of the
octave, 16 are the argument of a polynomial of degree two (Lee, Villasenor, Luk & Leong, IEEE Trans. Computers 55, 659
(2006) segment the logarithm so; here it is the whole radius, and no square root is left).

Angle: the octant's symmetry leaves 13 bits: nine choose a line, four are its argument.

Polynomials interpolate at Chebyshev points. Products fit a multiplier of 25 x 18 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD_BITS = 64
ANGLE_BITS = 16
RADIUS_BITS = WORD_BITS - ANGLE_BITS
LARGEST_RADIUS = float(np.sqrt(2 * (RADIUS_BITS + 1) * np.log(2)))
"""Tail of the transform in standard deviations, 8.24."""

QUARTER_BITS = 2
"""Address bits below the exponent: an octave has four polynomials."""
ARGUMENT_BITS = 16
"""Bits of a polynomial's argument, signed: -1/2 to 1/2 of a quarter octave."""
RADIUS_FRACTION = 19
"""Radius and its coefficients are words of 2**-19: an error of one is 0.01 output words at the largest scale."""
RADIUS_ROW_BITS = (23, 18, 14)
"""Coefficients of degree 0 (unsigned), 1 and 2 (signed); a row of 55 bits fits 72, and 512 rows one block RAM."""

OCTANT_BITS = 3
FINE_BITS = 4
"""Bits of the argument of a line."""
LINE_BITS = ANGLE_BITS - OCTANT_BITS - FINE_BITS
ANGLE_FRACTION = 24
"""The lines' coefficients are words of 2**-24."""
ANGLE_ROW_BITS = (25, 11)
"""Coefficients of degree 0 and 1, signed: two lines are 72 bits, and 512 rows one block RAM."""
COSINE_FRACTION = 17
"""What the lines give, rounded. It is minus the cosine, for -1 fits 18 bits and 1 does not."""

DEVIATION_FRACTION = 3
"""The scale is the standard deviation in 1/8 words, 16 bits, unsigned."""
DEVIATION_BITS = 16
AMPLITUDE_FRACTION = 8
AMPLITUDE_BITS = 24
"""Radius times scale: up to 8.24 * 5461 words and 8 bits below the point."""


def exact_radius(side: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """sqrt(-2 ln u) with u = `x` on side 0 and u = 1 - `x` on side 1. Same shape, float64."""
    return np.sqrt(-2 * (np.log1p(-x) if side else np.log(x)))


def _chebyshev_points(degree: int) -> NDArray[np.float64]:
    """Where a polynomial of this degree is to equal a function on [-1/2, 1/2]."""
    return np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1)) / 2


def _interpolate(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients, lowest degree first, of the polynomials through values at the Chebyshev points. Shape kept."""
    points = _chebyshev_points(values.shape[-1] - 1)
    inverse = np.linalg.inv(np.vander(points, increasing=True))
    return np.asarray(values @ inverse.T)


def radius_address(side: int, exponent: int, quarter: int) -> int:
    """Row of ``RADIUS``. The exponent counts from 16: then it is the complement of the number of leading zeros."""
    return side << 8 | (exponent + 16) << QUARTER_BITS | quarter


def _radius_table() -> NDArray[np.int64]:
    table = np.zeros((512, 3), np.int64)
    half_a_cut = 0.5 / (1 << ARGUMENT_BITS)  # of what is cut off below the argument
    for side in (0, 1):
        for exponent in range(RADIUS_BITS):
            for quarter in range(1 << QUARTER_BITS):
                mantissa = 1 + (quarter + 0.5 + half_a_cut + _chebyshev_points(2)) / (1 << QUARTER_BITS)
                values = exact_radius(side, np.ldexp(mantissa, exponent - RADIUS_BITS - 1))
                row = radius_address(side, exponent, quarter)
                table[row] = np.round(_interpolate(values) * 2.0**RADIUS_FRACTION)
    return table


def _angle_table() -> NDArray[np.int64]:
    angles = (np.arange(1 << LINE_BITS)[:, None] + 0.5 + _chebyshev_points(1)) * (np.pi / 4) / (1 << LINE_BITS)
    # The argument is an odd number, 2 f - 15, of which 32 make the length of a line.
    units = 2.0**ANGLE_FRACTION / np.array([1, 2 << FINE_BITS])
    lines = [np.round(_interpolate(-function(angles)) * units) for function in (np.cos, np.sin)]
    return np.hstack(lines).astype(np.int64)


RADIUS: NDArray[np.int64] = _radius_table()
"""Shape (512, 3): coefficients of degree 0, 1, 2; see :func:`radius_address`. Rows below exponent 0 are never read."""
ANGLE: NDArray[np.int64] = _angle_table()
"""Shape (512, 4): minus cosine, degree 0 and 1; minus sine, degree 0 and 1; within the first octant."""


def edge_words() -> NDArray[np.uint64]:
    """Words of bits at the ends of every segment: what a test of a table tries beside random words. uint64, (n,).

    Radii: the first and the last of each quarter octave, on both sides. Angles: both ends of each line, in turn with
    the radii. Then the ends of u, 2**-49 and 1 - 2**-49, with both ends of every octant.
    """
    radii = set()
    for exponent in range(RADIUS_BITS):
        for quarter in range(1 << QUARTER_BITS):
            # Odd numbers W of the docstring above, halved: w.
            first = ((1 << QUARTER_BITS) + quarter) << exponent >> QUARTER_BITS
            last = (((1 << QUARTER_BITS) + quarter + 1) << exponent) - 1 >> QUARTER_BITS
            radii |= {first >> 1, last >> 1}
    below = np.array(sorted(radii), np.uint64)
    k = np.concatenate([below, (1 << RADIUS_BITS) - 1 - below])
    lines = np.arange(0, 1 << ANGLE_BITS, 1 << FINE_BITS).astype(np.uint64)
    octants = np.arange(0, 1 << ANGLE_BITS, 1 << (ANGLE_BITS - OCTANT_BITS)).astype(np.uint64)
    line_ends = np.concatenate([lines, lines + ((1 << FINE_BITS) - 1)])
    octant_ends = np.concatenate([octants, octants + ((1 << (ANGLE_BITS - OCTANT_BITS)) - 1)])
    ends_of_u = np.array([0, (1 << RADIUS_BITS) - 1], np.uint64)
    return np.concatenate(
        [
            np.resize(k, len(line_ends)) << ANGLE_BITS | line_ends,
            np.repeat(ends_of_u, len(octant_ends)) << ANGLE_BITS | np.tile(octant_ends, len(ends_of_u)),
        ]
    )
