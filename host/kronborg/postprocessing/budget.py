"""The key budget: from Bob's raw key to the secret key, with a line for everything that is taken away.

Two raw keys are known: uniform bits that an eight-dimensional message hides (`key_budget`), and slices of Bob's
quadratures (`sliced_key_budget`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..errors import InputError, NoKeyError
from . import verification
from .dithering import leak_per_quadrature
from .raw_entropy import PairEntropy
from .security import Link, aep_penalty, hashing_term, holevo_bound

ANSWER_BITS = 2
"""A block did not decode, differs or is equal: what Alice's answers tell of it."""

SUMS_BITS = 3 * 64
"""What the sums tell that Alice adds up over the blocks: three numbers of double precision."""

LENGTHS = 128
STEPS_PER_OCTAVE = 16
"""A key is 2**(-i / 16) of the corrected bits long, i a whole number below LENGTHS: 4 % apart, over eight octaves."""


@dataclass(frozen=True)
class Epsilons:
    """Failure probabilities; together the key is `total` from ideal (composable).

    Attributes:
        correctness: both ends hold different keys although every hash agreed.
        smoothing: of the smooth min-entropy; it counts twice (the state that is hashed is so far from the real one, and
            so is that of the ideal key).
        hashing: of privacy amplification.
        estimation: the true transmittance, or the true excess noise, lies beyond its worst case; each.
        entropy: the entropy of Bob's integers lies below its estimate; 0 where there are none.

    The key's length depends on the symbols that it is made of, and so does which blocks were corrected. What smoothing
    and hashing may fail by is shared among all that could have come out (docs/security.md): this one has their
    :func:`outcomes`-th part.
    """

    correctness: float
    smoothing: float
    hashing: float
    estimation: float
    entropy: float = 0.0

    @classmethod
    def within(cls, total: float, *, entropy: bool = False) -> Epsilons:
        """Equal shares of a total, with one for the entropy of integers or without. InputError outside (1e-30, 1)."""
        if not 1e-30 < total < 1:
            raise InputError(f"epsilon = {total:g} is outside (1e-30, 1)")
        share = total / (7 if entropy else 6)
        while cls(share, share, share, share, share * entropy).total > total:  # the last bit of a sum
            share = math.nextafter(share, 0.0)
        return cls(share, share, share, share, share * entropy)

    @property
    def total(self) -> float:
        """eps_cor + 2 eps_s + eps_h + 2 eps_pe, and eps_ent of slices."""
        return self.correctness + 2 * self.smoothing + self.hashing + 2 * self.estimation + self.entropy

    @property
    def lines(self) -> tuple[tuple[str, float], ...]:
        """A label and a probability for each of them; they add up to the total."""
        entropy = (("entropy of Bob's integers below its estimate", self.entropy),) if self.entropy else ()
        return (
            *entropy,
            ("correctness (verification)", self.correctness),
            ("smoothing, all outcomes, twice", 2 * self.smoothing),
            ("hashing, all outcomes", self.hashing),
            ("transmittance beyond its worst case", self.estimation),
            ("excess noise beyond its worst case", self.estimation),
        )


@dataclass(frozen=True)
class Budget:
    """From the uniform code bits to the key.

    Attributes:
        lines: label and bits: the code bits, all that is subtracted (negative), the secret key; their sum.
        key_bits: the key's length.
        disclosed_bits: what went over the classical channel about the key's bits.
        epsilons: label and failure probability, line by line.
        epsilon: their sum.
        pool_bits: of the key, fed to the pools of authentication keys; the others are delivered.
    """

    lines: tuple[tuple[str, int], ...]
    key_bits: int
    disclosed_bits: int
    epsilons: tuple[tuple[str, float], ...]
    epsilon: float
    pool_bits: int = 0

    def with_forgeries(self, probability: float) -> Budget:
        """The same with a line for messages that were not the peer's, of a channel that is signed."""
        line = ("forged messages (authentication)", probability)
        return replace(self, epsilons=(*self.epsilons, line), epsilon=self.epsilon + probability)


def outcomes(blocks: int, blocks_tried: int) -> int:
    """Among how many outcomes a probability is shared: lengths of the key, and which blocks were corrected.

    Each number of lost blocks has the same part of it, and so has each choice of so many; the parts add up to one.

    Raises:
        InputError: more blocks were corrected than tried.
    """
    if blocks > blocks_tried:
        raise InputError(f"{blocks} blocks of {blocks_tried} that were tried cannot have been corrected")
    return LENGTHS * (blocks_tried + 1) * math.comb(blocks_tried, blocks)


def smoothing_penalty(symbols: float, epsilon: float, among: int = LENGTHS) -> float:
    """Bits that smoothing costs: Delta_aep for 256 letters in each of n / 4 octonions, of four symbols each.

    Args:
        symbols: of the key.
        epsilon: of all outcomes together.
        among: outcomes that share it.
    """
    return math.sqrt(symbols / 4) * _shared_penalty(math.log2(256) / 2, epsilon, among)


