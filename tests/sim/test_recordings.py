"""Recordings like public software's: what is said of them is true."""

from dataclasses import replace

import numpy as np
import pytest

from kronborg.link.acquisition import acquire, clock_offset
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg_sim.recordings import Light, record, told_the_truth

RATE_HZ = 1e9
FRAME = FrameFormat(100e6, 20_000, 0.5, 100e6, (200e6, 220e6), Preamble(5, 3989, 500e6), 500e6, 5000)
LIGHT = Light(delay=1000.3, linewidth_hz=1e4)


@pytest.mark.parametrize("offset_ppm", [0.0, -20.0, 100.0])
def test_a_filter_that_is_told_the_truth_finds_signal_and_vacuum(offset_ppm: float) -> None:
    recorded = record(FRAME, replace(LIGHT, clock_offset_ppm=offset_ppm), RATE_HZ, np.random.default_rng(1))
    received = told_the_truth(recorded, FRAME, RATE_HZ)
    power = np.vdot(recorded.symbols, recorded.symbols).real
    gain = np.vdot(recorded.symbols, received) / power
    noise = np.mean(np.abs(received - gain * recorded.symbols) ** 2) / 2
    assert abs(gain) ** 2 == pytest.approx(LIGHT.signal_snu, rel=0.05)
    assert noise == pytest.approx(1.05, rel=4 / np.sqrt(len(received)))


@pytest.mark.parametrize("offset_ppm", [0.0, 15.0])
def test_the_frame_lies_where_it_is_said_to(offset_ppm: float) -> None:
    recorded = record(FRAME, replace(LIGHT, clock_offset_ppm=offset_ppm), RATE_HZ, np.random.default_rng(2))
    found = acquire(recorded.samples, RATE_HZ, FRAME)
    assert found.frame_start == pytest.approx(recorded.first_symbol, abs=0.2)
    assert found.beat_frequency_hz == pytest.approx(LIGHT.beat_frequency_hz, abs=30e3)
    offset = clock_offset(recorded.samples, RATE_HZ, FRAME, found)
    # Alice's clock is the slower one.
    assert offset.ppm == pytest.approx(-offset_ppm, abs=6 * offset.std_ppm)


def test_rates_that_are_no_multiples_are_refused() -> None:
    with pytest.raises(ValueError, match="no whole multiple"):
        record(FRAME, LIGHT, 0.9e9, np.random.default_rng(1))


def test_every_further_pilot_is_weaker_by_the_step() -> None:
    light = replace(LIGHT, linewidth_hz=0.0, pilot_snr_db=40.0, pilot_step_db=6.0)
    recorded = record(FRAME, light, RATE_HZ, np.random.default_rng(3))
    time = np.arange(100_000, 150_000) / RATE_HZ
    first, second = (
        abs(
            np.mean(recorded.current[100_000:150_000] * np.exp(-2j * np.pi * (light.beat_frequency_hz + offset) * time))
        )
        for offset in FRAME.pilot_frequencies_hz
    )
    assert 20 * np.log10(first / second) == pytest.approx(6.0, abs=0.1)
