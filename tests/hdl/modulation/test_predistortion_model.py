import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.dsp.formats import SAMPLE
from kronborg_hdl.dsp.nco import phase_word
from kronborg_hdl.dsp.root_raised_cosine import quantise_taps, root_raised_cosine
from kronborg_hdl.modulation.predistortion.model import (
    BAND,
    HALF_TAPS,
    IMPULSE,
    MAXIMUM_DEPTH,
    ROWS,
    SLOPE,
    TABLE_ERROR_WORDS,
    TABLE_WORD,
    TAP,
    Predistortion,
    arcsine_table,
    identity_table,
    inverse_sinc,
)
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.modulation.shift_and_pilots.model import Pilot, shift_and_pilots
from kronborg_sim.optics.modulator import IQModulator

EVERY_WORD = np.repeat(np.arange(-(2**15), 2**15)[:, np.newaxis], 2, axis=1).astype(np.int16)
OVERSAMPLING = 8


def both_rails(table: np.ndarray) -> np.ndarray:
    return np.stack([table, table])


def light(words: np.ndarray, depth: float, *, droop: bool = True) -> np.ndarray:
    """Field behind the modulator, complex, `OVERSAMPLING` values a sample, for words that repeat without end.

    The converter holds each word; what reaches the modulator is free of images, as behind a reconstruction filter.
    """
    count = len(words)
    lines = np.fft.fft(words[:, 0] + 1j * words[:, 1])
    frequency = np.fft.fftfreq(count)
    if droop:
        lines = lines * np.sinc(frequency)
    spectrum = np.zeros(count * OVERSAMPLING, complex)
    spectrum[np.round(frequency * count).astype(int)] = lines
    drive = np.fft.ifft(spectrum) * OVERSAMPLING
    words = SAMPLE.quantise(np.stack([drive.real, drive.imag], axis=-1) / SAMPLE.scale)
    return IQModulator(depth).field(words.astype(np.int16))


def both_sides(taps: np.ndarray) -> np.ndarray:
    """All taps as real numbers, in order."""
    return np.concatenate([taps[:0:-1], taps]) / 2**16


def periodic(predistortion: Predistortion, words: np.ndarray) -> np.ndarray:
    """Pre-distorted words that repeat without end: the middle one of three periods."""
    out, saturated = predistortion.process(np.tile(words, (3, 1)))
    assert saturated == 0
    return out[len(words) : 2 * len(words)]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.integers(0, 3))
def test_equals_its_definition_in_integers(seed: int, count: int, quieter: int) -> None:
    rng = np.random.default_rng(seed)
    taps = rng.integers(TAP.minimum, TAP.maximum + 1, HALF_TAPS + 1) >> quieter
    tables = np.stack([rng.integers(f.minimum, f.maximum + 1, (2, ROWS)) for f in (TABLE_WORD, SLOPE)], axis=-1)
    samples = rng.integers(-(2**15), 2**15, (count, 2)).astype(np.int16)
    words, saturated = Predistortion(taps, tables).process(samples)

    def drive(n: int, rail: int) -> int:
        if not 0 <= n < count:
            return 0
        row, offset = divmod(int(samples[n, rail]), 256)
        constant, slope = (int(number) for number in tables[rail, row % 256])
        return constant + ((slope * (offset - 128) + 2**9) >> 10)

    beyond = 0
    for n in range(count):
        for rail in range(2):
            total = int(taps[0]) * drive(n, rail)
            for k in range(1, 5):
                total += int(taps[k]) * (drive(n - k, rail) + drive(n + k, rail))
            word = (total + 2**17) >> 18
            beyond += not -(2**15) <= word < 2**15
            assert words[n, rail] == min(max(word, -(2**15)), 2**15 - 1)
    assert saturated == beyond


def test_passes_every_word_unchanged_by_default() -> None:
    words, saturated = Predistortion().process(EVERY_WORD)
    np.testing.assert_array_equal(words, EVERY_WORD)
    assert saturated == 0


@pytest.mark.parametrize("depth", [0.001, *np.linspace(0.02, MAXIMUM_DEPTH, 25)])
def test_an_arcsine_s_table_is_within_its_bound_at_every_word(depth: float) -> None:
    angle = np.pi / 2 * depth
    for share in (1.0, 0.93):
        field = share * np.sin(angle)
        table = arcsine_table(depth) if share == 1 else arcsine_table(depth, field=field)
        words = Predistortion(tables=both_rails(table)).drive(EVERY_WORD)[:, 0] / 4
        exact = np.arcsin(field * EVERY_WORD[:, 0] / 2**15) / angle * 2**15
        assert np.abs(words - exact).max() <= TABLE_ERROR_WORDS
        assert np.all(np.diff(words) >= 0)


