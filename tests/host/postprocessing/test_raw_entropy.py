"""Entropy of integers: what was counted, and how far chance may have lifted it."""

import math

import numpy as np
import pytest

from kronborg.postprocessing.raw_entropy import PairCounts, PairEntropy


def test_pairs_are_counted_together():
    """Two integers that are always equal have the entropy of one."""
    counts = PairCounts(8)
    rng = np.random.default_rng(1)
    one = rng.integers(-4, 4, 100_000).astype(np.int32)
    counts.add(counts.of(np.repeat(one, 2)))
    assert counts.entropy.symbols == 100_000
    assert counts.entropy.bits == pytest.approx(3, abs=1e-3)
    other = PairCounts(8)
    other.add(other.of(rng.integers(-4, 4, 200_000).astype(np.int32)))
    assert other.entropy.bits == pytest.approx(6, abs=1e-3)


def test_blocks_add_up_and_nothing_is_no_entropy():
    counts, whole = PairCounts(16), PairCounts(16)
    integers = np.random.default_rng(2).integers(-8, 8, 4000).astype(np.int32)
    whole.add(whole.of(integers))
    for part in np.split(integers, 4):
        counts.add(counts.of(part))
    assert counts.entropy == whole.entropy
    assert PairCounts(16).entropy == PairEntropy(0, 0.0)
    assert PairEntropy(0, 0.0).deviation(1e-10) == math.inf


def test_one_symbol_changes_the_entropy_by_no_more_than_the_bound_rests_on():
    n = 300
    rng = np.random.default_rng(3)
    most = (math.log2(n) + math.log2(math.e)) / n
    for shares in (1, 3, 16):
        symbols = rng.integers(0, shares, (n, 2)).astype(np.int32) - 8
        counts = PairCounts(16)
        counts.add(counts.of(symbols.reshape(-1)))
        for value in range(-8, 8):
            changed, again = symbols.copy(), PairCounts(16)
            changed[7] = value
            again.add(again.of(changed.reshape(-1)))
            assert abs(again.entropy.bits - counts.entropy.bits) <= most


def test_the_true_entropy_lies_below_its_bound_no_more_often_than_epsilon():
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.ones(16))
    true = -float(np.sum(shares * np.log2(shares)))
    epsilon, below, closest = 0.2, 0, math.inf
    for _ in range(2000):
        pairs = rng.choice(16, 200, p=shares)
        counts = PairCounts(4)
        counts.add(counts.of(np.stack([pairs // 4 - 2, pairs % 4 - 2], axis=1).reshape(-1).astype(np.int32)))
        bound = counts.entropy.bits - counts.entropy.deviation(epsilon)
        below += true < bound
        closest = min(closest, true - bound)
    assert below <= epsilon * 2000
    assert closest < 0.5, "a bound, and not a wall"


def test_more_symbols_and_a_larger_epsilon_leave_less_to_chance():
    few, many = PairEntropy(10**6, 5.0), PairEntropy(10**8, 5.0)
    assert many.deviation(1e-10) < few.deviation(1e-10) / 7
    assert few.deviation(1e-5) < few.deviation(1e-10)
    assert few.deviation(1e-10) == pytest.approx((math.log2(1e6) + 1.442695) * math.sqrt(23.02585 / 2e6), rel=1e-6)
