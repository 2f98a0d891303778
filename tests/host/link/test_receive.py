"""The receiver's choices: the smoother of the phase, rates and kernels, where a symbol lies; what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from kronborg.board import FramePlan, Scenario
from kronborg.errors import InputError
from kronborg.link.acquisition import acquire
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg.link.positions import complex_symbols
from kronborg.link.receive import choose_smoother, halvings_for, kernel_for, receive, receiver_for, samples_per_symbol
from kronborg_hdl.compensation.phase_smoother.model import smoother_limit_rad2
from kronborg_hdl.decimation.resampler.kernel import FALLING, NARROW, WIDE
from kronborg_sim.benches.receiver import GUARD, Scene
from kronborg_sim.devices.model_board import ModelBoard
from kronborg_sim.recordings import Light, record, told_the_truth

FORMAT = FrameFormat(125e6, 24_000, 0.2, 125e6, (250e6,), Preamble(17, 1021, 125e6, True, 4.0), 1e9, 4096)
PLAN = FramePlan(FORMAT, 4.0, 20.0, samples=2**18)


def pilots(walk: float, noise: float, spacing: float = 0.0) -> np.ndarray:
    """Phasors whose phase walks with variance `walk` a hop and is read with `noise` a hop."""
    rng = np.random.default_rng(1)
    count = 40_000
    phase = np.cumsum(rng.standard_normal(count)) * np.sqrt(walk)
    tone = np.exp(1j * phase) * (1 + (np.exp(2j * np.pi * spacing * np.arange(count)) if spacing else 0))
    return 8000 * (tone + np.sqrt(noise) * (rng.standard_normal(count) + 1j * rng.standard_normal(count)))


@pytest.mark.parametrize(("walk", "noise"), [(1e-4, 5e-3), (1e-3, 5e-3), (1e-5, 5e-3), (1e-4, 2e-2)])
def test_the_smoother_costs_little_more_than_the_best_one(walk: float, noise: float) -> None:
    chosen = choose_smoother(pilots(walk, noise))
    assert chosen.phase_variance_rad2(walk, noise) <= 1.05 * smoother_limit_rad2(walk, noise)


def test_the_smoother_has_a_null_of_the_other_pilot() -> None:
    spacing = 0.16  # cycles a hop
    chosen = choose_smoother(pilots(1e-4, 5e-3, spacing), [spacing])
    assert chosen.response(spacing) ** 2 < 1e-5


@pytest.mark.parametrize(
    ("ratio", "halvings"), [(2, 0), (3.9, 0), (4, 1), (8, 2), (10, 2), (16, 3), (25, 3), (31.9, 3)]
)
def test_two_to_four_samples_a_symbol_are_left(ratio: float, halvings: int) -> None:
    assert halvings_for(ratio) == halvings


def test_the_kernel_folds_nothing_onto_the_signal() -> None:
    assert kernel_for(2.0, 0.2) is WIDE
    assert kernel_for(2.5, 0.5) is FALLING
    assert kernel_for(3.125, 0.2) is NARROW
    assert kernel_for(3.125, 0.5) is FALLING


@pytest.mark.parametrize(
    ("rate_hz", "symbol_rate_hz", "roll_off"),
    [(1e9, 125e6, 0.2), (1e9, 100e6, 0.5), (1e9, 62.5e6, 0.2), (2.5e9, 100e6, 0.5), (1e9, 250e6, 0.2)],
)
@pytest.mark.parametrize("offset_ppm", [0.0, 40.0])
def test_symbols_are_as_good_as_those_of_a_filter_that_is_told_the_truth(
    rate_hz: float, symbol_rate_hz: float, roll_off: float, offset_ppm: float
) -> None:
    """At every rate, with two pilots, at a high signal: what the receiver itself adds would be seen."""
    shift = symbol_rate_hz * 0.8
    pilot = shift + symbol_rate_hz * (0.6 + roll_off / 2)
    sent_hz = symbol_rate_hz * (5 if rate_hz / symbol_rate_hz % 5 == 0 else 4)
    preamble = Preamble(5, 3989, sent_hz)
    frame = FrameFormat(symbol_rate_hz, 20_000, roll_off, shift, (pilot, pilot + 16e6), preamble, sent_hz, 5000)
    light = Light(signal_snu=10.0, preamble_snu=30.0, linewidth_hz=0.0, clock_offset_ppm=offset_ppm, delay=700.4)
    recorded = record(frame, light, rate_hz, np.random.default_rng(3))
    truth = told_the_truth(recorded, frame, rate_hz)
    words = receive(recorded.samples, rate_hz, frame).words

    def noise(received: np.ndarray) -> float:
        x = recorded.symbols
        share = abs(np.vdot(x, received)) ** 2 / (np.vdot(x, x).real * np.vdot(received, received).real)
        return float(1 / share - 1)

    # Relative to the signal, of which shot noise is a tenth. A percent of that at most is lost by folding, and what
    # goes with the signal is below 1.2 mSNU at V_A = 4.
    assert noise(words) < 1.01 * noise(truth) + 3e-4


def test_a_wrong_sampling_phase_is_seen_as_noise() -> None:
    """A quarter of a sample, T/32, costs 2.4 (1/32)**2 of the signal: else the fraction would not matter."""
    emission = ModelBoard(PLAN, Scenario(distance_km=0.0), 3).frame(0)
    found = acquire(emission.samples, 1e9, FORMAT)
    sent = complex_symbols(emission.symbols)

    def correlation(late: float) -> float:
        words = receive(emission.samples, 1e9, FORMAT, replace(found, frame_start=found.frame_start + late)).words
        return float(abs(np.vdot(sent, words)) / np.linalg.norm(sent) / np.linalg.norm(words))

    assert correlation(0.0) > correlation(0.5) > correlation(1.0)
    assert correlation(0.0) > correlation(-0.5) > correlation(-1.0)


@pytest.mark.parametrize("offset_ppm", [-100.0, 100.0])
def test_the_payload_is_sampled_at_its_centres_whatever_the_clock_gains_in_the_preamble(offset_ppm: float) -> None:
    """2039 symbols at 100 ppm are 1.6 samples: a fifth of a symbol."""
    scene = Scene(8192, clock_offset_ppm=-offset_ppm)
    rng = np.random.default_rng(4)
    emissions, symbols = scene.sent(1, rng)
    samples, frame = scene.detected(emissions[0], rng), scene.frame_format
    found = acquire(samples, 1e9, frame)
    start = found.frame_start - scene.preamble * 8 / 2 * offset_ppm * 1e-6
    header = scene.transmitter.frame.head - GUARD - scene.preamble
    sent = complex_symbols(symbols[0])[:-header]

    def correlation(late: float) -> float:
        placed = replace(found, frame_start=start + late, clock_offset_ppm=offset_ppm)
        words = receive(samples, 1e9, frame, placed).words[header:]
        return float(abs(np.vdot(sent, words)) / np.linalg.norm(sent) / np.linalg.norm(words))

    assert correlation(0.0) > max(correlation(-1.0), correlation(1.0))


def test_symbols_come_upright_by_the_preamble_alone() -> None:
    emission = ModelBoard(PLAN, Scenario(distance_km=0.0), 4).frame(0)
    words = receive(emission.samples, 1e9, FORMAT).words
    sent = complex_symbols(emission.symbols)
    assert abs(np.angle(np.vdot(sent, words))) < 0.03


def test_rates_that_the_chain_is_not_made_for_are_refused() -> None:
    assert samples_per_symbol(FORMAT, 1e9) == 8
    assert samples_per_symbol(FORMAT, 0.99e9) == pytest.approx(7.92)
    for rate in (125e6, 4.1e9):
        with pytest.raises(InputError, match=r"samples a symbol .* are outside 2 to 32"):
            samples_per_symbol(FORMAT, rate)


def test_the_wanted_symbol_is_where_the_settings_say() -> None:
    for first_symbol in (5000.0, 5000.3, 5007.9):
        chain = receiver_for(FORMAT, 1e9, beat_frequency_hz=60e6, first_symbol=first_symbol)
        # In decimated samples: 26 converter samples and one decimated one later, by the half-bands.
        place = (chain.receiver.position + chain.first * 2 * chain.receiver.step) / 2**32
        assert place == pytest.approx((first_symbol + 26) / 4 + 1, abs=1e-6)


def test_a_capture_that_ends_before_the_frame_is_refused() -> None:
    emission = ModelBoard(PLAN, Scenario(), 5).frame(0)
    found = acquire(emission.samples, 1e9, FORMAT)
    with pytest.raises(InputError, match="do not lie within"):
        receive(emission.samples[:150_000], 1e9, FORMAT, found)
