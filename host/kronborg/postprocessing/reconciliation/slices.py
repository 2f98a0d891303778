"""Sliced reconciliation for high SNR: multilevel coding with multistage decoding, where eight dimensions do not reach.

Bob divides his quadrature y = t x + z by a step and rounds down: an integer j. Its lowest bits are worth nothing to
Alice and are disclosed; what is above them, one of `letters` values, is his raw key. The next three bits are corrected
one after the other, each with a syndrome of its own code (Wachsmann, Fischer & Huber 1999; Van Assche, Cardinal & Cerf
2004). What is above those Alice finds by rounding.

Once the lower bits are known, bit i is the parity of a point on a lattice of spacing s_i = 2**i steps, seen through
Gaussian noise. So its log-likelihood ratio is a function of Alice's place modulo 2 s_i and of s_i / sigma alone,

    LLR(u) = ln sum_n exp(-(u - 2 n)**2 a) - ln sum_n exp(-(u - 2 n - 1)**2 a),     a = s_i**2 / (2 sigma**2),

and what each level can carry depends on the step in units of sigma, not on the SNR. The codes and the step are
therefore chosen once. The SNR decides only how much entropy j has; each disclosed bit is subtracted from that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .codes import Code, code_named
from .decoder import Decoder
from .farm import Decode

DISCLOSED = 4
"""Lowest bits of the integer, which are sent as they are."""

SPACING = 1.523
"""Spacing of the first corrected level in standard deviations of the noise."""

STEP = SPACING / 2**DISCLOSED
"""Width of Bob's bins in standard deviations of the noise."""

LEVEL_CODES = ("met-0.016/3872", "ldpc-0.53/0", "ldpc-0.985/0")
"""Code of each corrected level, lowest first."""

FEWEST_LETTERS = 16
MOST_LETTERS = 128
TABLE_POINTS = 4096
_EFFECTIVE_NOISE = math.sqrt(1 + STEP**2 / 12)
"""A bin's probability is the Gaussian's mean over its width: its middle, with that much more noise."""


def letters_for(snr: float) -> int:
    """Values of the secret part of the integer that hold eight deviations of Bob's quadrature on both sides.

    A power of two from FEWEST_LETTERS to MOST_LETTERS. What lies beyond, Bob takes to the outermost value.
    """
    wanted = 16 * math.sqrt(1 + snr) / SPACING if math.isfinite(snr) else math.inf
    return min(max(1 << math.ceil(math.log2(wanted)), FEWEST_LETTERS), MOST_LETTERS) if wanted < 1e9 else MOST_LETTERS


@dataclass(frozen=True)
class SliceMessage:
    """What Bob sends of one block.

    Attributes:
        low_bits: the disclosed bits of each integer, uint8, shape (length,).
        syndromes: of each corrected level, uint8.
    """

    low_bits: NDArray[np.uint8]
    syndromes: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True)
class Corrected:
    """Alice's integers, int32, shape (length,), if all levels converged, and the iterations of each level."""

    integers: NDArray[np.int32]
    converged: bool
    iterations: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Corrected(converged={self.converged}, iterations={self.iterations})"  # the integers are secret


def step_variance(sigma: float) -> float:
    """Variance that rounding to the middle of a bin adds, for noise of this deviation.

    It adds up as if it were independent (Sheppard 1898): with noise ten steps wide, up to one part in exp(2000).
    """
    return (STEP * sigma) ** 2 / 12


def level_codes() -> tuple[Code, ...]:
    """The codes of the corrected levels, lowest first; all of one length."""
    return tuple(code_named(name) for name in LEVEL_CODES)


def level_llr(spacing: float, place: NDArray[np.float64]) -> NDArray[np.float32]:
    """Log-likelihood ratios of the parities of lattice points.

    Args:
        spacing: of the lattice in standard deviations of the noise.
        place: where Alice expects the point, in spacings, shape (n,).
    """
    grid = np.linspace(-1, 1, TABLE_POINTS + 1)
    points = np.arange(-24, 26)
    exponents = -((grid[:, None] - points) ** 2) * spacing**2 / 2
    even, odd = (np.logaddexp.reduce(exponents[:, points % 2 == parity], axis=1) for parity in (0, 1))
    return np.interp(place - 2 * np.rint(place / 2), grid, even - odd).astype(np.float32)


def capacity(spacing: float) -> float:
    """Bits that a level can carry, 1 - H(bit | lower bits, x). `spacing` in standard deviations of the noise."""
    noise = np.linspace(-9, 9, 20001)
    weight = np.exp(-(noise**2) / 2)
    llr = level_llr(spacing, noise / spacing).astype(np.float64)
    return float(1 - np.sum(weight * np.logaddexp(0, -llr)) / weight.sum() / math.log(2))


def entropy(snr: float) -> float:
    """Bits of Bob's integer, for a Gaussian quadrature of this SNR."""
    deviation = math.sqrt(1 + snr) / STEP
    most = math.ceil(9 * deviation)
    ends = np.array([0.5 * math.erfc(-j / deviation / math.sqrt(2)) for j in range(-most, most + 1)])
    share = np.diff(ends)
    share = share[share > 0]
    return float(-np.sum(share * np.log2(share)))


