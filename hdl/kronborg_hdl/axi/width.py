"""Packets to words of another width: beats cut apart or gathered, ``last`` where it belongs."""

from __future__ import annotations

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


def row_of_bits(bits: int) -> data.StructLayout:
    """Payload of a packet's stream: so many bits, and ``last``."""
    return data.StructLayout({"words": bits, "last": 1})


class WidthConverter(wiring.Component):
    """Packets of `into_bits` a beat as packets of `out_bits` a beat, the lowest bits first.

    Cutting apart has no latency and no storage: a beat is taken with its last piece. Gathering takes a clock; a packet
    that ends within a beat of the output is filled up with zeros. One beat of the narrower side per clock.

    Args:
        into_bits: of ``i``.
        out_bits: of ``o``; one of them is a multiple of the other.

    Members:
        i: packets.
        o: the same.

    Raises:
        ValueError: neither width is a multiple of the other.
    """

    def __init__(self, *, into_bits: int, out_bits: int) -> None:
        if into_bits % out_bits and out_bits % into_bits:
            raise ValueError(f"{into_bits} bits to {out_bits}: one must be a multiple of the other")
        self.into_bits, self.out_bits = into_bits, out_bits
        super().__init__(
            {
                "i": In(stream.Signature(row_of_bits(into_bits))),
                "o": Out(stream.Signature(row_of_bits(out_bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        if self.into_bits >= self.out_bits:
            self._cut(m, self.into_bits // self.out_bits)
        else:
            self._gather(m, self.out_bits // self.into_bits)
        return m

    def _cut(self, m: Module, pieces: int) -> None:
        i, o = self.i, self.o
        piece = Signal(range(pieces))
        final = piece == pieces - 1
        m.d.comb += [
            o.valid.eq(i.valid),
            o.payload.words.eq(i.payload.words.word_select(piece, self.out_bits)),
            o.payload.last.eq(i.payload.last & final),
            i.ready.eq(o.ready & final),
        ]
        with m.If(o.valid & o.ready):
            m.d.sync += piece.eq(Mux(final, 0, piece + 1))

    def _gather(self, m: Module, pieces: int) -> None:
        i, o = self.i, self.o
        piece = Signal(range(pieces))
        whole = (piece == pieces - 1) | i.payload.last
        m.d.comb += i.ready.eq(~o.valid | o.ready)
        with m.If(o.ready):
            m.d.sync += o.valid.eq(0)
        with m.If(i.valid & i.ready):
            with m.If(piece == 0):
                m.d.sync += o.payload.words.eq(i.payload.words)
            with m.Else():
                m.d.sync += o.payload.words.word_select(piece, self.into_bits).eq(i.payload.words)
            m.d.sync += [
                o.payload.last.eq(i.payload.last),
                o.valid.eq(whole),
                piece.eq(Mux(whole, 0, piece + 1)),
            ]
