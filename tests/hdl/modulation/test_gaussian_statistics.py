import math
from collections.abc import Callable

import numpy as np
import pytest

from kronborg_hdl.modulation.gaussian.model import DEFAULT_DEVIATION, GaussianSource
from kronborg_hdl.modulation.gaussian.statistics import (
    Battery,
    Report,
    WordDistribution,
    anderson_darling,
    anderson_darling_p,
    chi_square_p,
    gamma_upper,
    normal_p,
)

P_VALUES = ("chi_square_p", "anderson_darling_p", "tail_p", "moments_p", "correlation_p", "independence_p")


@pytest.fixture(scope="module")
def report() -> Report:
    battery, rng = Battery(), np.random.default_rng(1)
    for _ in range(32):
        battery.add(GaussianSource().process(rng.integers(0, 2**64, 62_500, np.uint64)).words)
    return battery.report()


@pytest.mark.parametrize("name", P_VALUES)
def test_the_source_is_gaussian(report: Report, name: str) -> None:
    assert report.samples == 4_000_000
    # Seeded: that one of six falls below by chance was a matter of 0.6 % once.
    assert 0.001 < report.p_values[name] <= 1


def test_the_report_counts_the_tail(report: Report) -> None:
    assert 4.5 < report.largest_sigma_seen < 6.5
    seen, expected = zip(*report.tail_counts, strict=True)
    assert sum(seen) == report.samples == pytest.approx(sum(expected))
    assert expected[8] == pytest.approx(report.samples * math.erfc(8 / math.sqrt(2)), rel=0.01)


def test_merged_batteries_report_as_one() -> None:
    words = np.round(symbols(np.random.default_rng(3), 4000)).astype(np.int16)
    whole, parts = Battery(), [Battery(), Battery()]
    for n, block in enumerate(np.split(words, 4)):
        whole.add(block)
        parts[n % 2].add(block)
    parts[0].merge(parts[1])
    merged, expected = parts[0].report(), whole.report()
    assert merged.tail_counts == expected.tail_counts
    assert merged.p_values == pytest.approx(expected.p_values, rel=1e-9)


def symbols(rng: np.random.Generator, count: int = 1 << 20) -> np.ndarray:
    return rng.standard_normal((count, 2)) * 4096


def too_wide(x: np.ndarray) -> np.ndarray:
    return x * 1.004


def shifted(x: np.ndarray) -> np.ndarray:
    return x + 20


def without_tail(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -3.99 * 4096, 3.99 * 4096)


def sum_of_uniforms(x: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(5)
    return (rng.random((12, *x.shape), np.float32).sum(axis=0) - 6) * 4096


def coarse(x: np.ndarray) -> np.ndarray:
    return np.round(x / 64) * 64


def remembering(x: np.ndarray) -> np.ndarray:
    y = x.copy()
    y[3:] = math.sqrt(1 - 0.01**2) * x[3:] + 0.01 * x[:-3, ::-1]
    return y


def bursts(x: np.ndarray) -> np.ndarray:
    power = 1 + 0.05 * np.sin(np.arange(len(x)) / 5)
    return x * power[:, None] / np.sqrt(np.mean(power**2))


def bound_together(x: np.ndarray) -> np.ndarray:
    y = x.copy()
    y[:, 1] = np.abs(y[:, 1]) * np.sign(y[:, 0]) * np.where(np.random.default_rng(6).random(len(y)) < 0.51, 1, -1)
    return y


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (too_wide, "chi_square_p"),
        (too_wide, "anderson_darling_p"),
        (too_wide, "moments_p"),
        (shifted, "anderson_darling_p"),
        (shifted, "moments_p"),
        (without_tail, "tail_p"),
        (sum_of_uniforms, "chi_square_p"),
        (sum_of_uniforms, "moments_p"),
        (coarse, "chi_square_p"),
        (remembering, "correlation_p"),
        (bursts, "correlation_p"),
        (bound_together, "independence_p"),
    ],
)
def test_a_faulty_source_is_found(fault: Callable[[np.ndarray], np.ndarray], name: str) -> None:
    battery = Battery()
    for seed in range(2):
        x = symbols(np.random.default_rng(seed))
        battery.add(np.clip(np.round(fault(x)), -(2**15), 2**15 - 1).astype(np.int16))
    assert getattr(battery.report(), name) < 1e-5


def test_p_values_are_uniform_for_a_true_gaussian() -> None:
    values: dict[str, list[float]] = {name: [] for name in P_VALUES}
    rng = np.random.default_rng(4)
    for _ in range(60):
        battery = Battery()
        battery.add(np.round(symbols(rng, 20_000)).astype(np.int16))
        report = battery.report()
        for name in P_VALUES:
            values[name].append(getattr(report, name))
    for name, drawn in values.items():
        if name != "moments_p":  # four tests in one: only the bound holds
            distance = np.max(np.abs(np.sort(drawn) - np.linspace(0, 1, len(drawn))))
            assert distance < 1.95 / math.sqrt(len(drawn)), f"{name} (Kolmogorov, 0.1 %)"
    assert np.mean(np.array(values["moments_p"]) < 0.1) < 0.2


@pytest.mark.parametrize(
    ("freedom", "statistic", "p"),
    [(1, 3.841459, 0.05), (10, 18.307038, 0.05), (100, 124.342113, 0.05), (255, 310.457388, 0.01), (2, 46.0517, 1e-10)],
)
def test_chi_square_p_is_that_of_tables(freedom: int, statistic: float, p: float) -> None:
    assert gamma_upper(freedom / 2, statistic / 2) == pytest.approx(p, rel=1e-5)


def test_chi_square_counts_one_degree_less_than_cells() -> None:
    observed, expected = np.array([55, 45]), np.array([50.0, 50.0])
    assert chi_square_p(observed, expected) == pytest.approx(normal_p(1.0), rel=1e-12)


@pytest.mark.parametrize(("statistic", "p"), [(1.2479, 0.25), (1.9330, 0.10), (2.4924, 0.05), (3.8781, 0.01)])
def test_anderson_darling_p_is_that_of_tables(statistic: float, p: float) -> None:
    assert anderson_darling_p(statistic) == pytest.approx(p, rel=2e-3)


def test_anderson_darling_of_counts_is_that_of_the_samples() -> None:
    x = symbols(np.random.default_rng(7), 2000).reshape(-1)
    words = np.round(x).astype(np.int64)
    counts = np.bincount(words + 2**15, minlength=2**16)
    u = np.sort([0.5 * math.erfc(-value / 4096 / math.sqrt(2)) for value in x])
    n = np.arange(1, len(u) + 1)
    classic = -len(u) - np.mean((2 * n - 1) * (np.log(u) + np.log1p(-u[::-1])))
    assert anderson_darling(counts, WordDistribution.of(DEFAULT_DEVIATION)) == pytest.approx(classic, rel=0.02)
