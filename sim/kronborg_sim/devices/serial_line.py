"""The far end of a serial line in RTL: a design behind its serial bridge, and bytes that go over the wires to it.

The wires are those of the board, at the board's rate; only what the host's serial port does is in Python.
"""

from __future__ import annotations

import os
import pty
import select
import threading
import tty
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from amaranth import ClockDomain, DomainRenamer, Module, Value
from amaranth.back import verilog
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from kronborg_hdl.axi.serial_bridge.skin import SerialSkin
from kronborg_hdl.axi.serial_bridge.uart import UartReceiver, UartTransmitter, bit_period

from ..rtl.model import RtlModel

BITS_PER_BYTE = 10
LINE = "line"


class _Line(wiring.Component):
    """A board, and the serial port at the other end of its wires: streams of bytes, none of which has to wait."""

    def __init__(self, board: SerialSkin, period: int) -> None:
        self.board, self.period = board, period
        byte = stream.Signature(8)
        super().__init__({"aclk": In(1), "aresetn": In(1), "s_axis": In(byte), "m_axis": Out(byte)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.host = host = ClockDomain("host")
        host_ends = (
            UartTransmitter(self.period),
            UartReceiver(self.period),
            SyncFIFOBuffered(width=8, depth=64),
        )
        names = ("sender", "receiver", "came")
        for name, end in zip(names, host_ends, strict=True):
            m.submodules[name] = DomainRenamer("host")(end)
        sender, receiver, came = host_ends
        m.submodules.board = board = self.board
        connect(m, flipped(self.s_axis), sender.i)
        connect(m, came.r_stream, flipped(self.m_axis))
        m.d.comb += [
            host.clk.eq(self.aclk),
            host.rst.eq(~self.aresetn),
            board.aclk.eq(self.aclk),
            board.aresetn.eq(self.aresetn),
            board.receive.eq(sender.wire),
            receiver.wire.eq(board.transmit),
            came.w_data.eq(receiver.byte),
            came.w_en.eq(receiver.valid),
        ]
        return m

    def to_verilog(self, name: str) -> str:
        """With the names of AXI4-Stream."""
        ports: dict[str, tuple[Value, None]] = {"aclk": (self.aclk, None), "aresetn": (self.aresetn, None)}
        for prefix in ("s_axis", "m_axis"):
            edge = getattr(self, prefix)
            for signal, value in (("tdata", edge.payload), ("tvalid", edge.valid), ("tready", edge.ready)):
                ports[f"{prefix}_{LINE}_{signal}"] = (Value.cast(value), None)
        return str(verilog.convert(self, name=name, ports=ports, emit_src=False, strip_internal_attrs=True))


class RtlLine:
    """A design behind its serial bridge, simulated, and bytes to and from it.

    Args:
        board: the design in its skin.
        clock_hz: of its clock.
        baud: of the host's end of the line, which may be another rate than the board's by a little.
        directory: where it is built; without it in the user's cache.

    Attributes:
        model: the compiled RTL.
    """

    def __init__(self, board: SerialSkin, *, clock_hz: float, baud: float, directory: Path | None = None) -> None:
        text = _Line(board, bit_period(clock_hz, baud)).to_verilog("serial_line")
        self.model = RtlModel(text, "serial_line", directory=directory)
        self.clocks_per_byte = BITS_PER_BYTE * clock_hz / baud

    def feed(self, data: bytes, *, idle_bytes: int = 40) -> bytes:
        """Send bytes, and run until the line was silent for a while; returns what came."""
        answer = b""
        if data:
            self.model.send(f"s_axis_{LINE}", np.frombuffer(data, np.uint8))
            self.run(len(data))
        while True:
            self.run(idle_bytes)
            came = self.take()
            answer += came
            if not came:
                return answer

    def send(self, data: bytes) -> None:
        """Send bytes, one after the other, while the line runs."""
        if data:
            self.model.send(f"s_axis_{LINE}", np.frombuffer(data, np.uint8))

    def run(self, byte_times: float) -> None:
        """Run as long as so many bytes take on the line."""
        self.model.run(max(1, int(byte_times * self.clocks_per_byte)))

    def take(self) -> bytes:
        """What came since this was last asked."""
        self.model.received(f"s_axis_{LINE}")
        return self.model.received(f"m_axis_{LINE}").data.tobytes()


class Line(Protocol):
    """A board's end of a line: the RTL of this module, or the bridge's model."""

    def feed(self, data: bytes) -> bytes:
        """What is answered to bytes."""


class PseudoTerminal:
    """A board as a serial port of this machine, such as a USB cable would be: ``with`` it, ``name`` can be opened.

    Args:
        line: the board.

    Attributes:
        name: path of the port.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._board, self._host = pty.openpty()
        tty.setraw(self._host)
        self.name = os.ttyname(self._host)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> PseudoTerminal:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def unplug(self) -> None:
        """Take the port away."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            os.close(self._board)
            os.close(self._host)

    def _run(self) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([self._board], [], [], 0.02)
            if ready and (answer := self._line.feed(os.read(self._board, 4096))):
                os.write(self._board, answer)
