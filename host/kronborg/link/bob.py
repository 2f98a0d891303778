"""Bob: he measured, and his symbols become the key (reverse reconciliation)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import NoKeyError, ProtocolError
from ..network.key_store import KeyBlock, KeyStore
from ..postprocessing import privacy_amplification, verification
from ..postprocessing.budget import Budget, Epsilons, key_budget, sliced_key_budget
from ..postprocessing.calibration import ShotNoise
from ..postprocessing.dithering import DITHER_STEPS, dither
from ..postprocessing.estimation import Estimate, Moments, estimate
from ..postprocessing.raw_entropy import PairCounts
from ..postprocessing.reconciliation.slices import DISCLOSED
from ..postprocessing.security import holevo_bound
from . import messages
from .key_pool import KEY_BYTES, KeyPool
from .positions import Exchanged, complex_symbols
from .schemes import EightDimensions, Scheme, Slices, choose_scheme

Answer = TypeVar("Answer")
Randomness = Callable[[int], bytes]
"""Gives so many random bytes: of the operating system for keys, of a seeded generator for a simulation."""

POOL_STEP = 8 * 2 * KEY_BYTES
"""Bits that feed the pool: one key for each end's messages."""

SINGLE = 1e-5
"""How far, relatively, sums of squares in single precision may lie from those in double precision."""


@dataclass(frozen=True)
class Reconciled:
    """What came of the blocks.

    Attributes:
        scheme: how they were corrected.
        verified: numbers of the blocks that are equal at both ends.
        failed: how many did not decode.
        unequal: how many decoded and were then caught by verification.
    """

    scheme: Scheme
    verified: tuple[int, ...]
    failed: int
    unequal: int


