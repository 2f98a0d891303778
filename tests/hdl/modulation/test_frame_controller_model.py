from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kronborg_hdl.modulation.frame_controller.model import (
    LENGTH_BITS,
    NUMBER_BITS,
    SYMBOLS_PER_CLOCK,
    FrameLimits,
    FrameSettings,
    Section,
)
from kronborg_hdl.modulation.frame_controller.registers import REGISTERS

WORD = st.integers(-(2**15), 2**15 - 1)


def random_words(seed: int, count: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, (count, 2)).astype(np.int16)


def make(limits: FrameLimits | None = None, **changes: Any) -> FrameSettings:
    ordinary = {
        "limits": limits or FrameLimits(2, preamble_capacity=64, minimum_head=10),
        "guard": 4,
        "preamble": random_words(1, 6),
        "header_repetition": 2,
        "header_symbol": (1000, -2000),
        "payload": 20,
        "vacuum": 8,
        "calibration": 2,
        "calibration_symbol": (30000, 0),
    }
    return FrameSettings(**(ordinary | changes))


@settings(max_examples=60, deadline=None)
@given(
    n=st.sampled_from(SYMBOLS_PER_CLOCK),
    beats=st.lists(st.integers(0, 3), min_size=6, max_size=6).filter(any),
    symbols=st.tuples(WORD, WORD, WORD, WORD),
    number=st.integers(0, 2**NUMBER_BITS - 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_frame_is_its_definition_symbol_by_symbol(
    n: int, beats: list[int], symbols: tuple[int, int, int, int], number: int, seed: int
) -> None:
    guard, preamble, repetition, payload, vacuum, calibration = (n * count for count in beats)
    one, tone = symbols[:2], symbols[2:]
    chips, source = random_words(seed, preamble), random_words(seed + 1, payload)
    frame = FrameSettings(FrameLimits(n, 64), guard, chips, repetition, one, payload, vacuum, calibration, tone)
    wanted = [(0, 0)] * guard + [tuple(chip) for chip in chips.tolist()]
    for digit in f"{number:032b}":
        wanted += [one if digit == "1" else (min(-one[0], 32767), min(-one[1], 32767))] * repetition
    recorded = [False] * len(wanted) + [True] * payload + [False] * (vacuum + calibration)
    wanted += [tuple(word) for word in source.tolist()] + [(0, 0)] * vacuum + [tone] * calibration
    words, which = frame.frame(number, source)
    assert words.dtype == np.int16
    assert [tuple(word) for word in words.tolist()] == wanted
    assert which.tolist() == recorded
    assert frame.symbols == len(wanted)
    assert frame.head == guard + preamble + 32 * repetition


def test_a_number_of_more_than_32_bits_starts_over() -> None:
    source = random_words(2, 20)
    np.testing.assert_array_equal(make().frame(2**32 + 7, source)[0], make().frame(7, source)[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guard": 5}, "a guard of 5 symbols: not whole beats of 2 symbols"),
        ({"preamble": random_words(1, 7)}, "a preamble of 7 symbols: not whole beats"),
        ({"header_repetition": 3}, "a header of 3 symbols a bit: each bit must be whole beats of 2"),
        ({"payload": 21}, "a payload of 21 symbols: not whole beats"),
        ({"vacuum": 1}, "a vacuum of 1 symbols: not whole beats"),
        ({"calibration": 3}, "a calibration of 3 symbols: not whole beats"),
        ({"guard": -2}, "a guard of -2 symbols is outside 0 to 268435455"),
        ({"payload": 1 << LENGTH_BITS}, "a payload of 268435456 symbols is outside 0 to 268435455"),
        ({"header_repetition": 1 << 16}, "65536 symbols a bit of the header: must be 0 to 65535"),
        ({"header_repetition": -2}, "-2 symbols a bit of the header"),
        ({"preamble": random_words(1, 66)}, "a preamble of 66 symbols: its memory holds 64"),
        ({"guard": 2, "header_repetition": 0}, "guard, preamble and header are 8 symbols: at least 10 are needed"),
        ({"header_symbol": (32768, 0)}, r"the header_symbol \(32768, 0\) does not fit words of 16 bits"),
        ({"calibration_symbol": (0, -32769)}, r"the calibration_symbol \(0, -32769\) does not fit"),
        ({"preamble": np.zeros((6, 2))}, r"a preamble is int16 of shape \(n, 2\), not float64 of shape \(6, 2\)"),
        ({"preamble": np.zeros(6, np.int16)}, r"not int16 of shape \(6,\)"),
    ],
)
def test_settings_that_the_core_refuses_cannot_be_made(changes: dict[str, Any], message: str) -> None:
    make()
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_an_empty_frame_is_refused_whatever_the_head_may_be() -> None:
    empty = {"guard": 0, "preamble": random_words(1, 0), "header_repetition": 0, "payload": 0, "vacuum": 0}
    with pytest.raises(ValueError, match="the frame is empty: give one of its sections a length"):
        make(FrameLimits(2), **empty, calibration=0)
    make(FrameLimits(2), **empty, calibration=2)


def test_a_payload_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"symbols of shape \(18, 2\): the payload is of shape \(20, 2\)"):
        make().frame(0, random_words(1, 18))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "3 symbols per clock: must be one of 1, 2, 4, 8"),
        ((16,), "16 symbols per clock"),
        ((4, 6), "a preamble memory of 6 symbols: must be a multiple of 4 from 4 to 65535"),
        ((4, 0), "a preamble memory of 0 symbols"),
        ((1, 65536), "a preamble memory of 65536 symbols"),
        ((1, 8, -1), "a least head of -1 symbols is outside 0 to 65535"),
        ((1, 8, 65536), "a least head of 65536 symbols"),
    ],
)
def test_limits_that_no_core_has_are_refused(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrameLimits(*arguments)


def test_every_section_has_its_register_in_the_order_of_the_frame() -> None:
    offsets = [REGISTERS[section.value].offset for section in Section]
    assert offsets == sorted(offsets)
    assert list(make().lengths) == list(Section)
