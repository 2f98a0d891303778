"""What the comparison says of a stream with TUSER, and that every case's stimulus and response go together."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from kronborg.errors import InputError
from kronborg_sim.rtl.bench import BACK_PRESSURE, IDLE, difference, set_pauses
from kronborg_sim.rtl.cases import CASES, Size
from kronborg_sim.rtl.cases.case import marked
from kronborg_sim.rtl.model import Beats

WORDS = np.arange(12, dtype=np.int16).reshape(6, 2)
USER = np.array([7, 8, 9], np.uint64)


def beats(words: np.ndarray = WORDS, user: np.ndarray = USER) -> Beats:
    last = np.arange(1, len(user) + 1) == len(user)
    data = np.ascontiguousarray(words, "<i2").view(np.uint8).reshape(len(user), -1)
    return Beats(data, user, last, np.arange(len(user), dtype=np.uint64))


def test_a_frame_with_marks_is_compared_in_words_and_marks() -> None:
    expected = [marked(WORDS, USER)]
    assert difference("m_axis", expected, beats()) == ""
    assert difference("m_axis", expected, beats(words=WORDS + 1)) == "m_axis, clock 0: word 0 of 12 is 1 and not 0"
    assert difference("m_axis", expected, beats(user=USER ^ np.uint64(1))) == "m_axis: TUSER of beat 0 is 0x6"


@pytest.mark.parametrize("core", ["frame_controller", "symbol_record"])
def test_frames_and_their_record_have_so_many_symbols_and_some_that_are_no_key(core: str) -> None:
    case = CASES[core](Size(4, 8, 33), np.random.default_rng(1))
    stimulus = case.stimulus(np.random.default_rng(2), 1000)
    frames, counts = case.response(stimulus)
    user = np.concatenate(
        [frame["user"] for frame in (frames if core == "frame_controller" else stimulus)[SIDES[core]]]
    )
    recorded, starved = user & np.uint64(1), user >> np.uint64(1) & np.uint64(1)
    assert recorded.sum() * 4 >= 1000
    assert 0 < starved.sum() < recorded.sum()
    assert any(counts.values())


@pytest.mark.parametrize(("lanes", "held_up"), [(1, True), (2, True), (4, False), (8, False)])
def test_the_loopbacks_record_is_held_up_only_where_its_fifo_has_room_for_it(lanes: int, held_up: bool) -> None:
    """A frame that has to wait for its record has a gap, and which ones have to the model does not know."""
    case = CASES["loopback"](Size(lanes, 8, 17), np.random.default_rng(1))
    paused: dict[str, float] = {}
    model = SimpleNamespace(
        streams=["s_axis", "m_axis", "m_axis_record"],
        is_input=lambda stream: stream.startswith("s_"),
        pause=lambda stream, chance, seed: paused.update({stream: chance}),
    )
    set_pauses(model, IDLE, BACK_PRESSURE, 1, case.steady)
    assert paused.pop("m_axis_record", 0.0) == BACK_PRESSURE * held_up
    assert paused == {"s_axis": IDLE, "m_axis": BACK_PRESSURE}


def test_a_loopback_without_a_good_frame_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["kronborg_sim.rtl.cases.loopback"], "FRAMES", 1)
    case = CASES["loopback"](Size(1, 8, 17), np.random.default_rng(1))
    with pytest.raises(InputError, match="loopback: of 1 frames none is good with this seed"):
        case.response(case.stimulus(np.random.default_rng(2), 1))


SIDES = {"frame_controller": "m_axis", "symbol_record": "s_axis"}
