"""The symbol record in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words
from ...dsp.arithmetic import event_counter
from ..frame_controller.core import frame_words
from ..frame_controller.model import NUMBER_BITS, SYMBOLS_PER_CLOCK
from .model import COUNTER_BITS, DEPTH_BITS, MAGIC, Flag, trailer_beats
from .registers import REGISTERS

EVENTS = data.StructLayout({"entropy": 1, "saturated": 1, "gap": 1})
"""What may happen to a frame outside this core: levels or pulses, each clock in which one is high counts."""


class SymbolRecord(wiring.Component):
    """Pass frames on, and write to memory the symbols of them that are the raw key: one packet a frame.

    A beat goes to both streams (to ``record`` only if it is ``recorded``) or to none: no symbol is recorded that was
    not sent on, nor the other way round. When memory does not take the record and the FIFO is full, the frame waits;
    what the converter then misses marks it.

    Packets: see ``model``. A frame's trailer is written after ``left``, when nothing can happen to it any more. Until
    then recorded symbols of the next frame, and its end, wait. A frame without recorded symbols has the trailer alone.

    Flags: a frame is open from its first beat until ``left``, these two clocks among them. Two may be open, the one
    that leaves the chain and the one that enters it: an event marks both. ``starved`` comes with the beat, and marks
    the beat's frame alone. A head of two beats makes sure that a frame is open here before the frame controller takes
    its first symbol from the source.

    Throughput: one beat per clock, always, with a pause only where the record has to wait. Latency: :attr:`latency`
    clocks.

    Resources: ``depth`` words of 32 N + 1 bits of block RAM; no multiplier.

    Args:
        symbols_per_clock: N, 1, 2, 4 or 8.
        depth: beats that wait for memory, 2 or more.

    Members:
        i: frames, see ``frame_controller.core.frame_words``.
        o: the same words, and ``last``.
        record: packets; ``last`` ends one.
        flags: what happens in the chain and at the source, see EVENTS.
        left: a pulse: the converter took the last sample of the oldest open frame. It comes a clock or more after that
            frame's last beat was accepted, and once.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: symbols per clock or depth out of range.
    """

    registers = REGISTERS
    latency = 1
    """Clocks from a beat's acceptance to the same beat at ``o`` when nothing pauses."""
    multipliers = 0

    def __init__(self, *, symbols_per_clock: int, depth: int = 1024) -> None:
        if symbols_per_clock not in SYMBOLS_PER_CLOCK:
            raise ValueError(
                f"{symbols_per_clock} symbols per clock: must be one of {', '.join(map(str, SYMBOLS_PER_CLOCK))}"
            )
        if not 2 <= depth < 1 << DEPTH_BITS:
            raise ValueError(f"a FIFO of {depth} beats: must be 2 to {(1 << DEPTH_BITS) - 1}")
        self.symbols_per_clock = symbols_per_clock
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(frame_words(symbols_per_clock))),
                "o": Out(stream.Signature(complex_words(symbols_per_clock))),
                "record": Out(stream.Signature(complex_words(symbols_per_clock))),
                "flags": In(EVENTS),
                "left": In(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=len(Value.cast(self.record.payload)), depth=self.depth)
        m.d.comb += [
            Value.cast(self.record.payload).eq(fifo.r_data),
            self.record.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.record.ready),
            self.port.capabilities.symbols_per_clock.eq(self.symbols_per_clock),
            self.port.capabilities.depth.eq(self.depth),
        ]
        # A frame is leaving from its last beat here until its trailer is written; that is due when it is gone.
        leaving, gone = Signal(), Signal()
        accept = self._pass_beats(m, skid.i, fifo.w_rdy, leaving)
        store, closes = accept & self.i.payload.recorded, accept & self.i.payload.last
        trailer = self._follow_frames(m, accept, leaving, gone)

        beats = trailer_beats(self.symbols_per_clock)
        beat = Signal(range(beats))
        write, done = Signal(), Signal()
        words = Value.cast(self.i.payload.words)
        m.d.comb += [
            write.eq(gone & fifo.w_rdy),
            done.eq(write & (beat == beats - 1)),
            fifo.w_en.eq(store | write),
            fifo.w_data.eq(Mux(gone, Cat(trailer.word_select(beat, len(words)), done), words)),
        ]
        with m.If(write):
            m.d.sync += beat.eq(beat + 1)  # their number is a power of two: the last one is followed by the first
        with m.If(closes):
            m.d.sync += leaving.eq(1)
        with m.Elif(done):
            m.d.sync += leaving.eq(0), gone.eq(0)
        with m.Elif(leaving & self.left):
            m.d.sync += gone.eq(1)
        self._count(m, store, done, trailer[-len(Flag) :])
        return m

    def _pass_beats(self, m: Module, o: stream.Interface, room: Value, leaving: Value) -> Value:
        """Hand beats on, recorded ones only when there is `room` for them. Returns whether one is accepted.

        What must stand behind the trailer of the frame that leaves waits: recorded symbols, and an end.
        """
        i = self.i
        passes = Signal()
        accept = Signal()
        m.d.comb += [
            passes.eq((room | ~i.payload.recorded) & ~(leaving & (i.payload.recorded | i.payload.last))),
            i.ready.eq(o.ready & passes),
            o.valid.eq(i.valid & passes),
            o.payload.words.eq(i.payload.words),
            o.payload.last.eq(i.payload.last),
            accept.eq(i.valid & i.ready),
            self.port.status.held.eq(i.valid & o.ready & ~passes),
        ]
        return accept

    def _follow_frames(self, m: Module, accept: Value, leaving: Value, gone: Value) -> Value:
        """Count the symbols and gather the flags of the frame that enters; hand them to the one that leaves.

        Returns the trailer of the frame that leaves.
        """
        last, recorded, starved = self.i.payload.last, self.i.payload.recorded, self.i.payload.starved
        entered = Signal()
        count, counted = Signal(COUNTER_BITS), Signal(COUNTER_BITS)
        frame = Signal.like(self.i.payload.frame)
        marks, marked = Signal(len(Flag)), Signal(len(Flag))
        events = Cat(self.flags.entropy, self.flags.saturated, self.flags.gap)
        so_far, now = Signal.like(count), Signal.like(marks)
        m.d.comb += [
            so_far.eq(count + Mux(recorded, self.symbols_per_clock, 0)),
            now.eq(marks | Cat(accept & starved, Mux(entered | accept, events, 0))),
        ]
        m.d.sync += marks.eq(now)
        with m.If(leaving & ~gone):
            m.d.sync += marked.eq(marked | Cat(Const(0, 1), events))
        with m.If(accept):
            m.d.sync += entered.eq(~last), count.eq(so_far)
            with m.If(last):
                m.d.sync += [
                    count.eq(0),
                    marks.eq(0),
                    counted.eq(so_far),
                    marked.eq(now),
                    frame.eq(self.i.payload.frame),
                ]
        return Cat(Const(MAGIC, NUMBER_BITS), frame, counted, marked)

    def _count(self, m: Module, store: Value, done: Value, marks: Value) -> None:
        """Counters and sticky flags; a frame counts when its trailer is written."""
        port, clear = self.port, self.port.control.clear_counters.start
        good = event_counter(m, COUNTER_BITS, done & ~marks.any(), clear)
        marked = event_counter(m, COUNTER_BITS, done & marks.any(), clear)
        recorded = event_counter(m, 2 * COUNTER_BITS, Mux(store, self.symbols_per_clock, 0), clear)
        m.d.comb += [
            port.frames_good.count.eq(good),
            port.frames_marked.count.eq(marked),
            Cat(port.recorded_low.count, port.recorded_high.count).eq(recorded),
        ]
        for flag, mark in zip(Flag, marks, strict=True):
            m.d.comb += getattr(port.status, str(flag.name).lower()).eq(done & mark)
