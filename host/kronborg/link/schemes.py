"""The two ways to reconcile as the link uses them: what Bob says of a block, and what Alice makes of it.

Eight dimensions hide uniform bits behind Bob's quadratures and are the better one at low SNR; slices make a raw key of
the quadratures themselves. Either gives a *word* that only the ends know: code bits, or integers. From a word follow
the bits that are hashed, and Bob's quadratures, which Alice needs for the estimate of the channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NoKeyError, ProtocolError
from ..postprocessing.budget import Epsilons, sliced_smoothing_penalty, smoothing_penalty
from ..postprocessing.raw_entropy import PairEntropy
from ..postprocessing.reconciliation import Code, Decoder, alice_llr, bob_message, bob_quadratures, choose_code
from ..postprocessing.reconciliation import code_named as code_of
from ..postprocessing.reconciliation.farm import Decode, in_process
from ..postprocessing.reconciliation.slices import (
    DISCLOSED,
    LEVEL_CODES,
    SliceMessage,
    Slicer,
    letters_for,
    step_variance,
)
from ..postprocessing.reconciliation.slices import entropy as slice_entropy
from . import messages

Word = NDArray[Any]
Block = messages.CodeBlock | messages.SliceBlock

SLICES = "slices"
"""Name of the scheme on the wire, before a slash and the number of letters."""

CAUTION = 2.0
"""Bob slices for noise so many standard deviations of his estimate stronger: the codes' levels forgive no less."""


@dataclass(frozen=True)
class Encoded:
    """What Bob has of a block.

    Attributes:
        block: what he sends.
        word: what only the ends shall know.
        squares: sum of the squares of what Alice will know of his quadratures.
    """

    block: Block
    word: Word
    squares: float

    def __repr__(self) -> str:
        return f"Encoded(index={self.block.index})"  # the word is secret


class Scheme(Protocol):
    """One way to reconcile, with all that both ends know before the first block.

    Attributes:
        name: what `messages.CodeChoice` calls it.
        noise_variance_snu: what it tells, of Bob's quadrature beyond Alice's.
        length: quadratures of a block.
        hashed_bits: of a block; whole bytes.
        own_variance_snu: of the noise, without the dither, that is in what Alice knows of Bob's quadratures and not in
            the quadratures.
        uniform_bytes: random bytes that Bob needs for a block.
    """

    name: str
    noise_variance_snu: float
    length: int
    hashed_bits: int
    own_variance_snu: float
    uniform_bytes: int

    def rate(self, snr: float) -> float:
        """Bits per quadrature that corrected blocks have beyond what was disclosed of them."""
        ...

    def encode(self, index: int, y: NDArray[np.float64], uniform: bytes) -> Encoded:
        """Bob's side, from his quadratures, shape (length,)."""
        ...

    def decode(self, x: NDArray[np.float64], block: Block, decode: Decode = in_process) -> Word | None:
        """Alice's word, from her quadratures; None where she finds none. Raises ProtocolError if it is no block."""
        ...

    def secret(self, word: Word) -> NDArray[np.uint8]:
        """The bits to be hashed, shape (hashed_bits,)."""
        ...

    def quadratures(self, block: Block, word: Word) -> NDArray[np.floating]:
        """Bob's, for whoever knows the word."""
        ...

    def reveal(self, word: Word) -> bytes:
        """What Bob tells of a lost block, so that Alice knows its word."""
        ...

    def revealed(self, block: Block, told: bytes) -> Word:
        """The word. Raises ProtocolError where it is not told in full."""
        ...


