"""The cutter in Amaranth: payload symbols and a trailer for each frame, its number checked, what is missing counted."""

from __future__ import annotations

from enum import IntEnum

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.stream import complex_words
from ...dsp.arithmetic import negate_where
from ...dsp.pipeline import Pipeline
from .detector import MAGNITUDE_BITS
from .measurer import CORRELATION
from .model import LENGTH_BITS, NUMBER_BITS, PERIOD_BITS, REPETITION_BITS
from .packet import EVENTS, FLAG_BITS, MAGIC, Flag
from .sizes import TRAILER_WORDS, Sizes
from .solver import PHASE_BITS
from .timing import DISTANCE_BITS

PLACE_BITS = 32
LENGTHS = data.StructLayout(
    {
        "repetition": REPETITION_BITS,
        "header": NUMBER_BITS.bit_length() - 1 + REPETITION_BITS,
        "payload": LENGTH_BITS,
        "period": PERIOD_BITS,
        "tolerance": DISTANCE_BITS - 1,
    }
)
"""Settings of the cutter, in symbols; ``header`` is that of all bits together."""
REFERENCE = data.StructLayout({"i": signed(2), "q": signed(2)})
SOLVED = data.StructLayout(
    {"phase": signed(PHASE_BITS), "weak": 1, "locked": 1, "ahead": signed(DISTANCE_BITS), "correlation": CORRELATION}
)


class Part(IntEnum):
    """Where the cutter is."""

    NOTHING = 0
    PREAMBLE = 1
    HEADER = 2
    PAYLOAD = 3


def flag_bits(events: Value, unexpected: Value, weak: Value, cut_short: Value, timing: Value) -> Value:
    """The trailer's flags of what wires brought, in the order of ``packet.EVENTS``, and of what the core found."""
    own = {Flag.UNEXPECTED: unexpected, Flag.WEAK: weak, Flag.CUT_SHORT: cut_short, Flag.TIMING: timing}
    return Cat(own[flag] if flag in own else events[EVENTS.index(flag)] for flag in Flag)


