"""Claims about frames and their record: what is emitted is recorded, and what is recorded was emitted."""

from __future__ import annotations

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from kronborg_hdl.modulation.frame_controller.core import FrameController
from kronborg_hdl.modulation.frame_controller.model import NUMBER_BITS
from kronborg_hdl.modulation.symbol_record.core import SymbolRecord
from kronborg_hdl.modulation.symbol_record.model import COUNTER_BITS, MAGIC, Flag, trailer_beats

from .harness import Harness
from .streams import Follower

SKID_PLACES = 2


class FramesWhatIsTaken(Harness):
    """Each symbol that is taken from the source is in a recorded beat, once, in its turn; and no other symbol is.

    A recorded beat that is not one of these says ``starved``, and is zeros. All beats of a frame have one number.

    Args:
        core: the frame controller.
    """

    core: FrameController

    def __init__(self, core: FrameController) -> None:
        super().__init__(core, {"follow": 1})

    def claim(self, m: Module) -> None:
        """See the class."""
        i, o = self.core.i, self.core.o
        beat = o.payload
        is_symbol = beat.recorded & ~beat.starved
        Follower(
            m,
            "symbols",
            self.follow,
            SKID_PLACES,
            goes_in=(i.valid & i.ready, Value.cast(i.payload.words)),
            comes_out=(o.valid & is_symbol, o.ready, Value.cast(beat.words)),
        )
        within, number = Signal(), Signal(NUMBER_BITS)
        with m.If(o.valid & o.ready):
            m.d.sync += within.eq(~beat.last), number.eq(beat.frame)
        with m.If(o.valid):
            m.d.comb += [
                Assert(~beat.starved | beat.recorded, "only recorded beats starve"),
                Assert(~beat.starved | ~Value.cast(beat.words).any(), "a starved beat is zeros"),
                Assert(~within | (beat.frame == number), "a frame has one number"),
                Cover(beat.starved & within, "a beat starves"),
            ]


class TellsNobody(Harness):
    """What the source's symbols are shows in recorded beats and nowhere else: no other output depends on them.

    Two frame controllers run side by side. All their inputs are the same but for the symbols of the source.

    Args:
        core: the frame controller.
        twin: another one of its size.
    """

    core: FrameController

    def __init__(self, core: FrameController, twin: FrameController) -> None:
        self.twin = twin
        super().__init__(core, {"other_words": core.i.payload.words.shape()})

    def claim(self, m: Module) -> None:
        """See the class."""
        core, twin = self.core, self.twin
        m.submodules.twin = twin
        outputs = []
        for path, member, value in core.signature.flatten(core):
            other = Value.cast(_at(twin, path))
            if member.flow is In and path != ("i", "payload"):
                m.d.comb += other.eq(value)
            elif member.flow is not In and path != ("o", "payload"):
                outputs.append(Value.cast(value) == other)
        m.d.comb += twin.i.payload.words.eq(self.other_words), twin.i.payload.last.eq(core.i.payload.last)
        one, other = core.o.payload, twin.o.payload
        rest = [Cat(Value.cast(beat[name]) for name, _ in beat.shape() if name != "words") for beat in (one, other)]
        differ = Value.cast(one.words) != Value.cast(other.words)
        m.d.comb += [
            Assert(Cat(outputs).all(), "ready, registers and counters are the same"),
            Assert(~core.o.valid | (rest[0] == rest[1]), "what is said of a beat is the same"),
            Assert(~core.o.valid | one.recorded | ~differ, "words that are not recorded are the same"),
            Cover(core.o.valid & differ, "symbols differ"),
        ]


def _at(component: wiring.Component, path: tuple[str | int, ...]) -> object:
    """The member of a component."""
    found: object = component
    for name in path:
        found = getattr(found, str(name))
    return found


