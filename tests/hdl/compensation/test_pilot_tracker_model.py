"""The tracker's model, alone and in closed loop with the mixer's."""

from dataclasses import replace

import numpy as np
import pytest

from kronborg.board.closed_loop import AMBIGUITY, NEIGHBOURHOOD
from kronborg_hdl.compensation.mixer.model import Mixer
from kronborg_hdl.compensation.pilot_tracker.model import (
    BEAT_FRACTION,
    HOPS,
    MAGNITUDE_BITS,
    Kind,
    PilotTracker,
    Settings,
)
from kronborg_hdl.dsp.cordic import GAIN
from kronborg_hdl.dsp.nco import phase_word, word_frequency
from kronborg_hdl.receiver.pilot_loop import PilotLoop
from kronborg_sim.pilot_hops import Scene, play

RATE_HZ = 1e9
NOMINAL_HZ = (150e6, 210e6, 270e6)
"""Of signal and pilots, before the beat."""
SETTINGS = Settings(halvings=2, threshold=4000)
SEARCH_HOPS = (2 * SETTINGS.trials + 3) * HOPS << SETTINGS.slot_log2
BLOCK_HOPS = HOPS << SETTINGS.block_log2
SHOT_NOISE_WORDS = 100


def tones(
    count: int,
    beat_hz: float,
    *,
    start: int = 0,
    drift_hz_per_s: float = 0.0,
    offset_ppm: float = 0.0,
    linewidth_hz: float = 2e3,
    amplitudes: tuple[float, float] = (450.0, 450.0),
    seed: int = 1,
) -> np.ndarray:
    """Converter words of a real receiver: both pilots and shot noise; the pilot's SNR is 16 dB a symbol of 125 MBd."""
    rng = np.random.default_rng([seed, start])
    time = (start + np.arange(count)) / RATE_HZ
    walk = np.cumsum(rng.normal(0, np.sqrt(2 * np.pi * linewidth_hz / RATE_HZ), count))
    beat = 2 * np.pi * (beat_hz + drift_hz_per_s * time / 2) * time + walk
    current = rng.normal(0, SHOT_NOISE_WORDS, count)
    for nominal, amplitude in zip(NOMINAL_HZ[1:], amplitudes, strict=True):
        current += amplitude * np.cos(2 * np.pi * nominal * (1 + offset_ppm * 1e-6) * time + beat)
    return np.clip(np.rint(current), -(2**15), 2**15 - 1).astype(np.int16)


def loop(settings: Settings = SETTINGS) -> PilotLoop:
    offsets = [phase_word(frequency, RATE_HZ) for frequency in NOMINAL_HZ]
    return PilotLoop(Mixer((offsets[0], offsets[1], offsets[2]), settings.halvings), PilotTracker(settings))


def aimed(beat_hz: float, **others: int) -> Settings:
    """No search: one trial at this beat."""
    start = phase_word(beat_hz, RATE_HZ)
    return replace(SETTINGS, **{"trials": 1, "start": start - (start >> 31 << 32), **others})


def estimate_hz(of: PilotLoop) -> float:
    assert of.tracker_state
    return word_frequency(of.tracker_state.estimate >> BEAT_FRACTION, RATE_HZ)


def samples_of(hops: int) -> int:
    return hops * 8


@pytest.mark.parametrize("beat_hz", [-200e6, -87.3e6, 0.4e6, 123.9e6, 200e6])
def test_acquires_a_beat_anywhere_in_its_range_by_itself(beat_hz: float) -> None:
    run = loop()
    run.process(tones(samples_of(SEARCH_HOPS + 4 * BLOCK_HOPS), beat_hz))
    state = run.tracker_state
    assert state
    assert state.locked
    assert (state.missing, state.ambiguous, state.losses, state.slips, run.late) == (0, 0, 0, 0, 0)
    assert abs(estimate_hz(run) - beat_hz) < 10e3
    # The mean magnitude is that of the pilots: half of the converter's amplitude a sample, 8 samples a hop.
    expected = 450 / 2 * 8 * HOPS * GAIN
    assert state.magnitudes == pytest.approx((expected, expected), rel=0.05)


