import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.decimation.half_band.model import NARROW, WIDE, HalfBand
from kronborg_hdl.dsp.formats import BASEBAND, SAMPLE, Format
from kronborg_hdl.dsp.rates import LANES
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.modulation.interpolating_shaper.model import (
    HALF_BANDS,
    IMAGES_DB,
    ROLL_OFF,
    InterpolatingShaper,
    interpolate,
    pulse_taps,
)

ONE = np.array([[32767, 0]], np.int16)


def clip(word: int, to: Format) -> int:
    return min(max(word, to.minimum), to.maximum)


def rounded(total: int, drop: int) -> int:
    return (total + (1 << drop >> 1)) >> drop


def doubled(words: list[int], half_band: HalfBand, to: Format) -> list[int]:
    """The definition of an interpolator, in Python's integers."""
    reach, drop = len(half_band.taps), BASEBAND.fraction - to.fraction

    def x(n: int) -> int:
        return words[n] if n >= 0 else 0

    out = []
    for n in range(len(words)):
        pairs = (tap * (x(n - reach - k) + x(n - reach + 1 + k)) for k, tap in enumerate(half_band.taps))
        out += [rounded(x(n - reach), drop), rounded(sum(pairs), half_band.fraction - 1 + drop)]
    return [clip(word, to) for word in out]


