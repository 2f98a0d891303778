"""Density evolution of the codes of slices, behind the channel of their level."""

from collections import Counter

import numpy as np
import pytest

from kronborg.postprocessing.reconciliation.density_evolution import CONVERGED, residual_error_behind
from kronborg.postprocessing.reconciliation.ensembles import ENSEMBLES
from kronborg.postprocessing.reconciliation.level_design import (
    LEAST_STABILITY_MARGIN,
    WIDE,
    bhattacharyya,
    columns_with,
    improve,
    level_density,
    neighbour,
    spacing_of,
    stability_margin_behind,
)
from kronborg.postprocessing.reconciliation.slices import SPACING, capacity

CODE = ENSEMBLES["ldpc-0.53"]


@pytest.mark.parametrize("spacing", [1.523, 3.05, 6.1])
def test_the_density_of_a_level_has_its_capacity_and_is_symmetric(spacing: float) -> None:
    density = level_density(spacing)
    assert 1 - np.sum(density * np.logaddexp(0, -WIDE.llr)) / np.log(2) == pytest.approx(capacity(spacing), abs=3e-4)
    # E exp(-l) = 1 for a symmetric density: probabilities add up.
    assert np.sum(density * np.exp(-np.maximum(WIDE.llr, -30))) == pytest.approx(1, abs=2e-2)
    assert spacing_of(capacity(spacing)) == pytest.approx(spacing, rel=1e-6)


def test_the_middle_level_decodes_where_the_link_uses_it_and_not_beyond_its_capacity() -> None:
    used = 2 * SPACING
    assert residual_error_behind(level_density(used), CODE, 0, 800, WIDE) < CONVERGED
    assert stability_margin_behind(bhattacharyya(used), CODE, 0) > LEAST_STABILITY_MARGIN
    least = spacing_of(CODE.rate(0))
    assert 0.97 < least / used < 1
    assert residual_error_behind(level_density(0.99 * least), CODE, 0, 80, WIDE) > 0.01


def test_neighbours_keep_size_and_rate() -> None:
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(40):
        other = neighbour(CODE, rng)
        assert (other.core_columns, other.core_rows, other.lifting) == (400, 188, 6400)
        assert min(nodes.degree for nodes in other.columns) >= 2
        seen.add(other)
    assert len(seen) > 30
    with pytest.raises(ValueError, match="columns instead of 400"):
        columns_with(CODE, Counter({3: 399}))


def test_the_same_seed_searches_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from kronborg.postprocessing.reconciliation import level_design

    monkeypatch.setattr(level_design, "decodes", lambda ensemble, spacing: ensemble.columns[0].count % 3 == 0)
    monkeypatch.setattr(level_design, "threshold_spacing", lambda ensemble, high: high)
    first, again, other = (improve(CODE, 3.1, 30, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert first[1] < 3.1
