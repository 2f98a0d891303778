"""Which symbols the power meter is told to measure, and what it then measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kronborg_hdl.decimation.power_meter.model import PowerMeter, Section
from kronborg_hdl.synchronisation.frame_synchroniser.model import FrameSynchroniser, Settings, Slot, sections_of
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import Sizes
from kronborg_sim.benches.received_symbols import RMS, Channel, frame_settings, gaussian, settings_for

PAYLOAD, VACUUM, CALIBRATION, MARGIN = 2000, 3000, 800, 24
BEFORE, AFTER = 101, 5000
SNR = 0.36
FRAME = frame_settings(PAYLOAD, vacuum=VACUUM, calibration=CALIBRATION)


def settings(n: int = 1) -> Settings:
    return settings_for(FRAME, Sizes(n), margin=MARGIN)


def stream_of(frames: int) -> np.ndarray:
    """Frames in noise. The first begins at symbol BEFORE."""
    rng = np.random.default_rng(1)
    sent = [FRAME.frame(number, gaussian(rng, PAYLOAD))[0] for number in range(frames)]
    words = np.concatenate([np.zeros((BEFORE, 2), np.int16), *sent, np.zeros((AFTER, 2), np.int16)])
    words = words[: len(words) // 8 * 8]
    return Channel(SNR, rng=rng).sample(words, np.arange(float(len(words))))


def slots_of(number: int) -> list[Slot]:
    """Those of a frame that comes when it is due."""
    payload = BEFORE + number * FRAME.symbols + FRAME.head
    vacuum = payload + PAYLOAD
    calibration = vacuum + VACUUM
    return [
        Slot(Section.PAYLOAD, payload, vacuum),
        Slot(Section.VACUUM, vacuum + MARGIN, calibration - MARGIN),
        Slot(Section.CALIBRATION, calibration + MARGIN, calibration + CALIBRATION - MARGIN),
    ]


@pytest.mark.parametrize("n", [1, 2, 8])
def test_slots_lie_where_their_sections_are_sent_but_for_the_margin(n: int) -> None:
    done = FrameSynchroniser(settings(n)).process(stream_of(3))
    assert list(done.slots) == [slot for number in range(3) for slot in slots_of(number)]


def test_a_section_within_its_margins_or_of_no_length_has_no_slot() -> None:
    core = FrameSynchroniser(replace(settings(), vacuum=2 * MARGIN, calibration=0))
    assert [slot.section for slot in core.process(stream_of(2)).slots] == [Section.PAYLOAD] * 2


def test_slots_are_the_same_when_the_stream_comes_in_pieces() -> None:
    stream, core = stream_of(4), FrameSynchroniser(settings(2))
    whole = core.process(stream).slots
    for piece in (512, 5000, 2 * FRAME.symbols):
        state, slots = None, list[Slot]()
        for begin in range(0, len(stream), piece):
            done = core.process(stream[begin : begin + piece], state)
            state = done.state
            slots += done.slots
        assert tuple(slots) == whole


@pytest.mark.parametrize(
    ("missing", "last"),
    [
        (CALIBRATION + 1000, (Section.VACUUM, VACUUM + 64 - 1000)),
        (CALIBRATION, (Section.CALIBRATION, VACUUM + 64)),
    ],
)
def test_a_slot_ends_where_the_next_preamble_begins(missing: int, last: tuple[Section, int]) -> None:
    # So much is cut out before the second frame's guard, which is of 64 symbols.
    begin = BEFORE + FRAME.symbols - missing
    stream = np.delete(stream_of(3), slice(begin, begin + missing), 0)
    slots = FrameSynchroniser(settings()).process(stream).slots
    first = slots_of(0)
    vacuum = first[1].first - MARGIN
    cut = [slot for slot in slots if first[1].first <= slot.first < begin + 64]
    section, length = last
    assert (cut[-1].section, cut[-1].end) == (section, vacuum + length)
    assert slots[len(cut) + 1] == replace(
        slots_of(1)[0], first=slots_of(1)[0].first - missing, end=slots_of(1)[0].end - missing
    )


def test_the_meter_finds_shot_noise_signal_and_calibration_behind_one_chain() -> None:
    frames = 6
    stream = stream_of(frames)
    slots = FrameSynchroniser(settings()).process(stream).slots
    sections = sections_of(slots, 0, len(stream))
    shot = RMS**2 / (2 * SNR)
    wanted = {Section.PAYLOAD: shot + RMS**2 / 2, Section.VACUUM: shot, Section.CALIBRATION: shot}
    for section, variance in wanted.items():
        count = int(np.count_nonzero(sections == section))
        assert count == sum(slot.end - slot.first for slot in slots_of(0) if slot.section is section) * frames
        (measured,), _ = PowerMeter(count, frozenset({section})).process(stream, sections)
        assert measured.variance == pytest.approx((variance, variance), rel=5 * np.sqrt(2 / count))
        if section is Section.CALIBRATION:
            mean = complex(*measured.sums) / count
            assert mean == pytest.approx(RMS * np.exp(0.7j), abs=5 * np.sqrt(2 * shot / count))


def test_sections_of_a_later_piece_are_those_of_the_whole() -> None:
    slots = [Slot(Section.PAYLOAD, 3, 7), Slot(Section.VACUUM, 7, 12)]
    whole = sections_of(slots, 0, 20)
    assert whole.tolist() == [0] * 3 + [1] * 4 + [2] * 5 + [0] * 8
    for first in (5, 7, 12, 15):
        np.testing.assert_array_equal(sections_of(slots, first, 5), whole[first : first + 5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vacuum": 1001}, "a vacuum of 1001 symbols: must be whole beats of 2"),
        ({"calibration": 2**28}, r"a calibration of 268435456 symbols: .* below 2\*\*28"),
        ({"margin": 2**16}, r"a margin of 65536 symbols: .* below 2\*\*16"),
        ({"vacuum": VACUUM + 66}, "its parts with vacuum and calibration are"),
    ],
)
def test_refuses_slots_that_the_core_refuses(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(settings(2), **change)
