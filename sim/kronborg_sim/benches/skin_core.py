"""A core with all that a skin can have to fit: pages, streams of every kind in both directions, and plain signals."""

from __future__ import annotations

from amaranth import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from kronborg_hdl.axi.bank import register_port
from kronborg_hdl.axi.pages import PageMap
from kronborg_hdl.axi.registers import Access, Field, Register, RegisterMap, head
from kronborg_hdl.axi.stream import SkidBuffer, complex_words

PART = RegisterMap(
    "part",
    (
        *head(
            "KBTP",
            (1, 2),
            capabilities=(Field("number", 0, 4, Access.READ, "Of this part."),),
            control=(
                Field("clear", 0, 1, Access.COMMAND, "Begin the sum anew."),
                Field("mode", 8, 2, Access.READ_WRITE, "Any.", reset=2),
            ),
            status=(Field("written", 3, 1, Access.STICKY, "`secret` was written."),),
        ),
        Register("offset", 0x14, "A word.", (Field("word", 4, 16, Access.READ_WRITE, "Any.", reset=-5, signed=True),)),
        Register(
            "secret",
            0x20,
            "Two numbers that must not stay.",
            (
                Field("low", 0, 5, Access.WRITE_ONLY, "Added to `sum.low`."),
                Field("high", 8, 20, Access.WRITE_ONLY, "Added to `sum.high`.", signed=True),
            ),
        ),
        Register("writes", 0x24, "Since `clear`.", (Field("count", 0, 8, Access.READ, "Of `secret`."),)),
        Register("low", 0x28, "Since `clear`.", (Field("sum", 0, 16, Access.READ, "Of `secret.low`."),)),
        Register("high", 0xFFC, "Since `clear`.", (Field("sum", 0, 32, Access.READ, "Of `high`.", signed=True),)),
    ),
)
"""Registers of one part."""

REGISTERS = PageMap("skin_core", (("first", PART), ("second", PART), ("third", PART)))
"""Three pages: the address has room for a fourth."""

MARKED = data.StructLayout({**complex_words(2).members, "marked": 1, "number": 12})
"""Two complex words with ``last``, and two fields for TUSER."""


class Part(wiring.Component):
    """Adds up what is written to ``secret``, in every clock, whether ``written`` is high or not.

    Members:
        port: the registers of ``PART``.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__({"port": In(register_port(PART))})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.d.comb += port.capabilities.number.eq(self.number), port.status.written.eq(port.secret.written)
        m.d.sync += [
            port.writes.count.eq(port.writes.count + port.secret.written),
            port.low.sum.eq(port.low.sum + port.secret.low),
            port.high.sum.eq(port.high.sum + port.secret.high),
        ]
        with m.If(port.control.clear.start):
            m.d.sync += port.writes.count.eq(0), port.low.sum.eq(0), port.high.sum.eq(0)
        return m


class SkinCore(wiring.Component):
    """Two streams that pass through it, a signal that does, and three parts with a page each.

    Members:
        i: complex words with ``last`` and more fields.
        o: what came in at ``i``.
        plain: words of 24 bits, no structure.
        again: what came in at ``plain``.
        level: any.
        mirror: ``level``, inverted.
        port: ``REGISTERS``.
    """

    registers = REGISTERS

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(MARKED)),
                "plain": In(stream.Signature(unsigned(24))),
                "level": In(3),
                "o": Out(stream.Signature(MARKED)),
                "again": Out(stream.Signature(unsigned(24))),
                "mirror": Out(data.StructLayout({"a": 1, "b": 2})),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        for number, (name, _) in enumerate(REGISTERS.pages):
            m.submodules[name] = part = Part(number)
            wiring.connect(m, wiring.flipped(getattr(self.port, name)), part.port)
        for taken, given in ((self.i, self.o), (self.plain, self.again)):
            m.submodules += (skid := SkidBuffer(taken.payload.shape()))
            wiring.connect(m, wiring.flipped(taken), skid.i)
            wiring.connect(m, skid.o, wiring.flipped(given))
        m.d.comb += self.mirror.as_value().eq(~self.level)
        return m
