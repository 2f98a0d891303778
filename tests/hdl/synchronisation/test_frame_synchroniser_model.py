from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kronborg_hdl.modulation.frame_controller.model import FrameSettings
from kronborg_hdl.synchronisation.frame_synchroniser.correlation import false_alarm_threshold
from kronborg_hdl.synchronisation.frame_synchroniser.model import EIGHTHS, FrameSynchroniser, reference
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Flag, read_packet
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import Sizes
from kronborg_sim.benches.received_symbols import Channel, frame_settings, gaussian, loop, settings_for

PAYLOAD = 2000
FRAME = frame_settings(PAYLOAD, vacuum=400)
LATE = 5000
"""Symbols after which everything before them is decided."""


def stream_of(numbers: list[int | None], *, late: float = 0.0, frame: FrameSettings = FRAME) -> np.ndarray:
    """Frames of these numbers in noise; None: as long nothing but noise. The first begins at symbol 100."""
    rng = np.random.default_rng(1)
    frames = [
        np.zeros((frame.symbols, 2), np.int16) if number is None else frame.frame(number, gaussian(rng, PAYLOAD))[0]
        for number in numbers
    ]
    sent = np.concatenate([np.zeros((100, 2), np.int16), *frames, np.zeros((LATE, 2), np.int16)])
    sent = sent[: len(sent) // 8 * 8]
    return Channel(0.36, rng=rng).sample(sent, np.arange(len(sent)) - late)


def synchroniser(n: int = 1) -> FrameSynchroniser:
    return FrameSynchroniser(settings_for(FRAME, Sizes(n)))


@pytest.mark.parametrize("n", [1, 2, 8])
@pytest.mark.parametrize("late", [0.0, 3.0, 4.0])
def test_payload_is_cut_out_where_it_is(n: int, late: float) -> None:
    stream = stream_of([7, 8, 9, 10], late=late)
    done = synchroniser(n).process(stream)
    assert [packet.frame for packet in done.packets] == [7, 8, 9, 10]
    for k, packet in enumerate(done.packets):
        begin = 100 + int(late) + k * FRAME.symbols + FRAME.head
        assert packet.place == begin
        np.testing.assert_array_equal(packet.symbols, stream[begin : begin + PAYLOAD])
        assert packet.flags == (Flag.TIMING if k < 2 else Flag(0))  # two intervals tell the clock
        turned = complex(*packet.correlation)
        assert np.angle(turned) == pytest.approx(0.7, abs=0.03)
        # The pulse is 1200 words high and the chips' signs are 4 / pi of a chip.
        assert abs(turned) == pytest.approx(1200 * 4 / np.pi * 2039, rel=0.03)
        assert abs(packet.late_symbols) < 0.03
    assert (done.state.counts.good, done.state.counts.marked) == (2, 2)


def test_a_command_holds_after_the_payload_and_says_the_phase() -> None:
    done = synchroniser().process(stream_of([1, 2], late=0.2))
    first = done.retimes[0]
    assert first.at == 2 * (100 + FRAME.head + PAYLOAD + 32)
    assert first.jump_samples == pytest.approx(4 * 0.21, abs=0.1)
    assert first.step == 2 << 32
    assert len(done.retimes) == 2


def test_the_stream_may_come_in_pieces() -> None:
    stream = stream_of([3, 4, None, 6, 7])
    core = synchroniser(2)
    whole = core.process(stream)
    for piece in (512, 5000, 2 * FRAME.symbols):
        state, packets, retimes = None, [], []
        for begin in range(0, len(stream), piece):
            done = core.process(stream[begin : begin + piece], state)
            state = done.state
            packets += done.packets
            retimes += done.retimes
            assert len(state.tail) < 3 * FRAME.symbols
        assert tuple(retimes) == whole.retimes
        assert state is not None
        assert state.counts == whole.state.counts
        for one, other in zip(packets, whole.packets, strict=True):
            np.testing.assert_array_equal(one.words(), other.words())


def test_a_missing_preamble_is_counted_and_the_next_frame_is_good() -> None:
    done = synchroniser().process(stream_of([3, 4, 5, None, None, 8, 9]))
    assert [packet.frame for packet in done.packets] == [3, 4, 5, 8, 9]
    assert [packet.good for packet in done.packets] == [False, False, True, True, True]
    # and one after the last
    assert done.state.counts.missing == 3


def test_nothing_is_missing_before_the_first_frame() -> None:
    noise = Channel(0.36).sample(np.zeros((3 * FRAME.symbols, 2), np.int16), np.arange(3.0 * FRAME.symbols))
    done = synchroniser().process(noise)
    assert not done.packets
    assert not done.retimes
    assert not done.state.counts.missing


@pytest.mark.parametrize(
    ("numbers", "bad"),
    [
        ([5, 6, 7, 99, 9, 10], [99]),  # as by a wrong bit: counting goes on
        ([5, 6, 7, 100, 101, 102], [100]),  # the transmitter's numbering was changed: what follows is as expected
        ([5, 6, 7, 7, 8], [7]),  # sent again
        ([2**32 - 3, 2**32 - 2, 2**32 - 1, 0, 1], []),
    ],
)
def test_an_unexpected_number_marks_its_frame(numbers: list[int], bad: list[int]) -> None:
    done = synchroniser().process(stream_of(list(numbers)))
    assert [packet.frame for packet in done.packets] == numbers
    marked = [packet.frame for packet in done.packets if Flag.UNEXPECTED in packet.flags]
    assert marked == bad
    assert done.state.counts.good == len(numbers) - 2 - len(bad)


def test_a_weak_preamble_marks_its_frame_and_commands_nothing() -> None:
    stream = stream_of([1, 2, 3, 4, 5]).astype(np.int32)
    begin = 100 + FRAME.symbols
    weak = slice(begin, begin + FRAME.symbols)
    stream[weak] = stream[weak] * 3 // 10
    done = synchroniser().process(stream.astype(np.int16))
    # It is no frame in a row with those around it, and does not part them.
    flags = [Flag.TIMING, Flag.WEAK | Flag.TIMING, Flag.TIMING, Flag(0), Flag(0)]
    assert [packet.flags for packet in done.packets] == flags
    assert len(done.retimes) == 4


def test_a_frame_that_is_cut_short_says_so_and_the_next_one_is_found() -> None:
    stream = stream_of([1, 2, 3, 4, 5])
    begin, missing = 100 + FRAME.symbols + FRAME.head + 500, 1300
    done = synchroniser().process(
        np.delete(stream, slice(begin, begin + missing), 0)[: (len(stream) - missing) // 8 * 8]
    )
    assert [packet.frame for packet in done.packets] == [1, 2, 3, 4, 5]
    assert Flag.CUT_SHORT in done.packets[1].flags
    # Up to where the next preamble begins: 700 symbols of payload, the vacuum, the guard.
    assert len(done.packets[1].symbols) == PAYLOAD - missing + 400 + 64
    assert [Flag.CUT_SHORT in packet.flags for packet in done.packets] == [False, True, False, False, False]
    # It comes too early to tell the clock; the two behind it are as expected.
    assert not done.packets[4].flags


def test_a_frame_cut_within_its_header_has_the_number_that_was_expected() -> None:
    frame = frame_settings(PAYLOAD, repetition=16, vacuum=400)
    stream = stream_of([1, 2, 3, 4], frame=frame)
    # Of 512 symbols of the header 300 come, and then the third frame.
    cut, rest = 100 + frame.symbols + 64 + 2039 + 300, 100 + 2 * frame.symbols
    core = FrameSynchroniser(settings_for(frame, Sizes(1)))
    done = core.process(np.concatenate([stream[:cut], stream[rest:]]))
    assert [packet.frame for packet in done.packets] == [1, 2, 3, 4]
    assert Flag.CUT_SHORT in done.packets[1].flags
    assert not len(done.packets[1].symbols)
    assert not Flag.UNEXPECTED & done.packets[2].flags


def test_what_happens_to_symbols_marks_their_frame_alone() -> None:
    stream = stream_of([1, 2, 3, 4])
    third = 100 + 2 * FRAME.symbols
    events = [(third + 80, third + 90, Flag.SATURATED), (third - 10, third + 2, Flag.OVERRUN)]
    done = synchroniser().process(stream, events=events)
    assert [packet.flags for packet in done.packets] == [Flag.TIMING, Flag.TIMING, Flag.SATURATED, Flag(0)]


def test_a_packet_is_read_as_it_was_written() -> None:
    packet = synchroniser().process(stream_of([7, 8], late=-0.1)).packets[1]
    read = read_packet(packet.words())
    np.testing.assert_array_equal(read.symbols, packet.symbols)
    names = ("frame", "flags", "magnitude", "correlation", "phase", "place", "good")
    assert all(getattr(read, name) == getattr(packet, name) for name in names)
    assert read.phase < 0
    assert "symbols" not in repr(read)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda words: words[:-1], "does not end with the trailer's mark"),
        (lambda words: words[1:], "holds 1999 symbols and its trailer says 2000"),
        (lambda words: words[:7], "a packet of 7 words: must hold a trailer of 8"),
        (lambda words: words.astype(np.int32), "a packet is int16 of shape"),
    ],
)
def test_a_transfer_that_is_no_packet_is_refused(spoil: object, message: str) -> None:
    words = synchroniser().process(stream_of([7])).packets[0].words()
    with pytest.raises(ValueError, match=message):
        read_packet(spoil(words))  # type: ignore[operator]


