"""Bob: he measured, and his symbols become the key (reverse reconciliation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import NoKeyError
from ..postprocessing import verification
from ..postprocessing.budget import Epsilons
from ..postprocessing.calibration import ShotNoise
from ..postprocessing.digitisation import Digitiser
from ..postprocessing.estimation import Estimate, estimate
from ..postprocessing.reconciliation import Code, Decoder, bob_message, choose_code
from . import messages
from .positions import estimation_mask

Answer = TypeVar("Answer")
Randomness = Callable[[int], bytes]
"""Gives so many random bytes: of the operating system for keys, of a seeded generator for a simulation."""


@dataclass(frozen=True)
class Reconciled:
    """What came of the blocks.

    Attributes:
        code: the code that was used.
        verified: numbers of the blocks that are equal at both ends.
        failed: how many did not decode.
        unequal: how many decoded and were then caught by verification.
    """

    code: Code
    verified: tuple[int, ...]
    failed: int
    unequal: int


class Bob:
    """Bob's end of the classical channel. Call its methods in order: announce, estimate, reconcile, distil.

    Args:
        ask: sends a message to Alice and returns her answer.
        symbols: what he received, frame number to complex symbols in sqrt(SNU) (complex128, shape (n,)).
        shot_noise: the calibration that fixed the unit.
        detector_efficiency: trusted efficiency of his detector.
        epsilons: the failure probabilities to spend.
        store: path of his key store.
        randomness: source of the key's bits and of public seeds.
        link: the link's name in the store.
    """

    def __init__(
        self,
        ask: Callable[[messages.Message], messages.Message],
        symbols: Mapping[int, NDArray[np.complex128]],
        *,
        snu_per_word: float,
        shot_noise: ShotNoise,
        detector_efficiency: float,
        epsilons: Epsilons,
        store: Path,
        randomness: Randomness,
        link: str = "link",
    ) -> None:
        self._send = ask
        self._symbols = symbols
        self._snu_per_word = snu_per_word
        self._shot_noise = shot_noise
        self._detector_efficiency = detector_efficiency
        self._epsilons = epsilons
        self._store = store
        self._randomness = randomness
        self._link = link
        self._raw: dict[int, NDArray[np.uint8]] = {}

    def _ask(self, message: messages.Message, answer: type[Answer]) -> Answer:
        reply = self._send(message)
        if not isinstance(reply, answer):
            raise ValueError(f"{type(message).__name__} was answered by {type(reply).__name__}")
        return reply

    def announce(self) -> None:
        """Tell Alice which frames arrived."""
        frames = tuple(sorted(self._symbols))
        if not frames:
            raise NoKeyError(
                "no key: not one frame was found; check that Alice transmits and that the fibre is connected"
            )
        self._ask(messages.FramesReceived(frames), messages.Done)
        self._received = np.concatenate([self._symbols[frame] for frame in frames])

    def estimate(self, fraction: float) -> Estimate:
        """Sacrifice a random fraction of the symbols to learn what the channel did, at worst."""
        count = int(fraction * len(self._received))
        request = messages.EstimationRequest(self._randomness(32), count)
        words = self._ask(request, messages.EstimationSymbols).words
        mask = estimation_mask(request.seed, len(self._received), count)
        sent = (words[:, 0] + 1j * words[:, 1]) * self._snu_per_word
        self.estimated = estimate(
            sent,
            self._received[mask],
            detector_efficiency=self._detector_efficiency,
            electronic_noise_snu=self._shot_noise.electronic_noise_snu,
            epsilon=self._epsilons.estimation,
            shot_noise_relative_std=self._shot_noise.relative_std,
        )
        kept = self._received[~mask]
        self._quadratures = np.stack([kept.real, kept.imag], axis=-1).reshape(-1)
        return self.estimated

    def reconcile(self, advance: Callable[[], None] = lambda: None, threads: int = 2) -> Reconciled:
        """Choose a code, and let Alice correct block after block; verify each.

        Raises:
            NoKeyError: no code works at the measured SNR, or there are too few symbols for one block.
        """
        self._digitiser = Digitiser.for_variance(float(np.mean(self._quadratures**2)))
        channel = self.estimated
        noise = channel.noise_variance_snu + self._digitiser.noise_variance_snu
        self.snr = channel.gain**2 * channel.modulation_variance_snu / noise
        self._code = code = choose_code(self.snr)
        count = self.blocks_available(code)
        if count == 0:
            raise NoKeyError(
                f"no key: {len(self._quadratures) // 2} symbols are left of which a block of code {code.name} takes"
                f" {code.length // 2}; send more symbols"
            )
        self._ask(messages.CodeChoice(code.name, channel.gain, noise), messages.Done)

        # Drawn here, in order: blocks are corrected side by side, and a seeded simulation must not depend on who is first.
        drawn = [
            (self._randomness(-(-code.length // 8)), self._randomness(verification.KEY_BYTES)) for _ in range(count)
        ]

        def correct(index: int) -> tuple[bool, bool]:
            outcome = self._correct(index, *drawn[index])
            advance()
            return outcome

        with ThreadPoolExecutor(threads) as pool:
            outcomes = list(pool.map(correct, range(count)))
        verified = tuple(index for index, (_, equal) in enumerate(outcomes) if equal)
        failed = sum(not converged for converged, _ in outcomes)
        return Reconciled(code, verified, failed, count - failed - len(verified))

    def blocks_available(self, code: Code) -> int:
        """Whole blocks in what estimation left."""
        return len(self._quadratures) // code.length

    def _correct(self, index: int, uniform: bytes, hash_key: bytes) -> tuple[bool, bool]:
        code = self._code
        digits = self._digitiser.digitise(self._quadratures[index * code.length : (index + 1) * code.length])
        bits = np.unpackbits(np.frombuffer(uniform, np.uint8), count=code.length)
        syndrome = np.packbits(Decoder(code).syndrome(bits)).tobytes()
        block = messages.CodeBlock(index, bob_message(digits, bits), syndrome)
        if not self._ask(block, messages.Decoded).converged:
            return False, False
        core = code.core_bits(bits)
        equal = self._ask(messages.Verify(index, hash_key, verification.tag(core, hash_key)), messages.Verified).equal
        if equal:
            self._raw[index] = core
        return True, equal
