"""A link in one device, on its models: both ends have the same symbols, and what lies between them is as planned."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from kronborg.board.loopback import LoopbackPlan, fibre_writes
from kronborg.errors import InputError
from kronborg_hdl.channel.fibre_emulator.registers import REGISTERS
from kronborg_hdl.loopback.core import Loopback as Core
from kronborg_hdl.loopback.model import LinkRun
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Flag

PLAN = LoopbackPlan(payload=8192)
FRAMES, NUMBER = 6, 2**32 - 3


def run(plan: LoopbackPlan, frames: int = FRAMES) -> LinkRun:
    words = np.random.default_rng(1).integers(0, 2**32, 2 * frames * plan.payload, np.uint32)
    return plan.settings.run(words, frames, number=NUMBER)


@cache
def usual() -> LinkRun:
    return run(PLAN)


def test_every_frame_is_received_and_only_those_before_the_clock_is_known_are_marked() -> None:
    frames = usual().frames
    assert [frame.number for frame in frames] == [(NUMBER + n) % 2**32 for n in range(FRAMES)]
    assert all(frame.received is not None for frame in frames)
    assert [frame.good for frame in frames] == [False] * 2 + [True] * (FRAMES - 2)
    assert frames[0].received.flags & Flag.UNLOCKED
    assert frames[1].received.flags == Flag.TIMING
    assert usual().emulator_saturated == usual().receiver.saturated == usual().receiver.late == 0


def test_the_snr_is_the_planned_one() -> None:
    # Symbols of both ends, each frame turned by its own static phase.
    cross, sent, received, count = 0j, 0.0, 0.0, 0
    for frame in usual().frames:
        if frame.good:
            x, y = (end.symbols.astype(float) @ (1, 1j) for end in (frame.sent, frame.received))
            cross += np.vdot(x, y * np.exp(-1j * np.angle(complex(*frame.received.correlation))))
            sent, received, count = sent + np.vdot(x, x).real, received + np.vdot(y, y).real, count + len(x)
    signal = abs(cross) ** 2 / sent
    snr = signal / (received - signal)
    planned = PLAN.signal_snu / (1 + PLAN.electronic_noise_snu)
    assert snr == pytest.approx(planned, rel=5 * np.sqrt((1 + 2 / planned) / count))
    assert abs(np.angle(cross)) < 0.02


def test_another_channel_gives_other_symbols_to_bob_alone() -> None:
    other = run(replace(PLAN, seed=2), frames=3)
    for one, two in zip(usual().frames, other.frames, strict=False):
        np.testing.assert_array_equal(one.sent.symbols, two.sent.symbols)
        assert not np.array_equal(one.received.symbols, two.received.symbols)


def test_a_vacuum_that_is_too_short_keeps_the_last_frame_in_the_receiver() -> None:
    frames = run(replace(PLAN, vacuum=1024), frames=3).frames
    assert [frame.received is None for frame in frames] == [False, False, True]


def test_what_is_written_are_registers_of_the_emulator() -> None:
    written = list(fibre_writes(PLAN.settings.fibre))
    assert [REGISTERS[register].word(**values) for register, values in written]
    assert [values["word"] for register, values in written if register == "seed"] == PLAN.fibre.seed_words.tolist()
    assert written[-1] == ("control", {"apply": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples_per_symbol": 4}, "4 samples a symbol: signal and pilot need 8 or 16"),
        ({"lanes": 16, "payload": 4097}, "payload and vacuum are whole clocks of 2 symbols"),
        ({"pilot_snr_db": 35.0}, "do not fit into the converter's range: lower pilot_snr_db"),
        ({"shot_noise_words": 1500.0}, "the emulator would multiply by 1.46, and it is a loss"),
        ({"lanes": 0}, "0 samples per clock: must be one of 1, 2, 4, 8, 16"),
        ({"lanes": 32}, "32 samples per clock: must be one of"),
        ({"span": 0}, "a span of 0 symbols: must be 1 to 256"),
        ({"sample_rate_hz": 0.0}, "sample_rate_hz = 0: there is no such link"),
        ({"signal_snu": 0.0}, "signal_snu = 0: there is no such link"),
        ({"signal_snu": float("nan")}, "signal_snu = nan"),
        ({"chip_ratio": float("inf")}, "chip_ratio = inf"),
        ({"linewidth_hz": -1.0}, "linewidth_hz = -1: there is no such link"),
        ({"electronic_noise_snu": -0.01}, "electronic_noise_snu = -0.01"),
        ({"pilot_snr_db": float("nan")}, "pilot_snr_db = nan"),
        ({"beat_hz": float("nan")}, "beat_hz = nan"),
        ({"beat_hz": 51e6}, "a beat of 51 MHz: signal and pilot lie between 0 and .* for -10 to 50 MHz"),
        ({"beat_hz": -11e6}, "a beat of -11 MHz: signal and pilot lie"),
    ],
)
def test_what_the_gateware_cannot_do_is_refused_in_a_line(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(PLAN, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vacuum": -2}, "a vacuum of -2 symbols"),
        ({"preamble": 34}, "root 17 of the preamble is not coprime"),
        ({"detector_chips": 0}, "0 chips"),
    ],
)
def test_sizes_that_no_part_has_are_refused_in_a_line(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _ = replace(PLAN, **change).settings


def test_light_without_linewidth_or_electronic_noise_is_light() -> None:
    assert replace(PLAN, linewidth_hz=0.0, electronic_noise_snu=0.0).settings.fibre.step == 0


def test_noise_that_the_emulator_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"noise of 20\.5.* words: there can be none, or 32 to"):
        _ = replace(PLAN, shot_noise_words=20.0).settings


def test_the_core_shares_its_multipliers_and_is_built_for_what_half_bands_bring_to_two() -> None:
    assert Core(lanes=2, samples_per_symbol=8, span=33).multipliers == 121
    with pytest.raises(ValueError, match="2 samples a symbol: must be 4, 8 or 16"):
        Core(lanes=2, samples_per_symbol=2, span=33)
