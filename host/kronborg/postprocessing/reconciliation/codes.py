"""The codes: what each can do, and which one suits a measured SNR.

The accounting of one block of N code bits: Bob draws N uniform bits and discloses a syndrome of (1 - R) N, so R N bits
of secret candidates are left. Leaf bits are a bijective function of the leaf syndrome, once the core bits are known;
given the public syndrome the N bits and the core bits alone therefore hold the same information. Only core bits need
be hashed, and the count is the same: core length - core checks = R N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, NoKeyError
from .base_graph import STORED, BaseGraph, load
from .ensembles import ENSEMBLES, Ensemble


@dataclass(frozen=True)
class Threshold:
    """How efficient a member of a family is where it begins to be used.

    Attributes:
        leaves: leaf checks of that member.
        efficiency: beta = rate / (log2(1 + snr) / 2) there, both per quadrature.
    """

    leaves: int
    efficiency: float


@dataclass(frozen=True, eq=False)
class Code:
    """A low-density parity-check code with a core and leaves. Core bits come first, leaf bits after them.

    Attributes:
        name: what messages call it.
        graph: parity-check matrix.
        threshold_snr: the smallest SNR per quadrature at which it is used.
    """

    name: str
    graph: BaseGraph
    threshold_snr: float

    @property
    def core_length(self) -> int:
        """Core bits of a block; what privacy amplification hashes."""
        return self.graph.core_columns * self.graph.lifting

    @property
    def core_checks(self) -> int:
        """Syndrome bits that core bits alone decide."""
        return self.graph.core_rows * self.graph.lifting

    @property
    def checks(self) -> int:
        """Syndrome bits: what a block discloses."""
        return len(self.graph.row_degrees) * self.graph.lifting

    @property
    def length(self) -> int:
        """Bits, and quadratures, of a block: N."""
        return self.core_length + self.checks - self.core_checks

    @property
    def dimension(self) -> int:
        """R N = length - checks, the bits of a block that are not disclosed."""
        return self.length - self.checks

    @property
    def rate(self) -> float:
        """R = dimension / length, bits per quadrature."""
        return self.dimension / self.length

    def core_bits(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The core bits of a word, shape (core_length,): all that privacy amplification needs (see the module).

        Raises:
            InputError: not as many bits as the code is long.
        """
        if bits.shape != (self.length,):
            raise InputError(f"code {self.name} has words of {self.length} bits, not of shape {bits.shape}")
        return bits[: self.core_length].copy()

    def efficiency(self, snr: float) -> float:
        """beta = R / (log2(1 + snr) / 2), both per quadrature."""
        return self.rate / (0.5 * float(np.log2(1 + snr)))


THRESHOLDS: dict[str, tuple[Threshold, ...]] = {
    "met-0.28": (Threshold(550, 0.875), Threshold(723, 0.9125), Threshold(930, 0.9025)),
    "met-0.21": (Threshold(494, 0.9075), Threshold(590, 0.9225), Threshold(700, 0.9225)),
    "met-0.17": (Threshold(600, 0.9175), Threshold(729, 0.9325), Threshold(880, 0.9225)),
    "met-0.11": (Threshold(530, 0.9175), Threshold(737, 0.9375), Threshold(1010, 0.9375)),
    "met-0.075": (Threshold(880, 0.9325), Threshold(1117, 0.9475), Threshold(1410, 0.928)),
    "met-0.045": (Threshold(1240, 0.94), Threshold(1790, 0.945), Threshold(2560, 0.936)),
    "met-0.026": (Threshold(2000, 0.935), Threshold(2612, 0.94), Threshold(3400, 0.943)),
    "met-0.016": (Threshold(3450, 0.947), Threshold(4516, 0.947), Threshold(5900, 0.95)),
}
"""Of each family, few leaves first. Between two of them efficiency is taken to follow a line in the logarithm of rate.

Chosen with frames of other seeds than those of the tables in docs/reconciliation.md, a little below what failed none of
a dozen.
"""


