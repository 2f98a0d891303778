"""A core behind the serial bridge: registers and streams over two wires."""

from __future__ import annotations

from typing import Any

from amaranth import ClockDomain, DomainRenamer, Module, Signal, Value
from amaranth.hdl import Elaboratable
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..skin import Core, Skin
from ..width import WidthConverter
from .channels import WORD_BITS
from .core import SerialBridge


class SerialSkin(wiring.Component):
    """A core in its skin, and a serial bridge at its registers and streams.

    Streams are numbered in the order of the skin's members, those into the core and those out of it by themselves: see
    ``inputs`` and ``outputs``. A beat is whole words of 32 bits, or a whole part of one. A stream without TLAST is one
    packet without an end. Other inputs of the core are zero, other outputs go nowhere.

    Args:
        core: what the host sees.
        clock_hz: of the clock.
        baud: of the line.
        depth: words in the buffer of each stream.

    Members:
        aclk: clock.
        aresetn: reset of all, active low, synchronous.
        receive: the wire from the host.
        transmit: the wire to it.

    Raises:
        ValueError: the line is too fast, or a stream has a width that words do not make up, or TUSER.
    """

    def __init__(self, core: Core, *, clock_hz: float, baud: float, depth: int = 2048) -> None:
        self.skin = Skin(core)
        members = self.skin.signature.members
        self.inputs = tuple(name for name in members if name.startswith("s_axis"))
        self.outputs = tuple(name for name in members if name.startswith("m_axis"))
        for name in (*self.inputs, *self.outputs):
            edge = getattr(self.skin, name)
            if hasattr(edge, "tuser"):
                raise ValueError(f"{name} has TUSER, which a serial bridge does not carry")
            if WORD_BITS % (bits := len(edge.tdata)) and bits % WORD_BITS:
                raise ValueError(f"{name} has {bits} bits: words of {WORD_BITS} do not make them up")
        self.bridge = SerialBridge(
            clock_hz=clock_hz,
            baud=baud,
            address_bits=core.registers.address_bits,
            inputs=self.inputs,
            outputs=self.outputs,
            depth=depth,
        )
        super().__init__({"aclk": In(1), "aresetn": In(1), "receive": In(1, init=1), "transmit": Out(1, init=1)})

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        # A RESET of the host's resets the design and what lies between it and the bridge, but not the bridge.
        m.domains.line = line = ClockDomain("line")
        m.domains.design = design = ClockDomain("design")
        m.submodules.skin = skin = self.skin
        bridge = self.bridge
        m.submodules.bridge = DomainRenamer("line")(bridge)
        # A register: the design lies all over a device, and much of its logic has resets of its own beside this one.
        held = Signal(init=1, reset_less=True)
        m.d.line += held.eq(~self.aresetn | bridge.reset)
        m.d.comb += [
            line.clk.eq(self.aclk),
            line.rst.eq(~self.aresetn),
            design.clk.eq(self.aclk),
            design.rst.eq(held),
            skin.aclk.eq(self.aclk),
            skin.aresetn.eq(~held),
            bridge.receive.eq(self.receive),
            self.transmit.eq(bridge.transmit),
        ]
        connect(m, bridge.bus, skin.s_axi)
        for name in self.inputs:
            edge = getattr(skin, name)
            packets = self._converted(m, name, into=WORD_BITS, out=len(edge.tdata))
            connect(m, getattr(bridge, f"o_{name}"), packets.i)
            m.d.comb += [
                edge.tdata.eq(packets.o.payload.words),
                edge.tvalid.eq(packets.o.valid),
                packets.o.ready.eq(edge.tready),
            ]
            if hasattr(edge, "tlast"):
                m.d.comb += edge.tlast.eq(packets.o.payload.last)
        for name in self.outputs:
            edge = getattr(skin, name)
            packets = self._converted(m, name, into=len(edge.tdata), out=WORD_BITS)
            m.d.comb += [
                packets.i.payload.words.eq(edge.tdata),
                packets.i.payload.last.eq(getattr(edge, "tlast", 0)),
                packets.i.valid.eq(edge.tvalid),
                edge.tready.eq(packets.i.ready),
            ]
            connect(m, packets.o, getattr(bridge, f"i_{name}"))
        return m

    def _converted(self, m: Module, name: str, *, into: int, out: int) -> Any:
        """A converter between words of the line and beats of a stream."""
        converter = WidthConverter(into_bits=into, out_bits=out)
        m.submodules[f"{name}_words"] = DomainRenamer("design")(converter)
        return converter

    def verilog_ports(self) -> dict[str, tuple[Value, None]]:
        """For Amaranth's converters."""
        return {name: (Value.cast(getattr(self, name)), None) for name in self.signature.members}