def test_an_arcsine_s_table_alone_never_clips() -> None:
    for depth in (0.1, 0.25, MAXIMUM_DEPTH):
        words, saturated = Predistortion(tables=both_rails(arcsine_table(depth))).process(EVERY_WORD)
        assert saturated == 0
        assert (words.min(), words.max()) == (-(2**15), 2**15 - 1)


def test_words_are_within_their_bound_of_the_real_functions() -> None:
    rng = np.random.default_rng(1)
    samples = np.clip(np.round(rng.normal(0, 6000, (200_000, 2))), -20000, 20000).astype(np.int16)
    taps, depth = inverse_sinc(), MAXIMUM_DEPTH
    words, saturated = Predistortion(taps, both_rails(arcsine_table(depth))).process(samples)
    assert saturated == 0
    angle, response = np.pi / 2 * depth, both_sides(taps)
    drive = np.arcsin(np.sin(angle) * samples / 2**15) / angle * 2**15
    exact = np.stack([np.convolve(rail, response, "same") for rail in drive.T], axis=-1)
    error = words - exact
    assert np.abs(error).max() <= 0.5 + np.abs(response).sum() * TABLE_ERROR_WORDS < 1.1
    # As noise: V_A = 4 on a signal of 362 words a rail, which is a payload beside pilots 36 dB above it. The matched
    # filter takes an eighth of it at 8 samples a symbol.
    noise_msnu = 4 * error.var() / 362**2 * 1e3
    assert 0.0025 < noise_msnu < 0.0035


def test_the_converter_is_flat_up_to_the_band_s_edge() -> None:
    symmetric = both_sides(inverse_sinc())
    f = np.linspace(0, BAND, 1000)
    response = np.cos(2 * np.pi * np.outer(f, np.arange(-HALF_TAPS, HALF_TAPS + 1))) @ symmetric
    flatness_db = 20 * np.log10(response * np.sinc(f))
    assert np.abs(flatness_db).max() < 0.011
    assert 20 * np.log10(np.sinc(BAND)) == pytest.approx(-2.42, abs=0.005)
    # Of the budget of 0.02 mSNU for intersymbol interference at V_A = 4, even if all of the ripple counts.
    assert 4 * (10 ** (np.abs(flatness_db).max() / 20) - 1) ** 2 * 1e3 < 0.007


def test_the_worst_of_signals_is_clipped_above_seven_tenths_only() -> None:
    # Alternating signs: the gain at half the sample rate, 1.42, is the sum of all taps without their signs.
    signs = np.where(np.arange(41) % 2, -1, 1)[:, np.newaxis].repeat(2, axis=1)
    filter = Predistortion(inverse_sinc())
    assert np.abs(both_sides(filter.taps)).sum() == pytest.approx(1.423, abs=0.001)
    assert filter.process((signs * 0.70 * 2**15).astype(np.int16))[1] == 0
    assert filter.process((signs * 0.705 * 2**15).astype(np.int16))[1] > 0


def test_gain_scales_the_response() -> None:
    np.testing.assert_allclose(inverse_sinc(gain=0.5), inverse_sinc() / 2, atol=0.51)


TONES = 8192, (901, 1024 + 7)  # a period, and two odd numbers of turns in it: 0.11 and 0.126 of the sample rate


def largest_distortion_db(field: np.ndarray) -> float:
    """Strongest line within the band that is no tone, relative to the weaker tone."""
    count, tones = TONES
    lines = np.abs(np.fft.fft(field))
    frequency = np.fft.fftfreq(len(field), 1 / (len(field) / count))
    tone = min(lines[turns] for turns in tones)
    lines[list(tones)] = 0
    return float(20 * np.log10(lines[np.abs(frequency) <= BAND].max() / tone))


def two_tones(amplitude: int) -> np.ndarray:
    count, tones = TONES
    pilots = [Pilot(phase_word(turns, count), amplitude) for turns in tones]
    return shift_and_pilots(np.zeros((count, 2), np.int16), 0, pilots)[0]


@pytest.mark.parametrize("depth", [0.25, MAXIMUM_DEPTH])
@pytest.mark.parametrize("droop", [False, True])
def test_harmonics_and_intermodulation_fall_by_more_than_35_db(depth: float, droop: bool) -> None:
    # 2 f1 - f2 and its kind, and 3 f1, 2 f1 + f2 and theirs: all of them lie within the band.
    words = two_tones(11000)
    settings = Predistortion(inverse_sinc() if droop else IMPULSE, both_rails(arcsine_table(depth)))
    before = largest_distortion_db(light(words, depth, droop=droop))
    after = largest_distortion_db(light(periodic(settings, words), depth, droop=droop))
    assert before > {0.25: -54, MAXIMUM_DEPTH: -42}[depth]
    assert after < before - 35


