import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kronborg_hdl.modulation.frame_controller.model import SYMBOLS_PER_CLOCK
from kronborg_hdl.modulation.symbol_record.model import MAGIC, Flag, packet, read_packet, trailer_beats
from kronborg_hdl.modulation.symbol_record.registers import REGISTERS

WIDTHS = st.sampled_from(SYMBOLS_PER_CLOCK)


def random_words(seed: int, count: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, (count, 2)).astype(np.int16)


@settings(max_examples=80, deadline=None)
@given(WIDTHS, st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(0, 15), st.integers(0, 2**32 - 1))
def test_a_packet_is_read_as_it_was_written(n: int, frame: int, beats: int, flags: int, seed: int) -> None:
    symbols = random_words(seed, beats * n)
    read = read_packet(packet(frame, symbols, Flag(flags), symbols_per_clock=n), symbols_per_clock=n)
    assert read.frame == frame
    assert read.flags == flags
    assert read.may_become_key == (flags == 0)
    np.testing.assert_array_equal(read.symbols, symbols)


def test_a_packet_in_memory_is_little_endian_with_the_mark_of_the_core() -> None:
    words = packet(0x01020304, np.array([[0x1122, -2]] * 4, np.int16), Flag.GAP, symbols_per_clock=4)
    assert words.astype("<i2").tobytes() == (
        b"\x22\x11\xfe\xff" * 4 + b"RSBK" + b"\x04\x03\x02\x01" + b"\x04\x00\x00\x00" + b"\x08\x00\x00\x00"
    )
    assert REGISTERS["id"]["word"].reset == MAGIC


@pytest.mark.parametrize(("n", "beats"), [(1, 4), (2, 2), (4, 1), (8, 1)])
def test_the_trailer_is_whole_beats(n: int, beats: int) -> None:
    assert trailer_beats(n) == beats
    assert packet(1, random_words(1, 0), Flag(0), symbols_per_clock=n).shape == (n * beats, 2)


@settings(max_examples=300, deadline=None)
@given(WIDTHS, st.binary(max_size=200))
def test_noise_is_refused_with_one_line(n: int, noise: bytes) -> None:
    words = np.frombuffer(noise[: len(noise) // 4 * 4], "<i2").reshape(-1, 2)
    with pytest.raises(ValueError, match=r"\Aa packet [^\n]+\Z"):
        read_packet(words, symbols_per_clock=n)


@settings(max_examples=300, deadline=None)
@given(WIDTHS, st.integers(0, 6), st.data())
def test_a_packet_with_a_changed_bit_is_refused_or_says_what_changed(n: int, beats: int, data: st.DataObject) -> None:
    symbols = random_words(7, beats * n)
    whole = packet(5, symbols, Flag(0), symbols_per_clock=n)
    bit = data.draw(st.integers(0, whole.size * 16 - 1))
    changed = whole.copy()
    changed.view(np.uint16).ravel()[bit // 16] ^= 1 << bit % 16
    try:
        read = read_packet(changed, symbols_per_clock=n)
    except ValueError:
        return
    # What a receiver of bits cannot know: the symbols themselves, the frame's number, and flags that may be set.
    assert (read.frame, read.flags) != (5, 0) or not np.array_equal(read.symbols, symbols)
    assert len(read.symbols) == len(symbols)


@settings(max_examples=200, deadline=None)
@given(WIDTHS, st.integers(0, 6), st.integers(0, 2**32 - 1), st.data())
def test_a_transfer_that_is_cut_or_too_long_is_refused(n: int, beats: int, seed: int, data: st.DataObject) -> None:
    whole = packet(5, random_words(seed, beats * n), Flag(0), symbols_per_clock=n)
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, len(whole)))
    # Cut and lengthened it may be another frame's packet, by chance.
    appended = data.draw(st.integers(0, 20)) if last - first == len(whole) else 0
    changed = np.concatenate([whole[first:last], np.zeros((appended, 2), np.int16)])
    if np.array_equal(changed, whole):
        return
    with pytest.raises(ValueError, match="packet"):
        read_packet(changed, symbols_per_clock=n)


def with_trailer(place: int, word: int, n: int = 8) -> NDArray[np.int16]:
    words = packet(5, random_words(1, 16), Flag(0), symbols_per_clock=n)
    words[16:].view(np.uint32)[place] = word
    return words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (random_words(1, 20), "a packet of 20 words: must be whole beats of 8 and hold a trailer of 8"),
        (random_words(1, 0), "a packet of 0 words"),
        (with_trailer(0, MAGIC ^ 1), "does not end with the trailer's mark: the transfer was cut, or is not aligned"),
        (with_trailer(2, 8), "frame 5: the packet holds 16 symbols and its trailer says 8"),
        (with_trailer(2, 2**32 - 1), "frame 5: the packet holds 16 symbols and its trailer says 4294967295"),
        (with_trailer(3, 16), "frame 5: the trailer has bits that no core of this version sets"),
        (with_trailer(7, 1), "frame 5: the trailer has bits that no core of this version sets"),
        (random_words(1, 16).astype(np.int32), r"a packet is int16 of shape \(n, 2\), not int32 of shape \(16, 2\)"),
        (random_words(1, 16).ravel(), r"not int16 of shape \(32,\)"),
    ],
)
def test_a_refusal_says_what_is_wrong(words: NDArray[np.int16], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_packet(words, symbols_per_clock=8)


def test_a_packet_of_another_width_is_not_taken_for_one_of_this() -> None:
    with pytest.raises(ValueError, match="3 symbols per clock: must be one of 1, 2, 4, 8"):
        read_packet(random_words(1, 12), symbols_per_clock=3)
    with pytest.raises(ValueError, match="mark"):  # the padding of the wider one stands where the mark should
        read_packet(packet(5, random_words(1, 16), Flag(0), symbols_per_clock=8), symbols_per_clock=1)


@pytest.mark.parametrize(
    ("frame", "count", "message"),
    [(0, 3, "3 symbols are not whole beats of 2"), (2**32, 4, "frame's number"), (-1, 4, "-1")],
)
def test_a_packet_that_no_core_writes_is_refused(frame: int, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        packet(frame, random_words(1, count), Flag(0), symbols_per_clock=2)


def test_symbols_do_not_reach_a_log() -> None:
    read = read_packet(packet(5, random_words(1, 4), Flag.STARVED, symbols_per_clock=2), symbols_per_clock=2)
    assert "symbols" not in repr(read)
    assert "frame=5" in repr(read)
