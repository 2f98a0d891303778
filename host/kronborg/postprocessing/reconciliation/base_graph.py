"""A quasi-cyclic parity-check matrix, and its file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STORED = Path(__file__).parent
"""Folder of the stored graphs."""


@dataclass(frozen=True)
class BaseGraph:
    """A quasi-cyclic parity-check matrix: rows of circulants, core rows first.

    Check k of a row is tied to variable ``(k + shift) mod lifting`` of each of its columns. Leaf row i has, besides,
    variable k of leaf i.

    Attributes:
        lifting: size of a circulant.
        core_columns: core variables, in circulants.
        core_rows: checks without a leaf, in circulants.
        row_degrees: core edges of each row, int64, shape (rows,).
        columns: core column of each edge, row after row, int32.
        shifts: shift of each edge, int32.
    """

    lifting: int
    core_columns: int
    core_rows: int
    row_degrees: NDArray[np.int64]
    columns: NDArray[np.int32]
    shifts: NDArray[np.int32]

    @cached_property
    def first_edge(self) -> NDArray[np.int64]:
        """Where each row's edges begin, and where the last one's end; shape (rows + 1,)."""
        return np.concatenate([[0], np.cumsum(self.row_degrees)]).astype(np.int64)

    def with_leaves(self, leaves: int) -> BaseGraph:
        """The graph of the core rows and the first so many leaf rows."""
        rows = self.core_rows + leaves
        end = self.first_edge[rows]
        return BaseGraph(
            self.lifting,
            self.core_columns,
            self.core_rows,
            self.row_degrees[:rows],
            self.columns[:end],
            self.shifts[:end],
        )

    def core_parity(self, core: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
        """Parity of the core bits in each check of the first rows."""
        columns = core.reshape(self.core_columns, self.lifting)
        parity = np.zeros((rows, self.lifting), np.uint8)
        for row in range(rows):
            for edge in range(self.first_edge[row], self.first_edge[row + 1]):
                parity[row] ^= np.roll(columns[self.columns[edge]], -self.shifts[edge])
        return parity.reshape(-1)


def save(graph: BaseGraph, path: Path) -> None:
    """Write a graph as .npz of integers."""
    np.savez_compressed(
        path,
        size=np.array([graph.lifting, graph.core_columns, graph.core_rows], np.int32),
        row_degrees=graph.row_degrees.astype(np.uint8),
        columns=graph.columns.astype(np.uint16),
        shifts=graph.shifts.astype(np.uint16),
    )


def load(path: Path) -> BaseGraph:
    """Read a graph that `save` wrote."""
    with np.load(path) as stored:
        lifting, core_columns, core_rows = map(int, stored["size"])
        return BaseGraph(
            lifting,
            core_columns,
            core_rows,
            stored["row_degrees"].astype(np.int64),
            stored["columns"].astype(np.int32),
            stored["shifts"].astype(np.int32),
        )
