"""The codes: what each can do, and which one suits a measured SNR.

The accounting of one block of N code bits: Bob draws N uniform bits and discloses a syndrome of (1 - R) N, so R N bits
of secret candidates are left. Leaf bits are a bijective function of the leaf syndrome, once the core bits are known;
given the public syndrome the N bits and the core bits alone therefore hold the same information. Only core bits need
be hashed, and the count is the same: core length - core checks = R N.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, NoKeyError
from .base_graph import STORED, BaseGraph, load
from .ensembles import ENSEMBLES


@dataclass(frozen=True)
class Threshold:
    """The smallest SNR at which a code was measured to work, and the evidence (`measure`, native decoder).

    Attributes:
        snr: per quadrature.
        frames: how many were decoded there, at the default number of iterations.
        failed: how many of them failed or came out wrong.
        seed: of the random numbers, so that the measurement can be repeated.
    """

    snr: float
    frames: int
    failed: int
    seed: int


@dataclass(frozen=True, eq=False)
class Code:
    """A low-density parity-check code with a core and leaves. Core bits come first, leaf bits after them.

    Attributes:
        name: what messages call it.
        graph: parity-check matrix.
        threshold: the SNR from which on it may be used.
    """

    name: str
    graph: BaseGraph
    threshold: Threshold

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

    @property
    def threshold_snr(self) -> float:
        """Smallest SNR per quadrature at which the code is used."""
        return self.threshold.snr

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


THRESHOLDS = {
    "met-0.333": Threshold(0.683, frames=100, failed=0, seed=11),
    "met-0.2": Threshold(0.3485, frames=100, failed=0, seed=11),
    "met-0.1": Threshold(0.1595, frames=100, failed=1, seed=11),
    "met-0.05": Threshold(0.0771, frames=100, failed=0, seed=11),
}


@cache
def available_codes() -> tuple[Code, ...]:
    """All codes, the highest rate first."""
    codes = [Code(name, load(STORED / f"{name}.npz"), THRESHOLDS[name]) for name in ENSEMBLES]
    return tuple(sorted(codes, key=lambda code: -code.rate))


def code_named(name: str) -> Code:
    """The code with this name.

    Raises:
        InputError: there is none.
    """
    for code in available_codes():
        if code.name == name:
            return code
    raise InputError(f"no code is called {name!r}: choose from {', '.join(c.name for c in available_codes())}")


def choose_code(snr: float) -> Code:
    """The code of highest rate that works at this SNR per quadrature.

    Far above the best code's threshold that code still works; its efficiency is then low, and less modulation would
    serve better.

    Raises:
        NoKeyError: the SNR is below all thresholds.
    """
    for code in available_codes():
        if snr >= code.threshold_snr:
            return code
    lowest = available_codes()[-1]
    raise NoKeyError(
        f"no key: an SNR of {snr:.4g} per quadrature is below {lowest.threshold_snr:.4g}, the least that a code"
        f" (rate {lowest.rate:g}) can correct; raise the modulation variance or lower the loss"
    )
