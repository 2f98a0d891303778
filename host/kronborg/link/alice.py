"""Alice: she sent the symbols, and corrects hers to Bob's."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..network.key_store import KeyBlock, KeyStore
from ..postprocessing import privacy_amplification, verification
from ..postprocessing.reconciliation import Code, Decoder, alice_llr, code_named
from . import messages
from .positions import estimation_mask, quadratures


class Alice:
    """Alice's end of the classical channel.

    Args:
        symbols: her record of the emitted payload, frame number to words (int16, shape (n, 2)).
        snu_per_word: sqrt(SNU) at the channel's input that one unit of a word stands for.
        store: path of her key store.
        link: the link's name in the store.
    """

    def __init__(
        self, symbols: Mapping[int, NDArray[np.int16]], snu_per_word: float, store: Path, link: str = "link"
    ) -> None:
        self._symbols = symbols
        self._snu_per_word = snu_per_word
        self._store = store
        self.link = link
        self._words = np.zeros((0, 2), np.int16)
        self._x = np.zeros(0)
        self._code: Code | None = None
        self._channel = (0.0, 1.0)
        self._blocks: dict[int, NDArray[np.uint8]] = {}
        self._decoded: dict[int, NDArray[np.uint8]] = {}

    def handle(self, message: messages.Message) -> messages.Message:
        """Answer one message of Bob's. Blocks may be handed in by several threads at once."""
        match message:
            case messages.FramesReceived(frames, last_block):
                with KeyStore(self._store) as store:
                    store.settle(self.link, last_block)
                self._words = np.concatenate([self._symbols[frame] for frame in frames])
                return messages.Done()
            case messages.EstimationRequest(seed, count):
                mask = estimation_mask(seed, len(self._words), count)
                disclosed = self._words[mask]
                self._x = quadratures(self._words[~mask]) * self._snu_per_word
                return messages.EstimationSymbols(disclosed)
            case messages.CodeChoice(name, gain, noise):
                self._code, self._channel = code_named(name), (gain, noise)
                return messages.Done()
            case messages.CodeBlock(index, block, syndrome):
                return self._decode(index, block, syndrome)
            case messages.Verify(index, hash_key, tag):
                bits = self._decoded.pop(index)
                equal = hmac.compare_digest(verification.tag(bits, hash_key), tag)
                if equal:
                    self._blocks[index] = bits
                return messages.Verified(index, equal)
            case messages.Amplify():
                return self._amplify(message)
            case messages.Stored(sequence):
                with KeyStore(self._store) as store:
                    store.settle(self.link, sequence)
                return messages.Done()
        raise ValueError(f"Alice has no answer to {type(message).__name__}")

    def _decode(self, index: int, block: NDArray[np.float32], syndrome: bytes) -> messages.Decoded:
        assert self._code is not None, "the code is named before the first block"
        code = self._code
        x = self._x[index * code.length : (index + 1) * code.length]
        wanted = np.unpackbits(np.frombuffer(syndrome, np.uint8), count=code.length - code.dimension)
        decoded = Decoder(code).decode(alice_llr(x, block, *self._channel), wanted)
        if decoded.converged:
            self._decoded[index] = code.core_bits(decoded.bits)
        return messages.Decoded(index, decoded.converged)

    def _amplify(self, message: messages.Amplify) -> messages.Done:
        raw = np.concatenate([self._blocks[index] for index in message.blocks])
        seed_bits = privacy_amplification.seed_length(len(raw), message.key_bits)
        seed = np.unpackbits(np.frombuffer(message.seed, np.uint8), count=seed_bits)
        key = privacy_amplification.hash_bits(raw, seed, message.key_bits)
        with KeyStore(self._store) as store:
            block = KeyBlock(self.link, message.sequence, message.key_bits, message.epsilon, np.packbits(key).tobytes())
            store.add(block, pending=True)
        return messages.Done()
