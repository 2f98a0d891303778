"""Symbols drawn from the channel model: the channel that was asked for, the same at both ends, tapped where asked."""

import math

import numpy as np
import pytest

from kronborg.board import Scenario
from kronborg.errors import InputError
from kronborg.link.light import Tap, open_light
from kronborg.link.planning import expected_link
from kronborg.link.positions import complex_symbols
from kronborg.postprocessing.estimation import Moments, estimate
from kronborg_sim.devices.drawn_light import WORDS_PER_SNU_ROOT, DrawnLight

SCENARIO = Scenario(distance_km=10.0, excess_noise_snu=0.02)


def estimated(light: DrawnLight, first: int, count: int) -> tuple[float, float, float]:
    """Transmittance, excess noise and its standard deviation over some frames."""
    sent, received = light.emit(first, count), light.receive(first, count)
    x = complex_symbols(np.concatenate([sent[frame] for frame in sorted(sent)])) * light.snu_per_word
    y = np.concatenate([received[frame] for frame in sorted(received)])
    found = estimate(
        Moments.of(x, y),
        modulation_variance_snu=light.modulation_variance_snu,
        shot_noise=light.shot_noise,
        detector_efficiency=light.detector_efficiency,
        epsilon=1e-10,
    )
    return found.transmittance, found.excess_noise_snu, found.excess_noise_std_snu


def test_the_channel_is_the_one_of_the_scenario() -> None:
    transmittance, noise, deviation = estimated(DrawnLight(SCENARIO, 4.0, 5), 0, 8)
    assert transmittance == pytest.approx(expected_link(SCENARIO, 4.0).transmittance, rel=5e-3)
    assert abs(noise - 0.02) < 4 * deviation


def test_a_tap_adds_its_noise_from_its_frame_on() -> None:
    light = DrawnLight(SCENARIO, 4.0, 5, tap=Tap(3, 0.5))
    _, before, deviation = estimated(light, 0, 3)
    _, after, _ = estimated(light, 3, 3)
    assert abs(before - 0.02) < 5 * deviation
    assert abs(after - 0.52) < 8 * deviation


def test_a_frame_follows_from_seed_and_number_alone_at_either_end() -> None:
    one, other = DrawnLight(SCENARIO, 4.0, 5, frame_symbols=1000), DrawnLight(SCENARIO, 4.0, 5, frame_symbols=1000)
    np.testing.assert_array_equal(one.emit(7, 1)[7], other.emit(5, 4)[7])
    np.testing.assert_array_equal(one.receive(7, 1)[7], other.receive(5, 4)[7])
    assert not np.array_equal(one.emit(7, 1)[7], one.emit(8, 1)[8])
    assert not np.array_equal(one.emit(7, 1)[7], DrawnLight(SCENARIO, 4.0, 6, frame_symbols=1000).emit(7, 1)[7])


def test_bobs_symbols_are_rounded_words_as_a_receivers_are() -> None:
    symbols = DrawnLight(SCENARIO, 4.0, 5, frame_symbols=1000).receive(0, 1)[0]
    words = symbols.view(np.float32).astype(np.float64) * WORDS_PER_SNU_ROOT
    assert np.abs(words - np.rint(words)).max() < 1e-3
    assert symbols.dtype == np.complex64


def test_it_is_offered_by_name() -> None:
    light = open_light("drawn", SCENARIO, 4.0, 5)
    assert light.simulated
    assert light.snu_per_word == pytest.approx(math.sqrt(4.0) / 4096)
    with pytest.raises(InputError, match="drawn"):
        open_light("candle", SCENARIO, 4.0, 5)


def test_a_modulation_that_does_not_fit_the_words_is_refused() -> None:
    with pytest.raises(InputError, match="does not fit"):
        DrawnLight(SCENARIO, 200.0, 5)
