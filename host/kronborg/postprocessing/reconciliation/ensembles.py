"""The multi-edge-type LDPC ensembles behind the codes.

An ensemble has a small *core* and many *leaves*. Core variables are tied to each other by core checks. A leaf is a
variable of degree one: its check ties it to a few core variables and so repeats a parity of them at low rate. All
variables are sent. In the notation of Richardson and Urbanke (x1 core edges, x2 core-to-leaf edges, x3 leaves):

    nu = sum_i a_i x1^(core degree i) x2^(leaf degree) + b x3,      mu = sum_j c_j x1^j + leaf checks in x2^d x3

An ensemble is a family of rates. Leaf checks come in an order, their degrees in a fixed mixture, and any number of the
first ones makes a code (raptor-like extension): the rate follows the SNR in steps of a tenth of a percent. The sockets
of leaf checks are spread over the core columns as evenly as integers allow, however many leaf checks are taken.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Nodes:
    """A class of core columns, or of core checks: how many circulants, and core edges of each."""

    count: int
    degree: int


@dataclass(frozen=True)
class Ensemble:
    """Counts of a base graph; a lifting replaces each node by many.

    Attributes:
        columns: classes of core variables.
        core_checks: classes of checks among core variables only.
        leaf_hundredths: mean number of core edges of a leaf check, in hundredths.
        fewest_leaves: the highest rate has so many leaf checks.
        most_leaves: the lowest rate has so many.
        lifting: size of a circulant, a multiple of 64, as vector units like it.

    Raises:
        ValueError: core columns and core checks do not have equal numbers of edges.
    """

    columns: tuple[Nodes, ...]
    core_checks: tuple[Nodes, ...]
    leaf_hundredths: int
    fewest_leaves: int
    most_leaves: int
    lifting: int

    def __post_init__(self) -> None:
        ends = [sum(nodes.count * nodes.degree for nodes in side) for side in (self.columns, self.core_checks)]
        if ends[0] != ends[1]:
            raise ValueError(f"{ends[0]} sockets of core columns cannot be tied to {ends[1]} of core checks")

    @property
    def core_columns(self) -> int:
        """Core variables of the base graph."""
        return sum(nodes.count for nodes in self.columns)

    @property
    def core_rows(self) -> int:
        """Core checks of the base graph."""
        return sum(nodes.count for nodes in self.core_checks)

    def rate(self, leaves: int) -> float:
        """Design rate with so many leaf checks: (variables - checks) / variables."""
        return (self.core_columns - self.core_rows) / (self.core_columns + leaves)

    def leaves_for(self, rate: float) -> int:
        """Leaf checks that come closest to a rate, within what the ensemble has."""
        wanted = round((self.core_columns - self.core_rows) / rate) - self.core_columns
        return min(max(wanted, self.fewest_leaves), self.most_leaves)

    def column_degrees(self) -> list[int]:
        """Core edges of each core column."""
        return [nodes.degree for nodes in self.columns for _ in range(nodes.count)]

    def core_check_degrees(self) -> list[int]:
        """Core edges of each core check."""
        return [nodes.degree for nodes in self.core_checks for _ in range(nodes.count)]

    def leaf_check_degrees(self, leaves: int) -> list[int]:
        """Core edges of each of the first leaf checks (its leaf not counted)."""
        mean = self.leaf_hundredths
        return [mean * (i + 1) // 100 - mean * i // 100 for i in range(leaves)]

    def classes(self, leaves: int) -> list[tuple[float, int, int]]:
        """Share, core degree and leaf degree of the classes of core columns, with so many leaf checks."""
        sockets = self.leaf_hundredths * leaves // 100
        least, more = divmod(sockets, self.core_columns)
        share = more / self.core_columns
        return [
            (nodes.count / self.core_columns * part, nodes.degree, degree)
            for nodes in self.columns
            for part, degree in ((1 - share, least), (share, least + 1))
            if part
        ]


def mixture(degrees: list[int]) -> list[tuple[float, int]]:
    """Share of edges, and degree, of the nodes with these degrees."""
    edges = sum(degrees)
    return [(count * degree / edges, degree) for degree, count in sorted(Counter(degrees).items())]


SEED = 2008
"""Of the construction of the stored codes."""

ENSEMBLES = {
    "met-0.28": Ensemble(
        (Nodes(111, 2), Nodes(209, 3)), (Nodes(11, 16), Nodes(20, 32), Nodes(1, 33)), 382, 550, 930, 1152
    ),
    "met-0.21": Ensemble(
        (Nodes(63, 2), Nodes(129, 3)), (Nodes(10, 12), Nodes(12, 26), Nodes(3, 27)), 350, 494, 700, 1536
    ),
    "met-0.17": Ensemble(
        (Nodes(62, 2), Nodes(130, 3)), (Nodes(15, 9), Nodes(17, 21), Nodes(1, 22)), 324, 600, 880, 1280
    ),
    "met-0.11": Ensemble(
        (Nodes(46, 2), Nodes(82, 3)), (Nodes(14, 8), Nodes(12, 16), Nodes(2, 17)), 291, 530, 1010, 1280
    ),
    "met-0.075": Ensemble(
        (Nodes(46, 2), Nodes(82, 3)), (Nodes(17, 5), Nodes(13, 13), Nodes(6, 14)), 276, 880, 1410, 960
    ),
    "met-0.045": Ensemble(
        (Nodes(51, 2), Nodes(77, 3)), (Nodes(22, 5), Nodes(17, 11), Nodes(3, 12)), 261, 1240, 2560, 704
    ),
    "met-0.026": Ensemble(
        (Nodes(56, 2), Nodes(72, 3)), (Nodes(27, 3), Nodes(23, 8), Nodes(7, 9)), 250, 2000, 3400, 1024
    ),
    "met-0.016": Ensemble(
        (Nodes(52, 2), Nodes(76, 3)), (Nodes(32, 4), Nodes(16, 9), Nodes(6, 10)), 243, 3450, 5900, 640
    ),
    "ldpc-0.53": Ensemble(
        (Nodes(149, 2), Nodes(180, 3), Nodes(52, 10), Nodes(19, 32)), (Nodes(102, 10), Nodes(86, 11)), 0, 0, 0, 6400
    ),
    "ldpc-0.985": Ensemble((Nodes(1000, 3),), (Nodes(15, 200),), 0, 0, 0, 2560),
}
"""The ensemble of each stored family. Names say a rate in the middle of it, in bits per quadrature."""
