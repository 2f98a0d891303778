"""The multi-edge-type LDPC ensembles behind the codes.

An ensemble has a small *core* and many *leaves*. Core variables are tied to each other by core checks. A leaf is a
variable of degree one: its check ties it to a few core variables and so repeats a parity of them at low rate. All
variables are sent. In the notation of Richardson and Urbanke (x1 core edges, x2 core-to-leaf edges, x3 leaves):

    nu = sum_i a_i x1^(core degree i) x2^(leaf degree i) + b x3,      mu = core checks in x1 + leaf checks in x2^d x3

Sockets of core checks, and of leaf checks, are spread as evenly as integers allow, so that counts say it all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """A class of core variables.

    Attributes:
        count: how many columns of the base graph.
        core_degree: core checks that each is in.
        leaf_degree: leaf checks that each is in.
    """

    count: int
    core_degree: int
    leaf_degree: int


@dataclass(frozen=True)
class Ensemble:
    """Counts of a base graph; a lifting replaces each node by many.

    Attributes:
        columns: classes of core variables.
        core_checks: checks among core variables only.
        leaf_checks: checks with one leaf each, so also the number of leaves.
    """

    columns: tuple[Columns, ...]
    core_checks: int
    leaf_checks: int

    @property
    def core_columns(self) -> int:
        """Core variables of the base graph."""
        return sum(columns.count for columns in self.columns)

    @property
    def rate(self) -> float:
        """Design rate: (variables - checks) / variables."""
        return (self.core_columns - self.core_checks) / (self.core_columns + self.leaf_checks)

    def core_check_degrees(self) -> list[int]:
        """Core edges of each core check, larger ones first."""
        return _spread(sum(c.count * c.core_degree for c in self.columns), self.core_checks)

    def leaf_check_degrees(self) -> list[int]:
        """Core-to-leaf edges of each leaf check (its leaf not counted), larger ones first."""
        return _spread(sum(c.count * c.leaf_degree for c in self.columns), self.leaf_checks)


def _spread(sockets: int, checks: int) -> list[int]:
    least, more = divmod(sockets, checks)
    return [least + 1] * more + [least] * (checks - more)


BLOCK_LENGTH = 1_024_000
"""Code bits, and quadratures, of a stored code; a little less where the ensemble's size does not divide it."""

SEED = 2008
"""Of the construction of the stored codes."""

ENSEMBLES = {
    "met-0.333": Ensemble(
        (Columns(84, 2, 7), Columns(226, 3, 7), Columns(16, 3, 9), Columns(4, 3, 15)), core_checks=30, leaf_checks=570
    ),
    "met-0.2": Ensemble((Columns(48, 2, 12), Columns(134, 3, 12)), core_checks=22, leaf_checks=618),
    "met-0.1": Ensemble((Columns(32, 2, 20), Columns(68, 3, 21)), core_checks=20, leaf_checks=700),
    "met-0.05": Ensemble((Columns(48, 2, 34), Columns(64, 3, 36)), core_checks=32, leaf_checks=1488),
}
"""The ensemble of each stored code. Names say the rate in bits per quadrature."""


def stored_lifting(ensemble: Ensemble) -> int:
    """Size of a circulant in the stored code: a multiple of sixteen, as vector units like it."""
    return BLOCK_LENGTH // (ensemble.core_columns + ensemble.leaf_checks) // 16 * 16
