"""The interrupt controller, driven as AXI INTC is."""

from __future__ import annotations

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..bank import register_port
from .registers import LINES, REGISTERS


class InterruptController(wiring.Component):
    """Gather up to 32 lines into one.

    Registers are those of AXI INTC (AMD PG099) for lines that stay high until their cause is gone, as the lines of all
    our cores do. A line that was high is remembered until it is acknowledged, and comes again if it still is high.

    Latency: two clocks from a line to ``o``.

    Args:
        lines: how many there are, 1 to 32.

    Members:
        i: the lines.
        o: to the processor, high as long as something is pending.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: so many lines there are not.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, lines: int) -> None:
        if not 1 <= lines <= LINES:
            raise ValueError(f"{lines} lines of interrupts: must be 1 to {LINES}")
        super().__init__({"i": In(lines), "o": Out(1), "port": In(register_port(REGISTERS))})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port, lines = self.port, len(self.i)
        status, enabled = Signal(lines), Signal(lines)
        pending = status & enabled
        came = Mux(port.master_enable.hardware, self.i, 0)
        m.d.sync += [
            status.eq((status & ~port.acknowledge.lines) | came),
            enabled.eq((enabled | port.set_enable.lines) & ~port.clear_enable.lines),
            self.o.eq(port.master_enable.output & pending.any()),
        ]
        with m.If(port.enable.written):
            m.d.sync += enabled.eq(port.enable.lines.given)
        m.d.comb += [
            port.status.lines.eq(status),
            port.pending.lines.eq(pending),
            port.enable.lines.shown.eq(enabled),
            port.vector.number.eq(Const(-1, 32)),
        ]
        for number in reversed(range(lines)):
            with m.If(pending[number]):
                m.d.comb += port.vector.number.eq(number)
        return m
