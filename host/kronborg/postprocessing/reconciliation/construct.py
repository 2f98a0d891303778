"""Makes the codes: lifts an ensemble to a quasi-cyclic parity-check matrix, from a seed.

    python -m kronborg.postprocessing.reconciliation.construct [--output FOLDER] [NAME ...]

makes the stored codes again, bit for bit. How an ensemble becomes a matrix:

1. Sockets of the core checks, and of the leaf checks, are dealt to the core columns uniformly at random, no column
   twice to the same check.
2. Each edge of the base graph becomes a circulant of `lifting` edges, given by one shift. Core shifts are grown edge by
   edge, columns of low degree first, so that each new edge closes as long a cycle as possible (progressive edge growth,
   Hu, Eleftheriou & Arnold 2005, on one representative of each orbit).
3. Leaf shifts are drawn at random and drawn again wherever they would close a cycle of length four.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .base_graph import STORED, BaseGraph, save
from .ensembles import ENSEMBLES, SEED, Ensemble, stored_lifting


def construct(ensemble: Ensemble, lifting: int, seed: int) -> BaseGraph:
    """Lift an ensemble. The same arguments give the same graph on every machine.

    Raises:
        ValueError: the lifting is too small for a graph without cycles of length four.
    """
    rng = np.random.default_rng(seed)
    core_degrees = np.concatenate([np.full(c.count, c.core_degree) for c in ensemble.columns])
    leaf_degrees = np.concatenate([np.full(c.count, c.leaf_degree) for c in ensemble.columns])
    core_rows = _deal(core_degrees, ensemble.core_check_degrees(), rng)
    leaf_rows = _deal(leaf_degrees, ensemble.leaf_check_degrees(), rng)
    core_shifts = _grow_core(core_rows, core_degrees, lifting, rng)
    leaf_shifts = _draw_leaves(core_rows, core_shifts, leaf_rows, lifting, rng)
    return BaseGraph(
        lifting,
        ensemble.core_columns,
        ensemble.core_checks,
        np.array([len(row) for row in core_rows + leaf_rows]),
        np.concatenate(core_rows + leaf_rows).astype(np.int32),
        np.concatenate(core_shifts + leaf_shifts).astype(np.int32),
    )


def _deal(column_degrees: NDArray[np.int64], row_degrees: list[int], rng: np.random.Generator) -> list[list[int]]:
    """Columns of each row: a uniform matching of sockets, in which repeated columns are swapped away."""
    sockets = rng.permutation(np.repeat(np.arange(len(column_degrees)), column_degrees))
    rows = [list(map(int, row)) for row in np.split(sockets, np.cumsum(row_degrees)[:-1])]
    for row in rows:
        for place in range(len(row)):
            while row.count(row[place]) > 1:
                other = rows[int(rng.integers(len(rows)))]
                there = int(rng.integers(len(other)))
                if other is not row and other[there] not in row and row[place] not in other:
                    row[place], other[there] = other[there], row[place]
    return rows


def _grow_core(
    rows: list[list[int]], column_degrees: NDArray[np.int64], lifting: int, rng: np.random.Generator
) -> list[list[int]]:
    shifts = [[0] * len(row) for row in rows]
    grown: list[tuple[int, int, int]] = []  # row, column, shift
    edges = [(column, r, place) for r, row in enumerate(rows) for place, column in enumerate(row)]
    order = rng.permutation(len(edges))
    for column, r, place in sorted((edges[i] for i in order), key=lambda edge: (column_degrees[edge[0]], edge[0])):
        distance = _distances(grown, column, r, len(rows), len(column_degrees), lifting)
        best = np.flatnonzero(distance == distance.max())
        # Variable 0 of the column meets check k, so the shift is -k.
        shifts[r][place] = int(-best[rng.integers(len(best))] % lifting)
        grown.append((r, column, shifts[r][place]))
    return shifts


def _distances(
    edges: list[tuple[int, int, int]], column: int, row: int, rows: int, columns: int, lifting: int
) -> NDArray[np.int64]:
    """Steps from variable 0 of a column to each check of a row, shape (lifting,); very many where there is no path."""
    unreached = np.iinfo(np.int64).max
    distance = np.full((rows, lifting), unreached)
    # Circulants turn rows of these arrays. Each array holds its contents twice, so that a turned row is a slice.
    variables = np.zeros((columns, 2 * lifting), bool)
    variables[column, [0, lifting]] = True
    seen = variables.copy()
    step = 0
    while variables.any() and (distance[row] == unreached).any():
        step += 1
        checks = np.zeros((rows, 2 * lifting), bool)
        for r, c, shift in edges:
            checks[r, :lifting] |= variables[c, shift : shift + lifting]
        checks[:, :lifting] &= distance == unreached
        checks[:, lifting:] = checks[:, :lifting]
        distance[checks[:, :lifting]] = step
        variables = np.zeros_like(seen)
        for r, c, shift in edges:
            variables[c, :lifting] |= checks[r, lifting - shift : 2 * lifting - shift]
        variables[:, lifting:] = variables[:, :lifting]
        variables &= ~seen
        seen |= variables
    return distance[row]


def _draw_leaves(
    core_rows: list[list[int]],
    core_shifts: list[list[int]],
    leaf_rows: list[list[int]],
    lifting: int,
    rng: np.random.Generator,
) -> list[list[int]]:
    """Shifts of the leaf rows. No two columns may differ by the same shift in two rows: that closes a 4-cycle."""

    def differences(row: list[int], shifts: list[int]) -> set[tuple[int, int, int]]:
        edges = sorted(zip(row, shifts, strict=True))
        return {(a, b, (s - t) % lifting) for (a, s), (b, t) in combinations(edges, 2)}

    taken: set[tuple[int, int, int]] = set()
    for row, shifts in zip(core_rows, core_shifts, strict=True):
        taken |= differences(row, shifts)
    drawn = []
    for row in leaf_rows:
        for _ in range(1000):
            shifts = rng.integers(0, lifting, len(row)).tolist()
            new = differences(row, shifts)
            if not new & taken:
                break
        else:
            raise ValueError(f"a lifting of {lifting} is too small to avoid cycles of length four: choose a larger one")
        taken |= new
        drawn.append(shifts)
    return drawn


def main() -> None:
    """Make codes and store them."""
    parser = argparse.ArgumentParser(description="Make the stored codes again.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"codes to make: {', '.join(ENSEMBLES)} (default: all)"
    )
    parser.add_argument("--output", type=Path, default=STORED, help="folder for the .npz files")
    arguments = parser.parse_args()
    for name in arguments.names or ENSEMBLES:
        if name not in ENSEMBLES:
            parser.error(f"no code is called {name!r}: choose from {', '.join(ENSEMBLES)}")
        save(construct(ENSEMBLES[name], stored_lifting(ENSEMBLES[name]), SEED), arguments.output / f"{name}.npz")
        print(f"{name}: rate {ENSEMBLES[name].rate:g}, written to {arguments.output / f'{name}.npz'}")


if __name__ == "__main__":
    main()
