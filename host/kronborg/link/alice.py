"""Alice: she sent the symbols, and corrects hers to Bob's."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolError
from ..network.key_store import KeyBlock, KeyStore
from ..postprocessing import privacy_amplification, verification
from ..postprocessing.estimation import NO_PAIRS, Moments
from ..postprocessing.reconciliation.farm import Decode, in_process
from . import messages
from .key_pool import KeyPool
from .positions import Exchanged, quadratures
from .schemes import Block, Scheme, Word, scheme_named


class Alice:
    """Alice's end of the classical channel.

    Args:
        symbols: her record of the emitted payload, frame number to words (int16, shape (n, 2)).
        snu_per_word: sqrt(SNU) at the channel's input that one unit of a word stands for.
        store: path of her key store.
        link: the link's name in the store.
        pool: her pool of authentication keys, if messages are signed.
        decode: where blocks are decoded; in the calling thread, or by a farm.

    Attributes:
        stored: the key block that she stored last.
    """

    def __init__(
        self,
        symbols: Mapping[int, NDArray[np.int16]],
        snu_per_word: float,
        store: Path,
        link: str = "link",
        pool: KeyPool | None = None,
        decode: Decode = in_process,
    ) -> None:
        self._symbols = symbols
        self._snu_per_word = snu_per_word
        self._store = store
        self.link = link
        self._pool = pool
        self._decoder = decode
        self.stored: KeyBlock | None = None
        self._used: set[int] = set()
        self._forget()

    def _forget(self) -> None:
        """Nothing of an earlier exchange serves twice: no block is hashed again.

        Nor is a symbol disclosed in one and hashed in the next: frames of which symbols were disclosed are used.
        """
        self._exchanged: Exchanged | None = None
        self._scheme: Scheme | None = None
        self._tried: set[int] = set()
        self._messages: dict[int, Block] = {}
        self._decoded: dict[int, Word] = {}
        self._moments: dict[int, Moments] = {}
        self._verified: dict[int, NDArray[np.uint8]] = {}  # packed bits

    def handle(self, message: messages.Message) -> messages.Message:
        """Answer one message of Bob's. Blocks may be handed in by several threads at once.

        Raises:
            ProtocolError: a message out of turn, or one about frames or blocks that are not there.
        """
        match message:
            case messages.FramesReceived(frames, last_block):
                self._forget()
                unknown = [frame for frame in frames if frame not in self._symbols or frame in self._used]
                if unknown or not frames or len(set(frames)) != len(frames):
                    raise ProtocolError(f"Bob announced {len(frames)} frames, not all of them Alice's, and new")
                self.settle(last_block)
                self._exchanged = Exchanged(self._symbols, frames)
                return messages.Done()
            case messages.EstimationRequest(seed, count):
                exchanged = self._exchanged
                if exchanged is None or exchanged.kept or not 0 < count < exchanged.total:
                    raise ProtocolError(f"Bob asked for {count} symbols out of turn")
                self._used |= set(exchanged.frames)
                return messages.EstimationSymbols(exchanged.disclose(seed, count)[0])
            case messages.CodeChoice(name, gain, noise):
                if self._exchanged is None or not self._exchanged.kept or self._scheme is not None:
                    raise ProtocolError("Bob named a code out of turn")
                self._scheme = scheme_named(name, gain, noise)
                return messages.Done()
            case messages.CodeBlock() | messages.SliceBlock():
                return self._decode(message)
            case messages.Verify(index, hash_key, tag):
                word = self._decoded.pop(index, None)
                if word is None:
                    raise ProtocolError(f"Bob verified block {index}, which is not waiting for it")
                secret = self._chosen().secret(word)
                equal = hmac.compare_digest(verification.tag(secret, hash_key), tag)
                if equal:
                    self._estimate_from(index, word)
                    self._verified[index] = np.packbits(secret)
                return messages.Verified(index, equal)
            case messages.Reveal(index, told):
                if index not in self._messages or index in self._decoded:
                    raise ProtocolError(f"Bob revealed block {index}, which is not lost")
                self._estimate_from(index, self._chosen().revealed(self._messages[index], told))
                return messages.Done()
            case messages.SumsRequest():
                # In order: the last bit of a sum depends on it.
                total = sum((self._moments[index] for index in sorted(self._moments)), NO_PAIRS)
                return messages.Sums(total.pairs, total.xx, total.xy, total.yy)
            case messages.Amplify():
                return self._amplify(message)
            case messages.Stored(sequence):
                if self.settle(sequence) != sequence:
                    raise ProtocolError(f"key block {sequence} is ready at Bob's end only: void it there")
                return messages.Done()
        raise ProtocolError(f"Alice has no answer to {type(message).__name__}")

    def settle(self, last_block: int) -> int:
        """Decide what is pending, in store and pool, by the last block that Bob has; returns her own last one."""
        with KeyStore(self._store) as store:
            store.settle(self.link, last_block)
            last = store.last_ready(self.link)
        if self._pool is not None:
            self._pool.settle(last)
        return last

    def _decode(self, block: Block) -> messages.Decoded:
        scheme, index = self._scheme, block.index
        if scheme is None or index in self._tried or not 0 <= index < self._blocks(scheme):
            raise ProtocolError(f"Bob sent block {index} out of turn")
        self._tried.add(index)
        word = scheme.decode(self._quadratures(index, scheme.length), block, self._decoder)
        self._messages[index] = block
        if word is not None:
            self._decoded[index] = word
        return messages.Decoded(index, word is not None)

    def _blocks(self, scheme: Scheme) -> int:
        return 0 if self._exchanged is None else 2 * self._exchanged.kept // scheme.length

    def _quadratures(self, index: int, length: int) -> NDArray[np.float64]:
        """Hers of a block, in sqrt(SNU)."""
        assert self._exchanged is not None
        words = self._exchanged.part(index * length // 2, (index + 1) * length // 2)
        return quadratures(words) * self._snu_per_word

    def _chosen(self) -> Scheme:
        if self._scheme is None:
            raise ProtocolError("Bob has named no code")
        return self._scheme

    def _estimate_from(self, index: int, word: Word) -> None:
        """Add the sums of a block whose word is Bob's: with it his message tells what he measured."""
        scheme = self._chosen()
        x = self._quadratures(index, scheme.length)
        self._moments[index] = Moments.of(x, scheme.quadratures(self._messages.pop(index), word))

    def _amplify(self, message: messages.Amplify) -> messages.Done:
        chosen = set(message.blocks)
        if not chosen or len(chosen) != len(message.blocks) or not chosen <= set(self._verified):
            raise ProtocolError("Bob asked for a key from blocks that are not all verified, each once")
        bits = self._chosen().hashed_bits * len(message.blocks)
        raw = np.concatenate([self._verified.pop(index) for index in message.blocks])
        self._verified.clear()
        seed = message.seed
        if not 0 < message.key_bits < bits or len(seed) != privacy_amplification.seed_bytes(bits):
            raise ProtocolError(f"a key of {message.key_bits} bits cannot be made of {bits} with that seed")
        fed = message.pool_bits
        if not 0 <= fed < message.key_bits or (fed and self._pool is None) or fed % 8:
            raise ProtocolError(f"{fed} bits of a key of {message.key_bits} cannot go to the pool")
        key = privacy_amplification.hash_packed(raw, bits, seed, message.key_bits)
        if self._pool is not None:
            self._pool.feed(message.sequence, key[: fed // 8])
        block = KeyBlock(self.link, message.sequence, message.key_bits - fed, message.epsilon, key[fed // 8 :])
        with KeyStore(self._store) as store:
            store.add(block, pending=True)
        self.stored = block
        return messages.Done()
