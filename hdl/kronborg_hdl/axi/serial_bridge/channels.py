"""Buffers of streams, of which one end knows words by their numbers."""

from __future__ import annotations

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..width import row_of_bits
from .protocol import POSITION_BITS, WORD_BYTES

WORD_BITS = 8 * WORD_BYTES


class OutOfDesign(wiring.Component):
    """Words of a stream out of the design, until they are released. Numbers are modulo 2**16.

    Args:
        depth: words, a power of two.

    Members:
        i: packets from the design; it waits when the buffer is full.
        clear: forget everything; the next word has number zero.
        release: move ``first`` up to the number ``to``, which lies within the buffer.
        first: number of the oldest word.
        next: number of the word that is not there yet.
        at: number of the word to read.
        word: that word, a clock later.
        last: it ends a packet.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(row_of_bits(WORD_BITS))),
                "clear": In(1),
                "release": In(1),
                "to": In(POSITION_BITS),
                "first": Out(POSITION_BITS),
                "next": Out(POSITION_BITS),
                "at": In(POSITION_BITS),
                "word": Out(WORD_BITS),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=WORD_BITS + 1, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        used = Signal(POSITION_BITS)
        m.d.comb += [
            used.eq(self.next - self.first),
            self.i.ready.eq(used != self.depth),
            write.addr.eq(self.next),
            write.data.eq(Cat(self.i.payload.words, self.i.payload.last)),
            write.en.eq(self.i.valid & self.i.ready),
            read.addr.eq(self.at),
            Cat(self.word, self.last).eq(read.data),
        ]
        with m.If(write.en):
            m.d.sync += self.next.eq(self.next + 1)
        with m.If(self.release):
            m.d.sync += self.first.eq(self.to)
        with m.If(self.clear):
            m.d.sync += self.next.eq(0), self.first.eq(0)
        return m


class IntoDesign(wiring.Component):
    """Words of a stream into the design. What is written behind ``next`` counts only once it is committed.

    Args:
        depth: words, a power of two.

    Members:
        o: packets to the design.
        clear: forget everything.
        write: write a word and its mark at number ``at``.
        at: lies within the room behind ``next``.
        word: to write.
        last: it ends a packet.
        commit: all words before ``at`` count, and the one at it.
        next: number of the word that is not there yet.
        room: words that can be written behind it, as it was a clock before: it only grows until something is committed.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        super().__init__(
            {
                "o": Out(stream.Signature(row_of_bits(WORD_BITS))),
                "clear": In(1),
                "write": In(1),
                "at": In(POSITION_BITS),
                "word": In(WORD_BITS),
                "last": In(1),
                "commit": In(1),
                "next": Out(POSITION_BITS),
                "room": Out(POSITION_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=WORD_BITS + 1, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        taken, ahead = Signal(POSITION_BITS), Signal(POSITION_BITS)
        m.d.comb += [
            write.addr.eq(self.at),
            write.data.eq(Cat(self.word, self.last)),
            write.en.eq(self.write),
            Cat(self.o.payload.words, self.o.payload.last).eq(read.data),
            # The word after the one that is offered is read while that one is taken.
            ahead.eq(taken + (self.o.valid & self.o.ready)),
            read.addr.eq(ahead),
        ]
        m.d.sync += [
            taken.eq(ahead),
            self.o.valid.eq(ahead != self.next),
            self.room.eq(self.depth - (self.next - taken)),
        ]
        with m.If(self.commit):
            m.d.sync += self.next.eq(self.at + 1)
        with m.If(self.clear):
            m.d.sync += self.next.eq(0), taken.eq(0), self.o.valid.eq(0)
        return m
