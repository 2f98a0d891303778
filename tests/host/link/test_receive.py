"""The receiver's choices: the window of the pilot's average, the sampling phase in the taps, what is refused."""

import numpy as np
import pytest

from kronborg.board import FramePlan, Scenario
from kronborg.errors import InputError
from kronborg.link.acquisition import acquire
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg.link.positions import complex_symbols
from kronborg.link.receive import choose_window, receive, receiver_for, samples_per_symbol
from kronborg_hdl.compensation.pilot_phase.model import PhaseSettings
from kronborg_hdl.dsp.nco import phase_word
from kronborg_sim.devices.model_board import ModelBoard

FORMAT = FrameFormat(125e6, 24_000, 0.2, 125e6, (250e6,), Preamble(17, 1021, 125e6, True, 4.0), 1e9, 4096)
PLAN = FramePlan(FORMAT, 4.0, 20.0, samples=2**18)
HOP = 8


def pilots(walk: float, noise: float, spacing: float = 0.0) -> np.ndarray:
    """A tone at 0.2 cycles a sample whose phase walks with variance `walk` a hop and is read with `noise` a hop."""
    rng = np.random.default_rng(1)
    count = HOP * 40_000
    phase = 2 * np.pi * 0.2 * np.arange(count) + np.cumsum(rng.standard_normal(count)) * np.sqrt(walk / HOP)
    amplitude = 8000.0
    # A phasor a / 2 against complex noise of power v / HOP: variance of its angle v / HOP / (2 (a / 2)**2).
    deviation = np.sqrt(2 * noise * HOP) * amplitude / 2
    tone = amplitude * np.cos(phase) + rng.standard_normal(count) * deviation
    if spacing:
        tone += amplitude * np.cos(phase + 2 * np.pi * spacing * np.arange(count))
    return np.rint(tone).astype(np.int16)


@pytest.mark.parametrize(("walk", "noise"), [(1e-4, 5e-3), (1e-3, 5e-3), (1e-5, 5e-3), (1e-4, 2e-2)])
def test_the_window_costs_little_more_than_the_best_one(walk: float, noise: float) -> None:
    settings = PhaseSettings(0, phase_word(0.2, 1.0), HOP, 1)
    chosen = choose_window(pilots(walk, noise), settings)

    def left(window: float) -> float:
        return walk * (window**2 - 1) / (12 * window) + noise / window

    best = min(left(window) for window in range(9, 1024, 2))
    assert left(chosen) <= 1.05 * best
    assert chosen % 2 == 1


def test_the_window_lies_in_a_null_of_the_other_pilot() -> None:
    spacing = 0.02  # of a sample: nulls at multiples of 50 samples, 25 hops
    settings = PhaseSettings(0, phase_word(0.2, 1.0), HOP, 1)
    chosen = choose_window(pilots(1e-4, 5e-3, spacing), settings, [spacing])
    leak = np.sin(np.pi * spacing * chosen * HOP) / (chosen * HOP * np.sin(np.pi * spacing))
    assert abs(leak) < 0.01


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 0.999])
def test_the_taps_carry_the_fraction_of_a_sample(fraction: float) -> None:
    receiver = receiver_for(FORMAT, 1e9, beat_frequency_hz=60e6, first_symbol=5000 + fraction, window=9)
    taps = receiver.matched_filter.taps.astype(float)
    centre = np.sum(taps**2 * np.arange(len(taps))) / np.sum(taps**2)
    assert receiver.start + centre == pytest.approx(5000 + fraction, abs=2e-3)


def test_a_wrong_sampling_phase_is_seen_as_noise() -> None:
    """A quarter of a sample, T/32, costs 2.4 (1/32)**2 of the signal: else the fraction would not matter."""
    emission = ModelBoard(PLAN, Scenario(distance_km=0.0), 3).frame(0)
    found = acquire(emission.samples, 1e9, FORMAT)
    sent = complex_symbols(emission.symbols)

    def correlation(late: float) -> float:
        moved = type(found)(found.beat_frequency_hz, found.frame_start + late, found.pilot_snr_db, found.preamble_peak)
        words = receive(emission.samples, 1e9, FORMAT, moved, window=25).words
        return float(abs(np.vdot(sent, words)) / np.linalg.norm(sent) / np.linalg.norm(words))

    assert correlation(0.0) > correlation(0.5) > correlation(1.0)
    assert correlation(0.0) > correlation(-0.5) > correlation(-1.0)


def test_symbols_come_upright_by_the_preamble_alone() -> None:
    emission = ModelBoard(PLAN, Scenario(distance_km=0.0), 4).frame(0)
    words = receive(emission.samples, 1e9, FORMAT).words
    sent = complex_symbols(emission.symbols)
    assert abs(np.angle(np.vdot(sent, words))) < 0.03


def test_a_rate_that_is_no_multiple_of_the_symbol_rate_is_refused() -> None:
    assert samples_per_symbol(FORMAT, 1e9) == 8
    for rate in (0.99e9, 125e6):
        with pytest.raises(InputError, match="not a whole number"):
            samples_per_symbol(FORMAT, rate)


def test_a_capture_that_ends_before_the_frame_is_refused() -> None:
    emission = ModelBoard(PLAN, Scenario(), 5).frame(0)
    found = acquire(emission.samples, 1e9, FORMAT)
    with pytest.raises(InputError, match="do not lie within"):
        receive(emission.samples[:150_000], 1e9, FORMAT, found, window=25)
