"""Streams between cores: complex words, several per clock, with the end of a frame marked.

Inside, streams are Amaranth's (payload, valid, ready); the names of AXI4-Stream appear at the edge only (``axi.skin``).
A payload's bits are already in the order of AXI: the oldest word lowest, I below Q, so that memory holds int16 I, Q, I,
Q, ... in little-endian order.
"""

from __future__ import annotations

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.hdl import Elaboratable, ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..dsp.arithmetic import word_shape
from ..dsp.formats import SAMPLE, Format
from .marks import EVENT_BITS, SECTION_BITS


def complex_words(count: int, of: Format = SAMPLE) -> data.StructLayout:
    """Payload of `count` complex words per clock, word 0 the oldest, and ``last``: the frame ends with this beat."""
    return data.StructLayout({**endless_words(count, of).members, "last": 1})


def endless_words(count: int, of: Format) -> data.StructLayout:
    """Payload of `count` complex words per clock, word 0 the oldest, of a stream that knows no frames."""
    word = data.StructLayout({"i": word_shape(of), "q": word_shape(of)})
    return data.StructLayout({"words": data.ArrayLayout(word, count)})


def unsigned_words(count: int, bits: int) -> data.StructLayout:
    """Payload of `count` unsigned words of so many bits per clock, word 0 the oldest, and ``last``."""
    return data.StructLayout({"words": data.ArrayLayout(unsigned(bits), count), "last": 1})


def gated_words(count: int) -> data.StructLayout:
    """Payload of `count` symbols per clock, symbol 0 the oldest, and in ``sections`` where each lies in its frame.

    ``touched`` says what happened in the chain before them that marks frames.
    """
    sections = data.ArrayLayout(unsigned(SECTION_BITS), count)
    return data.StructLayout({**endless_words(count, SAMPLE).members, "sections": sections, "touched": EVENT_BITS})


def passing(payload: ShapeLike) -> data.StructLayout:
    """What a listener sees of a stream: ``payload``, and ``taken``: a beat is valid and ready in this clock."""
    return data.StructLayout({"taken": 1, "payload": payload})


RETUNE = data.StructLayout({"words": data.StructLayout({"at": 32, "beat": 32})})
"""Payload of a command to the receiver's mixer: from hop number `at` on, the beat's increment is `beat`."""

CLOCK = data.StructLayout({"words": data.StructLayout({"at": 32, "rate": signed(32)})})
"""Payload of what the pilots say of the clocks, of a block from hop `at` on; see ``pilot_tracker.model.Clock``."""

RETIME = data.StructLayout({"words": data.StructLayout({"at": 32, "jump": signed(32), "step": 64})})
"""Payload of a command to the receiver's resampler, see ``resampler.model.Retime``; a step has 34 bits."""


class SkidBuffer(wiring.Component):
    """Two places of storage that cut the path from ``o.ready`` to ``i.ready``: both are registers, as AXI asks for.

    Latency one clock; a payload each clock; nothing is lost whenever `o` pauses.

    Members:
        i: stream of the payload given.
        o: the same stream, later.
    """

    def __init__(self, payload: ShapeLike) -> None:
        super().__init__({"i": In(stream.Signature(payload)), "o": Out(stream.Signature(payload))})

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        spare = Signal.like(self.i.payload)
        full = Signal()
        m.d.comb += self.i.ready.eq(~full)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += self.o.valid.eq(full | self.i.valid), full.eq(0)
            with m.If(full):
                m.d.sync += self.o.payload.eq(spare)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & ~full):
            m.d.sync += full.eq(1)
        # Whether it is wanted or not: so a wide payload's enable is a register, and does not wait for `o.ready`.
        with m.If(~full):
            m.d.sync += spare.eq(self.i.payload)
        return m


class Fork(wiring.Component):
    """Give each payload to several streams, once to each; none of them waits longer than the slowest.

    No latency. ``i`` is taken when every branch has taken its copy; a branch that was quicker waits for the next one.

    Members:
        i: stream of the payload given.
        o: as many streams of it as there are branches.
    """

    def __init__(self, payload: ShapeLike, *, branches: int) -> None:
        self.branches = branches
        signature = stream.Signature(payload)
        super().__init__({"i": In(signature), "o": Out(signature).array(branches)})

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        taken = Signal(self.branches)
        finished = Signal(self.branches)
        for number, branch in enumerate(self.o):
            m.d.comb += [
                branch.payload.eq(self.i.payload),
                branch.valid.eq(self.i.valid & ~taken[number]),
                finished[number].eq(taken[number] | branch.ready),
            ]
        m.d.comb += self.i.ready.eq(finished.all())
        with m.If(self.i.valid):
            m.d.sync += taken.eq(Mux(self.i.ready, 0, finished))
        return m
