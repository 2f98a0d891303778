"""Number formats as values: what a word means, how it is rounded and what happens when it does not fit.

A core and its model take the same :class:`Format`, so a width is written once. Rounding is always to nearest with
ties towards plus infinity (add half an output unit, shift right): it costs one carry-in of an adder in hardware, and
its bias, 2**-(dropped bits + 1) of an output unit, is negligible beside the dither that shot noise provides. Overflow
always saturates, and the function says how often it did so that a core can raise its sticky flag.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Format:
    """Signed two's-complement fixed point Qm.n: `integer` bits (the sign among them) and `fraction` bits.

    ``Q(1, 15)`` is a 16-bit word from -1 to 1 - 2**-15.
    """

    integer: int
    fraction: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"a number format needs at least one bit, not {self.width}")

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self.integer + self.fraction

    @property
    def maximum(self) -> int:
        """Largest word, as an integer."""
        return (1 << (self.width - 1)) - 1

    @property
    def minimum(self) -> int:
        """Smallest word, as an integer."""
        return -(1 << (self.width - 1))

    @property
    def scale(self) -> float:
        """Words per unit: 2**fraction."""
        return float(2.0**self.fraction)

    def quantise(self, value: ArrayLike) -> NDArray[np.int64]:
        """Nearest words to real numbers (ties towards plus infinity), saturated. Any shape; int64."""
        words = np.floor(np.asarray(value, np.float64) * self.scale + 0.5)
        return np.clip(words, self.minimum, self.maximum).astype(np.int64)

    def to_float(self, words: ArrayLike) -> NDArray[np.float64]:
        """The real numbers that words stand for. Any shape; float64."""
        return np.asarray(words, np.float64) / self.scale

    def __str__(self) -> str:
        return f"Q{self.integer}.{self.fraction}"


def Q(integer: int, fraction: int) -> Format:
    """The signed format Qm.n; see :class:`Format`."""
    return Format(integer, fraction)


SAMPLE = Q(1, 15)
"""Converter samples and symbols: 16 bits, full scale is one."""

BASEBAND = Q(1, 17)
"""The receiver's samples between mixer and matched filter.

Decimation takes away noise, not its rounding: at two samples a symbol a converter's 100 words of shot noise are 35 a
rail, of which the last of 16 bits would be 0.07 mSNU each time that one rounds. Two bits more make it 0.004, and still
fit the narrower input of a DSP slice.
"""


def round_shift(words: NDArray[np.signedinteger], shift: int) -> NDArray[np.int64]:
    """Drop `shift` low bits, to nearest, ties towards plus infinity. Any shape; int64 that has not yet been saturated.

    Raises ValueError when `shift` is negative.
    """
    if shift < 0:
        raise ValueError(f"a right shift cannot be {shift}")
    wide = np.asarray(words, np.int64)
    return wide if shift == 0 else (wide + (1 << (shift - 1))) >> shift


def saturate(words: NDArray[np.signedinteger], to: Format) -> tuple[NDArray[np.int64], int]:
    """Clip words to the range of `to`; returns them (int64) and how many did not fit."""
    clipped = np.clip(words, to.minimum, to.maximum)
    return np.asarray(clipped, np.int64), int(np.count_nonzero(clipped != words))
