"""Designs ensembles: reports what density evolution says of one, and looks for a better one near it.

    python -m kronborg.postprocessing.reconciliation.design met-0.2 [--trials 200 --seed 3]

The search is a random walk on the counts and degrees of core columns at constant rate. It keeps a neighbour if that
decodes at a lower SNR and few residual errors die out with some margin (`stability_margin`). What it prints goes into
`ensembles.ENSEMBLES`; `construct` then makes the code.
"""

from __future__ import annotations

import argparse

import numpy as np

from .density_evolution import CONVERGED, efficiency, residual_error, stability_margin, threshold_snr
from .ensembles import ENSEMBLES, Columns, Ensemble

LEAST_STABILITY_MARGIN = 1.3
IMPROVEMENT = 1e-3
"""Relative step in SNR that makes a neighbour better."""


def neighbour(ensemble: Ensemble, rng: np.random.Generator) -> Ensemble | None:
    """An ensemble of the same rate and size with a few counts or degrees changed; None if that makes no ensemble."""
    variables = ensemble.core_columns + ensemble.leaf_checks
    dimension = ensemble.core_columns - ensemble.core_checks
    classes = [[c.count, c.core_degree, c.leaf_degree] for c in ensemble.columns]
    for _ in range(rng.integers(1, 4)):
        chosen, other = rng.integers(len(classes), size=2)
        match rng.integers(4):
            case 0:
                classes[chosen][0] += int(rng.choice([-4, -2, 2, 4]))
            case 1:
                moved = int(rng.choice([2, 4, 8]))
                classes[chosen][0] += moved
                classes[other][0] -= moved
            case _:
                classes[chosen][2] += int(rng.choice([-3, -2, -1, 1, 2, 3]))
    core = sum(count for count, _, _ in classes)
    if any(count < 1 or leaf_degree < 1 for count, _, leaf_degree in classes) or core <= dimension:
        return None
    return Ensemble(tuple(Columns(*c) for c in classes), core - dimension, variables - core)


def improve(ensemble: Ensemble, snr: float, trials: int, seed: int) -> tuple[Ensemble, float]:
    """The best ensemble that so many trials find, and its threshold; `snr` is the threshold to begin with."""
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        found = neighbour(ensemble, rng)
        wanted = snr * (1 - IMPROVEMENT)
        if found is None or stability_margin(found, wanted) < LEAST_STABILITY_MARGIN:
            continue
        if residual_error(found, wanted) < CONVERGED:
            ensemble, snr = found, threshold_snr(found, 0.98 * wanted, wanted)
    return ensemble, snr


def main() -> None:
    """Report, and search if asked to."""
    parser = argparse.ArgumentParser(description="Density evolution of an ensemble, and a search for a better one.")
    parser.add_argument("name", choices=list(ENSEMBLES), help="the ensemble to begin with")
    parser.add_argument("--trials", type=int, default=0, help="neighbours to try, seconds each (default: only report)")
    parser.add_argument("--seed", type=int, default=1, help="of the search")
    arguments = parser.parse_args()
    ensemble = ENSEMBLES[arguments.name]
    capacity_snr = 2 ** (2 * ensemble.rate) - 1
    snr = threshold_snr(ensemble, capacity_snr, 2 * capacity_snr)
    if arguments.trials:
        ensemble, snr = improve(ensemble, snr, arguments.trials, arguments.seed)
    print(
        f"{ensemble}\nthreshold: SNR {snr:.4f} per quadrature, beta {efficiency(ensemble.rate, snr):.4f},"
        f" stability margin {stability_margin(ensemble, snr):.2f}"
    )


if __name__ == "__main__":
    main()
