"""Cores of `modulation` that know of frames: what makes them, and what records them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.dsp.formats import SAMPLE
from kronborg_hdl.modulation.frame_controller.core import FrameController
from kronborg_hdl.modulation.frame_controller.model import NUMBER_BITS, FrameSettings, Section
from kronborg_hdl.modulation.symbol_record.model import Flag, packet, trailer_beats

from ...benches.recorded_frames import RecordedFrames
from ..model import RtlModel
from .case import Case, Counts, Frames, Size, Words, marked
from .shared import apply, random_complex_words

FRAMES = 8


def frame_controller(size: Size, rng: np.random.Generator) -> Case:
    """The frame controller with all sections; in the midst of the last frame the source runs dry."""
    n = size.lanes
    core = FrameController(symbols_per_clock=n, minimum_head=8 * n)
    number = int(rng.integers(0, 2**NUMBER_BITS))
    settings = _frame(core, rng, 0)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        nonlocal settings
        settings = _frame(core, rng, -(-symbols // (FRAMES * n)) * n)
        beats = FRAMES * settings.payload // n
        return {"s_axis": [random_complex_words(rng, (beats - settings.payload // n // 2) * n)]}

    def configure(model: RtlModel) -> None:
        for i, q in settings.preamble.tolist():
            model.write("preamble_symbol", i=i, q=q)
        for section, length in settings.lengths.items():
            if section is not Section.HEADER:
                model.write(section.value, length=length)
        model.write("header", repetition=settings.header_repetition)
        for name in ("header_symbol", "calibration_symbol"):
            i, q = getattr(settings, name)
            model.write(name, i=i, q=q)
        model.write("next_frame", number=number)
        apply(model)
        model.write("control", run=1)

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        (source,) = stimulus["s_axis"]
        payload = np.zeros((FRAMES * settings.payload, 2), np.int16)
        payload[: len(source)] = source
        starved = np.arange(len(payload)) >= len(source)

        def frames() -> Iterator[Words]:
            for index in range(FRAMES):
                own = slice(index * settings.payload, (index + 1) * settings.payload)
                of = (number + index) % 2**NUMBER_BITS
                words, recorded = settings.frame(of, payload[own])
                hungry = np.zeros(len(words), np.bool_)
                hungry[recorded] = starved[own]
                yield marked(words, _user(recorded[::n], hungry[::n], of))

        return {"m_axis": list(frames())}, {
            ("starved_symbols", "count"): len(payload) - len(source),
            ("frames", "next"): (number + FRAMES) % 2**NUMBER_BITS,
            ("control", "active"): 0,
        }

    return Case(core, configure, stimulus, response, rate_of="m_axis", samples_per_beat=n, steady=("s_axis",))


def symbol_record(size: Size, rng: np.random.Generator) -> Case:
    """The symbol record with a converter behind it; of some frames symbols are starved, of some words are clipped."""
    n = size.lanes
    core = RecordedFrames(symbols_per_clock=n)
    # A frame's trailer is written before the next one's payload comes.
    head = n * (trailer_beats(n) + 4)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        payload = max(4, -(-symbols // (FRAMES * n))) * n
        return {"s_axis": [_recorded_frame(rng, n, head, payload, number) for number in range(FRAMES)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        passed, packets, forbidden, recorded = [], [], 0, 0
        for frame in stimulus["s_axis"]:
            words, user = frame["words"].reshape(-1, 2), frame["user"]
            flags = (Flag.STARVED if np.any(user & 2) else Flag(0)) | (
                Flag.SATURATED if np.any(words[::n, 0] == SAMPLE.minimum) else Flag(0)
            )
            symbols = words[np.repeat(user & 1 != 0, n)]
            passed.append(words)
            packets.append(packet(int(user[0]) >> 2, symbols, flags, symbols_per_clock=n))
            forbidden += bool(flags)
            recorded += len(symbols)
        return {"m_axis": passed, "m_axis_record": packets}, {
            ("frames_good", "count"): FRAMES - forbidden,
            ("frames_marked", "count"): forbidden,
            ("recorded_low", "count"): recorded,
        }

    return Case(core, lambda model: None, stimulus, response, rate_of="m_axis", samples_per_beat=n)


def _frame(core: FrameController, rng: np.random.Generator, payload: int) -> FrameSettings:
    """All sections, as short as they may be but for the payload."""
    n = core.limits.symbols_per_clock
    return FrameSettings(
        core.limits,
        guard=2 * n,
        preamble=random_complex_words(rng, 5 * n),
        header_repetition=n,
        header_symbol=(9000, -32768),
        payload=payload,
        vacuum=3 * n,
        calibration=n,
        calibration_symbol=(-3000, 8000),
    )


def _recorded_frame(rng: np.random.Generator, n: int, head: int, payload: int, number: int) -> Words:
    """Head, payload and a beat behind it. Every second frame is starved somewhere, every third one clipped."""
    words = np.maximum(random_complex_words(rng, head + payload + n), SAMPLE.minimum + 1)
    recorded = np.zeros(len(words), np.bool_)
    recorded[head : head + payload] = True
    starved = np.zeros(len(words) // n, np.bool_)
    if number % 2:
        starved[(head + int(rng.integers(payload))) // n] = True
    if number % 3 == 0:
        # Neither at the begin nor at the end, where two frames are open.
        words[(head + payload // 2) // n * n, 0] = SAMPLE.minimum
    return marked(words, _user(recorded[::n], starved, int(rng.integers(0, 2**NUMBER_BITS))))


def _user(recorded: NDArray[np.bool_], starved: NDArray[np.bool_], number: int) -> NDArray[np.uint64]:
    """TUSER of the beats of a frame."""
    return recorded.astype(np.uint64) | starved.astype(np.uint64) << np.uint64(1) | np.uint64(number << 2)