class Slicer:
    """Both ends of sliced reconciliation. Holds no state between calls.

    Args:
        native: True for the native decoder, False for numpy, None for the native one if it is there.
        letters: values of the secret part of an integer, a power of two from FEWEST_LETTERS to MOST_LETTERS.

    Raises:
        InputError: another number of letters.
    """

    def __init__(self, native: bool | None = None, letters: int = MOST_LETTERS) -> None:
        if letters.bit_count() != 1 or not FEWEST_LETTERS <= letters <= MOST_LETTERS:
            raise InputError(
                f"slices have a power of two from {FEWEST_LETTERS} to {MOST_LETTERS} letters, not {letters}"
            )
        self._decoders = [Decoder(code, native) for code in level_codes()]
        self.letters = letters
        self.length = self._decoders[0].code.length
        """Quadratures of a block."""

    @property
    def low_bits(self) -> int:
        """Disclosed of a block as they are."""
        return DISCLOSED * self.length

    @property
    def syndrome_bits(self) -> int:
        """Of a block, all levels."""
        return sum(decoder.code.checks for decoder in self._decoders)

    @property
    def disclosed_bits(self) -> int:
        """Of a block: the low bits and all syndromes."""
        return self.low_bits + self.syndrome_bits

    @property
    def hashed_bits(self) -> int:
        """Of a block, what `secret_bits` gives."""
        coded = sum(decoder.code.core_length for decoder in self._decoders)
        return coded + self.length * ((self.letters.bit_length() - 1) - len(self._decoders))

    @property
    def name(self) -> str:
        """Names of the codes, lowest level first."""
        return " + ".join(decoder.code.name for decoder in self._decoders)

    def entropy_bits(self, snr: float) -> int:
        """Entropy of the integers of a block, rounded down."""
        return math.floor(self.length * entropy(snr))

    def efficiency(self, snr: float) -> float:
        """beta = (entropy - disclosed bits) / (log2(1 + snr) / 2), all per quadrature."""
        return (entropy(snr) - self.disclosed_bits / self.length) / (0.5 * math.log2(1 + snr))

    def bob(self, y: NDArray[np.floating], sigma: float) -> tuple[NDArray[np.int32], SliceMessage]:
        """Bob's secret integers, int32, and what he sends.

        Args:
            y: quadratures, shape (length,).
            sigma: standard deviation of the noise z, in the same unit.

        Raises:
            InputError: another length, a quadrature that is no number, or no noise.
        """
        places = self._places(y, sigma)
        outermost = self.letters << DISCLOSED - 1
        integers = np.clip(np.floor(places), -outermost, outermost - 1).astype(np.int32)
        low = (integers & ((1 << DISCLOSED) - 1)).astype(np.uint8)
        syndromes = tuple(
            decoder.syndrome(((integers >> (DISCLOSED + level)) & 1).astype(np.uint8))
            for level, decoder in enumerate(self._decoders)
        )
        return integers, SliceMessage(low, syndromes)

    def alice(
        self, expected: NDArray[np.floating], message: SliceMessage, sigma: float, decode: Decode | None = None
    ) -> Corrected:
        """Alice's version of Bob's integers.

        Args:
            expected: her quadratures times the gain of the channel, t x, shape (length,).
            message: Bob's.
            sigma: as Bob's.
            decode: decodes a level elsewhere, such as on a farm; None for this slicer's own decoders.

        Raises:
            InputError: another length, a quadrature that is no number, or no noise.
        """
        places = self._places(expected, sigma) - 0.5
        known, spacing, iterations = message.low_bits.astype(np.int32), SPACING / _EFFECTIVE_NOISE, []
        for level, (decoder, syndrome) in enumerate(zip(self._decoders, message.syndromes, strict=True)):
            llr = level_llr(spacing, (places - known) / (1 << (DISCLOSED + level)))
            decoded = decode(decoder.code, llr, syndrome) if decode else decoder.decode(llr, syndrome)
            iterations.append(decoded.iterations)
            if not decoded.converged:
                return Corrected(known, False, tuple(iterations))
            known |= decoded.bits.astype(np.int32) << (DISCLOSED + level)
            spacing *= 2
        above = DISCLOSED + len(self._decoders)
        known += np.rint((places - known) / (1 << above)).astype(np.int32) << above
        return Corrected(known, True, tuple(iterations))

    def secret_bits(self, integers: NDArray[np.int32]) -> NDArray[np.uint8]:
        """What privacy amplification needs of a block: bits that determine it, once Bob's message is known.

        Of a level whose code has leaves the core bits; of each other level, and above, all bits. Shape (hashed_bits,).
        """
        levels = [
            decoder.code.core_bits(((integers >> (DISCLOSED + level)) & 1).astype(np.uint8))
            for level, decoder in enumerate(self._decoders)
        ]
        above = range(DISCLOSED + len(self._decoders), DISCLOSED + self.letters.bit_length() - 1)
        return np.concatenate([*levels, *(((integers >> bit) & 1).astype(np.uint8) for bit in above)])

    def middles(self, integers: NDArray[np.int32], sigma: float) -> NDArray[np.float64]:
        """The middle of each integer's bin: Bob's quadrature, but for a uniform error (`step_variance`)."""
        return (integers + 0.5) * (STEP * sigma)

    def _places(self, quadratures: NDArray[np.floating], sigma: float) -> NDArray[np.float64]:
        if quadratures.shape != (self.length,):
            raise InputError(f"a block has {self.length} quadratures, not an array of shape {quadratures.shape}")
        if not (math.isfinite(sigma) and sigma > 0):
            raise InputError(f"the noise must have a positive deviation, not {sigma:g}: estimate the channel first")
        places = quadratures / (STEP * sigma)
        if not np.abs(places).max() < 2**30:
            raise InputError(
                "a quadrature of this block is no number, infinite or far outside the noise: drop the block"
            )
        return places
