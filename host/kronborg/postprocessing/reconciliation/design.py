"""Designs ensembles: reports what density evolution says of one, and looks for a better one near it.

    python -m kronborg.postprocessing.reconciliation.design met-0.1 [--rate 0.12] [--trials 200 --seed 3]

The search is a random walk on the degrees of core columns and core checks and on the mean degree of leaf checks. It
keeps a neighbour if that decodes at a lower SNR and few residual errors die out with some margin
(`stability_margin`). What it prints goes into `ensembles.ENSEMBLES`; `construct` then makes the codes.

What matters most, as searches have shown: core checks of two quite different degrees (the small ones begin the
decoding, the large ones give the rate), and the mean degree of leaf checks, which must be met to a few hundredths.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from .density_evolution import CONVERGED, residual_error, snr_at, stability_margin
from .ensembles import ENSEMBLES, Ensemble, Nodes

LEAST_STABILITY_MARGIN = 1.25
IMPROVEMENT = 1e-3
"""Step in efficiency that makes a neighbour better."""

Design = tuple[int, int, int, int, int]
"""Core columns of degree two, core checks of the two degrees' lower, both degrees, hundredths of a leaf degree."""


def core_checks(sockets: int, low: int, high: int, fewest: int) -> tuple[Nodes, ...]:
    """At least so many checks of the low degree, and of the high one and the next what the other sockets take."""
    others = sockets - fewest * low
    large = others // high
    more = others - large * high  # so many checks have one edge more
    if large <= more:
        raise ValueError(f"{sockets} sockets do not make {fewest} checks of degree {low} and others of {high}")
    classes = (Nodes(fewest, low), Nodes(large - more, high), Nodes(more, high + 1))
    return tuple(nodes for nodes in classes if nodes.count)


def ensemble_of(design: Design, like: Ensemble) -> Ensemble:
    """The ensemble with these degrees and the size of another.

    Raises:
        ValueError: sockets that cannot be dealt.
    """
    twos, fewest, low, high, hundredths = design
    threes = like.core_columns - twos
    return replace(
        like,
        columns=(Nodes(twos, 2), Nodes(threes, 3)),
        core_checks=core_checks(2 * twos + 3 * threes, low, high, fewest),
        leaf_hundredths=hundredths,
    )


def design_of(ensemble: Ensemble) -> Design:
    """The degrees of an ensemble."""
    low, high = ensemble.core_checks[:2]
    return ensemble.columns[0].count, low.count, low.degree, high.degree, ensemble.leaf_hundredths


def neighbour(design: Design, rng: np.random.Generator) -> Design:
    """A design with one to three of its numbers changed."""
    changed = list(design)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(5))
        step = (6, 3, 1, 2, 6)[place]
        changed[place] = max(changed[place] + int(rng.integers(-step, step + 1)), 1)
    return (changed[0], changed[1], changed[2], changed[3], changed[4])


def decodes(ensemble: Ensemble, rate: float, beta: float) -> bool:
    """Whether a member of this rate works at this efficiency, with some margin of stability."""
    leaves = ensemble.leaves_for(rate)
    snr = snr_at(ensemble.rate(leaves), beta)
    return (
        stability_margin(ensemble, leaves, snr) >= LEAST_STABILITY_MARGIN
        and residual_error(ensemble, leaves, snr) < CONVERGED
    )


def threshold_efficiency(ensemble: Ensemble, rate: float, low: float = 0.85, high: float = 0.99) -> float:
    """The largest efficiency at which a member of this rate works, to a thousandth."""
    while high - low > IMPROVEMENT:
        middle = (low + high) / 2
        low, high = (middle, high) if decodes(ensemble, rate, middle) else (low, middle)
    return low


def improve(ensemble: Ensemble, rate: float, beta: float, trials: int, seed: int) -> tuple[Ensemble, float]:
    """The best ensemble that so many trials find, and its threshold; `beta` is the threshold to begin with."""
    rng = np.random.default_rng(seed)
    design = design_of(ensemble)
    for _ in range(trials):
        tried = neighbour(design, rng)
        try:
            found = ensemble_of(tried, ensemble)
        except ValueError:
            continue
        if not 3 <= tried[2] < tried[3] or not 0 < tried[0] < ensemble.core_columns:
            continue
        if decodes(found, rate, beta + IMPROVEMENT):
            design, ensemble, beta = tried, found, threshold_efficiency(found, rate, beta + IMPROVEMENT)
    return ensemble, beta


def main() -> None:
    """Report, and search if asked to."""
    parser = argparse.ArgumentParser(description="Density evolution of an ensemble, and a search for a better one.")
    families = [name for name, ensemble in ENSEMBLES.items() if ensemble.most_leaves]
    parser.add_argument("name", choices=families, help="the ensemble to begin with")
    parser.add_argument("--rate", type=float, help="of the member to look at (default: the one in the name)")
    parser.add_argument("--trials", type=int, default=0, help="neighbours to try, seconds each (default: only report)")
    parser.add_argument("--seed", type=int, default=1, help="of the search")
    arguments = parser.parse_args()
    ensemble = ENSEMBLES[arguments.name]
    rate = arguments.rate or float(arguments.name.partition("-")[2])
    beta = threshold_efficiency(ensemble, rate)
    if arguments.trials:
        ensemble, beta = improve(ensemble, rate, beta, arguments.trials, arguments.seed)
    leaves = ensemble.leaves_for(rate)
    snr = snr_at(ensemble.rate(leaves), beta)
    print(
        f"{ensemble}\nrate {ensemble.rate(leaves):.4f}, threshold: SNR {snr:.4f} per quadrature, beta {beta:.4f},"
        f" stability margin {stability_margin(ensemble, leaves, snr):.2f}"
    )


if __name__ == "__main__":
    main()
