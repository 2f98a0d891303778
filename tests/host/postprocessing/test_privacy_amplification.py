"""Toeplitz hashing against the matrix itself, piece boundaries included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.postprocessing import privacy_amplification
from kronborg.postprocessing.privacy_amplification import hash_bits, seed_length


def draw(rng, count):
    return rng.integers(0, 2, count, np.uint8)


def by_matrix(bits, seed, key_bits):
    n = len(bits)
    rows, columns = np.arange(key_bits)[:, None], np.arange(n)[None, :]
    matrix = seed[rows - columns + n - 1].astype(np.int64)
    assert (matrix[1:, 1:] == matrix[:-1, :-1]).all()  # constant along diagonals: Toeplitz
    return (matrix @ bits % 2).astype(np.uint8)


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32), st.sampled_from([5, 16, 64, 1 << 20]))
def test_equals_the_matrix_product_over_gf2(n, m, seed, piece):
    rng = np.random.default_rng(seed)
    bits, matrix = draw(rng, n), draw(rng, seed_length(n, m))
    before = privacy_amplification.PIECE
    privacy_amplification.PIECE = piece
    try:
        key = hash_bits(bits, matrix, m)
    finally:
        privacy_amplification.PIECE = before
    assert key.dtype == np.uint8
    np.testing.assert_array_equal(key, by_matrix(bits, matrix, m))


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32))
def test_is_linear(n, m, seed):
    rng = np.random.default_rng(seed)
    one, other, matrix = draw(rng, n), draw(rng, n), draw(rng, seed_length(n, m))
    np.testing.assert_array_equal(
        hash_bits(one ^ other, matrix, m), hash_bits(one, matrix, m) ^ hash_bits(other, matrix, m)
    )


def test_rows_of_a_large_hash_are_parities_counted_in_integers():
    """More than one piece in and out; every bit worst case: a block of ones has the largest sums."""
    rng = np.random.default_rng(1)
    n, m = 2_500_000, 1_200_000
    for bits in (draw(rng, n), np.ones(n, np.uint8)):
        matrix = draw(rng, seed_length(n, m))
        key = hash_bits(bits, matrix, m)
        for row in (0, 1, (1 << 20) - 1, 1 << 20, m - 1, *rng.integers(0, m, 20)):
            parity = int(np.count_nonzero(matrix[row : row + n][::-1] & bits)) & 1
            assert key[row] == parity


def test_every_input_bit_reaches_half_of_the_key():
    rng = np.random.default_rng(2)
    n, m = 1000, 400
    matrix = draw(rng, seed_length(n, m))
    changed = [hash_bits(np.eye(1, n, k, np.uint8)[0], matrix, m).sum() for k in (0, 1, n // 2, n - 1)]
    assert all(150 < count < 250 for count in changed)


def test_two_inputs_collide_as_often_as_chance():
    """2-universality, counted over every seed of a small matrix."""
    n, m = 5, 3
    one, other = np.array([1, 0, 1, 1, 0], np.uint8), np.array([0, 0, 1, 0, 1], np.uint8)
    seeds = (np.arange(2 ** seed_length(n, m))[:, None] >> np.arange(seed_length(n, m))) & 1
    collisions = sum(
        np.array_equal(hash_bits(one, seed, m), hash_bits(other, seed, m)) for seed in seeds.astype(np.uint8)
    )
    assert collisions * 2**m == len(seeds)


def test_an_inexact_sum_gives_no_key(monkeypatch):
    rng = np.random.default_rng(3)
    bits, matrix = draw(rng, 4096), draw(rng, seed_length(4096, 100))
    exact = np.fft.irfft
    for error in (0.3, np.nan):
        monkeypatch.setattr(np.fft, "irfft", lambda *a, error=error, **k: exact(*a, **k) + error)
        with pytest.raises(ArithmeticError, match="exactly"):
            hash_bits(bits, matrix, 100)


@pytest.mark.parametrize(("n", "m", "seed"), [(0, 1, 0), (10, 0, 9), (10, 5, 13), (10, 5, 15)])
def test_lengths_that_do_not_fit_are_refused(n, m, seed):
    with pytest.raises(ValueError, match="hash"):
        hash_bits(np.zeros(n, np.uint8), np.zeros(seed, np.uint8), m)