def sliced_smoothing_penalty(symbols: float, letters: int, epsilon: float, among: int = LENGTHS) -> float:
    """The same of slices: `letters` values of the secret part of each quadrature, two quadratures a symbol."""
    return math.sqrt(symbols) * _shared_penalty(math.log2(letters), epsilon, among)


def _shared_penalty(bits_per_quadrature: float, epsilon: float, among: int) -> float:
    """Delta_aep of an epsilon's share; the share itself could underflow."""
    whole = 1 - 2 * math.log2(epsilon)
    return aep_penalty(bits_per_quadrature, epsilon) * math.sqrt((whole + 2 * math.log2(among)) / whole)


def floor_to_length(bits: int, corrected: int) -> int:
    """The longest key of at most so many bits among the LENGTHS that a number of corrected bits has; 0 for none."""
    if not 0 < bits <= corrected:
        return 0
    # Floating point finds the neighbourhood, integers decide.
    near = math.floor(STEPS_PER_OCTAVE * math.log2(corrected / bits))
    for step in range(max(near - 1, 0), min(near + 3, LENGTHS)):
        length = math.floor(corrected * 2.0 ** (-step / STEPS_PER_OCTAVE))
        if length <= bits:
            return length
    return 0


def key_budget(
    *,
    blocks: int,
    blocks_tried: int,
    block_bits: int,
    syndrome_bits: int,
    hashed_bits: int,
    dither_steps: float,
    worst_case: Link,
    epsilons: Epsilons,
) -> Budget:
    """The length of the composable key from verified blocks, collective attacks.

    With n symbols (two code bits each) in the verified blocks,

        l = n (2 - leak) - n chi_BE(T_wc, xi_wc) - sqrt(n / 4) Delta_aep + Theta,   Theta = log2(2 eps_h**2 eps_cor)

    (Pirandola & Papanastasiou, arXiv:2301.10270; beta I_AB is the code bits less all syndromes). The variable whose
    min-entropy counts is not Bob's symbols but his uniform signs, given his messages and the eavesdropper's state:
    eight bits, d = 256 letters, for each octonion of four symbols. Its bound, 8 - 4 chi, needs messages that tell
    nothing of the signs by themselves; what rounding leaves of that, behind Bob's own noise, is a line too.

    The length is rounded down to one of LENGTHS that n has, for the symbols that estimate the channel are those of the
    key: so many lengths at most need be hidden among, for each choice of corrected blocks (docs/security.md).

    Blocks that failed are left out with their symbols. The paper weighs the whole bracket with the success probability
    p; here n counts the surviving symbols, so that the penalty is sqrt(p N) rather than p sqrt(N): the larger of the
    two. Every term is rounded against the key.

    Args:
        blocks: verified blocks.
        blocks_tried: these and the ones that failed; of each Alice said whether it decoded, and whether it was equal.
        block_bits: code bits in each, two a symbol.
        syndrome_bits: disclosed of each.
        hashed_bits: of each that enter verification and privacy amplification.
        dither_steps: standard deviation of the noise that Bob added to his rounded quadratures, in rounding steps.
        worst_case: the channel at its worst.
        epsilons: the failure probabilities.

    Raises:
        InputError: fewer bits are hashed than the block has information bits, or more blocks corrected than tried.
        NoKeyError: nothing is left; the message says what took it and what would help.
    """
    if hashed_bits < block_bits - syndrome_bits:
        raise InputError(
            f"{hashed_bits} bits of a block do not carry the {block_bits - syndrome_bits} that it informs of"
        )
    symbols, uniform, syndromes = blocks * block_bits // 2, blocks * block_bits, blocks * syndrome_bits
    return _budget(
        blocks,
        blocks_tried,
        hashed_bits,
        symbols,
        source=("uniform code bits", uniform),
        disclosed=(("error-correction syndromes", syndromes),),
        unknown=(("rounding of Bob's symbols", math.ceil(2 * symbols * leak_per_quadrature(dither_steps))),),
        smoothing=smoothing_penalty(symbols, epsilons.smoothing, outcomes(blocks, blocks_tried)),
        longest=uniform - syndromes,
        worst_case=worst_case,
        epsilons=epsilons,
    )


