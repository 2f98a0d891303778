from dataclasses import replace
from importlib.metadata import entry_points

import numpy as np
import pytest

from kronborg.board import FramePlan, Scenario, open_board
from kronborg.errors import InputError
from kronborg.link.frame_format import FrameFormat, Preamble
from kronborg.link.positions import complex_symbols
from kronborg_sim.devices.model_board import ModelBoard

FORMAT = FrameFormat(125e6, 12_000, 0.2, 125e6, (250e6,), Preamble(17, 1021, 125e6, True, 4.0), 1e9, 4096)
PLAN = FramePlan(FORMAT, 4.0, 22.0, samples=2**17)


def test_the_same_seed_gives_the_same_frame_and_another_one_another() -> None:
    first, again, other = (ModelBoard(PLAN, Scenario(), seed).frame(3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.samples, again.samples)
    np.testing.assert_array_equal(first.symbols, again.symbols)
    assert np.any(first.samples != other.samples)


def test_frames_vacuum_and_dark_are_independent_of_each_other() -> None:
    board = ModelBoard(PLAN, Scenario(), 1)
    recordings = [board.vacuum(0), board.vacuum(1), board.dark(0), board.frame(0).samples]
    assert np.abs(np.corrcoef(np.stack(recordings).astype(float)) - np.eye(4)).max() < 0.02
    first, second = (board.frame(index).symbols.reshape(-1).astype(float) for index in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_symbols_leave_with_the_modulation_variance_asked_for_whatever_the_pilot() -> None:
    for pilot in (0.0, 22.0, 24.0):
        plan = FramePlan(FORMAT, 4.0, pilot, samples=2**17)
        board = ModelBoard(plan, Scenario(), 1)
        symbols = board._symbols(np.random.default_rng(9), 12_000)
        field = board._modulator.field(plan.transmitter.send(0, symbols).samples) * board._field_scale
        # A float matched filter on the field itself, shift taken off.
        time = np.arange(len(field))
        down = field * np.exp(-2j * np.pi * FORMAT.frequency_shift_hz / plan.sample_rate_hz * time)
        pulse = replace(plan.shaper, shift=15).process(np.array([[32767, 0]], np.int16))[0][:, 0].astype(float)
        filtered = np.convolve(down, pulse[::-1] / np.linalg.norm(pulse))
        first = plan.frame_settings.head * plan.samples_per_symbol + len(pulse) - 1
        received = filtered[first :: plan.samples_per_symbol][: len(symbols)]
        sent = complex_symbols(symbols) * plan.snu_per_word
        assert abs(np.vdot(sent, received - received.mean()) / np.vdot(sent, sent)) == pytest.approx(1.0, abs=0.01)


def test_a_silent_frame_has_the_same_noise() -> None:
    board = ModelBoard(PLAN, Scenario(), 1)
    difference = board.frame(0).samples.astype(int) - board.frame(0, silent=True).samples
    assert np.abs(difference[:3000]).max() <= 4  # before the payload only the converter's rounding may differ
    assert difference[60_000:100_000].std() > 300


def test_a_pilot_beyond_the_converters_range_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="lower --pilot-snr") as caught:
        FramePlan(FORMAT, 4.0, 40.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("silence", "samples", "message"),
    [
        (4100, 2**17, "131072 samples with 4100 of silence is not whole symbols of 8 samples"),
        (4096, 2**17 + 1, "is not whole symbols"),
        (4096, 8 * (512 + 1021 + 12_000 + 39), "shorter than the 108584 that its symbols need"),
    ],
)
def test_a_frame_that_the_gateware_cannot_send_is_refused_in_one_line(silence: int, samples: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        FramePlan(replace(FORMAT, leading_zeros_at_transmitter=silence), 4.0, 22.0, samples=samples)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rate_hz", "shift_hz", "pilots_hz", "sample_rate_hz", "message"),
    [
        (
            120e6,
            125e6,
            (250e6,),
            1e9,
            "120 MBd from a converter at 1000 MS/s are 8.33333 samples a symbol: there must be",
        ),
        (1e9, 0.0, (700e6,), 1e9, "are 1 samples a symbol: there must be 2 to 16, and a whole number"),
        (3e9, 0.0, (2e9,), 1e9, "are 0.333333 samples a symbol"),
        (50e6, 50e6, (150e6,), 1e9, "are 20 samples a symbol"),
        (125e6, 125e6, (700e6,), 1e9, "a pilot lies at 700 MHz: a converter at 1000 MS/s sends less than half"),
        (125e6, 125e6, (-500e6,), 1e9, "a pilot lies at 500 MHz"),
        (125e6, -450e6, (250e6,), 1e9, "the signal's band reaches 525 MHz: a converter at 1000 MS/s sends less than"),
        (125e6, 125e6, (250e6, 300e6, -300e6), 1e9, "3 pilots: the gateware sends 2 at most"),
        (125e6, 125e6, (250e6,), 0.0, "a sample rate of 0 Hz cannot be"),
        (125e6, 125e6, (250e6,), float("nan"), "a sample rate of nan Hz cannot be"),
    ],
)
def test_an_impossible_rate_is_refused_in_one_line(
    rate_hz: float, shift_hz: float, pilots_hz: tuple[float, ...], sample_rate_hz: float, message: str
) -> None:
    preamble = replace(FORMAT.preamble, rate_hz=rate_hz)
    frame = replace(
        FORMAT,
        symbol_rate_hz=rate_hz,
        frequency_shift_hz=shift_hz,
        pilot_frequencies_hz=pilots_hz,
        preamble=preamble,
    )
    with pytest.raises(InputError, match=message) as caught:
        FramePlan(frame, 4.0, 10.0, sample_rate_hz=sample_rate_hz)
    assert "\n" not in str(caught.value)


def test_vacuum_fills_the_frame_to_its_last_sample() -> None:
    for samples in (2**17, 8 * (512 + 1021 + 12_000 + 40)):
        plan = FramePlan(FORMAT, 4.0, 22.0, samples=samples)
        assert plan.transmitter.samples == samples
        assert len(ModelBoard(plan, Scenario(), 1).frame(0).samples) == samples


def test_is_found_by_name_and_an_unknown_name_says_what_there_is() -> None:
    assert "optics" in entry_points(group="kronborg.boards").names
    assert isinstance(open_board("optics", PLAN, Scenario(), 1), ModelBoard)
    with pytest.raises(InputError, match="no board 'zcu999': there are optics, pynq, model, rtl, ulx3s"):
        open_board("zcu999", PLAN, Scenario(), 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [("distance_km", -1.0), ("distance_km", float("nan")), ("linewidth_hz", 1e9), ("detector_efficiency", 0.0)],
)
def test_a_world_that_cannot_be_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(InputError, match=field):
        Scenario(**{field: value})