class FrameCutter(wiring.Component):
    """Cut payloads out of rows that are aligned to a preamble's end.

    A frame begins with ``begin``; preamble, header and payload are counted off row by row. It ends with the payload's
    last row or, cut short, with the next frame's first one. Its trailer follows when its number is known,
    :attr:`trailer_delay` rows later: long before the next payload. So a packet is the payload's rows, each once and in
    order, and one trailer, with ``last``.

    Everything but ``solved`` moves with `step`.

    Args:
        sizes: of the core.
        age: rows that come before row 0, the one in which the stream's first beat is the newer half.

    Members:
        step: a row comes in.
        words: its N symbols.
        begin: it is a preamble's first.
        offset: the first symbol's place in its beat.
        magnitude: of the detector's peak.
        reference: the header's direction, from the header's first row to its last.
        events: what happened to the row, in the order of ``packet.EVENTS``.
        solved: a pulse: `timing` stands.
        timing: of the frame under way.
        lengths: settings.
        restart: forget place and number of the last frame.
        active: a frame or its trailer is under way.
        pays: the row is of a payload.
        ends: it is a payload's last.
        valid: there is a beat of a packet.
        beat: it.
        end: place of the last preamble's end.
        distance: by how many symbols it came later than expected.
        expected: there was an expectation.
        handed: a pulse: a trailer is made.
        flags: its flags.
        missing: a pulse: a preamble did not come.
    """

    def __init__(self, sizes: Sizes, *, age: int) -> None:
        self.sizes = sizes
        self.age = age
        n = sizes.symbols_per_clock
        words = complex_words(n)
        super().__init__(
            {
                "step": In(1),
                "words": In(words["words"].shape),
                "begin": In(1),
                "offset": In(range(n)),
                "magnitude": In(MAGNITUDE_BITS),
                "reference": In(REFERENCE),
                "events": In(len(EVENTS)),
                "solved": In(1),
                "timing": In(SOLVED),
                "lengths": In(LENGTHS),
                "restart": In(1),
                "active": Out(1),
                "pays": Out(1),
                "ends": Out(1),
                "valid": Out(1),
                "beat": Out(words),
                "end": Out(PLACE_BITS),
                "distance": Out(signed(DISTANCE_BITS)),
                "expected": Out(1),
                "handed": Out(1),
                "flags": Out(len(Flag)),
                "missing": Out(1),
            }
        )

        # What the proofs speak of as well: where it is, ...
        self.part = Signal(Part)
        self.left = Signal(LENGTH_BITS)
        self.rows = Signal(LENGTH_BITS)
        self.marks = Signal(len(EVENTS))
        # ... the frame that ended, and its trailer.
        self.count = Signal(PLACE_BITS)
        self.marked = Signal(len(EVENTS))
        self.was_cut = Signal()
        self.ended = Signal(self.trailer_delay - 1)  # bit k: k + 1 rows ago
        self.ending = Signal()
        self.trailer = Signal(TRAILER_WORDS * NUMBER_BITS)
        self.to_come = Signal(range(self.trailer_beats + 1))

    @property
    def header_delay(self) -> int:
        """Rows from a header's last one to the number."""
        return 2 + exact_log2(self.sizes.symbols_per_clock)

    @property
    def trailer_delay(self) -> int:
        """Rows from a frame's end to its trailer."""
        return self.header_delay + 2

    @property
    def trailer_beats(self) -> int:
        """Beats of a trailer."""
        return TRAILER_WORDS // self.sizes.symbols_per_clock

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.step)
        part, ends_header, closes, cut = self._follow_rows(m)
        number = self._read_number(m, pipeline, part)
        self._follow_places(m)
        self._make_packets(m, part, ends_header, closes, cut, number)
        return m

    def _follow_rows(self, m: Module) -> tuple[Signal, Signal, Signal, Signal]:
        """Count rows off.

        Returns the part that this row is of; whether it is the header's last; whether a frame ends with it; whether
        that is cut short.
        """
        sizes, lengths = self.sizes, self.lengths
        shift = exact_log2(sizes.symbols_per_clock)
        part, now = self.part, Signal(Part)
        left, now_left = self.left, Signal(LENGTH_BITS)  # rows of the part behind this one
        ends_header, closes, cut = Signal(), Signal(), Signal()
        m.d.comb += [
            now.eq(Mux(self.begin, Part.PREAMBLE, part)),
            now_left.eq(Mux(self.begin, sizes.rows - 1, left)),
            cut.eq(self.begin & (part != Part.NOTHING)),
            ends_header.eq((now == Part.HEADER) & ~now_left.any()),
            closes.eq(cut | ((now == Part.PAYLOAD) & ~now_left.any())),
        ]
        with m.If(self.step):
            m.d.sync += part.eq(now), left.eq(now_left - 1)
            with m.If(~now_left.any()):
                with m.If((now == Part.PREAMBLE) & lengths.header.any()):
                    m.d.sync += part.eq(Part.HEADER), left.eq((lengths.header >> shift) - 1)
                with m.Elif((now == Part.PREAMBLE) | (now == Part.HEADER)):
                    m.d.sync += part.eq(Part.PAYLOAD), left.eq((lengths.payload >> shift) - 1)
                with m.Else():
                    m.d.sync += part.eq(Part.NOTHING), left.eq(0)
            with m.Elif(now == Part.NOTHING):
                m.d.sync += left.eq(0)
        return now, ends_header, closes, cut

    def _read_number(self, m: Module, pipeline: Pipeline, part: Signal) -> Signal:
        """Sum the symbols of each bit along the reference. Returns the bits that came, the last one lowest."""
        n = self.sizes.symbols_per_clock
        shift = exact_log2(n)
        come = Signal(REPETITION_BITS)
        inside, last = Signal(), Signal()
        m.d.comb += [
            inside.eq(part == Part.HEADER),
            last.eq(inside & (come == (self.lengths.repetition >> shift) - 1)),
        ]
        with m.If(self.step):
            m.d.sync += come.eq(Mux(inside & ~last, come + 1, 0))
        values: list[Value] = []
        for word in self.words:
            along = Const(0, signed(2))
            for rail, sign in ((word.i, self.reference.i), (word.q, self.reference.q)):
                along = along + negate_where(sign[-1], Mux(sign == 0, 0, rail))
            values.append(pipeline.register(along))
        while len(values) > 1:
            values = [pipeline.register(a + b) for a, b in zip(values[::2], values[1::2], strict=True)]
        adds = pipeline.history(inside, self.header_delay - 1, reset=True)[-1]
        ends = pipeline.history(last, self.header_delay - 1, reset=True)[-1]
        total = Signal(signed(len(values[0]) + REPETITION_BITS))
        number = Signal(NUMBER_BITS)
        so_far = total + values[0]
        with m.If(self.step & adds):
            m.d.sync += total.eq(Mux(ends, 0, so_far))
            with m.If(ends):
                m.d.sync += number.eq(Cat(so_far >= 0, number))
        # A header that was cut leaves nothing to the next one.
        with m.If(self.step & ~adds):
            m.d.sync += total.eq(0)
        return number

    def _follow_places(self, m: Module) -> None:
        """Where the next preamble is due, by how much this one was late, and which did not come."""
        n, lengths = self.sizes.symbols_per_clock, self.lengths
        # The end of a preamble that would begin in this row, but for its offset.
        horizon = Signal(PLACE_BITS, init=n * (self.sizes.rows - 1 - self.age) % 2**PLACE_BITS)
        due, deadline = Signal(PLACE_BITS), Signal(PLACE_BITS)
        following, watching, skipped, known = Signal(), Signal(), Signal(), Signal()
        over = Signal(signed(PLACE_BITS))
        m.d.comb += over.eq(horizon - deadline), self.missing.eq(self.step & watching & ~self.begin & (over >= 0))
        with m.If(self.step):
            m.d.sync += horizon.eq(horizon + n)
        with m.If(self.missing):
            m.d.sync += due.eq(due + lengths.period), deadline.eq(deadline + lengths.period), skipped.eq(1)
        with m.If(self.step & self.begin):
            m.d.sync += self.end.eq(horizon + self.offset)
            m.d.sync += following.eq(1), watching.eq(0), skipped.eq(0), known.eq(following & ~skipped)
        # Two clocks after the frame began it is known how late it is; the solver asks when the preamble has passed.
        late, within = Signal(signed(PLACE_BITS)), Signal()
        m.d.sync += late.eq(self.end - due)
        m.d.sync += within.eq((late <= lengths.tolerance) & (late >= -lengths.tolerance))
        m.d.comb += self.distance.eq(late[:DISTANCE_BITS].as_signed()), self.expected.eq(known & within)
        # These two stand long before the timing is solved.
        usual, latest = Signal(PLACE_BITS), Signal(PLACE_BITS)
        m.d.sync += usual.eq(self.end + lengths.period), latest.eq(usual + lengths.tolerance)
        with m.If(self.solved):
            m.d.sync += due.eq(usual + self.timing.ahead), deadline.eq(latest + self.timing.ahead), watching.eq(1)
        with m.If(self.restart):
            m.d.sync += following.eq(0), watching.eq(0), skipped.eq(0)

    def _make_packets(
        self,
        m: Module,
        part: Signal,
        ends_header: Signal,
        closes: Signal,
        cut: Signal,
        read: Signal,
    ) -> None:
        """Hand payload rows on; keep what a frame was, judge it when its number is there, write its trailer."""
        n, lengths = self.sizes.symbols_per_clock, self.lengths
        shift = exact_log2(n)
        pays, rows, marks = self.pays, self.rows, self.marks
        magnitude = Signal(MAGNITUDE_BITS)
        complete = Signal()
        correlation = Signal(CORRELATION)
        m.d.comb += pays.eq(part == Part.PAYLOAD), self.ends.eq(closes & ~cut)
        with m.If(self.solved):
            m.d.sync += correlation.eq(self.timing.correlation)
        # Of the frame that ended.
        count, marked, was_cut = self.count, self.marked, self.was_cut
        at, peak, had_number = Signal(PLACE_BITS), Signal.like(magnitude), Signal()
        with m.If(self.step):
            m.d.sync += rows.eq(rows + pays), marks.eq(marks | self.events)
            with m.If(ends_header):
                m.d.sync += complete.eq(1)
            with m.If(self.begin):
                m.d.sync += rows.eq(0), marks.eq(self.events), magnitude.eq(self.magnitude), complete.eq(0)
            with m.If(closes):
                m.d.sync += [
                    count.eq((rows + pays) << shift),
                    at.eq(self.end + lengths.header),
                    marked.eq(marks | self.events),
                    peak.eq(magnitude),
                    was_cut.eq(cut),
                    had_number.eq(complete & lengths.header.any()),
                ]
        judged = self.ended[-1]

        counted, following = Signal(NUMBER_BITS), Signal(NUMBER_BITS)
        numbered, as_counted, as_following = Signal(), Signal(), Signal()
        number = Signal(NUMBER_BITS)
        with m.If(self.step):
            m.d.sync += as_counted.eq(read == counted), as_following.eq(read == following)
        expected = ~had_number | ~numbered | as_counted | as_following
        timing = self.timing
        m.d.comb += [
            number.eq(Mux(had_number, read, counted)),
            self.flags.eq(flag_bits(marked, ~expected, timing.weak, was_cut, ~timing.locked)),
            self.handed.eq(self.step & judged),
        ]
        with m.If(self.missing & numbered):
            m.d.sync += counted.eq(counted + 1)
        with m.If(self.handed):
            m.d.sync += counted.eq(Mux(expected, number, counted) + 1)
            with m.If(had_number):
                m.d.sync += following.eq(read + 1)
            m.d.sync += numbered.eq(numbered | had_number | ~lengths.header.any())
        with m.If(self.restart):
            m.d.sync += numbered.eq(0), counted.eq(0), following.eq(0)

        words = (
            Const(MAGIC, NUMBER_BITS),
            number,
            count,
            Cat(self.flags, Const(0, FLAG_BITS - len(Flag)), peak),
            correlation.i,
            correlation.q,
            Cat(timing.phase, timing.phase[-1].replicate(NUMBER_BITS - PHASE_BITS)),
            at,
        )
        trailer, to_come, ending = self.trailer, self.to_come, self.ending
        with m.If(self.step):
            with m.If(judged):
                m.d.sync += trailer.eq(Cat(*words)), to_come.eq(self.trailer_beats)
            with m.Elif(to_come.any()):
                m.d.sync += trailer.eq(trailer >> (NUMBER_BITS * n)), to_come.eq(to_come - 1)
        with m.If(self.step):
            m.d.sync += ending.eq((ending | closes) & ~judged), self.ended.eq(Cat(closes, self.ended[:-1]))
        m.d.comb += [
            self.active.eq((part != Part.NOTHING) | ending | to_come.any()),
            self.valid.eq(pays | to_come.any()),
            Value.cast(self.beat.words).eq(Mux(pays, Value.cast(self.words), trailer[: NUMBER_BITS * n])),
            self.beat.last.eq(to_come == 1),
        ]
