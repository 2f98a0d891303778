import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg_hdl.compensation.pilot_phase.model import (
    PhaseSettings,
    compensate,
    mix,
    moving_sum,
    normalise,
    pilot_phasors,
)
from kronborg_hdl.dsp.nco import oscillator, phase_word


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_mix_equals_its_definition_in_integers(seed: int, word: int) -> None:
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, 30).astype(np.int16)
    i, q = mix(samples, word)
    cosine, sine = oscillator(word, 30)
    assert i.tolist() == [(int(x) * int(c) + 2**14) >> 15 for x, c in zip(samples, cosine, strict=True)]
    assert q.tolist() == [(-int(x) * int(s) + 2**14) >> 15 for x, s in zip(samples, sine, strict=True)]


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=40), st.integers(0, 30))
def test_moving_sum_is_centred_and_sees_zeros_beyond_the_ends(words: list[int], half: int) -> None:
    wanted = [sum(words[max(n - half, 0) : n + half + 1]) for n in range(len(words))]
    assert moving_sum(np.array(words, np.int64), 2 * half + 1).tolist() == wanted


@settings(max_examples=300)
@given(st.integers(0, 44), st.floats(0, 2 * np.pi))
def test_normalise_keeps_the_angle_and_gives_unit_length(bits: int, angle: float) -> None:
    magnitude = 2.0**bits
    i, q = round(magnitude * np.cos(angle)), round(magnitude * np.sin(angle))
    if i == q == 0:
        return
    unit_i, unit_q = (int(rail[0]) for rail in normalise(np.array([i], np.int64), np.array([q], np.int64)))
    exact = complex(i, q) / abs(complex(i, q)) * 2**15
    assert abs(complex(unit_i, unit_q) - exact) < 1.6  # half a word a rail, the slope's error, 32768 clipped to 32767


def test_normalise_gives_a_defined_phasor_where_there_is_no_pilot() -> None:
    assert [int(rail[0]) for rail in normalise(np.zeros(1, np.int64), np.zeros(1, np.int64))] == [32767, 0]


def test_pilot_phasors_cover_the_last_incomplete_hop() -> None:
    settings_ = PhaseSettings(0, phase_word(0.25, 1.0), hop=8, window=1)
    i, _ = pilot_phasors(np.full(19, 100, np.int16), settings_)
    assert len(i) == 3


@pytest.mark.parametrize("window", [0, 2, -1])
def test_refuses_a_window_that_has_no_centre(window: int) -> None:
    with pytest.raises(ValueError, match="odd number of hops"):
        PhaseSettings(0, 0, 8, window)


def test_takes_the_lasers_phase_off_the_signal() -> None:
    rate, count = 1e9, 1 << 16
    rng = np.random.default_rng(5)
    walk = np.cumsum(rng.standard_normal(count)) * np.sqrt(2 * np.pi * 10e3 / rate)
    time = np.arange(count) / rate
    # A constant "symbol" of 45 degrees at 150 MHz, and the pilot at 250 MHz, both with the walk and 30 kHz of offset.
    drift = 2 * np.pi * 30e3 * time + walk
    samples = np.rint(
        3000 * np.cos(2 * np.pi * 150e6 * time + drift + np.pi / 4) + 12000 * np.cos(2 * np.pi * 250e6 * time + drift)
    ).astype(np.int16)
    settings_ = PhaseSettings(phase_word(150e6, rate), phase_word(250e6, rate), hop=8, window=9)
    words, saturated = compensate(samples, settings_)
    assert saturated == 0
    baseband = (words[:, 0] + 1j * words[:, 1])[: count // 200 * 200].reshape(-1, 200).mean(axis=1)[1:-1]
    assert np.abs(np.angle(baseband * np.exp(-1j * np.pi / 4))).max() < 0.03
    uncompensated = walk.max() - walk.min()
    assert uncompensated > 1  # so the test would see a receiver that does nothing
