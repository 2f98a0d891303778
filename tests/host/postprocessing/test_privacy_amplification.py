"""The modified Toeplitz hash against its matrix and big integers; every way of computing it against the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.postprocessing import privacy_amplification
from kronborg.postprocessing.privacy_amplification import hash_bits, hash_packed, native_levels, seed_bytes

LEVELS = range(-1, native_levels())


def draw(rng, count):
    return rng.integers(0, 2, count, np.uint8)


def by_matrix(bits, seed, key_bits):
    n = len(bits)
    drawn = np.unpackbits(np.frombuffer(seed, np.uint8), count=n - 1)
    rows, columns = np.arange(key_bits)[:, None], np.arange(n - key_bits)[None, :]
    toeplitz = drawn[rows - columns + n - key_bits - 1].astype(np.int64)
    assert (toeplitz[1:, 1:] == toeplitz[:-1, :-1]).all()  # constant along diagonals
    matrix = np.concatenate([np.eye(key_bits, dtype=np.int64), toeplitz], axis=1)
    return (matrix @ bits % 2).astype(np.uint8)


def by_integers(bits, seed, key_bits):
    """The same product in integers of Python: bits lie 16 apart, so that 65535 of them add up without a carry."""
    rest = bits[key_bits:]
    drawn = np.unpackbits(np.frombuffer(seed, np.uint8), count=len(bits) - 1)
    result, window = bits[:key_bits].copy(), 30_000
    for begin in range(0, len(rest), window):
        part = rest[begin : begin + window]
        product = int.from_bytes(part.astype("<u2").tobytes(), "little") * int.from_bytes(
            drawn.astype("<u2").tobytes(), "little"
        )
        sums = np.frombuffer(product.to_bytes(2 * (len(part) + len(drawn)), "little"), "<u2")
        first = len(rest) - 1 - begin
        result ^= (sums[first : first + key_bits] & 1).astype(np.uint8)
    return result


@pytest.mark.parametrize("level", LEVELS)
def test_equals_the_matrix_product_over_gf2(level):
    @settings(deadline=None, max_examples=60)
    @given(st.data(), st.integers(1, 700), st.integers(0, 2**32), st.sampled_from([8, 64, 1 << 20]))
    def equal(data, n, seed, piece):
        m = data.draw(st.integers(1, n))
        rng = np.random.default_rng(seed)
        bits, matrix = draw(rng, n), rng.bytes(seed_bytes(n))
        before = privacy_amplification.PIECE
        privacy_amplification.PIECE = piece
        try:
            key = hash_bits(bits, matrix, m, level=level)
        finally:
            privacy_amplification.PIECE = before
        assert key.dtype == np.uint8
        np.testing.assert_array_equal(key, by_matrix(bits, matrix, m))

    equal()


@pytest.mark.parametrize(("n", "m"), [(70_001, 9_000), (131_072, 65_536), (100_000, 99_999)])
def test_every_level_equals_products_of_big_integers(n, m):
    rng = np.random.default_rng(n)
    for bits in (draw(rng, n), np.ones(n, np.uint8)):
        matrix = rng.bytes(seed_bytes(n))
        expected = by_integers(bits, matrix, m)
        for level in LEVELS:
            np.testing.assert_array_equal(hash_bits(bits, matrix, m, level=level), expected)


@pytest.mark.parametrize("words", [3, 5, 6, 7, 12, 13, 24, 25, 48, 49, 96, 97])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_wraps_around_the_transform_never_reaches_the_key(words, share):
    """Lengths around those at which the transform doubles: every native level against numpy."""
    rng = np.random.default_rng(words)
    for n in (1024 * words - 31, 1024 * words, 1024 * words + 33):
        bits, matrix, m = draw(rng, n), rng.bytes(seed_bytes(n)), int(share * n)
        expected = hash_bits(bits, matrix, m, level=-1)
        for level in range(native_levels()):
            np.testing.assert_array_equal(hash_bits(bits, matrix, m, level=level), expected)


def test_numpy_and_the_native_library_agree_on_a_million_bits_of_several_pieces(monkeypatch):
    monkeypatch.setattr(privacy_amplification, "PIECE", 1 << 18)
    rng = np.random.default_rng(1)
    n, m = 1_000_003, 400_001
    bits, matrix = np.ones(n, np.uint8), rng.bytes(seed_bytes(n))
    in_numpy = hash_bits(bits, matrix, m, level=-1)
    np.testing.assert_array_equal(hash_bits(bits, matrix, m), in_numpy)
    drawn = np.unpackbits(np.frombuffer(matrix, np.uint8), count=n - 1)
    for row in (0, 1, (1 << 18) - 1, 1 << 18, m - 1, *rng.integers(0, m, 20)):
        assert in_numpy[row] == 1 ^ int(np.count_nonzero(drawn[row : row + n - m])) & 1


def test_without_the_native_library_numpy_does_it(monkeypatch):
    rng = np.random.default_rng(5)
    bits, matrix = draw(rng, 3000), rng.bytes(seed_bytes(3000))
    expected = hash_bits(bits, matrix, 1000)
    monkeypatch.setattr(privacy_amplification, "_library", lambda: None)
    assert native_levels() == 0
    np.testing.assert_array_equal(hash_bits(bits, matrix, 1000), expected)


@pytest.mark.parametrize("level", LEVELS)
def test_is_linear(level):
    rng = np.random.default_rng(2)
    one, other, matrix = draw(rng, 5000), draw(rng, 5000), rng.bytes(seed_bytes(5000))
    np.testing.assert_array_equal(
        hash_bits(one ^ other, matrix, 2000, level=level),
        hash_bits(one, matrix, 2000, level=level) ^ hash_bits(other, matrix, 2000, level=level),
    )


def test_bits_beyond_the_seed_change_nothing():
    rng = np.random.default_rng(3)
    bits, matrix = draw(rng, 100), bytearray(rng.bytes(seed_bytes(100)))
    for level in LEVELS:
        before = hash_bits(bits, bytes(matrix), 30, level=level)
        matrix[-1] ^= 0b00011111  # 99 bits: the last byte has three of them
        np.testing.assert_array_equal(hash_bits(bits, bytes(matrix), 30, level=level), before)


def test_two_inputs_collide_no_more_often_than_chance():
    """2-universality, counted over every seed of a small matrix, for every pair of blocks."""
    n, m = 6, 3
    seeds = [bytes([value << 3]) for value in range(2 ** (n - 1))]
    blocks = [(value >> np.arange(n) & 1).astype(np.uint8) for value in range(2**n)]
    for difference in blocks[1:]:
        collisions = sum(not hash_bits(difference, seed, m, level=-1).any() for seed in seeds)
        assert collisions * 2**m <= len(seeds)


def test_an_inexact_sum_gives_no_key(monkeypatch):
    rng = np.random.default_rng(4)
    bits, matrix = draw(rng, 4096), rng.bytes(seed_bytes(4096))
    exact = np.fft.irfft
    for error in (0.3, np.nan):
        monkeypatch.setattr(np.fft, "irfft", lambda *a, error=error, **k: exact(*a, **k) + error)
        with pytest.raises(ArithmeticError, match="exactly"):
            hash_bits(bits, matrix, 100, level=-1)


@pytest.mark.parametrize(("n", "m", "seed"), [(0, 1, 0), (10, 0, 2), (10, 11, 2), (10, 5, 1), (10, 5, 3)])
def test_lengths_that_do_not_fit_are_refused(n, m, seed):
    with pytest.raises(ValueError, match="hash"):
        hash_bits(np.zeros(n, np.uint8), bytes(seed), m)


@pytest.mark.parametrize("level", [-2, native_levels()])
def test_a_level_that_is_not_there_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        hash_bits(np.zeros(10, np.uint8), bytes(2), 5, level=level)


@pytest.mark.parametrize("key_bits", [1, 7, 8, 13, 64, 255, 999, 1000, 1001])
@pytest.mark.parametrize("level", LEVELS)
def test_packed_bits_give_the_packed_key(level: int, key_bits: int) -> None:
    rng = np.random.default_rng(key_bits)
    for n in (1001, 2003):
        bits = rng.integers(0, 2, n, dtype=np.uint8)
        seed = rng.bytes(seed_bytes(n))
        key = hash_packed(np.packbits(bits), n, seed, key_bits, level=level)
        assert key == np.packbits(_by_definition(bits, seed, key_bits)).tobytes()


def _by_definition(bits: np.ndarray, seed: bytes, m: int) -> np.ndarray:
    matrix, rest = np.unpackbits(np.frombuffer(seed, np.uint8)), bits[m:]
    k = len(rest)
    return np.array([bits[i] ^ (np.dot(matrix[i : i + k][::-1].astype(int), rest) & 1) for i in range(m)], np.uint8)
