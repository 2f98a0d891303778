"""Bit-exact model of the frame synchroniser: symbols to packets and commands for the resampler.

A frame that the transmitter sends is guard, preamble, header, payload, vacuum, calibration. The model takes the stream
in pieces; what it remembers between them is a value, :class:`State`.

Where the core and the model may differ: a ``retime`` that nobody takes is lost in the core.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...decimation.power_meter.model import Section
from ...decimation.resampler.model import Retime
from .correlation import Detector, Peak, Picker, measure
from .packet import WORD_MASK, Flag, Packet
from .sizes import PAUSE_BEATS, SOLVE_BEATS, WINDOW_BEATS, Sizes
from .timing import DISTANCE_BITS, Loop, TimingSettings

NUMBER_BITS = 32
REPETITION_BITS = 16
LENGTH_BITS = 28
PERIOD_BITS = 30
MARGIN_BITS = 16
EIGHTHS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
"""Directions of a header's symbol, an eighth of a turn apart."""


@dataclass(frozen=True)
class Slot:
    """A stretch of the stream that the power meter may measure: of a frame's payload, vacuum or calibration.

    Attributes:
        section: which.
        first, end: numbers of its first symbol and of the one behind its last, since reset.
    """

    section: Section
    first: int
    end: int


def sections_of(slots: Iterable[Slot], first: int, count: int) -> NDArray[np.uint8]:
    """The section of each of `count` symbols from number `first` on: uint8, shape (count,)."""
    sections = np.full(count, Section.OTHER, np.uint8)
    for slot in slots:
        sections[max(0, slot.first - first) : max(0, slot.end - first)] = slot.section
    return sections


@dataclass(frozen=True, eq=False)
class Settings:
    """What the registers hold. Settings that the core refuses cannot be made.

    Attributes:
        sizes: of the core.
        chips: signs of the preamble, int8, shape (preamble, 2); see ``correlation.signs``.
        threshold: of the detector.
        header_repetition: symbols of each bit of the frame's number; 0: there is no header.
        header_eighths: direction of a one in the header, against that of a chip (1, 0), in eighths of a turn.
        payload: symbols to be cut out.
        period: symbols from frame to frame.
        tolerance: a frame is missing when it is so many symbols late; up to 127.
        timing: of the loop.
        vacuum, calibration: symbols behind the payload, in this order, for the power meter.
        margin: symbols at each end of either that are of no section: pulses of its neighbours reach into it.

    Raises:
        ValueError: a length that is not whole beats, or a frame too short for its timing to be solved.
    """

    sizes: Sizes
    chips: NDArray[np.int8]
    threshold: int
    header_repetition: int
    header_eighths: int
    payload: int
    period: int
    tolerance: int
    timing: TimingSettings
    vacuum: int = 0
    calibration: int = 0
    margin: int = 0

    def __post_init__(self) -> None:
        n = self.sizes.symbols_per_clock
        if self.chips.shape != (self.sizes.preamble, 2) or self.chips.dtype != np.int8:
            raise ValueError(f"chips are int8 of shape ({self.sizes.preamble}, 2), not of shape {self.chips.shape}")
        if self.header_repetition % n or self.payload % n:
            raise ValueError(
                f"a header of {self.header_repetition} symbols a bit and a payload of {self.payload} symbols: both must"
                f" be whole beats of {n} symbols"
            )
        for name, bits in (("vacuum", LENGTH_BITS), ("calibration", LENGTH_BITS), ("margin", MARGIN_BITS)):
            length = getattr(self, name)
            if length % n or not 0 <= length < 1 << bits:
                raise ValueError(f"a {name} of {length} symbols: must be whole beats of {n} symbols, below 2**{bits}")
        if not self.payload:
            raise ValueError("a frame without payload")
        if self.header + self.payload < SOLVE_BEATS * n:
            raise ValueError(
                f"header and payload are {self.header + self.payload} symbols: at least {SOLVE_BEATS * n} are needed"
                " for the timing to be solved"
            )
        parts = self.sizes.preamble + self.header + self.payload
        shortest = parts + PAUSE_BEATS * n
        if not shortest <= self.period < 1 << PERIOD_BITS:
            raise ValueError(
                f"a frame every {self.period} symbols: its parts and a pause of {PAUSE_BEATS * n} are {shortest}"
            )
        if self.period < parts + self.vacuum + self.calibration:
            raise ValueError(
                f"a frame every {self.period} symbols: its parts with vacuum and calibration are"
                f" {parts + self.vacuum + self.calibration}"
            )
        if not 0 <= self.tolerance < 1 << (DISTANCE_BITS - 1):
            raise ValueError(
                f"a tolerance of {self.tolerance} symbols is outside 0 to {(1 << (DISTANCE_BITS - 1)) - 1}"
            )

    @property
    def header(self) -> int:
        """Symbols of the header."""
        return NUMBER_BITS * self.header_repetition