def test_follows_a_drift_of_a_megahertz_a_second_block_by_block() -> None:
    run = loop(aimed(29.6e6))
    blocks, piece = 150, samples_of(BLOCK_HOPS)
    errors = []
    for block in range(blocks):
        run.process(tones(piece, 30e6, start=block * piece, drift_hz_per_s=1e6, linewidth_hz=0))
        errors.append(estimate_hz(run) - 30e6 - 1e6 * (block + 1) * piece / RATE_HZ)
    # 33 Hz a block; a block's middle is half of one behind its end, and an estimate of gain 1/4 three blocks more.
    assert np.abs(errors[30:]).max() < 600
    assert -200 < np.mean(errors[30:]) < -60
    assert run.tracker_state
    assert run.tracker_state.locked
    assert run.tracker_state.losses == run.late == 0


@pytest.mark.parametrize("offset_ppm", [-100, -3, 0, 20])
def test_measures_the_clocks_offset_with_two_pilots(offset_ppm: float) -> None:
    run = loop(aimed(30e6))
    run.process(tones(samples_of(40 * BLOCK_HOPS), 30e6, offset_ppm=offset_ppm, linewidth_hz=20e3))
    rates = np.array([clock.rate for clock in run.clocks[-30:]]) * RATE_HZ / 2.0**40
    assert len(rates) == 30
    assert np.mean(rates) / (NOMINAL_HZ[2] - NOMINAL_HZ[1]) * 1e6 == pytest.approx(offset_ppm, abs=0.8)
    assert [b.at - a.at for a, b in zip(run.clocks, run.clocks[1:], strict=False)] == [BLOCK_HOPS] * (
        len(run.clocks) - 1
    )


def test_without_a_pilot_the_search_goes_on_and_is_counted() -> None:
    settings = replace(SETTINGS, trials=20)
    run = loop(settings)
    run.process(tones(samples_of(100_000), 0.0, amplitudes=(0, 0)))
    state = run.tracker_state
    assert state
    assert state.missing >= 8
    assert not state.locked
    assert not run.clocks
    assert state.now.kind in (Kind.SEARCH, Kind.CHECK, Kind.IDLE)


def test_one_of_two_pilots_is_not_enough_unless_one_is_asked_for() -> None:
    heard = {}
    for two_pilots in (True, False):
        run = loop(replace(SETTINGS, two_pilots=two_pilots))
        run.process(tones(samples_of(SEARCH_HOPS + 4 * BLOCK_HOPS), 61e6, amplitudes=(450, 0)))
        assert run.tracker_state
        heard[two_pilots] = run.tracker_state.locked, run.tracker_state.missing
        assert not run.clocks
    assert heard == {True: (False, 1), False: (True, 0)}


@pytest.mark.parametrize("apart_hz", [40e6, 11e6, 5e6, 1e6])
def test_two_equal_tones_are_refused(apart_hz: float) -> None:
    run = loop(replace(SETTINGS, two_pilots=False))
    count = samples_of(3 * SEARCH_HOPS)
    both = tones(count, 20e6, amplitudes=(450, 0)) + tones(count, 20e6 + apart_hz, amplitudes=(450, 0), seed=2)
    run.process(both)
    state = run.tracker_state
    assert state
    assert not state.locked
    assert not run.clocks
    assert state.ambiguous + state.missing >= 2
    if apart_hz > 10e6:
        assert state.ambiguous >= 2


@pytest.mark.parametrize("apart_hz", [7e6, -8e6])
def test_two_equal_tones_are_not_followed_though_the_strongest_trial_lies_between_them(apart_hz: float) -> None:
    # A sub-block's first null is at 7.8 MHz: behind a pull towards one of them the other one would not be seen.
    settings = aimed(12e6, two_pilots=False, trials=9, neighbourhood=NEIGHBOURHOOD, ambiguity=AMBIGUITY, block_log2=6)
    for seed in range(6):
        run = loop(replace(settings, step=phase_word(2e6, RATE_HZ)))
        of = {"amplitudes": (450, 0), "seed": seed}
        run.process(tones(samples_of(24_000), 20e6, **of) + tones(samples_of(24_000), 20e6 + apart_hz, **of))
        assert run.tracker_state
        assert run.unlocked == [(0, run.tracker_state.hop)]
        assert run.tracker_state.ambiguous >= 3


