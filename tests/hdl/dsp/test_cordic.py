import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kronborg_hdl.dsp.cordic import ANGLE_BITS, GAIN, GUARD_BITS, ITERATIONS, STEPS, magnitude_bits, polar, wrap

WIDTH = 24
WORD = st.integers(-(1 << (WIDTH - 1)), (1 << (WIDTH - 1)) - 1)


def in_words(x: int, y: int) -> tuple[int, int]:
    """The definition, in Python's integers."""
    x, y, z = x << 4, y << 4, 0
    if x < 0:
        x, y, z = -x, -y, 1 << 21
    for i in range(16):
        d = 1 if y >= 0 else -1
        x, y, z = x + d * (y >> i), y - d * (x >> i), z + d * STEPS[i]
    angle = (z + 8) >> 4
    return (x + 8) >> 4, (angle + 2**17) % 2**18 - 2**17


@given(WORD, WORD)
@example(0, 0)
@example(-(1 << 23), -(1 << 23))
@example(-(1 << 23), 0)
@example(-1, 0)
def test_equals_its_definition_in_integers(x: int, y: int) -> None:
    magnitude, angle = polar(np.array([[x, y]]))
    assert (int(magnitude[0]), int(angle[0])) == in_words(x, y)


@pytest.mark.parametrize("seed", range(3))
def test_is_as_right_as_it_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    length, direction = 2 ** rng.uniform(0, WIDTH - 1.01, 300_000), rng.uniform(-np.pi, np.pi, 300_000)
    words = np.round(np.stack([length * np.cos(direction), length * np.sin(direction)], axis=-1)).astype(np.int64)
    exact = words @ (1, 1j)
    words, exact = words[exact != 0], exact[exact != 0]
    magnitude, angle = polar(words)
    error = np.angle(np.exp(2j * np.pi * angle / 2**ANGLE_BITS) * np.conj(exact))
    assert np.all(np.abs(error) <= 2.0**-15 + 1 / np.abs(exact) + 2.0**-15)
    assert np.all(np.abs(magnitude / GAIN - np.abs(exact)) <= 1 + 2.0**-30 * np.abs(exact))
    # The bound is no more than a few times what is met.
    assert np.abs(error[np.abs(exact) > 1e5]).max() > 2.0**-16


def test_the_table_and_the_gain_are_those_of_the_iterations() -> None:
    assert len(STEPS) == ITERATIONS == 16
    for i, step in enumerate(STEPS):
        assert abs(step - math.atan(2.0**-i) / (2 * math.pi) * 2 ** (ANGLE_BITS + GUARD_BITS)) <= 0.5
    assert pytest.approx(1.6467602581) == GAIN


def test_the_longest_vector_fits() -> None:
    corner = -(1 << (WIDTH - 1))
    magnitude, angle = polar(np.array([[corner, corner], [corner, 0], [0, corner]]))
    assert 2 ** (magnitude_bits(WIDTH) - 1) < magnitude.max() < 2 ** magnitude_bits(WIDTH)
    assert np.abs(wrap(angle - [-3 << 15, -1 << 17, -1 << 16])).max() <= 1


def test_zero_has_no_length() -> None:
    assert polar(np.zeros((3, 2), np.int32))[0].tolist() == [0, 0, 0]


def test_wrapped_angles_are_within_half_a_turn() -> None:
    assert wrap(np.array([2**17, -(2**17), 2**18 + 5, -(2**18) - 5])).tolist() == [-(2**17), -(2**17), 5, -5]