@dataclass(frozen=True)
class Open:
    """A frame under way.

    Attributes:
        begin: number of the beat at which the cutter turned to it.
        peak: where its preamble ends, and how high that was.
        flags: known already.
        correlation, phase: see ``packet.Packet``.
    """

    begin: int
    peak: Peak
    flags: Flag
    correlation: tuple[int, int]
    phase: int


@dataclass(frozen=True)
class Trail:
    """What follows a payload.

    Attributes:
        begin: number of the beat at which the cutter has its first row.
        place: number of its first symbol.
    """

    begin: int
    place: int


@dataclass(frozen=True)
class Counts:
    """What the host reads."""

    good: int = 0
    marked: int = 0
    missing: int = 0


@dataclass(frozen=True, eq=False)
class State:
    """What is remembered from piece to piece.

    Attributes:
        base: number of the first symbol of `tail`.
        tail: symbols that are still needed, int16, shape (n, 2).
        beats: beats that came.
        picker: of the detector.
        frame: under way.
        trail: of the last frame, while it is.
        due: where the next preamble's end is expected; None before the first frame.
        skipped: frames that were missing since the last one.
        numbers: what may come next by counting and by the last header; None before the first header.
        loop: of the timing.
        counts: since reset.
    """

    loop: Loop
    base: int = 0
    tail: NDArray[np.int16] = field(default_factory=lambda: np.zeros((0, 2), np.int16))
    beats: int = 0
    picker: Picker = field(default_factory=Picker)
    frame: Open | None = None
    trail: Trail | None = None
    due: int | None = None
    skipped: int = 0
    numbers: tuple[int, int] | None = None
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, eq=False)
class Synchronised:
    """What came of one piece of the stream.

    Attributes:
        packets: frames that ended.
        retimes: commands for the resampler.
        slots: that ended, of marked frames too.
        state: for the next piece.
    """

    packets: tuple[Packet, ...]
    retimes: tuple[Retime, ...]
    slots: tuple[Slot, ...]
    state: State