class EightDimensions:
    """Uniform bits behind an eight-dimensional message, corrected with one code.

    Args:
        code: the code.
        gain: Bob's quadrature is `gain` times Alice's plus noise, both in sqrt(SNU).
        noise_variance_snu: variance of that noise.
    """

    own_variance_snu = 0.0

    def __init__(self, code: Code, gain: float, noise_variance_snu: float) -> None:
        self.code, self._gain, self.noise_variance_snu = code, gain, noise_variance_snu
        self.name, self.length, self.hashed_bits = code.name, code.length, code.core_length
        self.uniform_bytes = -(-code.length // 8)

    def rate(self, snr: float) -> float:
        """The code's."""
        return self.code.rate

    def encode(self, index: int, y: NDArray[np.float64], uniform: bytes) -> Encoded:
        """See `Scheme`."""
        bits = np.unpackbits(np.frombuffer(uniform, np.uint8), count=self.length)
        syndrome = np.packbits(Decoder(self.code).syndrome(bits)).tobytes()
        return Encoded(messages.CodeBlock(index, bob_message(y, bits), syndrome), bits, float(np.dot(y, y)))

    def decode(self, x: NDArray[np.float64], block: Block, decode: Decode = in_process) -> Word | None:
        """See `Scheme`."""
        code = self.code
        if (
            not isinstance(block, messages.CodeBlock)
            or block.message.shape != (code.length // 8, 8)
            or len(block.syndrome) != -(-code.checks // 8)
            or not np.all(np.isfinite(block.message))
        ):
            raise ProtocolError(f"block {block.index} is not one of code {code.name}")
        wanted = np.unpackbits(np.frombuffer(block.syndrome, np.uint8), count=code.checks)
        decoded = decode(code, alice_llr(x, block.message, self._gain, self.noise_variance_snu), wanted)
        return decoded.bits if decoded.converged else None

    def secret(self, word: Word) -> NDArray[np.uint8]:
        """See `Scheme`."""
        return self.code.core_bits(word)

    def quadratures(self, block: Block, word: Word) -> NDArray[np.floating]:
        """See `Scheme`."""
        assert isinstance(block, messages.CodeBlock)
        return bob_quadratures(block.message, word)

    def reveal(self, word: Word) -> bytes:
        """See `Scheme`."""
        return np.packbits(word).tobytes()

    def revealed(self, block: Block, told: bytes) -> Word:
        """See `Scheme`."""
        if len(told) != -(-self.length // 8):
            raise ProtocolError(f"Bob revealed {len(told)} bytes of block {block.index}, which is not one of them")
        return np.unpackbits(np.frombuffer(told, np.uint8), count=self.length)


class Slices:
    """Bob's quadratures, sliced.

    Args:
        letters: values of the secret part of an integer.
        gain: as above.
        noise_variance_snu: likewise; the step is a share of its root.

    Raises:
        InputError: letters that slices do not have, or no noise.
    """

    uniform_bytes = 0

    def __init__(self, letters: int, gain: float, noise_variance_snu: float) -> None:
        if not noise_variance_snu > 0:
            raise InputError(f"the noise variance must be positive, not {noise_variance_snu:g} SNU")
        self.slicer = Slicer(letters=letters)
        self._gain, self.noise_variance_snu, self._sigma = gain, noise_variance_snu, math.sqrt(noise_variance_snu)
        self.name, self.length, self.hashed_bits = f"{SLICES}/{letters}", self.slicer.length, self.slicer.hashed_bits
        self.own_variance_snu = step_variance(self._sigma)

    def rate(self, snr: float) -> float:
        """Entropy of Bob's integer less all that is disclosed of it."""
        return slice_entropy(snr) - self.slicer.disclosed_bits / self.length

    def encode(self, index: int, y: NDArray[np.float64], uniform: bytes) -> Encoded:
        """See `Scheme`."""
        integers, message = self.slicer.bob(y, self._sigma)
        low = message.low_bits[0::2] << DISCLOSED | message.low_bits[1::2]
        syndromes = np.packbits(np.concatenate(message.syndromes)).tobytes()
        middles = self.slicer.middles(integers, self._sigma)
        block = messages.SliceBlock(index, low.tobytes(), syndromes)
        return Encoded(block, integers, float(np.dot(middles, middles)))

    def decode(self, x: NDArray[np.float64], block: Block, decode: Decode = in_process) -> Word | None:
        """See `Scheme`."""
        checks = [code.checks for code in self._codes]
        if (
            not isinstance(block, messages.SliceBlock)
            or len(block.low_bits) != self.length // 2
            or len(block.syndromes) != -(-sum(checks) // 8)
        ):
            raise ProtocolError(f"block {block.index} is not one of {self.name}")
        syndromes = np.split(
            np.unpackbits(np.frombuffer(block.syndromes, np.uint8), count=sum(checks)), np.cumsum(checks)[:-1]
        )
        message = SliceMessage(self._low(block), tuple(syndromes))
        found = self.slicer.alice(self._gain * x, message, self._sigma, decode)
        return found.integers if found.converged else None

    def secret(self, word: Word) -> NDArray[np.uint8]:
        """See `Scheme`."""
        return self.slicer.secret_bits(word)

    def quadratures(self, block: Block, word: Word) -> NDArray[np.floating]:
        """See `Scheme`."""
        return self.slicer.middles(word, self._sigma)

    def reveal(self, word: Word) -> bytes:
        """See `Scheme`."""
        return (word >> DISCLOSED).astype(np.int8).tobytes()

    def revealed(self, block: Block, told: bytes) -> Word:
        """See `Scheme`."""
        assert isinstance(block, messages.SliceBlock)
        if len(told) != self.length:
            raise ProtocolError(f"Bob revealed {len(told)} bytes of block {block.index}, which is not one of them")
        return np.frombuffer(told, np.int8).astype(np.int32) << DISCLOSED | self._low(block)

    @cached_property
    def _codes(self) -> tuple[Code, ...]:
        return tuple(code_of(name) for name in LEVEL_CODES)

    def _low(self, block: messages.SliceBlock) -> NDArray[np.uint8]:
        both = np.frombuffer(block.low_bits, np.uint8)
        return np.stack([both >> DISCLOSED, both & ((1 << DISCLOSED) - 1)], axis=1).reshape(-1)


def scheme_named(name: str, gain: float, noise_variance_snu: float) -> Scheme:
    """What Bob named.

    Raises:
        InputError: there is no such code, nor slices with so many letters.
    """
    kind, slash, letters = name.partition("/")
    if kind == SLICES and slash and letters.isascii() and letters.isdigit() and len(letters) < 4:
        return Slices(int(letters), gain, noise_variance_snu)
    return EightDimensions(code_of(name), gain, noise_variance_snu)


def choose_scheme(
    snr: float, gain: float, noise_variance_snu: float, *, symbols: int, known: float, epsilons: Epsilons, pairs: int
) -> Scheme:
    """The scheme that leaves the longer key of so many symbols at this SNR per quadrature.

    Args:
        snr: per quadrature.
        gain: Bob's quadrature over Alice's.
        noise_variance_snu: of what his has beyond that.
        symbols: to make a key of; blocks are whole.
        known: bits per symbol that an eavesdropper has, by what is known of the channel so far.
        epsilons: those of a link without slices.
        pairs: quadratures that the noise was estimated from.

    Raises:
        NoKeyError: no code works at this SNR, or there are too few symbols for one block of either.
    """
    candidates: list[Scheme] = []
    reason: NoKeyError | None = None
    try:
        candidates.append(EightDimensions(choose_code(snr), gain, noise_variance_snu))
    except NoKeyError as error:
        reason = error
    if snr >= LEAST_SLICED_SNR and math.isfinite(snr):
        cautious = noise_variance_snu * (1 + CAUTION * math.sqrt(2 / pairs))
        candidates.append(Slices(letters_for(snr), gain, cautious))
    if not candidates:
        assert reason is not None
        raise reason
    fitting = [scheme for scheme in candidates if 2 * symbols >= scheme.length]
    if not fitting:
        least = min(candidates, key=lambda scheme: scheme.length)
        raise NoKeyError(
            f"no key: {symbols} symbols are left, and one block of {least.name} takes {least.length // 2}; send more"
            " symbols"
        )
    return max(fitting, key=lambda scheme: expected_bits(scheme, snr, symbols, known, epsilons))


LEAST_SLICED_SNR = 0.3
"""Slices are not looked at below: there the eight dimensions leave more, whatever the number of symbols."""


def expected_bits(scheme: Scheme, snr: float, symbols: int, known: float, epsilons: Epsilons) -> float:
    """Key bits that a scheme promises of so many symbols, whole blocks, none of them lost."""
    used = 2 * symbols // scheme.length * scheme.length / 2
    left = used * (2 * scheme.rate(snr) - known)
    if isinstance(scheme, Slices):
        chance = used * PairEntropy(int(used), 0.0).deviation(epsilons.smoothing)
        return left - chance - sliced_smoothing_penalty(used, scheme.slicer.letters, epsilons.smoothing)
    return left - smoothing_penalty(used, epsilons.smoothing)
