"""Bytes of a line to the contents of frames, and back; see ``protocol`` for what they are."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .protocol import CRC_BYTES, ESCAPE, FLAG, FLIP

_POLYNOMIAL = 0xEDB88320
"""Of CRC-32 as zlib has it, the lowest bit first."""
_START = 0xFFFFFFFF
_RESIDUE = 0xDEBB20E3
"""Of a message and its CRC."""

CONTENT = data.StructLayout({"byte": 8, "end": 1, "good": 1})
"""A byte of a frame's content, its CRC among them; or its end, and whether the CRC is right."""
MESSAGE = data.StructLayout({"byte": 8, "last": 1})
"""A byte of a message."""


def _next(crc: Value, byte: Value) -> Value:
    """CRC-32 with a byte more."""
    bits = list(crc ^ byte)
    for _ in range(8):
        out = bits[0]
        bits = [bit ^ out if _POLYNOMIAL >> place & 1 else bit for place, bit in enumerate([*bits[1:], 0])]
    return Cat(bits)


class Deframer(wiring.Component):
    """Bytes of a line to contents of frames. What lies between frames without a byte is nothing.

    Members:
        i: bytes as they come.
        o: contents, each with an end behind it.
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(CONTENT))})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        i, o = self.i, self.o
        crc, escaped, began = Signal(32, init=_START), Signal(), Signal()
        flag, escape = i.payload == FLAG, (i.payload == ESCAPE) & ~escaped
        m.d.comb += i.ready.eq(~o.valid | o.ready)
        with m.If(o.ready):
            m.d.sync += o.valid.eq(0)
        byte = Signal(8)
        m.d.comb += byte.eq(i.payload ^ Mux(escaped, FLIP, 0))
        with m.If(i.valid & i.ready):
            m.d.sync += escaped.eq(escape)
            with m.If(flag):
                m.d.sync += [
                    o.valid.eq(began),
                    o.payload.end.eq(1),
                    o.payload.good.eq((crc == _RESIDUE) & ~escaped),
                    crc.eq(_START),
                    began.eq(0),
                ]
            with m.Else():
                m.d.sync += began.eq(1)
                with m.If(~escape):
                    m.d.sync += [
                        o.valid.eq(1),
                        o.payload.byte.eq(byte),
                        o.payload.end.eq(0),
                        crc.eq(_next(crc, byte)),
                    ]
        return m


class Framer(wiring.Component):
    """Messages to the bytes of a line.

    Members:
        i: bytes of messages, the last of each marked.
        o: bytes of frames.
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(MESSAGE)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        i, o = self.i, self.o
        crc, left = Signal(32, init=_START), Signal(range(CRC_BYTES + 1))
        # What is to be written next, and whether its escape went out.
        byte, escaped, wanted = Signal(8), Signal(), Signal()
        special = (byte == FLAG) | (byte == ESCAPE)
        free = ~o.valid | o.ready
        with m.If(o.ready):
            m.d.sync += o.valid.eq(0)
        with m.FSM():
            with m.State("BEGIN"), m.If(i.valid & free):
                m.d.sync += o.valid.eq(1), o.payload.eq(FLAG), crc.eq(_START)
                m.next = "MESSAGE"
            with m.State("MESSAGE"):
                m.d.comb += byte.eq(i.payload.byte), wanted.eq(i.valid)
                m.d.comb += i.ready.eq(free & (escaped | ~special))
                with m.If(i.valid & i.ready):
                    m.d.sync += crc.eq(_next(crc, byte))
                    with m.If(i.payload.last):
                        m.d.sync += left.eq(CRC_BYTES)
                        m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += byte.eq(~crc[:8]), wanted.eq(1)
                with m.If(free & (escaped | ~special)):
                    m.d.sync += crc.eq(crc >> 8), left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "END"
            with m.State("END"), m.If(free):
                m.d.sync += o.valid.eq(1), o.payload.eq(FLAG)
                m.next = "BEGIN"
        with m.If(wanted & free):
            m.d.sync += [
                o.valid.eq(1),
                o.payload.eq(Mux(escaped, byte ^ FLIP, Mux(special, ESCAPE, byte))),
                escaped.eq(special & ~escaped),
            ]
        return m
