"""An AXI4-Lite manager: one access after the other."""

from __future__ import annotations

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..bank import axi4_lite
from ..registers import WORD_BITS

RESPONSE_BITS = 2


class Manager(wiring.Component):
    """Carry out one access at a time. VALID and what it stands for stay until READY, as AXI asks for.

    Args:
        address_bits: of the bus.

    Members:
        start: begin an access, for one clock in which none is under way.
        write: it is a write.
        address, data: of it; they are kept.
        done: for one clock; ``response`` and, of a read, ``word`` are there, and stay until the next access is done.
        bus: AXI4-Lite.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "start": In(1),
                "write": In(1),
                "address": In(address_bits),
                "data": In(WORD_BITS),
                "done": Out(1),
                "response": Out(RESPONSE_BITS),
                "word": Out(WORD_BITS),
                "bus": Out(axi4_lite(address_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        bus = self.bus
        m.d.comb += bus.wstrb.eq(-1)
        m.d.sync += self.done.eq(0)
        for valid, ready in ((bus.awvalid, bus.awready), (bus.wvalid, bus.wready), (bus.arvalid, bus.arready)):
            with m.If(ready):
                m.d.sync += valid.eq(0)
        with m.If(self.start):
            m.d.sync += [
                bus.awvalid.eq(self.write),
                bus.wvalid.eq(self.write),
                bus.arvalid.eq(~self.write),
                bus.awaddr.eq(self.address),
                bus.araddr.eq(self.address),
                bus.wdata.eq(self.data),
                bus.bready.eq(self.write),
                bus.rready.eq(~self.write),
            ]
        with m.If(bus.bready & bus.bvalid):
            m.d.sync += bus.bready.eq(0), self.response.eq(bus.bresp), self.done.eq(1)
        with m.If(bus.rready & bus.rvalid):
            m.d.sync += bus.rready.eq(0), self.response.eq(bus.rresp), self.word.eq(bus.rdata), self.done.eq(1)
        return m
