"""Claims about the frame synchroniser's cutter: a packet is the payload of one frame and its trailer, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover

from kronborg_hdl.synchronisation.frame_synchroniser.cutter import FrameCutter, Part, flag_bits
from kronborg_hdl.synchronisation.frame_synchroniser.model import LENGTH_BITS, NUMBER_BITS
from kronborg_hdl.synchronisation.frame_synchroniser.packet import EVENTS, MAGIC, Flag
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import Sizes

from .harness import Harness

UNEXPECTED = Flag.UNEXPECTED.bit_length() - 1


@dataclass(frozen=True)
class ShortSizes(Sizes):
    """With a preamble that is shorter than a core may have, so that a run to a whole packet is short."""

    def __post_init__(self) -> None:
        """Any preamble will do here."""


def short_sizes(symbols_per_clock: int) -> Sizes:
    """With the shortest preamble that is longer than a trailer takes."""
    cutter = FrameCutter(ShortSizes(symbols_per_clock), age=0)
    return ShortSizes(symbols_per_clock, symbols_per_clock * (_trailer_rows(cutter) + 1))


def _trailer_rows(cutter: FrameCutter) -> int:
    """Rows from the one that ends a frame to the last one of its trailer."""
    return cutter.trailer_delay + cutter.trailer_beats - 1


class CutsWholeFrames(Harness):
    """Exactly the payload rows of each frame are handed on, then one trailer; it says what was and what happened.

    What ought to be is counted from each frame's first row, whatever lengths its header and payload have. A row of the
    payload is handed on in its own clock, unchanged; so no symbol is lost, doubled, or of another frame. A frame ends
    with its payload's last row, or with the first one of the next frame, and is then cut short. Its trailer comes a
    fixed number of rows later: mark, symbols that were handed on, and flags. These are exactly the events of all rows
    from the frame's first one to the one that ended it, and whether it was cut short; and what is said of its timing.

    Assumed of the core around it: lengths stay while the cutter is active; they are whole beats, and there is a
    payload; a preamble begins no sooner after another one than a trailer takes. Settings are taken only while nothing
    is active, and the detector is blind for far longer.

    Registers of the cutter stand in claims that are called *inside*: with them each claim follows for a clock from the
    one before.

    Args:
        core: the cutter.
        bits: of header and payload in rows: they are assumed to be shorter than this. LENGTH_BITS is no restriction.
        inside: claim these too. Without them a mistake has to show in what is handed on.
    """

    core: FrameCutter

    def __init__(self, core: FrameCutter, *, bits: int = LENGTH_BITS, inside: bool = True) -> None:
        self.bits = bits
        self.inside = inside
        super().__init__(core)

    def claim(self, m: Module) -> None:
        """See the class."""
        core, lengths, step = self.core, self.core.lengths, self.core.step
        n, rows = core.sizes.symbols_per_clock, core.sizes.rows
        shift = n.bit_length() - 1
        trailer_rows, beats = _trailer_rows(core), core.trailer_beats
        self._assume(m, shift)

        # Rows since the frame began, and whether one is under way: before this row, and in it.
        age_bits = max(self.bits, rows.bit_length()) + 2
        age, live = Signal(age_bits), Signal()
        now_age, now_live = Mux(core.begin, 0, age), live | core.begin
        first, total = Signal(age_bits), Signal(age_bits)
        pays, last, cut, ends = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            first.eq(rows + (lengths.header >> shift)),
            total.eq(first + (lengths.payload >> shift)),
            pays.eq(now_live & (now_age >= first)),
            last.eq(now_live & (now_age == total - 1)),
            cut.eq(live & core.begin),
            ends.eq(last | cut),
        ]
        # Rows until the trailer of the frame that ended is over, and which of its beats this is.
        due, trails, judged = Signal(range(trailer_rows + 1)), Signal(), Signal()
        m.d.comb += trails.eq((due != 0) & (due <= beats)), judged.eq(due == beats + 1)
        sent = Signal(self.bits)  # payload rows of the packet
        happened, events = Signal(len(EVENTS)), Signal(len(EVENTS))  # to the frame under way; to the one that ended
        short, flags, said = Signal(), Signal(len(Flag)), Signal(len(Flag))
        m.d.comb += flags.eq(flag_bits(events, core.flags[UNEXPECTED], core.timing.weak, short, ~core.timing.locked))
        with m.If(step):
            m.d.sync += [
                live.eq(now_live & ~last),
                age.eq(now_age + 1),
                due.eq(Mux(ends, trailer_rows, Mux(due == 0, 0, due - 1))),
                sent.eq(Mux(due == 1, 0, sent + pays)),
                happened.eq(Mux(core.begin, 0, happened) | core.events),
            ]
            with m.If(ends):
                m.d.sync += events.eq(happened | core.events), short.eq(cut)
            with m.If(judged):
                m.d.sync += said.eq(flags)

        whole = lengths.payload >> shift
        words = Value.cast(core.beat.words)
        m.d.comb += Assert(core.handed == (step & judged), "a trailer is made for each frame that ended, once")
        with m.If(step):
            m.d.comb += [
                Assert(core.valid == (pays | trails), "each payload row and each trailer beat is handed on, no other"),
                Assert(~(pays & trails), "payload and trailer never meet"),
                Assert(
                    (core.pays == pays) & (core.ends == last), "listeners are told of payload rows and of the last one"
                ),
                Assert(~pays | (words == Value.cast(core.words)), "payload is handed on unchanged"),
                Assert(~core.valid | (core.beat.last == (due == 1)), "a packet ends with its trailer"),
                Assert(~judged | (core.flags == flags), "flags are what happened to the frame"),
                Assert(~trails | short | (sent == whole), "a packet that is not cut short has all of the payload"),
                Assert(~trails | ~short | (sent < whole), "one that is cut short has not"),
                Cover(trails & core.beat.last & ~said.any() & (sent == 2), "a whole packet"),
                Cover(trails & core.beat.last & short & said[0] & (sent == 1), "a packet that is marked and cut short"),
                Cover(cut & (due == 0) & happened.all(), "a frame is cut short that everything happened to"),
            ]
        expected = {0: (MAGIC, NUMBER_BITS), 2: (sent << shift, NUMBER_BITS), 3: (said, len(Flag))}
        for beat in range(beats):
            with m.If(step & (due == beats - beat)):
                for word, (value, bits) in expected.items():
                    if word // n == beat:
                        is_there = words.word_select(word % n, NUMBER_BITS)[:bits] == value
                        m.d.comb += Assert(is_there, f"the trailer's word {word} is right")
        if self.inside:
            self._follow_inside(m, live, age, first, total, due, sent, happened, events, short, said)

    def _assume(self, m: Module, shift: int) -> None:
        """What the core around the cutter sees to."""
        core, lengths = self.core, self.core.lengths
        held, before = Signal(), Signal(len(Value.cast(lengths)))
        self.quiet, self.held = Signal(range(_trailer_rows(core) + 1)), held
        m.d.sync += held.eq(core.active), before.eq(Value.cast(lengths))
        with m.If(core.step & core.begin):
            m.d.sync += self.quiet.eq(_trailer_rows(core))
        with m.Elif(core.step & self.quiet.any()):
            m.d.sync += self.quiet.eq(self.quiet - 1)
        m.d.comb += [
            Assume(~held | (before == Value.cast(lengths)), "lengths stay while a frame is under way"),
            Assume(~Cat(lengths.header[:shift], lengths.payload[:shift]).any(), "lengths are whole beats"),
            Assume(lengths.payload.any(), "there is a payload"),
            Assume(~Cat(length[shift + self.bits :] for length in (lengths.header, lengths.payload)).any(), "short"),
            Assume(~(core.step & core.begin & held) | (self.quiet == 0), "preambles are apart"),
        ]

    def _follow_inside(
        self,
        m: Module,
        live: Signal,
        age: Signal,
        first: Signal,
        total: Signal,
        due: Signal,
        sent: Signal,
        happened: Signal,
        events: Signal,
        short: Signal,
        said: Signal,
    ) -> None:
        """What the cutter's registers hold between rows."""
        core, rows = self.core, self.core.sizes.rows
        shift = core.sizes.symbols_per_clock.bit_length() - 1
        trailer_rows, beats = _trailer_rows(core), core.trailer_beats
        m.d.comb += [
            Assert((due <= trailer_rows) & (self.quiet <= trailer_rows), "inside: what is counted down"),
            Assert((core.part == Part.NOTHING) == ~live, "inside: a frame is under way"),
            Assert(
                core.ended == Cat(due == trailer_rows - row for row in range(len(core.ended))),
                "inside: a frame ended so many rows ago",
            ),
            Assert(core.ending == (due > beats), "inside: a trailer is to be made"),
            Assert(core.to_come == Mux(due > beats, 0, due), "inside: a trailer is under way"),
            Assert(core.active == (live | core.begin | (due != 0)), "inside: it is active until the trailer is over"),
            Assert(~(live | (due != 0)) | self.held, "inside: lengths are held"),
            Assert(core.marks == happened, "inside: marks"),
            Assert((core.marked == events) & (core.was_cut == short), "inside: marks of the frame that ended"),
            Assert((due == 0) | (core.count == sent << shift), "inside: rows of the frame that ended"),
            Assert(
                (due == 0) | Mux(short, sent < core.lengths.payload >> shift, sent == core.lengths.payload >> shift),
                "inside: so many",
            ),
            Assert((due != 0) | (sent == Mux(live, core.rows, 0)), "inside: rows of the packet"),
        ]
        with m.If(live):
            m.d.comb += [
                Assert(age < total, "inside: a frame has an end"),
                Assert(
                    (age != 0) & ((due == 0) | (age + due <= trailer_rows + 1)),
                    "inside: a trailer is over before the preamble",
                ),
                Assert(
                    self.quiet == Mux(age <= trailer_rows, trailer_rows + 1 - age, 0), "inside: preambles are apart"
                ),
                Assert(core.rows == Mux(age > first, (age - first)[:LENGTH_BITS], 0), "inside: payload rows"),
                Assert(
                    core.part == Mux(age < rows, Part.PREAMBLE, Mux(age < first, Part.HEADER, Part.PAYLOAD)),
                    "inside: the part",
                ),
                Assert(
                    core.left == (Mux(age < rows, rows, Mux(age < first, first, total)) - 1 - age)[:LENGTH_BITS],
                    "inside: rows of the part that are left",
                ),
            ]
        expected = {0: (MAGIC, NUMBER_BITS), 2: (sent << shift, NUMBER_BITS), 3: (said, len(Flag))}
        n = core.sizes.symbols_per_clock
        for beat in range(beats):
            with m.If(due == beats - beat):
                for word, (value, bits) in expected.items():
                    if word // n >= beat:
                        at = NUMBER_BITS * (word - beat * n)
                        m.d.comb += Assert(core.trailer[at : at + bits] == value, "inside: the trailer")
