"""Magnitude and angle of complex words by adders alone, numpy half; ``vectoring.py`` is the Amaranth half.

Volder's CORDIC in vectoring mode (IRE Transactions on Electronic Computers EC-8, 330, 1959). The left half-plane is
turned by half a turn; then iteration i turns the vector by the angle whose tangent is 2**-i, towards the positive real
axis, by shifts and additions:

    x' = x + d (y >> i),    y' = y - d (x >> i),    z' = z + d atan(2**-i),        d = 1 if y >= 0 else -1

Every turn makes the vector longer; at the end x is :data:`GAIN` times the magnitude, and z the angle.

Rounding: words have :data:`GUARD_BITS` below their own last bit and shifts drop what is below those, towards minus
infinity; angles have as many more bits than they are given with. The results are rounded once each, to nearest, ties
towards plus infinity. Nothing overflows: widths hold the longest vector times the gain.

Error, for a vector of v words: what the last iteration leaves, 15 shifts of up to one guard bit in each of x and y, and
the angles' table and rounding,

    |angle error| <= 2**-15 + 1 / v + 2**-15 rad,        |magnitude / GAIN - v| <= 1 word + (2**-15)**2 v

which the tests find kept. Zero has magnitude zero, and an angle that means nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ITERATIONS = 16
GUARD_BITS = 4
ANGLE_BITS = 18
"""Angles are in 2**-18 turns, signed."""
STEPS: tuple[int, ...] = tuple(
    round(float(np.arctan(2.0**-i)) / (2 * np.pi) * 2 ** (ANGLE_BITS + GUARD_BITS)) for i in range(ITERATIONS)
)
"""Angle of each iteration, with its guard bits."""
GAIN = float(np.prod(np.sqrt(1 + 4.0 ** -np.arange(ITERATIONS))))


def magnitude_bits(width: int) -> int:
    """Bits of the unsigned magnitude, gain included, of words of so many bits: sqrt(2) times the gain is below 4."""
    return width + 1


def polar(words: NDArray[np.signedinteger]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Magnitude, :data:`GAIN` times its words, and angle in 2**-ANGLE_BITS turns.

    Args:
        words: complex words of up to 32 bits, I then Q in the last axis.

    Returns:
        int64 of the shape without that axis; angles from ``-2**(ANGLE_BITS - 1)`` on.
    """
    wide = np.asarray(words, np.int64) << GUARD_BITS
    x, y = wide[..., 0], wide[..., 1]
    left = x < 0
    x, y = np.where(left, -x, x), np.where(left, -y, y)
    z = np.where(left, np.int64(1 << (ANGLE_BITS + GUARD_BITS - 1)), np.int64(0))
    for i, step in enumerate(STEPS):
        up = y >= 0
        by_y, by_x = y >> i, x >> i
        x, y, z = np.where(up, x + by_y, x - by_y), np.where(up, y - by_x, y + by_x), np.where(up, z + step, z - step)
    half = 1 << (GUARD_BITS - 1)
    return (x + half) >> GUARD_BITS, wrap((z + half) >> GUARD_BITS)


def wrap(angle: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same angles within half a turn of zero, 2**-ANGLE_BITS turns: any shape."""
    half = 1 << (ANGLE_BITS - 1)
    return np.asarray(((angle + half) & (2 * half - 1)) - half, np.int64)
