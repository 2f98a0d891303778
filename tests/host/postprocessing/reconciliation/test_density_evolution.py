import numpy as np
import pytest

from kronborg.postprocessing.reconciliation.density_evolution import (
    CONVERGED,
    LLR,
    channel_density,
    check_messages,
    residual_error,
    stability_margin,
)
from kronborg.postprocessing.reconciliation.design import neighbour
from kronborg.postprocessing.reconciliation.ensembles import ENSEMBLES, Columns, Ensemble


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
    ensemble = ENSEMBLES["met-0.1"]
    assert residual_error(ensemble, 0.1595) < CONVERGED
    assert residual_error(ensemble, 0.152, iterations=100) > 0.01


@pytest.mark.parametrize("name", list(ENSEMBLES))
def test_more_signal_never_hurts(name: str) -> None:
    """Far above the threshold all sums are large: they must not leave the grid at one end and enter it at the other."""
    ensemble = ENSEMBLES[name]
    assert residual_error(ensemble, 2 ** (2 * ensemble.rate / 0.6) - 1) < CONVERGED


def test_the_published_tenth_rate_ensemble_is_unstable_at_its_published_threshold() -> None:
    """nu = .0775 x1^2 x2^20 + .0475 x1^3 x2^22, core checks .0025 x1^11 + .0225 x1^12: 5.68 > exp(21 / (2 sigma^2))."""
    published = Ensemble((Columns(62, 2, 20), Columns(38, 3, 22)), core_checks=20, leaf_checks=700)
    assert published.core_check_degrees() == [12] * 18 + [11] * 2
    assert stability_margin(published, 1 / 2.541**2) < 1
    for name, ensemble in ENSEMBLES.items():
        assert stability_margin(ensemble, 2 ** (2 * ensemble.rate) - 1) > 1.3, name


def test_neighbours_keep_rate_and_size() -> None:
    rng = np.random.default_rng(2)
    ensemble = ENSEMBLES["met-0.2"]
    found = [other for other in (neighbour(ensemble, rng) for _ in range(50)) if other is not None]
    assert len(set(found)) > 25
    for other in found:
        assert other.rate == pytest.approx(ensemble.rate, abs=1e-12)
        assert other.core_columns + other.leaf_checks == ensemble.core_columns + ensemble.leaf_checks
