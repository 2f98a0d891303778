import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.compensation.phase_smoother.model import (
    PHASOR,
    REACH,
    STAGES,
    PhaseSmoother,
    best_smoother,
    exponential,
    fitted_smoother,
    smoother_limit_rad2,
    triangle,
)

SYMBOL_RATE_HZ = 1e8
GRID = [(linewidth_hz, snr_db) for linewidth_hz in (200, 2e3, 2e4, 2e5) for snr_db in (10, 20, 30)]


def in_words(weights: tuple[int, ...], rail: list[int]) -> list[int]:
    """The definition, in Python's integers: zeros before the first word of every stage's input, and behind the last."""
    words = rail + [0] * (2 * REACH)
    for stage, weight in enumerate(weights):
        d = 1 << stage
        padded = [0] * d + words + [0] * d
        words = [
            padded[n + d] + ((weight * (padded[n] + padded[n + 2 * d] - 2 * padded[n + d]) + 32) >> 6)
            for n in range(len(words))
        ]
    return words[: len(rail)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 31), min_size=STAGES, max_size=STAGES), st.integers(0, 300))
def test_equals_its_definition_in_integers(seed: int, weights: list[int], count: int) -> None:
    rng = np.random.default_rng(seed)
    phasors = rng.integers(PHASOR.minimum, PHASOR.maximum + 1, (count, 2)).astype(np.int32)
    smoothed = PhaseSmoother(tuple(weights)).process(phasors)
    assert smoothed.dtype == np.int32
    for rail in (0, 1):
        assert smoothed[:, rail].tolist() == in_words(tuple(weights), phasors[:, rail].tolist())


@pytest.mark.parametrize("word", [PHASOR.minimum, PHASOR.maximum])
def test_no_weights_make_a_word_larger_than_the_largest(word: int) -> None:
    rng = np.random.default_rng(3)
    phasors = np.where(rng.random((2000, 2)) < 0.9, word, -word - 1).astype(np.int32)
    for weights in ((31,) * STAGES, (16,) * STAGES, (31, 0, 31, 0, 31, 0, 31, 0)):
        smoothed = PhaseSmoother(weights).process(phasors)
        assert PHASOR.minimum <= smoothed.min() <= smoothed.max() <= PHASOR.maximum


def test_a_constant_phasor_stays_what_it_is() -> None:
    phasors = np.tile(np.array([[12345, -6789]], np.int32), (4 * REACH, 1))
    smoothed = exponential(0.98).process(phasors)
    inner = smoothed[REACH:-REACH]
    np.testing.assert_array_equal(inner, phasors[: len(inner)])


@pytest.mark.parametrize("smoother", [exponential(0.3), exponential(0.9), triangle(4), triangle(STAGES)])
def test_the_kernel_is_what_an_impulse_gives(smoother: PhaseSmoother) -> None:
    phasors = np.zeros((2 * REACH + 1, 2), np.int32)
    phasors[REACH] = PHASOR.maximum
    measured = smoother.process(phasors)[:, 0] / PHASOR.maximum
    # Each of eight stages rounds to half a word.
    np.testing.assert_allclose(measured, smoother.kernel, atol=STAGES / 2 / PHASOR.maximum)
    assert smoother.kernel.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(smoother.kernel, smoother.kernel[::-1], atol=1e-15)


def test_the_triangle_is_a_boxcar_twice() -> None:
    boxcar = np.ones(16) / 16
    kernel = triangle(4).kernel
    np.testing.assert_allclose(kernel[REACH - 15 : REACH + 16], np.convolve(boxcar, boxcar), atol=1e-15)
    assert not kernel[: REACH - 15].any()


