"""The watch-dog in Amaranth."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..bank import register_port
from .registers import COUNTER_BITS, DEFAULT_PERIOD, REGISTERS


class Watchdog(wiring.Component):
    """Permit emission as long as the host writes a heartbeat once a period.

    After reset nothing is permitted: the host arms it, which begins a period. A host that ends, however it ends, falls
    silent, and after a period nothing is permitted any more, until ``control.armed`` was low and is high again.

    Members:
        permits: frames may begin.
        port: the registers of ``registers.py``.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self) -> None:
        super().__init__({"permits": Out(1), "port": In(register_port(REGISTERS))})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        armed = port.control.armed
        left, expired = Signal(COUNTER_BITS, init=DEFAULT_PERIOD), Signal()
        # What is over stays over while it is armed: a heartbeat that comes late does not make it good.
        m.d.comb += [
            expired.eq(armed & (left == 0)),
            port.status.expired.eq(expired),
            port.left.clocks.eq(left),
            self.permits.eq(armed & ~expired),
            port.control.permits.eq(self.permits),
        ]
        with m.If(~armed | (port.heartbeat.written & ~expired)):
            m.d.sync += left.eq(port.period.clocks)
        with m.Elif(~expired):
            m.d.sync += left.eq(left - 1)
        return m
