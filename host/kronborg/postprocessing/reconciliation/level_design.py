"""Designs the codes of slices: reports what density evolution says of one, and looks for a better one near it.

    python -m kronborg.postprocessing.reconciliation.level_design ldpc-0.53 [--trials 200 --seed 1]

The channel of a level is a lattice in Gaussian noise (`slices`), so what counts is the smallest spacing, in standard
deviations of the noise, at which the code decodes: the nearer it lies to the one whose capacity is the code's rate, the
better. The search is a random walk on the numbers and degrees of the columns at a fixed number of checks, hence at a
fixed rate; it keeps a neighbour if that decodes at a smaller spacing and few residual errors die out with some margin.
What it prints goes into `ensembles.ENSEMBLES`; `construct` then makes the codes. (The lowest level's code has leaves:
`design`.)
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace

import numpy as np

from .density_evolution import (
    CONVERGED,
    WIDE_STEP,
    Density,
    Grid,
    residual_error_behind,
    stability_margin_behind,
)
from .ensembles import ENSEMBLES, Ensemble, Nodes
from .slices import capacity, level_llr

LEAST_STABILITY_MARGIN = 1.08
IMPROVEMENT = 2e-3
"""Relative step in spacing that makes a neighbour better."""

MOST_COLUMN_EDGES = 60
WIDE = Grid(WIDE_STEP)


def level_density(spacing: float) -> Density:
    """LLR of a level's bit, given that it is 0, on the wide grid."""
    noise = np.linspace(-9, 9, 40001)
    llr = level_llr(spacing, noise / spacing).astype(np.float64)
    return WIDE.density(llr, np.exp(-(noise**2) / 2))


def bhattacharyya(spacing: float) -> float:
    """Mean of exp(-LLR / 2), given that the bit is 0."""
    return float(np.sum(level_density(spacing) * np.exp(-WIDE.llr / 2)))


def decodes(ensemble: Ensemble, spacing: float, iterations: int = 800) -> bool:
    """Whether a code without leaves works at this spacing, with some margin of stability."""
    return (
        stability_margin_behind(bhattacharyya(spacing), ensemble, 0) >= LEAST_STABILITY_MARGIN
        and residual_error_behind(level_density(spacing), ensemble, 0, iterations, WIDE) < CONVERGED
    )


def spacing_of(rate: float) -> float:
    """Where the capacity of a level is this rate."""
    low, high = 0.5, 12.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if capacity(middle) < rate else (low, middle)
    return high


def threshold_spacing(ensemble: Ensemble, high: float | None = None) -> float:
    """The smallest spacing at which an ensemble works, to a thousandth; below `high` if that is given."""
    low = spacing_of(ensemble.rate(0))
    high = high or 1.3 * low
    while high / low > 1.001:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if decodes(ensemble, middle) else (middle, high)
    return high


def columns_with(ensemble: Ensemble, degrees: Counter[int]) -> Ensemble:
    """Another ensemble of that size and rate, with so many columns of each degree; checks as equal as they can be.

    Raises:
        ValueError: other numbers of columns.
    """
    if sum(degrees.values()) != ensemble.core_columns:
        raise ValueError(f"{sum(degrees.values())} columns instead of {ensemble.core_columns}")
    sockets = sum(degree * count for degree, count in degrees.items())
    low, more = divmod(sockets, ensemble.core_rows)
    checks = (Nodes(ensemble.core_rows - more, low), *((Nodes(more, low + 1),) if more else ()))
    columns = tuple(Nodes(count, degree) for degree, count in sorted(degrees.items()) if count)
    return replace(ensemble, columns=columns, core_checks=checks)


def neighbour(ensemble: Ensemble, rng: np.random.Generator) -> Ensemble:
    """The same with one to three changes: some columns get another degree, or all of one degree do."""
    degrees = Counter({nodes.degree: nodes.count for nodes in ensemble.columns})
    for _ in range(rng.integers(1, 4)):
        present = sorted(degrees)
        degree = int(rng.choice(present))
        if rng.integers(2):
            moved = min(degrees[degree], int(rng.integers(1, max(ensemble.core_columns // 30, 2))))
            other = int(rng.choice(present))
        else:
            moved = degrees[degree] if degree > 3 else int(rng.integers(1, max(ensemble.core_columns // 60, 2)))
            other = int(np.clip(degree + rng.integers(-3, 4), 2, MOST_COLUMN_EDGES))
        moved = min(moved, degrees[degree])
        degrees[degree] -= moved
        degrees[other] += moved
        degrees = +degrees
    return columns_with(ensemble, degrees)


def improve(ensemble: Ensemble, spacing: float, trials: int, seed: int) -> tuple[Ensemble, float]:
    """The best ensemble that so many trials find, and its threshold; `spacing` is the threshold to begin with."""
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        tried = neighbour(ensemble, rng)
        if decodes(tried, spacing * (1 - IMPROVEMENT)):
            ensemble, spacing = tried, threshold_spacing(tried, spacing * (1 - IMPROVEMENT))
    return ensemble, spacing


def main() -> None:
    """Report, and search if asked to."""
    parser = argparse.ArgumentParser(
        description="Density evolution of a code of slices, and a search for a better one."
    )
    levels = [name for name, ensemble in ENSEMBLES.items() if not ensemble.most_leaves]
    parser.add_argument("name", choices=levels, help="the ensemble to begin with")
    parser.add_argument("--trials", type=int, default=0, help="neighbours to try, seconds each (default: only report)")
    parser.add_argument("--seed", type=int, default=1, help="of the search")
    arguments = parser.parse_args()
    ensemble = ENSEMBLES[arguments.name]
    spacing = threshold_spacing(ensemble)
    if arguments.trials:
        ensemble, spacing = improve(ensemble, spacing, arguments.trials, arguments.seed)
    print(
        f"{ensemble}\nrate {ensemble.rate(0):.4f}, threshold: spacing {spacing:.4f}, where a level can carry"
        f" {capacity(spacing):.4f}, stability margin"
        f" {stability_margin_behind(bhattacharyya(spacing), ensemble, 0):.2f}"
    )


if __name__ == "__main__":
    main()
