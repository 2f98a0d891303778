"""Bit-exact numpy model of the entropy source: the words that it gives, in each of its modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .chacha20.model import BLOCK_WORDS, KEY_WORDS, keystream


def pack(samples: NDArray[np.unsignedinteger], sample_bits: int) -> NDArray[np.uint32]:
    """Samples as they lie in the stream, the oldest in the lowest bits: uint32, shape (n * sample_bits / 32,).

    Args:
        samples: unsigned, shape (n,), whole words.
        sample_bits: width of each, 1, 2, 4, 8 or 16.

    Raises:
        ValueError: samples that do not fill whole words.
    """
    if len(samples) * sample_bits % 32:
        raise ValueError(f"{len(samples)} samples of {sample_bits} bits do not fill words of 32 bits")
    bits = (samples[:, None].astype(np.uint16) >> np.arange(sample_bits, dtype=np.uint16)) & 1
    return np.packbits(bits.astype(np.uint8), bitorder="little").view("<u4").astype(np.uint32)


@dataclass(frozen=True)
class Entropy:
    """A source with its settings. All methods are pure. Words are uint32, those of RFC 8439's keystream in order.

    Attributes:
        instance: first word of the nonce.
        blocks_per_key: life of a key, in blocks; 0 stands for 2**32.
    """

    instance: int = 0
    blocks_per_key: int = 0

    def nonce(self, epoch: int) -> NDArray[np.uint32]:
        """The nonce of the key before which `epoch` keys were taken since configuration: uint32, shape (3,)."""
        return np.array([self.instance, epoch & 0xFFFFFFFF, epoch >> 32], np.uint32)

    def host(self, key: NDArray[np.uint32], epoch: int, blocks: int) -> NDArray[np.uint32]:
        """Words from one key of the host, uint32, shape (n,): `blocks` blocks, or as many as a key gives."""
        return keystream(key, self.nonce(epoch), min(blocks, self.blocks_per_key or 2**32)).ravel()

    def stream(
        self, passed: NDArray[np.uint32], epoch: int, blocks: int, *, before: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """Words from the stream's keys, uint32, shape (n,): `blocks` blocks, or as many as its whole keys give.

        Args:
            passed: packed samples that passed the tests (``health.model.Verdict.passed``).
            epoch: of the first key.
            blocks: how many.
            before: the key in use before, onto which the first is XORed; none after an erasure.
        """
        keys = passed[: len(passed) // KEY_WORDS * KEY_WORDS].reshape(-1, KEY_WORDS).copy()
        if before is not None:
            keys[:1] ^= before
        keys = np.bitwise_xor.accumulate(keys, axis=0)
        words = [np.empty(0, np.uint32)]
        for n, key in enumerate(keys):
            words.append(self.host(key, epoch + n, blocks))
            blocks -= len(words[-1]) // BLOCK_WORDS
        return np.concatenate(words)
