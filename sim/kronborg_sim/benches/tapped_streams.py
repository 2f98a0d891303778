"""Two streams that pass by a tap: what a bench needs to see that they do not wait for it."""

from __future__ import annotations

from amaranth import Module
from amaranth.hdl import Elaboratable
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from kronborg_hdl.axi.bank import register_port
from kronborg_hdl.axi.stream import endless_words
from kronborg_hdl.dsp.formats import BASEBAND, SAMPLE
from kronborg_hdl.receiver.tap.core import Tap
from kronborg_hdl.receiver.tap.registers import REGISTERS, TRIGGERS


class TappedStreams(wiring.Component):
    """``i`` to ``o``, narrow, and ``wide`` to ``wide_out``, without latency, and the tap's ``picture`` of either."""

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, words: int, depth: int) -> None:
        narrow, wide = endless_words(words, SAMPLE), endless_words(words, BASEBAND)
        self.tap = Tap(places={"narrow": narrow, "broad": wide}, depth=depth)
        super().__init__(
            {
                "i": In(stream.Signature(narrow)),
                "o": Out(stream.Signature(narrow)),
                "wide": In(stream.Signature(wide)),
                "wide_out": Out(stream.Signature(wide)),
                "picture": Out(self.tap.o.signature),
                "trigger": In(TRIGGERS),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        m.submodules.tap = tap = self.tap
        connect(m, flipped(self.port), tap.port)
        connect(m, tap.o, flipped(self.picture))
        m.d.comb += tap.trigger.eq(self.trigger)
        for into, out, probe in ((self.i, self.o, tap.narrow), (self.wide, self.wide_out, tap.broad)):
            connect(m, flipped(into), flipped(out))
            m.d.comb += probe.payload.eq(into.payload), probe.taken.eq(into.valid & into.ready)
        return m