class Bob:
    """Bob's end of the classical channel.

    Call its methods in order: announce, estimate, choose_code, reconcile, distil.

    Args:
        ask: sends a message to Alice and returns her answer.
        symbols: what he received, frame number to complex symbols in sqrt(SNU), shape (n,).
        modulation_variance_snu: V_A, which Alice has told.
        snu_per_word: sqrt(SNU) at the channel's input that one unit of Alice's words stands for, likewise.
        shot_noise: the calibration that fixed the unit.
        detector_efficiency: trusted efficiency of his detector.
        epsilons: the failure probabilities to spend.
        store: path of his key store.
        randomness: source of the key's bits and of public seeds.
        link: the link's name in the store.
        pool: his pool of authentication keys, if messages are signed.

    Attributes:
        stored: the key block that he stored last.
    """

    def __init__(
        self,
        ask: Callable[[messages.Message], messages.Message],
        symbols: Mapping[int, NDArray[np.complexfloating]],
        *,
        modulation_variance_snu: float,
        snu_per_word: float,
        shot_noise: ShotNoise,
        detector_efficiency: float,
        epsilons: Epsilons,
        store: Path,
        randomness: Randomness,
        link: str = "link",
        pool: KeyPool | None = None,
    ) -> None:
        self._send = ask
        self._pool = pool
        self._symbols = symbols
        self.frames = tuple(sorted(symbols))
        self._modulation_variance_snu = modulation_variance_snu
        self._snu_per_word = snu_per_word
        self._shot_noise = shot_noise
        self._detector_efficiency = detector_efficiency
        self._epsilons = epsilons
        self._store = store
        self._randomness = randomness
        self.link = link
        self._raw: dict[int, NDArray[np.uint8]] = {}  # packed bits
        self._squares: dict[int, float] = {}
        self.stored: KeyBlock | None = None
        self._spent = epsilons
        self._counts: PairCounts | None = None
        self._lock = Lock()

    def _ask(self, message: messages.Message, answer: type[Answer]) -> Answer:
        reply = self._send(message)
        if isinstance(reply, messages.Refused):
            raise ProtocolError(f"Alice refused {type(message).__name__}: {reply.reason}")
        if not isinstance(reply, answer):
            raise ProtocolError(f"{type(message).__name__} was answered by {type(reply).__name__}")
        return reply

    def announce(self) -> None:
        """Tell Alice which frames arrived."""
        if not self.frames:
            raise NoKeyError(
                "no key: not one frame was found; check that Alice transmits and that the fibre is connected"
            )
        with KeyStore(self._store) as store:
            self._sequence = store.last_ready(self.link) + 1
        self._ask(messages.FramesReceived(self.frames, self._sequence - 1), messages.Done)
        self._received = Exchanged(self._symbols, self.frames)

    def estimate(self, fraction: float) -> Estimate:
        """Disclose a random fraction of the symbols to learn the SNR, and whether the channel can give a key at all.

        What the key's length rests on comes later, from all symbols (:meth:`conclude`); a small fraction is enough.
        """
        count = int(fraction * self._received.total)
        request = messages.EstimationRequest(self._randomness(32), count)
        words = self._ask(request, messages.EstimationSymbols).words
        sent = complex_symbols(words) * self._snu_per_word
        disclosed, counts = self._received.disclose(request.seed, count)
        self._disclosed = Moments.of(sent, disclosed)
        self.estimated = self._estimate(self._disclosed)
        self._note_frames(sent, disclosed, counts)
        # One step is one word of the receiver.
        self._step = 1 / float(np.sqrt(self._shot_noise.unit))
        return self.estimated

    def _estimate(self, moments: Moments) -> Estimate:
        return estimate(
            moments,
            modulation_variance_snu=self._modulation_variance_snu,
            shot_noise=self._shot_noise,
            detector_efficiency=self._detector_efficiency,
            epsilon=self._spent.estimation,
        )

    def _note_frames(
        self, sent: NDArray[np.complex128], received: NDArray[np.complexfloating], counts: NDArray[np.int64]
    ) -> None:
        """Excess noise of each frame on its own, for a look at how steady the link is."""
        frame = np.repeat(np.arange(len(counts)), counts)
        channel = self.estimated
        residual = np.abs(received - channel.gain * sent) ** 2
        noise = np.bincount(frame, residual, minlength=len(counts)) / np.maximum(counts, 1) / 2
        self.frame_excess_noise_snu = (noise - 1 - self._shot_noise.electronic_noise_snu) / channel.gain**2
        self.frame_excess_noise_std_snu = noise / np.sqrt(np.maximum(counts, 1)) / channel.gain**2

    def choose_code(self) -> int:
        """Choose the code for the measured SNR and tell Alice; returns how many blocks there are to correct.

        Raises:
            NoKeyError: no code works at this SNR, or there are too few symbols for one block.
        """
        channel = self.estimated
        noise = channel.noise_variance_snu + (DITHER_STEPS * self._step) ** 2
        self.snr = channel.gain**2 * channel.modulation_variance_snu / noise
        likely = replace(
            channel.worst_case,
            transmittance=min(channel.transmittance, 1.0),
            excess_noise_snu=max(channel.excess_noise_snu, 0.0),
        )
        scheme = choose_scheme(
            self.snr,
            channel.gain,
            noise,
            symbols=self._received.kept,
            known=holevo_bound(likely),
            epsilons=self._epsilons,
            pairs=self._disclosed.pairs,
        )
        self._scheme, self._spent, self._counts = scheme, self._epsilons, None
        if isinstance(scheme, Slices):
            self._spent = Epsilons.within(self._epsilons.total, entropy=True)
            self._counts = PairCounts(scheme.slicer.letters << DISCLOSED)
        self._blocks = 2 * self._received.kept // scheme.length
        self._ask(messages.CodeChoice(scheme.name, channel.gain, scheme.noise_variance_snu), messages.Done)
        return self._blocks

    def reconcile(self, advance: Callable[[], None] = lambda: None, threads: int = 2) -> Reconciled:
        """Let Alice correct block after block with the chosen code, and verify each. `advance` is called after each."""
        count = self._blocks

        def correct(index: int, *drawn: bytes) -> tuple[bool, bool]:
            outcome = self._correct(index, *drawn)
            advance()
            return outcome

        outcomes: list[tuple[bool, bool]] = []
        with ThreadPoolExecutor(threads) as pool:
            pending: deque[Future[tuple[bool, bool]]] = deque()
            for index in range(count):
                # Drawn here, in order: blocks are corrected side by side, and a seeded run must not depend on who is
                # first. No more than the threads can take: a block's share of randomness is as large as the block.
                drawn = [self._randomness(bytes_) for bytes_ in self._bytes_of_a_block()]
                if len(pending) == 2 * threads:
                    outcomes.append(pending.popleft().result())
                pending.append(pool.submit(correct, index, *drawn))
            outcomes += [future.result() for future in pending]
        verified = tuple(index for index, (_, equal) in enumerate(outcomes) if equal)
        failed = sum(not converged for converged, _ in outcomes)
        return Reconciled(self._scheme, verified, failed, count - failed - len(verified))

    def _bytes_of_a_block(self) -> tuple[int, int, int]:
        """Random bytes for the noise of Bob's own, for his bits, and for the verification's key."""
        return 4 * self._scheme.length, self._scheme.uniform_bytes, verification.KEY_BYTES

    def _correct(self, index: int, noise: bytes, uniform: bytes, hash_key: bytes) -> tuple[bool, bool]:
        scheme = self._scheme
        kept = self._received.part(index * scheme.length // 2, (index + 1) * scheme.length // 2)
        rounded = np.ascontiguousarray(kept, np.complex128).view(np.float64)
        encoded = scheme.encode(index, dither(rounded, self._step, lambda _: noise), uniform)
        self._squares[index] = encoded.squares
        if self._counts is not None:
            # Lost blocks too: to leave them out would choose among symbols.
            counts = self._counts.of(encoded.word)
            with self._lock:
                self._counts.add(counts)
        converged = self._ask(encoded.block, messages.Decoded).converged
        equal = False
        if converged:
            secret = scheme.secret(encoded.word)
            equal = self._ask(
                messages.Verify(index, hash_key, verification.tag(secret, hash_key)), messages.Verified
            ).equal
        if equal:
            self._raw[index] = np.packbits(secret)
        else:
            # Lost for the key. To leave it out of the estimate would make the channel look better than it was.
            self._ask(messages.Reveal(index, scheme.reveal(encoded.word)), messages.Done)
        return converged, equal

    def conclude(self) -> Estimate:
        """What the channel did, at worst, from every symbol: disclosed, verified and lost ones.

        Raises:
            ProtocolError: Alice's sums are not over Bob's symbols.
            NoKeyError: the channel gives no key.
        """
        sums = self._ask(messages.SumsRequest(), messages.Sums)
        squares = sum(self._squares[index] for index in sorted(self._squares))
        # Alice has Bob's quadratures in single precision.
        if sums.pairs != self._blocks * self._scheme.length or not abs(sums.yy - squares) <= SINGLE * squares:
            raise ProtocolError("Alice's sums are not those of Bob's symbols")
        own = (DITHER_STEPS * self._step) ** 2 + self._scheme.own_variance_snu
        corrected = Moments(sums.pairs, sums.xx, sums.xy, sums.yy).with_own_noise(own)
        self.estimated = self._estimate(self._disclosed + corrected)
        return self.estimated

    def _budget(self, reconciled: Reconciled) -> Budget:
        scheme, blocks = reconciled.scheme, len(reconciled.verified)
        tried = blocks + reconciled.failed + reconciled.unequal
        if isinstance(scheme, Slices):
            assert self._counts is not None
            return sliced_key_budget(
                blocks=blocks,
                blocks_tried=tried,
                block_symbols=scheme.length // 2,
                low_bits=scheme.slicer.low_bits,
                syndrome_bits=scheme.slicer.syndrome_bits,
                hashed_bits=scheme.hashed_bits,
                letters=scheme.slicer.letters,
                entropy=self._counts.entropy,
                snr=self.snr,
                worst_case=self.estimated.worst_case,
                epsilons=self._spent,
            )
        assert isinstance(scheme, EightDimensions)
        return key_budget(
            blocks=blocks,
            blocks_tried=tried,
            block_bits=scheme.length,
            syndrome_bits=scheme.code.checks,
            hashed_bits=scheme.hashed_bits,
            dither_steps=DITHER_STEPS,
            worst_case=self.estimated.worst_case,
            epsilons=self._spent,
        )

    def distil(self, reconciled: Reconciled, pool_bits: int = 0, pool_least: int = 0) -> Budget:
        """Agree on the key's length, hash to it, and store it at both ends.

        The first bits of the key, `pool_bits` of them but no more than half, feed the pools of authentication keys;
        none where that would be fewer than `pool_least`.

        Alice keeps hers pending until Bob has his; a run that dies in between is settled when the next one begins.

        Raises:
            NoKeyError: nothing is left.
        """
        blocks = reconciled.verified
        self.conclude()
        budget = self._budget(reconciled)
        bits = reconciled.scheme.hashed_bits * len(blocks)
        raw = np.concatenate([self._raw.pop(index) for index in blocks])
        seed = self._randomness(privacy_amplification.seed_bytes(bits))
        epsilon = self._spent.total
        fed = min(pool_bits, budget.key_bits // 2) // POOL_STEP * POOL_STEP
        fed = fed if fed >= pool_least else 0
        self._ask(messages.Amplify(self._sequence, blocks, seed, budget.key_bits, fed, epsilon), messages.Done)
        key = privacy_amplification.hash_packed(raw, bits, seed, budget.key_bits)
        if self._pool is not None:
            self._pool.feed(self._sequence, key[: fed // 8])
        block = KeyBlock(self.link, self._sequence, budget.key_bits - fed, epsilon, key[fed // 8 :])
        with KeyStore(self._store) as store:
            store.add(block)
        self.stored = block
        if self._pool is not None:
            self._pool.settle(self._sequence)
        self._ask(messages.Stored(self._sequence), messages.Done)
        return replace(budget, pool_bits=fed)
