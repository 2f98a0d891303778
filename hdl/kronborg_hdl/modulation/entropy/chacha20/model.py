"""Bit-exact numpy model of the ChaCha20 expander: the block function and the keystream of RFC 8439.

Words are uint32; as bytes, little-endian, they are the RFC's serialised keystream.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONSTANTS = np.frombuffer(b"expand 32-byte k", "<u4").astype(np.uint32)
KEY_WORDS, NONCE_WORDS, BLOCK_WORDS = 8, 3, 16
ROUNDS = 20
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
STEPS = ((0, 1, 3, 16), (2, 3, 1, 12), (0, 1, 3, 8), (2, 3, 1, 7))
"""A quarter round's steps ``(x, y, z, bits)`` on its words: x += y, then z = (z ^ x) rotated left (RFC 8439, 2.1)."""


def keystream(
    key: NDArray[np.uint32], nonce: NDArray[np.uint32], blocks: int, *, counter: int = 0
) -> NDArray[np.uint32]:
    """Blocks of keystream, uint32 of shape (blocks, 16): RFC 8439, 2.3, for counters `counter`, `counter` + 1, ...

    Args:
        key: uint32, shape (8,).
        nonce: uint32, shape (3,).
        blocks: how many.
        counter: of the first block.

    Raises:
        ValueError: key or nonce of another type or shape, or a counter that would pass 2**32 - 1 and begin again.
    """
    for name, words, count in (("key", key, KEY_WORDS), ("nonce", nonce, NONCE_WORDS)):
        if words.dtype != np.uint32 or words.shape != (count,):
            raise ValueError(f"a {name} is uint32 of shape ({count},), not {words.dtype} of shape {words.shape}")
    if blocks < 0 or counter < 0 or counter + blocks > 2**32:
        raise ValueError(f"{blocks} blocks from {counter} on pass the counter's end, 2**32: take a new key before")
    initial = np.empty((BLOCK_WORDS, blocks), np.uint32)
    initial[:4] = CONSTANTS[:, None]
    initial[4:12] = key[:, None]
    initial[12] = np.arange(counter, counter + blocks, dtype=np.uint64).astype(np.uint32)
    initial[13:] = nonce[:, None]
    state = initial.copy()
    for number in range(ROUNDS):
        for quarter in DIAGONALS if number % 2 else COLUMNS:
            for x, y, z, bits in STEPS:
                state[quarter[x]] += state[quarter[y]]
                mixed = state[quarter[z]] ^ state[quarter[x]]
                state[quarter[z]] = mixed << np.uint32(bits) | mixed >> np.uint32(32 - bits)
    return np.ascontiguousarray((state + initial).T)