def test_a_pilot_that_is_lost_and_comes_back_is_found_again_without_a_search() -> None:
    run = loop(aimed(30e6))
    piece = samples_of(BLOCK_HOPS)

    def block(number: int, amplitude: float) -> bool:
        run.process(tones(piece, 30e6, start=number * piece, amplitudes=(amplitude, amplitude)))
        assert run.tracker_state
        return run.tracker_state.locked

    assert [block(n, 450) for n in range(6)][-1]
    assert not any([block(n, 0) for n in range(6, 9)][1:])
    before = estimate_hz(run)
    assert [block(n, 450) for n in range(9, 14)][-1]
    assert run.tracker_state
    assert run.tracker_state.losses == 1
    assert run.tracker_state.missing == 0
    assert abs(estimate_hz(run) - before) < 5e3


def test_a_pilot_that_comes_back_elsewhere_is_searched_for() -> None:
    settings = replace(SETTINGS, patience=1)
    run = loop(settings)
    run.process(tones(samples_of(SEARCH_HOPS + 5 * BLOCK_HOPS), -150e6))
    assert run.tracker_state
    assert run.tracker_state.locked
    run.process(tones(samples_of(SEARCH_HOPS + 12 * BLOCK_HOPS), 70e6, seed=2))
    assert run.tracker_state.losses == 1
    assert run.tracker_state.locked
    assert abs(estimate_hz(run) - 70e6) < 10e3


def test_a_short_gap_costs_the_lock_and_moves_nothing() -> None:
    run = loop(aimed(30e6))
    piece = samples_of(BLOCK_HOPS)
    for number in range(8):
        samples = tones(piece, 30e6, start=number * piece)
        if number == 5:
            samples[1000:1400] = 0
        before = run.tracker_state
        run.process(samples)
        if number > 5 and before and run.tracker_state:
            assert abs(run.tracker_state.estimate - before.estimate) < 2 << BEAT_FRACTION << 16
    assert run.tracker_state
    assert run.tracker_state.losses == 1
    assert run.tracker_state.locked