class RecordsWhatIsSent(Harness):
    """Each beat that is taken is sent on; if it is ``recorded`` it is in its frame's packet, and nothing else is.

    Packets are each frame's recorded beats in their order and then its trailer: mark, number, symbols, flags. A beat
    of the record chosen freely is followed, or a trailer. It is not offered before the frame has left. It counts the
    frame's recorded symbols, and has exactly the flags of what happened from the clock in which the frame's first beat
    was taken to the one in which its last sample left; so an event marks every frame that is open.

    Assumed: ``left`` comes once a frame, a clock or more after the frame's last beat was taken. In the transmitter it
    does: ``streams.FollowsReference`` proves that each part behind the record gives a ``last`` for each that it takes.

    Args:
        core: the symbol record.
    """

    core: SymbolRecord

    def __init__(self, core: SymbolRecord) -> None:
        super().__init__(core, {"follow_sent": 1, "follow_symbols": 1, "follow_trailer": 1})

    def claim(self, m: Module) -> None:
        """See the class."""
        core, i, o = self.core, self.core.i, self.core.o
        taken, ends, stored = Signal(), Signal(), Signal()
        m.d.comb += [
            taken.eq(i.valid & i.ready),
            ends.eq(taken & i.payload.last),
            stored.eq(taken & i.payload.recorded),
        ]
        Follower(
            m,
            "sent",
            self.follow_sent,
            SKID_PLACES,
            goes_in=(taken, Cat(Value.cast(i.payload.words), i.payload.last)),
            comes_out=(o.valid, o.ready, Cat(Value.cast(o.payload.words), o.payload.last)),
        )
        # A frame is whole from its last beat here until it has left.
        whole = Signal()
        m.d.comb += [
            Assume(~core.left | whole, "a frame leaves after its last beat was taken, and once"),
            Assert(~(ends & whole), "a frame ends when the one before has left"),
        ]
        m.d.sync += whole.eq((whole & ~core.left) | ends)
        counted, flags = self._what_happens(m, taken, ends, whole)
        self._record(m, stored, ends, counted, flags)

    def _what_happens(self, m: Module, taken: Value, ends: Value, whole: Value) -> tuple[Value, Value]:
        """Symbols of the frame that ends in this clock, and the flags of the one that leaves in it."""
        core, beat = self.core, self.core.i.payload
        events = Cat(Const(0, 1), core.flags.entropy, core.flags.saturated, core.flags.gap)
        within, count = Signal(), Signal(COUNTER_BITS)
        here, there = Signal(len(Flag)), Signal(len(Flag))
        so_far, now = Signal.like(count), Signal.like(here)
        m.d.comb += [
            so_far.eq(count + Mux(taken & beat.recorded, core.symbols_per_clock, 0)),
            now.eq(here | (taken & beat.starved) | Mux(taken | within, events, 0)),
        ]
        m.d.sync += [
            within.eq((within | taken) & ~ends),
            count.eq(Mux(ends, 0, so_far)),
            here.eq(Mux(ends, 0, now)),
            there.eq(Mux(ends, now, there | Mux(whole, events, 0))),
        ]
        return so_far, there | events

    def _record(self, m: Module, stored: Value, ends: Value, counted: Value, flags: Value) -> None:
        """Claims about the record's stream."""
        core, record = self.core, self.core.record
        beats, width = trailer_beats(core.symbols_per_clock), len(Value.cast(record.payload.words))
        capacity = core.depth + beats
        due, ahead = (Signal(range(capacity + beats + 2), name=name) for name in ("due", "ahead"))
        leaves = record.valid & record.ready
        m.d.sync += due.eq(due + stored + Mux(ends, beats, 0) - leaves)
        m.d.comb += [
            Assert(due <= capacity, "no more is due to the record than there is room for"),
            Assert(~record.valid | (due != 0), "nothing is recorded that was not sent"),
        ]
        symbols, trailer, left, beat = Signal(), Signal(), Signal(), Signal(range(beats))
        word, expected = Signal(width), Signal(beats * width)
        number, count, marks = Signal(NUMBER_BITS), Signal(COUNTER_BITS), Signal(len(Flag))
        free = ~symbols & ~trailer
        with m.If(stored & self.follow_symbols & free):
            m.d.sync += symbols.eq(1), ahead.eq(due - leaves), word.eq(Value.cast(core.i.payload.words))
        with m.Elif(ends & self.follow_trailer & free):
            m.d.sync += trailer.eq(1), ahead.eq(due + stored - leaves), left.eq(0), beat.eq(0)
            m.d.sync += number.eq(core.i.payload.frame), count.eq(counted)
        with m.If(trailer & ~left & core.left):
            m.d.sync += left.eq(1), marks.eq(flags)
        m.d.comb += expected.eq(Cat(Const(MAGIC, NUMBER_BITS), number, count, marks))

        # It is the next one.
        turn = record.valid & (ahead == 0)
        words, last = Value.cast(record.payload.words), record.payload.last
        with m.If(turn & symbols):
            m.d.comb += Assert((words == word) & ~last, "symbols are recorded in their turn, unchanged")
            m.d.comb += Cover(leaves & word.any(), "symbols are recorded")
        with m.If(turn & trailer):
            m.d.comb += [
                Assert(left, "a trailer comes after its frame has left"),
                Assert(words == expected.word_select(beat, width), "a trailer says what happened to its frame"),
                Assert(last == (beat == beats - 1), "a packet ends with its trailer"),
                Cover(last & (count != 0) & marks.all(), "everything happens to a frame"),
            ]
        with m.If(leaves & ~free):
            with m.If(ahead != 0):
                m.d.sync += ahead.eq(ahead - 1)
            with m.Else():
                m.d.sync += beat.eq(beat + 1), symbols.eq(0), trailer.eq(trailer & (beat != beats - 1))
