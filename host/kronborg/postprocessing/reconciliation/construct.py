"""Makes the codes: lifts an ensemble to a quasi-cyclic parity-check matrix, from a seed.

    python -m kronborg.postprocessing.reconciliation.construct [--output FOLDER] [NAME ...]

makes the stored codes again, bit for bit. How an ensemble becomes a matrix:

1. Sockets of the core checks are dealt to the core columns uniformly at random, no column twice to the same check.
   Where columns of degree two can do without cycles among themselves they do. Sockets of the leaf checks are dealt in
   rounds, each of which deals one to every column, in random order.
2. Each edge of the base graph becomes a circulant of `lifting` edges, given by one shift. Core shifts are grown edge by
   edge, columns of low degree first, so that each new edge closes as long a cycle as possible (progressive edge growth,
   Hu, Eleftheriou & Arnold 2005, on one representative of each orbit).
   In a large core only degree-two columns are grown. A core whose degree-two columns make a code word of few bits is
   dealt again.
3. All other shifts are drawn at random and drawn again wherever they would close a cycle of length four.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .base_graph import STORED, BaseGraph, save
from .ensembles import ENSEMBLES, SEED, Ensemble


def construct(ensemble: Ensemble, seed: int) -> BaseGraph:
    """Lift an ensemble, all its leaf checks. The same arguments give the same graph on every machine.

    Raises:
        InputError: a check has more edges than there are columns, or the lifting is too small for a graph without
            cycles of length four.
    """
    leaf_degrees = ensemble.leaf_check_degrees(ensemble.most_leaves)
    if max(ensemble.core_check_degrees() + leaf_degrees) > ensemble.core_columns:
        raise InputError("a check would meet a column twice: give the ensemble more checks or more core columns")
    rng = np.random.default_rng(seed)
    column_degrees = np.array(ensemble.column_degrees())
    for _ in range(200):
        core_rows = _deal(column_degrees, ensemble.core_check_degrees(), rng)
        _cut_cycles(core_rows, column_degrees, rng)
        leaf_rows = _deal_in_rounds(ensemble.core_columns, leaf_degrees, rng)
        core_shifts = _grow_core(core_rows, column_degrees, ensemble.lifting, rng)
        if lightest_cycle(core_rows, core_shifts, column_degrees, ensemble.lifting) >= LIGHTEST:
            break
    else:
        raise InputError("columns of degree two close cycles of few bits: take fewer of them or a larger lifting")
    rows = core_rows + leaf_rows
    shifts = _draw(rows, core_shifts + [[-1] * len(row) for row in leaf_rows], ensemble.lifting, rng)
    return BaseGraph(
        ensemble.lifting,
        ensemble.core_columns,
        ensemble.core_rows,
        np.array([len(row) for row in rows]),
        np.concatenate(rows).astype(np.int32),
        np.concatenate(shifts).astype(np.int32),
    )


def _cut_cycles(rows: list[list[int]], column_degrees: NDArray[np.int64], rng: np.random.Generator) -> None:
    """Swap sockets until columns of degree two form no cycle among themselves, if they are few enough for that.

    A cycle of such columns is a code word of few bits, however the circulants are turned.
    """
    twos = np.flatnonzero(column_degrees == 2)
    if len(twos) >= len(rows):
        return
    tree = list(range(len(rows)))

    def root(row: int) -> int:
        while tree[row] != row:
            row = tree[row]
        return row

    for column in map(int, twos):
        first, second = (r for r, row in enumerate(rows) if column in row)
        while root(first) == root(second):
            other = int(rng.integers(len(rows)))
            there = int(rng.integers(len(rows[other])))
            theirs = rows[other][there]
            if column_degrees[theirs] > 2 and theirs not in rows[second] and column not in rows[other]:
                rows[second][rows[second].index(column)] = theirs
                rows[other][there] = column
                second = other
        tree[root(first)] = root(second)


def _deal_in_rounds(columns: int, row_degrees: list[int], rng: np.random.Generator) -> list[list[int]]:
    """Columns of each row: all columns in random order, again and again, so that each beginning is even."""
    rows, waiting = [], list(map(int, rng.permutation(columns)))
    for degree in row_degrees:
        while len(waiting) < degree:
            following = list(map(int, rng.permutation(columns)))
            if not set(waiting) & set(following[: degree - len(waiting)]):
                waiting += following
        rows.append(waiting[:degree])
        del waiting[:degree]
    return rows


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


LIGHTEST = 8
"""Fewest bits of a code word that a cycle of degree-two columns may make."""

LONGEST = 6
"""Columns of the cycles that are looked at."""


def lightest_cycle(
    rows: list[list[int]], shifts: list[list[int]], column_degrees: NDArray[np.int64], lifting: int
) -> int:
    """Fewest bits of a code word made of one cycle of up to `LONGEST` degree-two columns; at most the lifting.

    Once around, such a cycle comes back turned by the sum of its shifts, so it closes after the order of that sum.
    """
    ends: dict[int, list[tuple[int, int]]] = {}  # row and shift at both ends of a column
    for r, (row, turns) in enumerate(zip(rows, shifts, strict=True)):
        for column, turn in zip(row, turns, strict=True):
            if column_degrees[column] == 2:
                ends.setdefault(column, []).append((r, turn))
    ways: dict[int, list[tuple[int, int, int]]] = {}  # of a row: column, row behind it, what it turns by
    for column, ((first, a), (second, b)) in ends.items():
        ways.setdefault(first, []).append((column, second, a - b))
        ways.setdefault(second, []).append((column, first, b - a))
    lightest = lifting

    def walk(begin: int, row: int, turned: int, used: tuple[int, ...]) -> None:
        nonlocal lightest
        for column, behind, turn in ways.get(row, []):
            if column in used or behind < begin:
                continue
            if behind == begin:
                order = lifting // gcd((turned + turn) % lifting, lifting)
                lightest = min(lightest, order * (len(used) + 1))
            elif len(used) + 1 < LONGEST:
                walk(begin, behind, turned + turn, (*used, column))

    for begin in range(len(rows)):
        walk(begin, begin, 0, ())
    return lightest


GROWN_EDGES = 600
"""Of a core with more edges, only those of degree-two columns are grown; it takes time as their number squared."""


def _grow_core(
    rows: list[list[int]], column_degrees: NDArray[np.int64], lifting: int, rng: np.random.Generator
) -> list[list[int]]:
    shifts = [[-1] * len(row) for row in rows]
    grown: list[tuple[int, int, int]] = []  # row, column, shift
    edges = [(column, r, place) for r, row in enumerate(rows) for place, column in enumerate(row)]
    if len(edges) > GROWN_EDGES:
        edges = [edge for edge in edges if column_degrees[edge[0]] == 2]
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


def _draw(rows: list[list[int]], shifts: list[list[int]], lifting: int, rng: np.random.Generator) -> list[list[int]]:
    """Draw the shifts that are still -1. No two columns may differ by the same shift in two rows: a 4-cycle."""

    def differences(row: list[int], shifts: list[int]) -> set[tuple[int, int, int]]:
        edges = sorted(zip(row, shifts, strict=True))
        return {(a, b, (s - t) % lifting) for (a, s), (b, t) in combinations(edges, 2)}

    taken: set[tuple[int, int, int]] = set()
    complete = []
    for row, given in zip(rows, shifts, strict=True):
        for _ in range(1000):
            tried = [int(rng.integers(lifting)) if shift < 0 else shift for shift in given]
            new = differences(row, tried)
            if not new & taken:
                break
        else:
            raise InputError(f"a lifting of {lifting} is too small to avoid cycles of length four: choose a larger one")
        taken |= new
        complete.append(tried)
    return complete


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
        ensemble = ENSEMBLES[name]
        save(construct(ensemble, SEED), arguments.output / f"{name}.npz")
        rates = f"{ensemble.rate(ensemble.most_leaves):.4g} to {ensemble.rate(ensemble.fewest_leaves):.4g}"
        print(f"{name}: rates {rates}, written to {arguments.output / f'{name}.npz'}")


if __name__ == "__main__":
    main()