def test_the_filter_belongs_behind_the_table() -> None:
    words, depth = two_tones(11000), MAXIMUM_DEPTH
    table, filter = Predistortion(tables=both_rails(arcsine_table(depth))), Predistortion(inverse_sinc())
    right = largest_distortion_db(light(periodic(filter, periodic(table, words)), depth))
    wrong = largest_distortion_db(light(periodic(table, periodic(filter, words)), depth))
    assert right < wrong - 20


def test_rails_of_different_depth_become_equal_in_gain() -> None:
    depths = 0.3, 0.4
    field = float(np.sin(np.pi / 2 * min(depths)))
    tables = np.stack([arcsine_table(depth, field=field) for depth in depths])
    words, _ = Predistortion(tables=tables).process(EVERY_WORD)
    i, q = IQModulator(depths[0]).field(words).real, IQModulator(depths[1]).field(words).imag
    np.testing.assert_allclose(i, q, atol=1.5 / 2**15)
    np.testing.assert_allclose(i, field * EVERY_WORD[:, 0] / 2**15, atol=1.5 / 2**15)


def test_converter_and_modulator_add_less_than_0_002_msnu() -> None:
    """To a payload beside two strong pilots, which the sine would fold onto the payload, shifted by their distance."""
    rng = np.random.default_rng(3)
    m, span, count, depth = 8, 33, 2000, MAXIMUM_DEPTH
    sent = np.clip(np.round(rng.normal(0, 4096, (count, 2))), -(2**15), 2**15 - 1).astype(np.int16)
    pulse = root_raised_cosine(m, span, 0.2)
    shaped, _ = PulseShaper(quantise_taps(pulse), m, 15).process(sent)
    words, _ = shift_and_pilots(shaped, phase_word(1, 10), [Pilot(phase_word(f, 1000), 9000) for f in (200, 221)])

    def received(field: np.ndarray) -> np.ndarray:
        """Symbols behind an ideal receiver, of the variance of one per quadrature. The pulses' ends are left out."""
        lines = np.fft.fft(field)
        samples = np.fft.ifft(np.concatenate([lines[: len(words) // 2], lines[-len(words) // 2 :]]))
        samples = samples * np.exp(-0.2j * np.pi * np.arange(len(words)))
        symbols = np.convolve(samples, pulse[::-1])[m * span - 1 :: m][span : count - span]
        wanted = sent[span : count - span] @ [1, 1j]
        return symbols / (np.vdot(wanted, symbols) / np.vdot(wanted, wanted) * 4096)

    ideal = received(light(words, 0.01, droop=False))

    def excess_noise_msnu(settings: Predistortion) -> float:
        """At V_A = 4."""
        predistorted, saturated = settings.process(words)
        assert saturated == 0
        return float(4 * np.mean(np.abs(received(light(predistorted, depth)) - ideal) ** 2) / 2 * 1e3)

    tables = both_rails(arcsine_table(depth))
    assert excess_noise_msnu(Predistortion()) > 1
    assert excess_noise_msnu(Predistortion(taps=inverse_sinc())) > 0.9
    assert excess_noise_msnu(Predistortion(tables=tables)) > 0.4
    assert excess_noise_msnu(Predistortion(inverse_sinc(), tables)) < 0.002


@pytest.mark.parametrize("depth", [0.0, -0.1, 0.501, float("nan")])
def test_a_depth_without_a_table_is_refused(depth: float) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a depth of {depth:g} V_pi is outside 0 to 0.5: lower the drive")):
        arcsine_table(depth)


@pytest.mark.parametrize("field", [0.0, -0.2, 0.3828, float("nan")])
def test_a_field_that_the_drive_does_not_reach_is_refused(field: float) -> None:
    message = f"a field of {field:g} is outside 0 to 0.382683, what a depth of 0.25 V_pi gives"
    with pytest.raises(ValueError, match=re.escape(message)):
        arcsine_table(0.25, field=field)


@pytest.mark.parametrize("gain", [0.0, -1.0, 1.74, float("nan"), float("inf")])
def test_a_gain_that_no_tap_holds_is_refused(gain: float) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a gain of {gain:g} is outside 0 to 1.73")):
        inverse_sinc(gain=gain)


@pytest.mark.parametrize(
    ("taps", "tables", "message"),
    [
        (IMPULSE[:4], identity_table(), "taps must have the shape (5,), not (4,)"),
        (IMPULSE, identity_table()[:100], "tables must have the shape (2, 256, 2), not (2, 100, 2)"),
        (IMPULSE * 2, identity_table(), "a tap is outside -131072 to 131071"),
        (IMPULSE, identity_table() * [2, 1], "a constant is outside -131072 to 131071"),
        (IMPULSE, identity_table() * [1, 2], "a slope is outside -8192 to 8191"),
    ],
)
def test_what_registers_cannot_hold_is_refused(taps: np.ndarray, tables: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Predistortion(taps, both_rails(tables))
