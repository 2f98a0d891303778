"""The AXI edge of a core: flat names, one clock, one active-low reset; and its Verilog for a block design."""

from __future__ import annotations

from typing import Protocol

from amaranth import ClockDomain, Module, Value
from amaranth.back import verilog
from amaranth.hdl import Elaboratable
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from .bank import AXI4_LITE, RegisterBank
from .registers import RegisterMap


class StreamCore(Protocol):
    """What a skin fits: one stream in and one out (payloads of ``axi.stream``) and the port of a register table."""

    registers: RegisterMap
    i: stream.Interface
    o: stream.Interface
    port: wiring.PureInterface


def axi_stream(data_bits: int) -> wiring.Signature:
    """AXI4-Stream with TLAST, as the source has it."""
    return wiring.Signature({"tdata": Out(data_bits), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)})


class Skin(wiring.Component):
    """AXI4-Stream in and out, and AXI4-Lite, around a core.

    TDATA is the payload's words: the oldest lowest, I below Q, 16 bits each. There is no TKEEP: every beat is whole.

    Members:
        aclk: clock of everything.
        aresetn: reset, active low, synchronous.
        s_axis: AXI4-Stream to the core's ``i``.
        m_axis: AXI4-Stream from the core's ``o``.
        s_axi: AXI4-Lite slave of the core's registers.
    """

    def __init__(self, core: StreamCore) -> None:
        self.core = core
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "s_axis": In(axi_stream(len(Value.cast(core.i.payload.words)))),
                "m_axis": Out(axi_stream(len(Value.cast(core.o.payload.words)))),
                "s_axi": In(AXI4_LITE),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        m.domains.sync = sync = ClockDomain("sync")
        m.d.comb += sync.clk.eq(self.aclk), sync.rst.eq(~self.aresetn)
        m.submodules.core = core = self.core
        m.submodules.bank = bank = RegisterBank(core.registers)
        connect(m, bank.port, core.port)
        connect(m, wiring.flipped(self.s_axi), bank.bus)
        m.d.comb += [
            Value.cast(core.i.payload.words).eq(self.s_axis.tdata),
            core.i.payload.last.eq(self.s_axis.tlast),
            core.i.valid.eq(self.s_axis.tvalid),
            self.s_axis.tready.eq(core.i.ready),
            self.m_axis.tdata.eq(core.o.payload.words),
            self.m_axis.tlast.eq(core.o.payload.last),
            self.m_axis.tvalid.eq(core.o.valid),
            core.o.ready.eq(self.m_axis.tready),
        ]
        return m

    def to_verilog(self, name: str) -> str:
        """The core in its skin as one Verilog file whose top module is `name`; ports are flat, ``s_axis_tdata``."""
        ports = {"_".join(map(str, path)): (Value.cast(value), None) for path, _, value in self.signature.flatten(self)}
        return str(verilog.convert(self, name=name, ports=ports, emit_src=False, strip_internal_attrs=True))
