"""Half-bands, resampler and symbol filter together, on a transmitter's pulse: in mSNU at a modulation variance of 4."""

import numpy as np
import pytest

from kronborg_hdl.decimation.half_band import model as half_band
from kronborg_hdl.decimation.half_band.model import HalfBand
from kronborg_hdl.decimation.resampler.kernel import AHEAD, NARROW, PHASES, TAP, TAPS, WIDE, Kernel
from kronborg_hdl.decimation.symbol_filter.model import REACH
from kronborg_hdl.decimation.symbol_filter.taps import chain_response, symbol_filter_taps, tap_words
from kronborg_hdl.dsp.root_raised_cosine import root_raised_cosine

VARIANCE_MSNU = 4000
SPAN = 33
NEIGHBOURS = 48
RATES = [
    *((m, halvings, WIDE) for m, halvings in ((2, 0), (4, 1), (8, 2), (16, 3), (9, 2), (10, 2), (11, 2))),
    *((m, halvings, NARROW) for m, halvings in ((6, 1), (12, 2), (14, 2), (15, 2))),
]
"""Samples a symbol at the converter, halvings, and the kernel for what is left of them: 2 to 2.8 wide, else narrow."""


def stages(halvings: int) -> list[HalfBand]:
    return [half_band.WIDE if stage == halvings - 1 else half_band.NARROW for stage in range(halvings)]


def impulse(stage: HalfBand) -> np.ndarray:
    """Of a half-band: its middle is in the middle."""
    taps = np.asarray(stage.taps) / 2**stage.fraction
    one_side = np.stack([taps, np.zeros_like(taps)], axis=-1).ravel()[:-1]
    return np.concatenate([one_side[::-1], [0.5], one_side])


def filter_taps(m: int, halvings: int, kernel: Kernel, roll_off: float) -> np.ndarray:
    """All 65 of them, from their words."""
    taps = TAP.to_float(tap_words(symbol_filter_taps(roll_off, chain_response(m, halvings, kernel))))
    return np.concatenate([taps[:0:-1], taps])