def sliced_key_budget(
    *,
    blocks: int,
    blocks_tried: int,
    block_symbols: int,
    low_bits: int,
    syndrome_bits: int,
    hashed_bits: int,
    letters: int,
    entropy: PairEntropy,
    snr: float,
    worst_case: Link,
    epsilons: Epsilons,
) -> Budget:
    """The length of the composable key from verified blocks of slices, collective attacks.

    With n symbols in them,

        l = n H(J) - disclosed - n chi_BE(T_wc, xi_wc) - sqrt(n) Delta_aep + Theta,

    where J are Bob's two integers of a symbol. Their low bits and all syndromes are sent as they are, and each is
    charged in full: what is left of J once the low bits are public has `letters`**2 values, which is the alphabet of
    Delta_aep. H(J) is the entropy of what Bob counted, less what chance may have added to it (`raw_entropy`). The key
    has one of LENGTHS lengths that follow from n and from the SNR of the symbols that were disclosed.

    Args:
        blocks: verified blocks.
        blocks_tried: these and the ones that failed.
        block_symbols: symbols in each.
        low_bits: disclosed of each as they are.
        syndrome_bits: disclosed of each.
        hashed_bits: of each that enter verification and privacy amplification.
        letters: values of the secret part of an integer.
        entropy: of the integers of all blocks.
        snr: per quadrature, of the symbols that were disclosed.
        worst_case: the channel at its worst.
        epsilons: the failure probabilities, with one for the entropy.

    Raises:
        InputError: no probability was set aside for the entropy, or no SNR.
        NoKeyError: nothing is left; the message says what took it and what would help.
    """
    if not epsilons.entropy > 0:
        raise InputError("a key from slices needs a share of epsilon for the entropy of Bob's integers")
    if not snr > 0:
        raise InputError(f"an SNR of {snr:g} is no positive number")
    symbols = blocks * block_symbols
    raw = math.floor(symbols * entropy.bits)
    chance = math.ceil(symbols * entropy.deviation(epsilons.entropy))
    low, syndromes = blocks * low_bits, blocks * syndrome_bits
    return _budget(
        blocks,
        blocks_tried,
        hashed_bits,
        symbols,
        source=("entropy of Bob's integers, counted", raw),
        disclosed=(("low bits of the slices", low), ("error-correction syndromes", syndromes)),
        unknown=(("entropy that chance may have added", chance),),
        smoothing=sliced_smoothing_penalty(symbols, letters, epsilons.smoothing, outcomes(blocks, blocks_tried)),
        longest=math.floor(symbols * math.log2(1 + snr)),
        worst_case=worst_case,
        epsilons=epsilons,
    )


def _budget(
    blocks: int,
    blocks_tried: int,
    hashed_bits: int,
    symbols: int,
    *,
    source: tuple[str, int],
    disclosed: tuple[tuple[str, int], ...],
    unknown: tuple[tuple[str, int], ...],
    smoothing: float,
    longest: int,
    worst_case: Link,
    epsilons: Epsilons,
) -> Budget:
    """What both raw keys share. `source` is what there is, `disclosed` and `unknown` are terms of one of them."""
    if blocks == 0:
        raise NoKeyError(
            "no key: not one block was corrected; the SNR is below the code's threshold, or the phase was lost"
        )
    if blocks * verification.collision_probability(hashed_bits) > epsilons.correctness:
        raise NoKeyError(f"no key: epsilon is too small for a {verification.TAG_BITS}-bit tag; allow a larger one")
    said = (
        *disclosed,
        ("verification tags", blocks * verification.TAG_BITS),
        ("Alice's answers", ANSWER_BITS * blocks_tried),
        ("Alice's sums for the estimation", SUMS_BITS),
    )
    chi = holevo_bound(worst_case)
    shared = 2 * math.log2(outcomes(blocks, blocks_tried))
    subtracted = (
        *said,
        ("Holevo bound at the worst case", math.ceil(symbols * chi)),
        ("finite size (smooth min-entropy)", math.ceil(smoothing)),
        *unknown,
        ("hashing and correctness", math.ceil(shared - hashing_term(epsilons.hashing, epsilons.correctness))),
    )
    secret = source[1] - sum(bits for _, bits in subtracted)
    key_bits = floor_to_length(min(secret, longest), longest)
    if key_bits == 0:
        raise NoKeyError(
            _why((source[1] - sum(bits for _, bits in disclosed)) / symbols, chi, worst_case.excess_noise_snu, secret)
        )
    lines = (
        source,
        *((label, -bits) for label, bits in subtracted),
        ("rounding down to a length", key_bits - secret),
        ("secret key", key_bits),
    )
    return Budget(lines, key_bits, sum(bits for _, bits in said), epsilons.lines, epsilons.total)


def _why(corrected: float, chi: float, excess_noise: float, secret: int) -> str:
    if chi >= corrected:
        return (
            f"no key: at worst an eavesdropper knows {chi:.3f} of the {corrected:.3f} bit per symbol that error"
            f" correction leaves (excess noise up to {excess_noise:.3f} SNU); lower the excess noise, or estimate it"
            " from more symbols"
        )
    if secret > 0:
        return f"no key: {secret} bits are fewer than the shortest key of so many blocks; send more symbols in one run"
    return f"no key: finite-size terms take {-secret} bits more than there are; send more symbols in one run"
