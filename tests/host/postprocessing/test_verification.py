"""The universal hash against its definition, and against bits that differ."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.postprocessing import verification
from kronborg.postprocessing.verification import KEY_BYTES, PRIME, TAG_BITS, collision_probability, tag

BITS = st.lists(st.integers(0, 1), max_size=700).map(lambda bits: np.array(bits, np.uint8))
KEYS = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


def polynomial(bits, point):
    """Length, then the words of 120 bits, as coefficients from the highest power down."""
    text = "".join(map(str, bits))
    text = text.ljust(-(-len(text) // 120) * 120, "0")
    coefficients = [len(bits)] + [int(text[start : start + 120], 2) for start in range(0, len(text), 120)]
    return sum(c * pow(point, power, PRIME) for power, c in enumerate(reversed(coefficients))) % PRIME


@settings(deadline=None)
@given(BITS, KEYS)
def test_tag_is_the_polynomial_at_the_keys_point(bits, key):
    point = int.from_bytes(key, "big") >> 1
    assert int.from_bytes(tag(bits, key), "big") == polynomial(bits.tolist(), point)
    assert int.from_bytes(tag(bits, key), "big") < 2**TAG_BITS


def test_prime_is_the_mersenne_prime():
    """Lucas and Lehmer's test."""
    value = 4
    for _ in range(125):
        value = (value * value - 2) % PRIME
    assert value == 0


@pytest.mark.parametrize("length", [1, 119, 120, 121, 5000])
def test_every_single_flip_and_every_cut_changes_the_tag(length):
    rng = np.random.default_rng(length)
    bits, key = rng.integers(0, 2, length, np.uint8), rng.bytes(KEY_BYTES)
    tags = {tag(bits, key), tag(bits[:-1], key), tag(np.append(bits, np.uint8(0)), key)}
    for position in range(0, length, max(length // 100, 1)):
        flipped = bits.copy()
        flipped[position] ^= 1
        tags.add(tag(flipped, key))
    assert len(tags) == 3 + len(range(0, length, max(length // 100, 1)))


def test_collisions_in_a_small_field_are_no_more_than_the_bound(monkeypatch):
    """The same hash modulo 127 and with words of 1 byte: every point tried, for many pairs of blocks."""
    monkeypatch.setattr(verification, "PRIME", 8191)
    monkeypatch.setattr(verification, "WORD_BYTES", 1)
    rng = np.random.default_rng(1)
    keys = [(2 * point).to_bytes(KEY_BYTES, "big") for point in range(8191)]
    worst = 0
    for _ in range(6):
        one, other = rng.integers(0, 2, (2, 64), np.uint8)
        worst = max(worst, sum(tag(one, key) == tag(other, key) for key in keys))
    assert worst <= 8
    assert worst / 8191 <= collision_probability(64)


def test_collision_bound_suffices_for_megabit_blocks():
    assert 0 < collision_probability(1_000_000) < 2.0**-112
    assert collision_probability(2_000_000) > collision_probability(1_000_000)


def test_different_keys_give_different_tags():
    bits = np.random.default_rng(2).integers(0, 2, 1000, np.uint8)
    assert len({tag(bits, bytes([0] * 15 + [2 * value])) for value in range(128)}) == 128


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="16 bytes"):
        tag(np.zeros(8, np.uint8), bytes(length))


def test_a_megabit_takes_well_under_a_tenth_of_a_second():
    rng = np.random.default_rng(3)
    bits, key = rng.integers(0, 2, 1_000_000, np.uint8), rng.bytes(KEY_BYTES)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        tag(bits, key)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.05
