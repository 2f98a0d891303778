import numpy as np
import pytest

from kronborg.postprocessing.reconciliation.density_evolution import (
    CONVERGED,
    LLR,
    channel_density,
    check_messages,
    residual_error,
    snr_at,
    stability_margin,
)
from kronborg.postprocessing.reconciliation.design import design_of, ensemble_of, neighbour
from kronborg.postprocessing.reconciliation.ensembles import ENSEMBLES, Ensemble, Nodes


@pytest.mark.parametrize(("snr", "ceiling"), [(0.0286, 0.9966), (0.155, 0.9840), (0.361, 0.967), (1.0, 0.919)])
def test_the_channel_has_the_capacity_of_eight_dimensional_reconciliation(snr: float, ceiling: float) -> None:
    information = 1 - np.sum(channel_density(snr) * np.logaddexp(0, -LLR)) / np.log(2)
    assert information == pytest.approx(ceiling * 0.5 * np.log2(1 + snr), rel=1e-3)


def test_the_channel_is_symmetric() -> None:
    """f(-l) = f(l) exp(-l): the defining property of a density of log-likelihood ratios."""
    density = channel_density(0.3)
    positive, negative = density[len(LLR) // 2 + 1 :], density[len(LLR) // 2 - 1 : 0 : -1]
    assert negative == pytest.approx(positive * np.exp(-LLR[len(LLR) // 2 + 1 :]), abs=1e-15)


def test_checks_combine_densities_as_sampled_messages_combine() -> None:
    rng = np.random.default_rng(1)
    message, leaf = channel_density(2.0), channel_density(0.8)
    density = check_messages(message, [(0.4, 2), (0.6, 3)], leaf)
    drawn = np.tanh(rng.choice(LLR, (4, 400_000), p=message) / 2)
    drawn[0] = np.tanh(rng.choice(LLR, 400_000, p=leaf) / 2)
    drawn[3] = np.where(rng.random(400_000) < 0.4, 1, drawn[3])
    sampled = 2 * np.arctanh(drawn.prod(0))
    assert density.sum() == pytest.approx(1, abs=1e-9)
    assert np.sum(density * LLR) == pytest.approx(sampled.mean(), abs=5 * sampled.std() / np.sqrt(400_000))
    for level in (-0.5, 0.2, 1.0):
        below = density[level > LLR].sum()
        assert below == pytest.approx(np.mean(sampled < level), abs=0.01)


def test_the_design_decodes_where_its_code_does_and_not_below_capacity() -> None:
    ensemble = ENSEMBLES["met-0.11"]
    assert residual_error(ensemble, 872, snr_at(0.1, 0.95)) < CONVERGED
    assert residual_error(ensemble, 872, snr_at(0.1, 0.98), iterations=60) > 0.01


@pytest.mark.parametrize("name", [name for name, ensemble in ENSEMBLES.items() if ensemble.most_leaves])
def test_more_signal_never_hurts(name: str) -> None:
    """Far above the threshold all sums are large: they must not leave the grid at one end and enter it at the other."""
    ensemble = ENSEMBLES[name]
    leaves = ensemble.fewest_leaves
    assert residual_error(ensemble, leaves, snr_at(ensemble.rate(leaves), 0.65)) < CONVERGED


def test_the_published_tenth_rate_ensemble_is_unstable_at_its_published_threshold() -> None:
    """nu = .0775 x1^2 x2^20 + .0475 x1^3 x2^22, core checks .0025 x1^11 + .0225 x1^12: 5.68 > exp(21 / (2 sigma^2))."""
    published = Ensemble((Nodes(62, 2), Nodes(38, 3)), (Nodes(2, 11), Nodes(18, 12)), 297, 700, 700, 64)
    assert stability_margin(published, 700, 1 / 2.541**2) < 1
    for name, ensemble in ENSEMBLES.items():
        for leaves in (ensemble.fewest_leaves, ensemble.most_leaves):
            if leaves:
                assert stability_margin(ensemble, leaves, snr_at(ensemble.rate(leaves), 0.95)) > 1.15, name


def test_a_search_keeps_size_and_sockets_and_finds_what_it_began_with() -> None:
    rng = np.random.default_rng(2)
    ensemble = ENSEMBLES["met-0.11"]
    assert ensemble_of(design_of(ensemble), ensemble) == ensemble
    found = set()
    for _ in range(60):
        try:
            other = ensemble_of(neighbour(design_of(ensemble), rng), ensemble)
        except ValueError:
            continue
        assert other.core_columns == ensemble.core_columns
        assert other.lifting == ensemble.lifting
        found.add(other)
    assert len(found) > 25
