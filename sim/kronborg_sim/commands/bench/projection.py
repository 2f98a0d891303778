"""A product of a Toeplitz matrix over GF(2) checked by one random projection, without computing it again.

With z in GF(2^64), the sum of z^i (T x)_i over the rows i is

    z^(1 - columns)  sum_a  s_a z^a  (P(min(columns, columns - 1 + rows - a)) - P(max(0, columns - 1 - a))),

where T_ij = s[i + columns - 1 - j] and P(k) is the sum of x_j z^j over j < k: linear work, no transform. A product with
any wrong bit has the same sum for at most rows - 1 of the 2^64 values of z.

The sums are Horner's, in many lanes at a time, so that all multiplications are by z: eight table look-ups.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import NDArray

_TAIL = 0x1B
"""z^64 = z^4 + z^3 + z + 1."""


def times(a: int, b: int) -> int:
    """The product in GF(2^64)."""
    product = 0
    for bit in reversed(range(64)):
        product = product << 1 ^ (a if b >> bit & 1 else 0)
        product ^= (product >> 64) * ((1 << 64) | _TAIL)
    return product


def power(a: int, exponent: int) -> int:
    """a**exponent in GF(2^64), by squares."""
    result = 1
    for bit in bin(exponent)[2:]:
        result = times(result, result)
        if bit == "1":
            result = times(result, a)
    return result


class Multiplier:
    """Multiplication of many words by one."""

    def __init__(self, factor: int) -> None:
        shifted = [times(factor, 1 << bit) for bit in range(64)]
        self._tables = np.zeros((8, 256), np.uint64)
        for byte in range(8):
            for bit in range(8):
                size = 1 << bit
                self._tables[byte, size : 2 * size] = self._tables[byte, :size] ^ np.uint64(shifted[8 * byte + bit])

    def __call__(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Products, in the shape of the words."""
        parts = words[:, None].view(np.uint8)
        if sys.byteorder == "big":
            parts = parts[:, ::-1]
        product = self._tables[0][parts[:, 0]]
        for byte in range(1, 8):
            product ^= self._tables[byte][parts[:, byte]]
        return product


def _lanes(count: int) -> tuple[int, int]:
    """As many lanes, and as long, as hold `count` words."""
    lanes = math.isqrt(count) + 1
    return lanes, -(-count // lanes)


def powers_under(bits: NDArray[np.uint8], z: int) -> NDArray[np.uint64]:
    """P(0) ... P(n): the sums of bits[j] z^j over j < k, uint64, shape (n + 1,)."""
    lanes, length = _lanes(len(bits))
    padded = np.zeros(lanes * length, np.uint8)
    padded[: len(bits)] = bits
    by_lane = padded.reshape(lanes, length)
    starts, step = [1], power(z, length)
    for _ in range(lanes - 1):
        starts.append(times(starts[-1], step))
    current, multiply = np.array(starts, np.uint64), Multiplier(z)
    terms = np.empty((lanes, length), np.uint64)
    for place in range(length):
        terms[:, place] = current * by_lane[:, place]
        current = multiply(current)
    flat = terms.reshape(-1)
    np.bitwise_xor.accumulate(flat, out=flat)
    return np.concatenate([np.zeros(1, np.uint64), flat[: len(bits)]])


def horner(words: NDArray[np.uint64], z: int) -> int:
    """The sum of words[a] z^a in GF(2^64)."""
    lanes, length = _lanes(len(words))
    padded = np.zeros(lanes * length, np.uint64)
    padded[: len(words)] = words
    by_lane = padded.reshape(lanes, length)
    total, multiply = np.zeros(lanes, np.uint64), Multiplier(z)
    for place in reversed(range(length)):
        total = multiply(total) ^ by_lane[:, place]
    result, step = 0, power(z, length)
    for value in reversed(total.tolist()):
        result = times(result, step) ^ value
    return result


def projection_holds(seed: NDArray[np.uint8], bits: NDArray[np.uint8], product: NDArray[np.uint8], z: int) -> bool:
    """Whether `product`, of `rows` bits, may be that of the seed's matrix and `bits`: wrong ones pass for few z.

    Args:
        seed: uint8 zeros and ones, shape (rows + columns - 1,).
        bits: likewise, shape (columns,).
        product: likewise, shape (rows,).
        z: a random number from 1 to 2**64 - 1.
    """
    rows, columns = len(product), len(bits)
    under = powers_under(bits, z)
    words = np.zeros(len(seed), np.uint64)
    # a from 0: the upper bound is `columns` for a < rows, then falls; the lower falls until a = columns - 1, then is 0.
    falling = under[::-1]
    words[: min(rows, len(words))] = under[columns]
    words[rows:] = falling[1:columns]
    words[:columns] ^= falling[1:]
    words *= seed
    return horner(words, z) == times(power(z, columns - 1), horner(product.astype(np.uint64), z))
