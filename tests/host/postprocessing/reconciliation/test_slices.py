import math

import numpy as np
import pytest
from numpy.typing import NDArray

from kronborg.errors import InputError
from kronborg.postprocessing.reconciliation.slices import (
    DISCLOSED,
    SPACING,
    STEP,
    Slicer,
    capacity,
    entropy,
    level_codes,
    level_llr,
)

SIGMA = 1.7


@pytest.fixture(scope="module")
def slicer() -> Slicer:
    return Slicer()


def pair(snr: float, length: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What Alice expects and what Bob measures, noise of deviation SIGMA."""
    rng = np.random.default_rng(seed)
    expected = rng.normal(0, SIGMA * math.sqrt(snr), length)
    return expected, expected + rng.normal(0, SIGMA, length)


def test_llrs_of_a_level_mean_what_they_say() -> None:
    rng = np.random.default_rng(1)
    point = rng.integers(-50, 50, 1_000_000)
    llr = level_llr(3.0, point + rng.normal(0, 1 / 3, len(point)))
    for low in np.arange(-4, 4):
        inside = (llr >= low) & (llr < low + 1)
        expected = np.mean(1 / (1 + np.exp(llr[inside].astype(np.float64))))
        assert np.mean(point[inside] % 2) == pytest.approx(expected, abs=5 / np.sqrt(4 * inside.sum()) + 1e-3)


def test_llrs_are_those_of_the_lattice_far_from_its_origin_too() -> None:
    places = np.array([-1000.3, 0.2, 2.2, 77.9])
    points = np.arange(-1200, 1200)
    exponents = -((places[:, None] - points) ** 2) * 2.0**2 / 2
    exact = np.logaddexp.reduce(exponents[:, points % 2 == 0], axis=1) - np.logaddexp.reduce(
        exponents[:, points % 2 == 1], axis=1
    )
    assert level_llr(2.0, places) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("snr", [0.7, 3.0])
def test_all_levels_together_carry_almost_all_the_information(snr: float) -> None:
    """Entropy less what each level needs, against log2(1 + snr) / 2: what a fine step loses is little."""
    needed = sum(1 - capacity(STEP * 2**level) for level in range(DISCLOSED + 4))
    assert entropy(snr) - needed == pytest.approx(0.5 * math.log2(1 + snr), rel=2e-3)


def test_entropy_is_that_of_bobs_integers(slicer: Slicer) -> None:
    _, y = pair(1.0, slicer.length, 2)
    integers, _ = slicer.bob(y, SIGMA)
    shares = np.unique(integers, return_counts=True)[1] / slicer.length
    assert entropy(1.0) == pytest.approx(-np.sum(shares * np.log2(shares)), abs=2e-3)


def test_each_code_leaves_room_to_the_capacity_of_its_level() -> None:
    codes = level_codes()
    assert len({code.length for code in codes}) == 1
    for level, code in enumerate(codes):
        assert 0.88 < code.rate / capacity(SPACING * 2**level) < 0.997
    assert codes[0].length * (1 - capacity(SPACING * 2 ** len(codes))) < 0.05, "rounding finds the rest"


@pytest.mark.parametrize(("snr", "promised"), [(0.7, 0.92), (3.0, 0.97)])
def test_corrects_to_bobs_integers_and_charges_all_that_it_discloses(
    slicer: Slicer, snr: float, promised: float
) -> None:
    expected, y = pair(snr, slicer.length, 3)
    integers, message = slicer.bob(y, SIGMA)
    corrected = slicer.alice(expected, message, SIGMA)
    assert corrected.converged
    assert np.array_equal(corrected.integers, integers)
    disclosed = DISCLOSED * len(message.low_bits) + sum(map(len, message.syndromes))
    assert slicer.disclosed_bits == disclosed
    rate = entropy(snr) - disclosed / slicer.length
    assert slicer.efficiency(snr) == pytest.approx(rate / (0.5 * math.log2(1 + snr)))
    assert slicer.efficiency(snr) > promised


def test_more_noise_than_was_estimated_does_not_converge_and_says_so(slicer: Slicer) -> None:
    expected, y = pair(1.0, slicer.length, 4)
    _, message = slicer.bob(y, SIGMA / 1.2)
    corrected = slicer.alice(expected, message, SIGMA / 1.2)
    assert not corrected.converged
    assert "array" not in repr(corrected)


def test_refuses_what_is_no_block(slicer: Slicer) -> None:
    y = np.zeros(slicer.length)
    with pytest.raises(InputError, match=f"a block has {slicer.length} quadratures"):
        slicer.bob(y[1:], SIGMA)
    for sigma in (0.0, math.nan, math.inf):
        with pytest.raises(InputError, match="positive deviation"):
            slicer.bob(y, sigma)
    for value in (math.nan, math.inf, 1e12):
        y[5] = value
        with pytest.raises(InputError, match="drop the block"):
            slicer.bob(y, SIGMA)
