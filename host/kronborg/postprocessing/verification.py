"""Verification: do Alice and Bob hold the same block? A universal hash under a fresh random key tells.

The block is cut into words of 120 bits, which are the coefficients of a polynomial over the integers modulo the prime
2**127 - 1; the tag is its value at a random point (Carter & Wegman 1981; polynomial hashing). Two different blocks of
b bits collide for at most ceil(b / 120) + 1 of the 2**127 - 1 points. Bob sends point and tag in the open: the tag
tells an eavesdropper at most TAG_BITS bits of the block, which the key budget subtracts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PRIME = 2**127 - 1
WORD_BYTES = 15
KEY_BYTES = 16
TAG_BITS = 127


def tag(bits: NDArray[np.uint8], key: bytes) -> bytes:
    """The tag of a block, 16 bytes.

    Args:
        bits: uint8 zeros and ones, shape (n,).
        key: KEY_BYTES random bytes; 127 bits of them are used.

    Raises:
        ValueError: a key of another length.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a verification key has {KEY_BYTES} bytes, not {len(key)}")
    point = int.from_bytes(key, "big") >> 1
    packed = np.packbits(bits).tobytes()
    value = len(bits)  # the leading coefficient: blocks that differ in zeros at their end differ here
    for start in range(0, len(packed), WORD_BYTES):
        value = (
            value * point + int.from_bytes(packed[start : start + WORD_BYTES].ljust(WORD_BYTES, b"\0"), "big")
        ) % PRIME
    return value.to_bytes(KEY_BYTES, "big")


def collision_probability(bits: int) -> float:
    """Bound on the probability that two different blocks of so many bits have the same tag."""
    # A key of 127 bits hits the point 0 twice; the factor 2 covers it.
    return 2 * (-(-bits // (8 * WORD_BYTES)) + 1) / PRIME