@pytest.mark.parametrize("eighth", [0, 4, 7])
def test_steps_of_a_pilot_that_jumps_are_counted_as_slips(eighth: int) -> None:
    run = loop(aimed(30e6, block_log2=6))
    piece = samples_of(HOPS << 6)
    run.process(tones(14 * piece, 30e6, linewidth_hz=0))
    assert run.tracker_state
    assert run.tracker_state.locked
    assert run.tracker_state.slips == 0
    hop = run.tracker_state.hop - run.tracker_state.first
    samples = tones(3 * piece, 30e6, start=14 * piece, linewidth_hz=0)
    # Between two sub-blocks: of two blocks, or within one.
    samples[2 * piece - samples_of(hop) + eighth * piece // 8 :] *= -1
    run.process(samples)
    assert run.tracker_state.slips == 2  # once for each pilot


SHORT = Settings(halvings=0, threshold=2000, trials=1, start=1 << 28, step=0, block_log2=6, patience=0)
AT = 1 / 16
"""The beat of its trial; of pilots hop by hop."""
SHORT_BLOCK = HOPS << SHORT.block_log2
PULLED_IN = 5 * HOPS << SHORT.slot_log2
"""Number of the hop at which its first block begins."""


def test_the_lock_is_won_only_at_a_beat_that_was_estimated() -> None:
    tracker = PilotTracker(SHORT)
    pilots = play(tracker, [Scene(PULLED_IN + 6 * SHORT_BLOCK, AT + 1e-3)], np.random.default_rng(1))
    tracked = tracker.process(pilots)
    first = next(retune for retune in tracked.retunes if retune.beat != SHORT.start)
    assert abs(first.beat / 2**32 - AT - 1e-3) < 1e-4
    assert tracked.clocks[0].at == first.at == PULLED_IN + 2 * SHORT_BLOCK


def test_what_was_commanded_before_a_search_began_anew_is_of_no_interest() -> None:
    tracker = PilotTracker(SHORT)
    scenes = [
        Scene(PULLED_IN + 5 * SHORT_BLOCK, AT),
        Scene(SHORT_BLOCK, AT, amplitude=0),
        Scene(SHORT_BLOCK + PULLED_IN + 5 * SHORT_BLOCK, AT),
    ]
    tracked = tracker.process(play(tracker, scenes, np.random.default_rng(2)))
    lost = PULLED_IN + 5 * SHORT_BLOCK
    behind = [clock.at for clock in tracked.clocks if clock.at >= lost]
    assert tracked.state.losses == 1
    # The block behind the bad one is still commanded, and good; but the search has begun, and a lock is won anew.
    assert min(behind) > lost + SHORT_BLOCK + PULLED_IN


@pytest.mark.parametrize(("share", "good"), [(0.45, False), (0.55, True)])
def test_a_sub_block_weaker_than_half_of_the_mean_makes_a_block_bad(share: float, good: bool) -> None:
    # The threshold is far below: this is how two tones show that beat with each other.
    tracker = PilotTracker(SHORT)
    pilots = np.zeros((2, PULLED_IN + 4 * SHORT_BLOCK, 2), np.int32)
    pilots[..., 0] = 4000
    weak = PULLED_IN + 2 * SHORT_BLOCK + 7 * HOPS
    pilots[:, weak : weak + HOPS, 0] = round(4000 * share)
    tracked = tracker.process(pilots)
    assert (PULLED_IN + 2 * SHORT_BLOCK in [clock.at for clock in tracked.clocks]) is good


def test_pieces_give_what_the_whole_gives() -> None:
    settings = replace(aimed(30e6, block_log2=6), patience=0)
    mixer = loop(settings).mixer
    samples = tones(samples_of(9_000), 29.5e6)
    samples[40_000:50_000] //= 16
    pilots = mixer.process(samples).pilots
    tracker = PilotTracker(settings)
    whole = tracker.process(pilots)
    assert whole.retunes
    retunes, clocks, state, at = [], [], tracker.begin(), 0
    rng = np.random.default_rng(3)
    while at < pilots.shape[1]:
        more = int(rng.integers(1, 700))
        piece = tracker.process(pilots[:, at : at + more], state)
        retunes += piece.retunes
        clocks += piece.clocks
        state, at = piece.state, at + more
    assert (tuple(retunes), tuple(clocks)) == (whole.retunes, whole.clocks)
    for name in ("estimate", "slips", "losses", "missing", "magnitudes", "now", "following", "hop", "first"):
        assert getattr(state, name) == getattr(whole.state, name)


def test_commands_come_a_period_before_their_hop() -> None:
    tracker = PilotTracker(replace(SETTINGS, trials=5))
    state, rng = tracker.begin(), np.random.default_rng(1)
    for _ in range(300):
        noise = rng.normal(0, 300, (2, HOPS, 2)).astype(np.int32)
        tracked = tracker.process(noise, state)
        for retune in tracked.retunes:
            assert retune.at - tracked.state.hop == HOPS << SETTINGS.slot_log2
        state = tracked.state


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("halvings", 4),
        ("threshold", 0),
        ("threshold", 1 << MAGNITUDE_BITS),
        ("start", 1 << 31),
        ("trials", 0),
        ("slot_log2", 3),
        ("block_log2", 11),
        ("gain", 8),
        ("patience", 256),
        ("ambiguity", 8),
    ],
)
def test_refuses_settings_that_its_registers_cannot_hold(setting: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{setting} is {value}: must be "):
        replace(SETTINGS, **{setting: value})


@pytest.mark.parametrize(
    ("pilots", "message"),
    [
        (np.zeros((2, 4, 2), np.int64), "int64"),
        (np.zeros((1, 4, 2), np.int32), r"shape \(1, 4, 2\)"),
        (np.full((2, 4, 2), 2**19, np.int32), "20 bits"),
    ],
)
def test_refuses_pilots_that_its_stream_cannot_carry(pilots: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PilotTracker(SETTINGS).process(pilots)