def in_words(shaper: InterpolatingShaper, symbols: np.ndarray) -> np.ndarray:
    """The definition, in Python's integers."""
    middle, half_bands = shaper.span - 1, HALF_BANDS[shaper.samples_per_symbol]
    rails = []
    for rail in symbols.T.tolist():
        words = []
        for place in range(2 * (len(rail) + shaper.tail)):
            distances = [abs(place - middle - 2 * n) for n in range(len(rail))]
            total = sum(int(shaper.taps[k]) * word for k, word in zip(distances, rail, strict=True) if k < shaper.span)
            kept, to = (2, BASEBAND) if half_bands else (0, SAMPLE)
            words.append(clip(rounded(total << kept, shaper.shift), to))
        for number, half_band in enumerate(half_bands):
            words = doubled(words, half_band, SAMPLE if number == len(half_bands) - 1 else BASEBAND)
        rails.append(words)
    return np.array(rails).T


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(sorted(HALF_BANDS)), st.integers(1, 5), st.integers(0, 18),
    st.integers(1, 6),
)  # fmt: skip
def test_equals_its_definition_in_integers(seed: int, m: int, span: int, shift: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    shaper = InterpolatingShaper(rng.integers(-(2**15), 2**15, span).astype(np.int16), m, shift)
    symbols = rng.integers(-(2**15), 2**15, (count, 2)).astype(np.int16)
    np.testing.assert_array_equal(shaper.process(symbols)[0], in_words(shaper, symbols))


@pytest.mark.parametrize("m", sorted(HALF_BANDS))
def test_a_pulse_is_whole_symmetric_and_of_unit_energy(m: int) -> None:
    taps = pulse_taps(m, 33, ROLL_OFF)
    shaper = InterpolatingShaper(quantise_taps(taps), m, 15)
    samples, saturated = shaper.process(ONE)
    pulse = samples[:, 0] / 32768
    middle = int(np.argmax(pulse))
    reach = min(middle, len(pulse) - 1 - middle)
    np.testing.assert_array_equal(pulse[middle - reach : middle + 1], pulse[middle : middle + reach + 1][::-1])
    assert np.count_nonzero(pulse[: middle - reach]) == np.count_nonzero(pulse[middle + reach + 1 :]) == 0
    assert np.sum(pulse**2) == pytest.approx(1, abs=2e-4)
    exact = root_raised_cosine(m, 64, ROLL_OFF)[32 * m - 10 * m : 32 * m + 10 * m]
    assert np.abs(pulse[middle - 10 * m : middle + 10 * m] - exact).max() < 1e-3 / np.sqrt(m / 2)
    assert saturated == 0


@pytest.mark.parametrize("m", sorted(HALF_BANDS))
def test_intersymbol_interference_adds_less_than_0_0125_msnu_behind_a_matched_filter(m: int) -> None:
    shaper = InterpolatingShaper(quantise_taps(pulse_taps(m, 33, ROLL_OFF)), m, 15)
    filtered = np.convolve(shaper.process(ONE)[0][:, 0].astype(float), root_raised_cosine(m, 33, ROLL_OFF)[::-1])
    middle = int(np.argmax(filtered))
    symbols = filtered[middle % m :: m]
    isi = np.sum(symbols**2) / filtered[middle] ** 2 - 1
    assert 4.0 * isi * 1e3 < 0.0125  # V_A = 4; the claim is 0.02 for the whole chain


@pytest.mark.parametrize("m", [4, 8, 16])
def test_images_of_the_half_bands_are_below_minus_80_db(m: int) -> None:
    # A pulse of full scale: rounding is lower still.
    taps = pulse_taps(m, 33, ROLL_OFF)
    words = np.zeros((1, 2 * 400), np.int64)
    words[0, :65] = np.round(np.concatenate([taps[:0:-1], taps]) / taps[0] * 2**16)
    for half_band in HALF_BANDS[m]:
        words, _ = interpolate(words, half_band)
    spectrum = np.abs(np.fft.rfft(words[0])) ** 2
    frequency = np.fft.rfftfreq(words.shape[1], 1 / m)  # in symbol rates
    images = spectrum[frequency > 2 - (1 + ROLL_OFF) / 2 - 0.01]
    assert 10 * np.log10(images.max() / spectrum.max()) < IMAGES_DB


def test_counts_what_saturates_in_every_stage() -> None:
    taps, full = np.array([32767], np.int16), np.array([[32767, 0]] * 3, np.int16)
    assert InterpolatingShaper(taps, 2, 15).process(full)[1] == 0
    samples, saturated = InterpolatingShaper(taps, 2, 14).process(full)
    assert saturated == np.count_nonzero(samples == 32767) == 3
    # Three words of the pulse, and the same three at the width of a sample.
    samples, saturated = InterpolatingShaper(taps, 4, 14).process(full)
    assert np.count_nonzero(np.abs(samples.astype(int)) >= 32767) == 3
    assert saturated == 3 + 3


@pytest.mark.parametrize("m", sorted(HALF_BANDS))
def test_a_tail_is_whole_beats_of_any_lanes_and_ends_when_all_filters_are_empty(m: int) -> None:
    for span in (1, 2, 32, 33):
        shaper = InterpolatingShaper(np.full(span, 2**14, np.int16), m, 15)
        assert all(shaper.tail % max(1, lanes // m) == 0 for lanes in LANES)
        samples, _ = shaper.process(ONE)
        # A frame of nothing behind it would not see it: its last nonzero sample is its own.
        longer = InterpolatingShaper(np.concatenate([shaper.taps, np.zeros(40, np.int16)]), m, 15).process(ONE)[0]
        assert np.count_nonzero(samples) == np.count_nonzero(longer)


@pytest.mark.parametrize(
    ("taps", "m", "shift", "message"),
    [
        (np.zeros((3, 1), np.int16), 2, 15, r"shape \(3, 1\)"),
        (np.zeros(8, np.int32), 4, 15, "int32"),
        (np.zeros(0, np.int16), 4, 15, r"shape \(0,\)"),
        (np.zeros(8, np.int16), 12, 15, "12 samples per symbol: must be one of 2, 4, 8, 16"),
        (np.zeros(8, np.int16), 4, 32, "shift of 32"),
        (np.zeros(8, np.int16), 4, -1, "shift of -1"),
    ],
)
def test_refuses_settings_that_the_core_cannot_have(taps: np.ndarray, m: int, shift: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InterpolatingShaper(taps, m, shift)


def test_half_bands_are_wide_enough_for_the_signal_at_their_rate() -> None:
    for half_bands in HALF_BANDS.values():
        for number, half_band in enumerate(half_bands):
            assert half_band.pass_band >= (1 + ROLL_OFF) / 2 / (4 << number) - 1e-12
            assert half_band in (WIDE, NARROW)
