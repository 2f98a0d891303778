"""A stream of symbols that passes by a power meter: what a bench needs to see that it does not wait for it."""

from __future__ import annotations

from amaranth import Module
from amaranth.hdl import Elaboratable
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from kronborg_hdl.axi.bank import register_port
from kronborg_hdl.axi.stream import gated_words
from kronborg_hdl.decimation.power_meter.core import PowerMeter
from kronborg_hdl.decimation.power_meter.registers import REGISTERS


class MeteredStream(wiring.Component):
    """``i`` to ``o`` without latency; the sections are TUSER, those of symbol 0 lowest."""

    registers = REGISTERS

    def __init__(self, *, symbols_per_clock: int) -> None:
        self.meter = PowerMeter(symbols_per_clock=symbols_per_clock)
        words = gated_words(symbols_per_clock)
        super().__init__(
            {
                "i": In(stream.Signature(words)),
                "o": Out(stream.Signature(words)),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        m.submodules.meter = meter = self.meter
        connect(m, flipped(self.port), meter.port)
        connect(m, flipped(self.i), flipped(self.o))
        m.d.comb += meter.symbols.payload.eq(self.i.payload), meter.symbols.taken.eq(self.i.valid & self.i.ready)
        return m