@dataclass(frozen=True, eq=False)
class Family:
    """Codes that share a core: one for each number of leaf checks.

    Attributes:
        name: of the family; a code's is this, a slash, and its number of leaf checks.
        ensemble: what it was made from.
        graph: with all leaf checks.
        thresholds: measured ones, few leaves first; none for the codes of slices, which have one purpose.
    """

    name: str
    ensemble: Ensemble
    graph: BaseGraph
    thresholds: tuple[Threshold, ...]

    def threshold_snr(self, leaves: int) -> float:
        """Smallest SNR per quadrature at which the code with so many leaf checks is used."""
        if not self.thresholds:
            return math.inf
        rates = [math.log(self.ensemble.rate(threshold.leaves)) for threshold in reversed(self.thresholds)]
        efficiencies = [threshold.efficiency for threshold in reversed(self.thresholds)]
        rate = self.ensemble.rate(leaves)
        return float(2 ** (2 * rate / np.interp(math.log(rate), rates, efficiencies)) - 1)

    def code(self, leaves: int) -> Code:
        """The code with so many leaf checks.

        Raises:
            InputError: the family has fewer, or not so few.
        """
        least, most = self.ensemble.fewest_leaves, self.ensemble.most_leaves
        if not least <= leaves <= most:
            raise InputError(f"codes {self.name} have {least} to {most} leaf checks, not {leaves}")
        return _code(self, leaves)

    def fewest_leaves_at(self, snr: float) -> int | None:
        """Of the code of highest rate that works at this SNR; None if none does."""
        low, high = self.ensemble.fewest_leaves, self.ensemble.most_leaves
        if not snr >= self.threshold_snr(high):
            return None
        while low < high:
            middle = (low + high) // 2
            if snr >= self.threshold_snr(middle):
                high = middle
            else:
                low = middle + 1
        return low


@lru_cache(maxsize=128)
def _code(family: Family, leaves: int) -> Code:
    return Code(f"{family.name}/{leaves}", family.graph.with_leaves(leaves), family.threshold_snr(leaves))


@cache
def families() -> tuple[Family, ...]:
    """All families, the highest rates first."""
    found = [
        Family(name, ensemble, load(STORED / f"{name}.npz"), THRESHOLDS.get(name, ()))
        for name, ensemble in ENSEMBLES.items()
    ]
    return tuple(sorted(found, key=lambda family: -family.ensemble.rate(family.ensemble.fewest_leaves)))


LADDER_STEP = 1.08
"""Ratio of rates of neighbours among `available_codes`."""


@cache
def available_codes() -> tuple[Code, ...]:
    """A ladder of codes, the highest rate first: to choose a modulation from. `choose_code` knows those between too."""
    codes = []
    for family in (family for family in families() if family.thresholds):
        highest, lowest = (
            family.ensemble.rate(n) for n in (family.ensemble.fewest_leaves, family.ensemble.most_leaves)
        )
        rungs = max(1, round(math.log(highest / lowest) / math.log(LADDER_STEP)))
        for rung in range(rungs + 1):
            codes.append(family.code(family.ensemble.leaves_for(highest * (lowest / highest) ** (rung / rungs))))
    return tuple(sorted(codes, key=lambda code: -code.rate))


def code_named(name: str) -> Code:
    """The code with this name.

    Raises:
        InputError: there is none.
    """
    family_name, slash, leaves = name.partition("/")
    for family in families():
        if family.name == family_name and slash and leaves.isascii() and leaves.isdigit() and len(leaves) < 9:
            return family.code(int(leaves))
    known = ", ".join(family.name for family in families())
    raise InputError(f"no code is called {name!r}: a name is a family, a slash and a number; families are {known}")


def choose_code(snr: float) -> Code:
    """The code of highest rate that works at this SNR per quadrature.

    Far above the best code's threshold that code still works; its efficiency is then low, and less modulation would
    serve better.

    Raises:
        NoKeyError: the SNR is below all thresholds, or no number.
    """
    if not math.isfinite(snr):
        raise NoKeyError(f"no key: the SNR came out as {snr}; check that the symbols are numbers and not constant")
    best: Code | None = None
    for family in families():
        leaves = family.fewest_leaves_at(snr)
        if leaves is not None and (best is None or family.ensemble.rate(leaves) > best.rate):
            best = family.code(leaves)
    if best is not None:
        return best
    lowest = available_codes()[-1]
    raise NoKeyError(
        f"no key: an SNR of {snr:.4g} per quadrature is below {lowest.threshold_snr:.4g}, the least that a code"
        f" (rate {lowest.rate:.3g}) can correct; raise the modulation variance or lower the loss"
    )