@pytest.mark.parametrize(("linewidth_hz", "snr_db"), GRID)
def test_weights_of_six_bits_come_within_a_percent_of_the_best_smoother(linewidth_hz: float, snr_db: float) -> None:
    walk, noise = 2 * np.pi * linewidth_hz / SYMBOL_RATE_HZ, 0.5 * 10 ** (-snr_db / 10)
    variance = best_smoother(walk, noise).phase_variance_rad2(walk, noise)
    limit = smoother_limit_rad2(walk, noise)
    assert limit * (1 - 1e-9) <= variance < 1.01 * limit


def test_the_formula_of_the_variance_is_what_a_walking_phase_shows() -> None:
    walk, noise = 2e-4, 0.005
    rng = np.random.default_rng(7)
    count = 400_000
    phase = np.cumsum(rng.normal(0, np.sqrt(walk), count))
    pilot = np.exp(1j * phase) + rng.normal(0, np.sqrt(noise), (count, 2)) @ (1, 1j)
    words = PHASOR.quantise(np.stack([pilot.real, pilot.imag], axis=-1) * 0.25 * 16).astype(np.int32)
    smoother = best_smoother(walk, noise)
    smoothed = smoother.process(words)
    error = np.angle((smoothed[:, 0] + 1j * smoothed[:, 1]) * np.exp(-1j * phase))[REACH:-REACH]
    assert float(np.mean(error**2)) == pytest.approx(smoother.phase_variance_rad2(walk, noise), rel=0.03)


def test_a_phase_that_stands_still_gets_the_longest_average() -> None:
    assert best_smoother(0.0, 0.1) == triangle(STAGES)
    assert smoother_limit_rad2(0.0, 0.1) == 0.0


def test_a_pilot_without_noise_is_not_smoothed() -> None:
    assert best_smoother(1e-3, 0.0) == PhaseSmoother((0,) * STAGES)


@pytest.mark.parametrize(
    ("weights", "message"),
    [((1,) * 7, "7 weights: there are 8"), ((32, *(0,) * 7), "weight of 32"), ((-1, *(0,) * 7), "weight of -1")],
)
def test_refuses_weights_that_its_registers_cannot_hold(weights: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PhaseSmoother(weights)


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
        triangle(1).process(phasors)


@pytest.mark.parametrize("pole", [-0.1, 1.1])
def test_refuses_a_pole_outside_the_unit_interval(pole: float) -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        exponential(pole)


@pytest.mark.parametrize("stages", [-1, 9])
def test_refuses_a_triangle_of_stages_that_are_not_there(stages: int) -> None:
    with pytest.raises(ValueError, match="must be 0 to 8"):
        triangle(stages)


@pytest.mark.parametrize("frequency", [0.16, 0.24, 0.31])
@pytest.mark.parametrize("linewidth_hz", [200.0, 2e3, 2e4])
def test_a_second_pilot_costs_little_once_the_weights_know_of_it(frequency: float, linewidth_hz: float) -> None:
    walk, noise = 2 * np.pi * linewidth_hz / 125e6, 0.5 / 100
    fitted = fitted_smoother(walk, noise, [(frequency, 1.0)])
    plain = best_smoother(walk, noise)

    def error(smoother: PhaseSmoother) -> float:
        return smoother.phase_variance_rad2(walk, noise) + smoother.response(frequency) ** 2 / 2

    assert error(fitted) <= error(plain)
    assert error(fitted) < 1.25 * smoother_limit_rad2(walk, noise)


def test_the_response_is_that_of_the_kernel() -> None:
    smoother = fitted_smoother(1e-4, 5e-3, [(0.16, 1.0)])
    distance = np.arange(-REACH, REACH + 1)
    for frequency in (0.0, 0.01, 0.16, 0.43):
        gain = np.sum(smoother.kernel * np.cos(2 * np.pi * frequency * distance))
        assert smoother.response(frequency) == pytest.approx(gain, abs=1e-12)


def test_without_other_tones_the_exponential_is_kept() -> None:
    assert fitted_smoother(1e-4, 5e-3) == best_smoother(1e-4, 5e-3)