@dataclass(frozen=True, eq=False)
class FrameSynchroniser:
    """The core with its settings."""

    settings: Settings

    def begin(self) -> State:
        """After apply."""
        return State(Loop(self.settings.timing.step))

    def process(
        self,
        symbols: NDArray[np.int16],
        state: State | None = None,
        events: Iterable[tuple[int, int, Flag]] = (),
    ) -> Synchronised:
        """Take the next piece of the stream.

        Args:
            symbols: whole beats, int16, shape (n, 2).
            state: what the last piece left; None: the stream begins.
            events: first and last symbol, as numbers since reset, that something happened to, and what. They mark a
                frame that ends in this piece.

        Raises:
            ValueError: no whole beats.
        """
        state = self.begin() if state is None else state
        n, sizes = self.settings.sizes.symbols_per_clock, self.settings.sizes
        if len(symbols) % n:
            raise ValueError(f"{len(symbols)} symbols are not whole beats of {n}")
        stream = np.concatenate([state.tail, symbols])
        detector = Detector(sizes, self.settings.chips, self.settings.threshold)
        # No preamble is looked for that would have begun before the first beat but one.
        first = max(state.beats, sizes.rows + 1)
        beats = state.beats + len(symbols) // n
        picker = state.picker
        peaks: list[Peak] = []
        if beats > first:
            looked_at = stream[first * n - sizes.preamble + 1 - state.base :]
            peaks, picker = detector.pick(detector.magnitudes(looked_at), first, picker)
        state = replace(state, tail=stream, beats=beats, picker=picker)
        packets, retimes, slots = [], [], list[Slot]()
        marks = tuple(events)
        for peak in peaks:
            begin = self._begin_of(peak)
            state, ended, paid = self._close(state, begin, marks)
            state, trailing = self._follow(state, begin)
            slots += paid + trailing
            state = self._miss(state, begin)
            packets += ended
            state, command = self._open(state, peak, begin)
            retimes += command
        state, ended, paid = self._close(state, None, marks)
        state, trailing = self._follow(state, None)
        packets += ended
        slots += paid + trailing
        # A frame that may still begin did so at most this long ago.
        seen = beats - sizes.rows - WINDOW_BEATS - 4
        state = self._miss(state, seen)
        keep = max(state.base, min(state.frame.peak.end if state.frame else seen * n, seen * n))
        state = replace(state, tail=state.tail[keep - state.base :], base=keep)
        return Synchronised(tuple(packets), tuple(retimes), tuple(slots), state)

    def _begin_of(self, peak: Peak) -> int:
        """The cutter's beat of the preamble's first row. Row r behind the preamble is of beat + rows + r."""
        sizes = self.settings.sizes
        return peak.end // sizes.symbols_per_clock + 1 - sizes.rows

    def _open(self, state: State, peak: Peak, begin: int) -> tuple[State, list[Retime]]:
        """Measure a preamble and solve for its timing."""
        settings = self.settings
        start = peak.end - settings.sizes.preamble - 1 - state.base
        r, d = measure(state.tail[start : start + settings.sizes.preamble + 2], settings.chips)
        distance = None
        if state.due is not None and not state.skipped and abs(peak.end - state.due) <= settings.tolerance:
            distance = peak.end - state.due
        solved, loop = state.loop.follow(settings.timing, r, d, distance)
        flags = Flag(0)
        if solved.weak:
            flags |= Flag.WEAK
        if not loop.locked:
            flags |= Flag.TIMING
        commands = []
        if solved.jump is not None:
            at = 2 * (peak.end + settings.header + settings.payload + settings.timing.retime_after)
            commands.append(Retime(at & WORD_MASK, solved.jump, loop.step))
        frame = Open(begin, peak, flags, r, solved.phase)
        return replace(state, frame=frame, due=peak.end + settings.period + loop.ahead, skipped=0, loop=loop), commands

    def _close(
        self, state: State, until: int | None, events: Iterable[tuple[int, int, Flag]]
    ) -> tuple[State, list[Packet], list[Slot]]:
        """End the frame under way if its last row has come, or if the cutter turns away from it at beat `until`."""
        frame, settings = state.frame, self.settings
        if frame is None:
            return state, [], []
        sizes, n = settings.sizes, settings.sizes.symbols_per_clock
        header_row = frame.begin + sizes.rows
        payload_row = header_row + settings.header // n
        end_row = payload_row + settings.payload // n
        if until is None and state.beats < end_row + sizes.rows + WINDOW_BEATS + 4:
            return state, [], []  # a preamble may still be found that began before its end
        flags, end = frame.flags, end_row
        if until is not None and until < end_row:
            flags, end = flags | Flag.CUT_SHORT, until
        place = frame.peak.end + settings.header
        rows = max(0, end - payload_row)
        counted, received = state.numbers or (0, 0)
        number, expected = counted, True
        if settings.header and end >= payload_row:
            number = self._number(state, frame)
            expected = state.numbers is None or number in (counted, received)
            received = (number + 1) & WORD_MASK
        if not expected:
            flags |= Flag.UNEXPECTED
        counted = ((number if expected else counted) + 1) & WORD_MASK
        numbered = state.numbers is not None or not settings.header or end >= payload_row
        begin = place - settings.header - sizes.preamble
        for first, last, flag in events:
            if first < place + rows * n and last >= begin:
                flags |= flag
        symbols = state.tail[place - state.base :][: rows * n].copy()
        packet = Packet(number, symbols, flags, frame.peak.magnitude, frame.correlation, frame.phase, place & WORD_MASK)
        counts = replace(state.counts, good=state.counts.good + (not flags), marked=state.counts.marked + bool(flags))
        numbers = (counted, received) if numbered else None
        paid = [Slot(Section.PAYLOAD, place, place + rows * n)] if rows else []
        trail = Trail(end_row, place + settings.payload) if end == end_row else None
        return replace(state, frame=None, trail=trail, numbers=numbers, counts=counts), [packet], paid

    def _follow(self, state: State, until: int | None) -> tuple[State, list[Slot]]:
        """Vacuum and calibration of the last frame, if all their rows have come, or if a frame begins at `until`."""
        trail, settings = state.trail, self.settings
        if trail is None:
            return state, []
        n, sizes = settings.sizes.symbols_per_clock, settings.sizes
        end = trail.begin + (settings.vacuum + settings.calibration) // n
        if until is None and state.beats < end + sizes.rows + WINDOW_BEATS + 4:
            return state, []
        come = ((end if until is None else min(end, until)) - trail.begin) * n
        slots, begin = [], 0
        for section, length in ((Section.VACUUM, settings.vacuum), (Section.CALIBRATION, settings.calibration)):
            first, last = begin + settings.margin, min(begin + length - settings.margin, come)
            if first < last:
                slots.append(Slot(section, trail.place + first, trail.place + last))
            begin += length
        return replace(state, trail=None), slots

    def _number(self, state: State, frame: Open) -> int:
        """Decode the header."""
        settings = self.settings
        begin = frame.peak.end - state.base
        words = state.tail[begin : begin + settings.header].astype(np.int64)
        i, q = reference(frame.correlation, settings.header_eighths)
        sums = (words @ np.array([i, q])).reshape(NUMBER_BITS, -1).sum(1)
        number = 0
        for bit in sums >= 0:
            number = number << 1 | int(bit)
        return number

    def _miss(self, state: State, beat: int) -> State:
        """Count the frames that ought to have begun before the cutter's `beat` and did not."""
        settings, sizes = self.settings, self.settings.sizes
        if state.due is None:
            return state
        # The last beat before this one at which it was looked whether a frame is missing.
        reached = sizes.symbols_per_clock * (beat - 2 + sizes.rows) - state.due - settings.tolerance
        missing = reached // settings.period + 1 if reached >= 0 else 0
        if not missing:
            return state
        numbers = None
        if state.numbers is not None:
            numbers = ((state.numbers[0] + missing) & WORD_MASK, state.numbers[1])
        return replace(
            state,
            due=state.due + missing * settings.period,
            skipped=state.skipped + missing,
            numbers=numbers,
            counts=replace(state.counts, missing=state.counts.missing + missing),
        )


def reference(correlation: tuple[int, int], eighths: int) -> tuple[int, int]:
    """The nearest eighth of a turn, -1, 0 or 1 on each rail, of R(0) turned by so many eighths."""
    i, q = correlation
    a, b = EIGHTHS[eighths]
    i, q = i * a - q * b, i * b + q * a
    return (
        0 if 2 * abs(i) < abs(q) else (-1 if i < 0 else 1),
        0 if 2 * abs(q) < abs(i) else (-1 if q < 0 else 1),
    )
