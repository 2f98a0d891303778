"""Packets whose length is no whole number of memory's words."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kronborg.board.loopback import LoopbackPlan
from kronborg.board.pynq.receiver import Receiver, without_filling
from kronborg.board.pynq.transmitter import Transmitter
from kronborg.errors import InputError
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Flag, Packet, read_packet


def packet(count: int, place: int = 0) -> Packet:
    symbols = np.random.default_rng(count).integers(-1000, 1000, (count, 2)).astype(np.int16)
    return Packet(7, symbols, Flag.CUT_SHORT, 5, (1, 2), 0, place)


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 101])
@pytest.mark.parametrize("place", [0, 9])
def test_a_frame_that_was_cut_short_is_read_without_what_fills_memorys_last_word(
    count: int, width: int, place: int
) -> None:
    words = packet(count, place).words()
    filled = np.concatenate([words, np.zeros((-len(words) % width, 2), np.int16)])
    np.testing.assert_array_equal(without_filling(filled, width), words)
    assert read_packet(without_filling(filled, width)).flags == Flag.CUT_SHORT


def test_what_is_no_filling_stays() -> None:
    words = packet(3).words()
    for other in (
        np.concatenate([words, np.ones((1, 2), np.int16)]),
        np.concatenate([words, np.zeros((2, 2), np.int16)]),
        words[:5],
    ):
        assert without_filling(other, 2) is other
        with pytest.raises(ValueError, match="packet"):
            read_packet(other)


def test_where_memory_has_128_bits_a_payload_is_whole_words_of_it() -> None:
    settings = LoopbackPlan(payload=1026).settings.receiver
    sizes = settings.synchroniser.settings.sizes
    built = SimpleNamespace(
        symbols_per_clock=sizes.symbols_per_clock, preamble=sizes.preamble, detector_chips=sizes.detector_chips
    )
    registers = SimpleNamespace(halvings=settings.mixer.halvings, pages={"frame_synchroniser": built})
    channel = SimpleNamespace(_align=16)
    overlay = SimpleNamespace(receiver=registers, packets=SimpleNamespace(recvchannel=channel), device=None)
    host = Receiver(overlay, "packets")
    with pytest.raises(InputError, match="1026 symbols: memory's words have 128 bits, so make it a multiple of 4"):
        host.configure(settings)


@pytest.mark.parametrize(("lanes", "words"), [(8, 1028), (16, 1028), (32, 1028), (64, 1032)])
def test_a_record_has_a_trailer_of_whole_beats(lanes: int, words: int) -> None:
    host: Any = object.__new__(Transmitter)
    host._registers = SimpleNamespace(lanes=lanes, samples_per_symbol=8)
    settings: Any = SimpleNamespace(frame=SimpleNamespace(payload=1024), samples=8192)
    assert host._record_words(settings) == words
