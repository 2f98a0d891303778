"""Privacy amplification: Toeplitz hashing, a 2-universal family (Krawczyk 1994), in bounded memory.

Bit i of the key is the parity of ``seed[i + n - 1 - j] & bits[j]`` over j = 0 ... n - 1. That is a convolution, which
the fast Fourier transform does piece by piece in float64; every sum is an integer below the piece's length, and each
result is checked to lie close to one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PIECE = 1 << 20
"""Bits of input, and of output, that one transform joins."""
EXACTNESS = 0.25
"""How far a sum may lie from an integer; in float64 it is about 1e-9."""


def seed_length(bits: int, key_bits: int) -> int:
    """Random bits that define the matrix: n + m - 1."""
    return bits + key_bits - 1


def hash_bits(bits: NDArray[np.uint8], seed: NDArray[np.uint8], key_bits: int) -> NDArray[np.uint8]:
    """Multiply a bit vector by the seed's Toeplitz matrix over GF(2).

    Args:
        bits: uint8 zeros and ones, shape (n,).
        seed: uint8 zeros and ones, shape (n + key_bits - 1,).
        key_bits: m, bits to keep.

    Returns:
        uint8 zeros and ones, shape (key_bits,).

    Raises:
        ValueError: the seed has another length, or there is nothing to hash.
        ArithmeticError: a sum came out too far from an integer; no key is returned.
    """
    n = len(bits)
    if n < 1 or key_bits < 1:
        raise ValueError(f"cannot hash {n} bits to {key_bits}")
    if len(seed) != seed_length(n, key_bits):
        raise ValueError(
            f"hashing {n} bits to {key_bits} takes a seed of {seed_length(n, key_bits)} bits, not {len(seed)}"
        )
    backwards = bits[::-1]
    key = np.zeros(key_bits, np.uint8)
    for low in range(0, key_bits, PIECE):
        high = min(low + PIECE, key_bits)
        for begin in range(0, n, PIECE):
            piece = backwards[begin : begin + PIECE]
            # key[i] takes seed[i + j] backwards[j]: for this piece, seed from low + begin on.
            stretch = seed[low + begin : high + begin + len(piece) - 1]
            key[low:high] ^= _correlate(stretch, piece)
    return key


def _correlate(stretch: NDArray[np.uint8], piece: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Parities of sum_j stretch[i + j] piece[j] for i = 0 ... len(stretch) - len(piece)."""
    size = 1 << (len(stretch) - 1).bit_length()
    spectrum = np.fft.rfft(stretch.astype(np.float64), size) * np.conj(np.fft.rfft(piece.astype(np.float64), size))
    sums = np.fft.irfft(spectrum, size)[: len(stretch) - len(piece) + 1]
    whole = np.rint(sums)
    if not np.abs(sums - whole).max() < EXACTNESS:
        raise ArithmeticError("a parity was not computed exactly; the block is dropped")
    return (whole.astype(np.int64) & 1).astype(np.uint8)
