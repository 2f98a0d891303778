import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kronborg_hdl.compensation.phase_smoother.model import PHASOR
from kronborg_hdl.compensation.unit_phasor.model import ROOT, SLOPE, unit_phasor

WORD = st.integers(PHASOR.minimum, PHASOR.maximum)


def in_words(i: int, q: int) -> tuple[int, int]:
    """The definition, in Python's integers."""
    length = max(abs(i), abs(q)).bit_length()
    if not length:
        return 32767, 0
    i, q = (((word << (20 - length)) + 8) >> 4 for word in (i, q))
    power = i * i + q * q
    long = power >= 1 << 32
    power >>= 2 * long
    line, fraction = (power >> 22) - 256, power >> 10 & 0xFFF
    root = int(ROOT[line]) - ((int(SLOPE[line]) * fraction + 2048) >> 12)
    i, q = ((word * root + (1 << (16 + long))) >> (17 + long) for word in (i, q))
    return min(max(i, -32767), 32767), min(max(q, -32767), 32767)


@given(WORD, WORD)
@example(0, 0)
@example(PHASOR.minimum, PHASOR.minimum)
@example(PHASOR.maximum, PHASOR.maximum)
@example(PHASOR.minimum, 0)
@example(-1, 1)
def test_equals_its_definition_in_integers(i: int, q: int) -> None:
    assert tuple(unit_phasor(np.array([[i, q]], np.int32))[0].tolist()) == in_words(i, q)


def test_is_right_to_two_roundings_in_phase_and_to_1_2_words_in_length() -> None:
    rng = np.random.default_rng(1)
    # Lengths from 16 words on, each octave alike; shorter ones are no phasors but noise of a few words.
    radius, angle = 2 ** rng.uniform(4, 18.9, 400_000), rng.uniform(-np.pi, np.pi, 400_000)
    phasors = np.round(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)).astype(np.int32)
    unit = unit_phasor(phasors) @ (1, 1j)
    exact = phasors @ (1, 1j)
    exact *= 32767 / np.abs(exact)
    along = (unit - exact) * np.conj(exact) / 32767
    assert np.abs(along.real).max() < 1.2
    assert np.abs(along.imag).max() < 2 * math.sqrt(0.5)
    # As phase noise, 4e-10 rad**2: 2e-6 mSNU at V_A = 4.
    assert np.mean((along.imag / 32767) ** 2) < 4e-10


def test_every_line_of_the_table_is_met() -> None:
    radius = np.sqrt(np.linspace(2**30, 2**32 - 2**21, 20_000)) * 8
    phasors = np.stack([np.minimum(radius, PHASOR.maximum), np.zeros(len(radius))], axis=-1)
    phasors[:, 1] = np.sqrt(np.maximum(radius**2 - phasors[:, 0] ** 2, 0))
    words = phasors.astype(np.int32)
    length = np.abs(unit_phasor(words) @ (1, 1j))
    assert np.abs(length - 32767).max() < 1.2


def test_lines_are_closer_to_the_root_than_half_a_word() -> None:
    power = np.linspace(2**30, 2**32 - 1, 500_001).astype(np.int64)
    line = (power >> 22) - 256
    root = ROOT[line] - SLOPE[line] * (power % 2**22) / 2**22
    exact = 32767 * 2**17 / np.sqrt(power)
    assert np.abs(root / exact - 1).max() < 1.0 / 2**17


@pytest.mark.parametrize(
    ("phasors", "message"),
    [
        (np.zeros((4, 2), np.int64), "int64"),
        (np.zeros(4, np.int32), r"shape \(4,\)"),
        (np.full((1, 2), 2**19, np.int32), "20 bits"),
    ],
)
def test_refuses_phasors_that_its_stream_cannot_carry(phasors: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unit_phasor(phasors)


def test_no_phasors_give_none() -> None:
    assert unit_phasor(np.zeros((0, 2), np.int32)).shape == (0, 2)


def test_the_length_of_a_phasor_is_known_exactly_where_it_is_whole() -> None:
    assert unit_phasor(np.array([[3 << 10, 4 << 10]], np.int32)).tolist() == [
        [round(32767 * 3 / 5), round(32767 * 4 / 5)]
    ]
    assert math.isclose(32767 * 3 / 5, 19660.2)
