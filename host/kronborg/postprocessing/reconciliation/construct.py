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

from ...errors import InputError
from .base_graph import STORED, BaseGraph, save
from .ensembles import ENSEMBLES, SEED, Ensemble, stored_lifting


def construct(ensemble: Ensemble, lifting: int, seed: int) -> BaseGraph:
    """Lift an ensemble. The same arguments give the same graph on every machine.

    Raises:
        InputError: a check has more edges than there are columns, or the lifting is too small for a graph without
            cycles of length four.
    """
    if max(ensemble.core_check_degrees() + ensemble.leaf_check_degrees()) > ensemble.core_columns:
        raise InputError("a check would meet a column twice: give the ensemble more checks or more core columns")
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
        best = _farthest(grown, column, r, lifting)
        # Variable 0 of the column meets check k, so the shift is -k.
        shifts[r][place] = -best[rng.integers(len(best))] % lifting
        grown.append((r, column, shifts[r][place]))
    return shifts


def _farthest(edges: list[tuple[int, int, int]], column: int, row: int, lifting: int) -> list[int]:
    """Checks of a row to which the way from variable 0 of a column is longest, or which it cannot reach at all.

    A breadth-first search. Sets of variables of one column, and of checks of one row, are the bits of an integer, which
    a circulant turns.
    """
    everything = (1 << lifting) - 1

    def turned(bits: int, shift: int) -> int:
        return (bits >> shift | bits << lifting - shift) & everything

    seen_variables, seen_checks = {column: 1}, {row: 0}
    variables = {column: 1}
    last = everything
    while variables and seen_checks[row] != everything:
        checks: dict[int, int] = {}
        for r, c, shift in edges:
            if c in variables:
                checks[r] = checks.get(r, 0) | turned(variables[c], shift)
        checks = {r: bits & ~seen_checks.get(r, 0) for r, bits in checks.items()}
        seen_checks |= {r: bits | seen_checks.get(r, 0) for r, bits in checks.items()}
        last = checks.get(row, 0) or last
        reached: dict[int, int] = {}
        for r, c, shift in edges:
            if checks.get(r):
                reached[c] = reached.get(c, 0) | turned(checks[r], lifting - shift)
        reached = {c: bits & ~seen_variables.get(c, 0) for c, bits in reached.items()}
        seen_variables |= {c: bits | seen_variables.get(c, 0) for c, bits in reached.items()}
        variables = {c: bits for c, bits in reached.items() if bits}
    best = everything & ~seen_checks[row] or last
    return [k for k in range(lifting) if best >> k & 1]


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
            raise InputError(f"a lifting of {lifting} is too small to avoid cycles of length four: choose a larger one")
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
