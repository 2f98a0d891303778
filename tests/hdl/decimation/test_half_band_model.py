import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.decimation.half_band.model import NARROW, WIDE, HalfBand
from kronborg_hdl.dsp.formats import BASEBAND

BOTH = pytest.mark.parametrize("half_band", [NARROW, WIDE], ids=["narrow", "wide"])


def in_words(half_band: HalfBand, rail: list[int]) -> tuple[list[int], int]:
    """The definition, in Python's integers."""
    taps, out, saturated = len(half_band.taps), [], 0

    def x(n: int) -> int:
        return rail[n] if n >= 0 else 0

    for n in range(len(rail) // 2):
        total = x(2 * n + 2 - 2 * taps) << (half_band.fraction - 1)
        for k, tap in enumerate(half_band.taps):
            total += tap * (x(2 * n + 3 - 2 * taps + 2 * k) + x(2 * n + 1 - 2 * taps - 2 * k))
        word = (total + (1 << (half_band.fraction - 1))) >> half_band.fraction
        clipped = min(max(word, BASEBAND.minimum), BASEBAND.maximum)
        saturated += clipped != word
        out.append(clipped)
    return out, saturated


@BOTH
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 70), extreme=st.booleans())
def test_equals_its_definition_in_integers(half_band: HalfBand, seed: int, count: int, extreme: bool) -> None:
    rng = np.random.default_rng(seed)
    if extreme:
        samples = rng.choice([BASEBAND.minimum, BASEBAND.maximum], (count, 2)).astype(np.int32)
    else:
        samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (count, 2)).astype(np.int32)
    words, saturated = half_band.process(samples)
    wanted = [in_words(half_band, samples[:, rail].tolist()) for rail in (0, 1)]
    assert words.dtype == np.int32
    assert words.T.tolist() == [rail for rail, _ in wanted]
    assert saturated == sum(clipped for _, clipped in wanted)


@pytest.mark.parametrize(("half_band", "most_db"), [(NARROW, -83), (WIDE, -80)], ids=["narrow", "wide"])
def test_what_folds_onto_the_pass_band_is_suppressed(half_band: HalfBand, most_db: float) -> None:
    assert half_band.stop_band_db < most_db
    # Flat to as much: the error is antisymmetric about a quarter of the rate.
    flat = half_band.response(np.linspace(0, half_band.pass_band, 501))
    assert np.abs(flat - 1).max() < 10 ** (most_db / 20)


@BOTH
def test_the_response_is_what_a_tone_shows(half_band: HalfBand) -> None:
    for frequency in (0.03, 0.21, 0.25, 0.41):
        n = np.arange(4000)
        tone = 100_000 * np.exp(2j * np.pi * frequency * n)
        samples = np.round(np.stack([tone.real, tone.imag], axis=-1)).astype(np.int32)
        words, saturated = half_band.process(samples)
        assert not saturated
        measured = (words @ (1, 1j))[100:]
        reference = tone[1::2][100:] * np.exp(-2j * np.pi * frequency * half_band.delay)
        gain = np.vdot(reference, measured) / np.vdot(reference, reference)
        assert abs(gain - half_band.response(np.array([frequency]))[0]) < 1e-5


@BOTH
def test_rounding_adds_a_twelfth_of_a_word_squared_and_no_more(half_band: HalfBand) -> None:
    rng = np.random.default_rng(1)
    samples = np.round(rng.normal(0, 200, (200_000, 2))).astype(np.int32)
    words, _ = half_band.process(samples)
    kernel = np.zeros(4 * len(half_band.taps) - 1)
    middle = 2 * len(half_band.taps) - 1
    kernel[middle] = 0.5
    for k, tap in enumerate(half_band.taps):
        kernel[[middle - 2 * k - 1, middle + 2 * k + 1]] = tap / 2**half_band.fraction
    exact = np.convolve(samples[:, 0], kernel)[1::2][: len(words)]
    assert np.var(words[:, 0] - exact) == pytest.approx(1 / 12, rel=0.02)


def test_refuses_samples_of_another_type() -> None:
    with pytest.raises(ValueError, match="int16"):
        WIDE.process(np.zeros((4, 2), np.int16))