def windows(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First sample and phase of the resampler's windows at these positions."""
    index, phase = np.divmod(np.floor(position * PHASES + 0.5).astype(int), PHASES)
    return index - (AHEAD - 1), phase


def received(m: int, halvings: int, kernel: Kernel, roll_off: float, shift: float, late: float) -> np.ndarray:
    """What one symbol gives to itself and to `NEIGHBOURS` on either side of it.

    Args:
        m: samples a symbol at the converter.
        halvings: half-bands.
        kernel: of the resampler.
        roll_off: of the pulse.
        shift: where the pulse lies, in samples of the converter: 0 to 2**halvings are all sampling phases.
        late: by how much the resampler is too late, in its input's samples.
    """
    margin = (NEIGHBOURS + REACH) * m
    pulse = root_raised_cosine(m, SPAN, roll_off, delay=shift)
    samples = np.concatenate([np.zeros(margin), pulse, np.zeros(margin)])
    centre, rate = margin + m * SPAN / 2 + shift, float(m)
    for stage in stages(halvings):
        samples = np.convolve(samples, impulse(stage), "same")[::2]
        centre, rate = centre / 2, rate / 2
    halves = np.arange(-2 * NEIGHBOURS, 2 * NEIGHBOURS + 1)
    first, phase = windows(centre + late + halves * rate / 2)
    samples = np.pad(samples, 1000)
    resampled = np.sum(
        samples[first[:, np.newaxis] + np.arange(TAPS) + 1000] * TAP.to_float(kernel.table)[phase], axis=1
    )
    return np.asarray(np.convolve(resampled, filter_taps(m, halvings, kernel, roll_off), "same")[::2])


def interference_msnu(symbol: np.ndarray) -> float:
    """Power that a symbol gives to its neighbours over what it keeps."""
    power = symbol**2
    return float(VARIANCE_MSNU * (power.sum() / power[NEIGHBOURS] - 1))


def noise_power(m: int, halvings: int, kernel: Kernel, roll_off: float) -> float:
    """Of a symbol, for white noise of power one at the converter: the mean over phases."""
    taps, powers = filter_taps(m, halvings, kernel, roll_off), []
    for shift in np.random.default_rng(1).random(16):
        first, phase = windows(1000 + shift + np.arange(-REACH, REACH + 1) * m / 2**halvings / 2)
        response = np.zeros(2000)
        for tap, begin, row in zip(taps, first, TAP.to_float(kernel.table)[phase], strict=True):
            response[begin : begin + TAPS] += tap * row
        for stage in reversed(stages(halvings)):
            held = np.zeros(2 * len(response))
            held[::2] = response
            response = np.convolve(held, impulse(stage))
        powers.append(np.sum(response**2))
    return float(np.mean(powers))


@pytest.mark.parametrize("roll_off", [0.2, 0.3, 0.5])
@pytest.mark.parametrize(("m", "halvings", "kernel"), RATES)
def test_symbols_hardly_reach_each_other(m: int, halvings: int, kernel: Kernel, roll_off: float) -> None:
    shifts = np.random.default_rng(m).random(24) * 2**halvings
    symbols = [received(m, halvings, kernel, roll_off, shift, 0.0) for shift in shifts]
    # Images, the pulses' finite length, and positions to the nearest 128th of a sample: 0.015 is the largest mean.
    assert np.mean([interference_msnu(symbol) for symbol in symbols]) < 0.02
    # Of the phases the worst; and the gain is the same for all.
    assert max(interference_msnu(symbol) for symbol in symbols) < 0.04
    gains = np.array([symbol[NEIGHBOURS] for symbol in symbols])
    assert VARIANCE_MSNU * np.var(gains) / np.mean(gains) ** 2 < 0.001
    # A matched filter's signal-to-noise ratio would be one.
    efficiency = np.mean(gains) ** 2 / noise_power(m, halvings, kernel, roll_off)
    assert -0.06 < 10 * np.log10(efficiency) < 0.001


@pytest.mark.parametrize("roll_off", [0.2, 0.5])
def test_a_128th_of_a_symbol_early_or_late_costs_less_than_six_tenths_of_a_milli_snu(roll_off: float) -> None:
    costs = []
    for shift in np.arange(0, PHASES, 8) / PHASES:  # positions on a phase: nothing else is late
        on_time, early, late = (
            interference_msnu(received(2, 0, WIDE, roll_off, shift, at)) for at in (0, -2 / PHASES, 2 / PHASES)
        )
        costs += [early - on_time, late - on_time]
    assert 0.25 < max(costs) < 0.6


@pytest.mark.parametrize("roll_off", [0.2, 0.5])
def test_positions_to_the_nearest_phase_cost_four_hundredths_of_a_milli_snu_at_worst(roll_off: float) -> None:
    costs = []
    for phase in range(0, PHASES, 4):
        # Halfway between two phases a position is half a 128th of a sample off, a 512th of a symbol.
        exact, halfway = (received(2, 0, WIDE, roll_off, (phase + part) / PHASES, 0.0) for part in (0, 0.499))
        costs.append(interference_msnu(halfway) - interference_msnu(exact))
    assert 0.015 < max(costs) < 0.04


def test_without_stages_before_them_taps_are_about_a_root_raised_cosine() -> None:
    taps = symbol_filter_taps(0.2, np.ones_like)
    pulse = root_raised_cosine(2, SPAN, 0.2)
    # Both are cut off after 16 symbols, which the taps make good as far as they can.
    assert np.sum((taps - pulse[SPAN:]) ** 2) < 1e-4
    assert taps[0] ** 2 + 2 * np.sum(taps[1:] ** 2) == pytest.approx(1)


def test_the_response_is_the_product_of_the_stages() -> None:
    frequency = np.linspace(0, 0.6, 7)
    response = chain_response(8, 2, WIDE)(frequency)
    wanted = half_band.NARROW.response(frequency / 8) * half_band.WIDE.response(frequency / 4)
    np.testing.assert_allclose(response, wanted * WIDE.response(frequency / 2), atol=1e-12)
