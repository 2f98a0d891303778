"""A symbol record with a converter behind it: what a bench needs to know which frame leaves, and which is clipped."""

from __future__ import annotations

from amaranth import Module
from amaranth.hdl import Elaboratable
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from kronborg_hdl.axi.bank import register_port
from kronborg_hdl.dsp.formats import SAMPLE
from kronborg_hdl.modulation.symbol_record.core import SymbolRecord
from kronborg_hdl.modulation.symbol_record.registers import REGISTERS


class RecordedFrames(wiring.Component):
    """The symbol record's streams, without a chain behind it: a frame has left when its last beat is taken.

    A beat whose first word has the smallest number as I tells of clipping when it is taken.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, symbols_per_clock: int) -> None:
        self.symbol_record = record = SymbolRecord(symbols_per_clock=symbols_per_clock)
        super().__init__(
            {
                "i": In(record.i.signature.flip()),
                "o": Out(record.o.signature),
                "record": Out(record.record.signature),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        m.submodules.symbol_record = record = self.symbol_record
        connect(m, flipped(self.port), record.port)
        connect(m, flipped(self.i), record.i)
        connect(m, record.o, flipped(self.o))
        connect(m, record.record, flipped(self.record))
        taken = record.o.valid & record.o.ready
        m.d.comb += [
            record.left.eq(taken & record.o.payload.last),
            record.flags.saturated.eq(taken & (record.o.payload.words[0].i == SAMPLE.minimum)),
        ]
        return m