def test_a_trailer_with_unknown_flags_is_refused() -> None:
    words = synchroniser().process(stream_of([7])).packets[0].words()
    words[-5, 0] |= 1 << 12
    with pytest.raises(ValueError, match="bits that no core of this version sets"):
        read_packet(words)


@pytest.mark.parametrize("eighths", range(8))
def test_reference_is_the_nearest_eighth_of_a_turn(eighths: int) -> None:
    for angle in np.linspace(0, 2 * np.pi, 100):
        r = 1e6 * np.exp(1j * angle)
        i, q = reference((round(r.real), round(r.imag)), eighths)
        direction = np.exp(1j * angle) * complex(*EIGHTHS[eighths])
        assert abs(np.angle(complex(i, q) / direction)) < np.arctan(0.5) + 1e-6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"header_repetition": 3}, "must be whole beats of 2 symbols"),
        ({"payload": 2001}, "must be whole beats of 2 symbols"),
        ({"payload": 0}, "a frame without payload"),
        ({"payload": 254, "header_repetition": 8}, "are 510 symbols: at least 512 are needed"),
        ({"period": 4000}, "a frame every 4000 symbols: its parts and a pause of 64 are 4359"),
        ({"tolerance": 128}, "a tolerance of 128 symbols is outside 0 to 127"),
        ({"chips": np.ones((3, 2), np.int8)}, "chips are int8"),
    ],
)
def test_settings_that_the_core_refuses_cannot_be_made(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(synchroniser(2).settings, **changes)


@pytest.mark.parametrize(("ppm", "start", "seed"), [(100, 0.3, 1), (-100, 0.45, 2)])
def test_clock_offsets_of_100_ppm_are_acquired_within_six_frames_and_held_to_a_128th_of_a_symbol(
    ppm: float, start: float, seed: int
) -> None:
    frame = frame_settings(128_000, guard=500)
    core = FrameSynchroniser(settings_for(frame, Sizes(1)))
    packets, errors, counts = loop(
        core, frame, Channel(0.36, rng=np.random.default_rng(seed)), 17, ppm=ppm, start=start
    )
    assert [packet.frame for packet in packets] == list(range(len(packets)))
    good = [packet.good for packet in packets]
    assert all(good[6:])
    assert max(errors[6:]) < 1 / 32
    # What the first measurements, far from a symbol's centre, have left is forgotten.
    assert np.sqrt(np.mean(np.array(errors[9:]) ** 2)) < 1 / 128
    assert not counts.missing
    # What is handed on as good was never off by more than the window.
    assert max(error for error, ok in zip(errors, good, strict=True) if ok) < 1.3 / 32


@pytest.mark.parametrize(("ppm", "start"), [(20, 0.35), (-20, 0.55)])
def test_a_second_frame_that_begins_where_it_is_expected_by_chance_is_not_handed_on(ppm: float, start: float) -> None:
    frame = frame_settings(4000, preamble=509)
    core = FrameSynchroniser(settings_for(frame, Sizes(1, 509, 128)))
    rng = np.random.default_rng(0)
    packets, errors, _ = loop(core, frame, Channel(0.9, rng=rng), 6, ppm=ppm, start=start)
    assert abs(packets[1].late_symbols) < 1 / 32
    assert errors[1] > 9 / 128
    assert packets[1].flags == Flag.TIMING
    assert packets[-1].good
    assert max(error for error, packet in zip(errors, packets, strict=True) if packet.good) < 1 / 64


@pytest.mark.parametrize(("chips", "snr", "repetition"), [(256, 0.36, 8), (512, 0.03, 64)])
def test_preambles_in_noise_are_found_with_a_margin_of_five_deviations(chips: int, snr: float, repetition: int) -> None:
    frame = frame_settings(PAYLOAD, repetition=repetition)
    sizes = Sizes(1, detector_chips=chips)
    core = FrameSynchroniser(settings_for(frame, sizes))
    rng = np.random.default_rng(6)
    magnitudes = []
    for k in range(6):
        sent = np.concatenate([*(frame.frame(n, gaussian(rng, PAYLOAD))[0] for n in range(8)), np.zeros((LATE, 2))])
        done = core.process(
            Channel(snr, phase=0.2 * k, rng=rng).sample(sent.astype(np.int16), np.arange(len(sent)) + 0.0)
        )
        magnitudes += [packet.magnitude for packet in done.packets]
        assert [packet.frame for packet in done.packets] == list(range(8))
    threshold = false_alarm_threshold(chips, 131_072, 1e-9)
    assert np.mean(magnitudes) - threshold > 5 * np.std(magnitudes)
