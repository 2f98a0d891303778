import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.alphabet.core import AlphabetSource as Core
from kronborg_hdl.modulation.alphabet.model import (
    FULL_SHARE,
    ORDERS,
    ROWS,
    AlphabetSource,
    alphabet,
    shaped_qam,
    square_qam,
)
from kronborg_hdl.modulation.gaussian.statistics import chi_square_p
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 10


@pytest.mark.parametrize(("symbols_per_clock", "beats"), [pytest.param(2, 3000, id="2 a clock")])
def test_core_equals_its_model_on_the_bench(symbols_per_clock: int, beats: int, tmp_path: Path) -> None:
    core = Core(symbols_per_clock=symbols_per_clock)
    verilog = Skin(core).to_verilog("alphabet")
    assert verilog.count(" * ") == core.multipliers
    outcome = run_bench(
        verilog,
        "alphabet",
        "kronborg_sim.benches.alphabet",
        tmp_path,
        {"symbols_per_clock": symbols_per_clock, "latency": core.latency, "beats": beats},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("symbols_per_clock", [0, 17])
def test_refuses_a_width_that_it_cannot_have(symbols_per_clock: int) -> None:
    with pytest.raises(ValueError, match=f"{symbols_per_clock} symbols per clock: must be 1 to 16"):
        Core(symbols_per_clock=symbols_per_clock)


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=16).filter(any))
def test_any_distribution_is_drawn_to_2_to_the_minus_31(weights: list[int]) -> None:
    probabilities = np.array(weights) / sum(weights)
    source = alphabet(np.arange(len(weights), dtype=np.int16), probabilities)
    drawn = [Fraction(0)] * len(weights)
    for share, own, other in zip(source.share.tolist(), source.own.tolist(), source.other.tolist(), strict=True):
        drawn[own] += Fraction(share, FULL_SHARE * ROWS)
        drawn[other] += Fraction(FULL_SHARE - share, FULL_SHARE * ROWS)
    assert sum(drawn) == 1
    likeliest = int(np.argmax(probabilities))
    for level, (exact, wanted) in enumerate(zip(drawn, probabilities.tolist(), strict=True)):
        # Rounding gives 2**-33 a level, and the likeliest takes what all others leave over.
        assert abs(float(exact) - wanted) <= (16 if level == likeliest else 1) * 2.0**-33


@pytest.mark.parametrize("order", ORDERS)
def test_square_qam_has_equal_points_of_the_deviation(order: int) -> None:
    levels, probabilities = square_qam(order, 4096).distribution()
    side = math.isqrt(order)
    np.testing.assert_allclose(probabilities, np.full(side, 1 / side), rtol=1e-12)
    assert np.ptp(np.diff(levels)) <= 1 if side > 2 else np.diff(levels) == 8192
    assert math.sqrt(probabilities @ levels**2) == pytest.approx(4096, abs=0.5)


def test_shaped_qam_is_maxwell_boltzmann() -> None:
    levels, probabilities = shaped_qam(256, 4096, 0.06).distribution()
    x = np.arange(-15, 16, 2)
    ratio = probabilities / probabilities[7]
    np.testing.assert_allclose(ratio, np.exp(-0.06 * (x**2 - 1) / 2), rtol=1e-5)
    assert math.sqrt(probabilities @ levels**2) == pytest.approx(4096, abs=1)


def test_symbols_have_the_distribution_and_independent_rails() -> None:
    source = shaped_qam(64, 4096, 0.1)
    levels, probabilities = source.distribution()
    bits = np.random.default_rng(1).integers(0, 2**64, 1 << 20, np.uint64)
    i, q = np.searchsorted(levels, source.process(bits)).T
    joint = np.bincount(i * len(levels) + q, minlength=len(levels) ** 2).reshape(len(levels), -1)
    expected = len(bits) * np.outer(probabilities, probabilities)
    assert chi_square_p(joint, expected) > 0.001


def test_one_word_is_split_as_described() -> None:
    source = AlphabetSource(np.full(ROWS, 100), np.arange(16, dtype=np.int16), np.arange(100, 116, dtype=np.int16))
    bits = np.array([(9 << 28 | 99) << 32 | 3 << 28 | 100], np.uint64)
    assert source.process(bits).tolist() == [[103, 9]]


@pytest.mark.parametrize(
    ("levels", "probabilities", "message"),
    [
        (np.zeros(17, np.int16), np.full(17, 1 / 17), "levels must be 1 to 16 of int16"),
        (np.zeros(2, np.int64), np.full(2, 0.5), "levels must be 1 to 16 of int16"),
        (np.zeros(2, np.int16), np.array([0.5, 0.4]), "sum to 1"),
        (np.zeros(2, np.int16), np.array([1.5, -0.5]), "not negative"),
        (np.zeros(2, np.int16), np.array([1.0]), "one a level"),
        (np.zeros(2, np.int16), np.array([np.nan, 1.0]), "not negative"),
        (np.zeros(2, np.int16), np.array([np.inf, 0.0]), "sum to 1"),
    ],
)
def test_refuses_what_is_no_distribution(levels: np.ndarray, probabilities: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        alphabet(levels, probabilities)


@pytest.mark.parametrize(
    ("order", "deviation", "shape", "message"),
    [
        (8, 4096, 0.0, "8 points: must be one of 4, 16, 64, 256"),
        (256, 4096, -0.1, "must not be negative"),
        (256, 0, 0.0, "must be positive"),
        (256, 4096, 1.0, "lower the deviation or the shape"),
        (16, 4096, math.inf, "must not be negative or infinite"),
        (16, 4096, math.nan, "must not be negative or infinite"),
        (256, 3, 0.0, "a deviation of 3 words is too small for 16 levels: raise it"),
    ],
)
def test_refuses_a_constellation_that_cannot_be(order: int, deviation: float, shape: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shaped_qam(order, deviation, shape)


def test_refuses_a_table_of_another_shape() -> None:
    levels = np.zeros(ROWS, np.int16)
    with pytest.raises(ValueError, match="levels must be 16 of int16"):
        AlphabetSource(np.zeros(ROWS, np.int64), levels, levels[:4])
    with pytest.raises(ValueError, match="shares must be 16 numbers"):
        AlphabetSource(np.full(ROWS, FULL_SHARE), levels, levels)
    with pytest.raises(ValueError, match="bits must be a vector of uint64"):
        square_qam(4, 4096).process(np.zeros(3, np.int64))
