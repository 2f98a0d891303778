"""Overlays without RTL: register tables that behave as their banks do, and the integer models behind them.

Time does not matter here: what a core would do in clocks is done when the host next looks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.dma.registers import REGISTERS as DMA
from kronborg_hdl.axi.interrupts.registers import REGISTERS as INTERRUPTS
from kronborg_hdl.axi.pages import PAGE_BYTES
from kronborg_hdl.axi.registers import WORD_BYTES, Access, Register, RegisterMap
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.modulation.pulse_shaper.registers import REGISTERS as PULSE_SHAPER
from kronborg_hdl.overlays.overlay import Overlay

from .gateware import READ, WRITTEN, BusError

KEPT = (Access.CONSTANT, Access.READ_WRITE)


class Table:
    """The registers of one page as their bank has them; a subclass is the core behind.

    Args:
        registers: the table.

    Attributes:
        shown: what the core drives, by register and field; zero where it says nothing.
        spent: clocks that the core would have taken for what it did, and that have not passed yet.
    """

    def __init__(self, registers: RegisterMap) -> None:
        self.registers = registers
        self.spent = 0
        self.shown: dict[tuple[str, str], int] = {
            (register.name, field.name): field.reset
            for register in registers.registers
            for field in register.fields
            if field.access in KEPT
        }
        self._at = {register.offset: register for register in registers.registers}

    def at(self, offset: int) -> Register | None:
        """The register at an offset in the page."""
        return self._at.get(offset)

    def read(self, register: Register) -> int:
        """The word."""
        readable = (field for field in register.fields if field.access is not Access.WRITE_ONLY)
        return sum(field.insert(self.shown.get((register.name, field.name), 0)) for field in readable)

    def write(self, register: Register, word: int) -> None:
        """What the bank does with a word, and then the core."""
        given = {field.name: field.extract(word) for field in register.fields}
        for field in register.fields:
            key = (register.name, field.name)
            if field.access is Access.READ_WRITE:
                self.shown[key] = given[field.name]
            elif field.access is Access.STICKY:
                self.shown[key] = self.shown.get(key, 0) & ~given[field.name]
        self.written(register.name, given)

    def written(self, register: str, given: dict[str, int]) -> None:
        """The core's part of a write."""

    def pass_time(self, clocks: int) -> None:
        """So many clocks pass in which the host does nothing."""

    def step(self) -> None:
        """What the core does by itself."""


class Dma(Table):
    """A DMA engine: packets from memory go to ``send``, those of ``packets`` to memory.

    Args:
        memory: of the board.
        base: address of its first byte.
        send: takes a packet that was sent.
    """

    def __init__(self, memory: NDArray[np.uint8], base: int, send: Callable[[bytes], None]) -> None:
        super().__init__(DMA)
        self.packets: deque[bytes] = deque()
        self._memory, self._base, self._send = memory, base, send
        self._busy = {"send": False, "receive": False}
        for half in self._busy:
            self._set(half, halted=1, idle=1)

    def _set(self, half: str, **flags: int) -> None:
        self.shown |= {(f"{half}_status", name): value for name, value in flags.items()}

    def written(self, register: str, given: dict[str, int]) -> None:
        """Run, stop, begin, and forget flags."""
        half, _, what = register.partition("_")
        if what == "control":
            if given["reset"] or not given["run"]:
                self._busy[half] = False
                self._set(half, internal_error=0, decode_error=0, idle=1)
            self._set(half, halted=1 - given["run"])
        elif what == "status":
            flags = ("completed", "failed")
            self._set(half, **{flag: self.shown.get((register, flag), 0) & ~given[flag] for flag in flags})
        elif what == "length" and not self.shown.get((f"{half}_status", "halted")):
            self.shown[register, "bytes"] = given["bytes"]
            self._busy[half] = True
            self._set(half, idle=0)
            if not given["bytes"]:
                self._fail(half, "internal_error")

    def _fail(self, half: str, error: str) -> None:
        self._busy[half] = False
        self._set(half, failed=1, halted=1, idle=1, **{error: 1})

    def _done(self, half: str, size: int) -> None:
        self._busy[half] = False
        self.shown[f"{half}_length", "bytes"] = size
        self._set(half, completed=1, idle=1)

    def _buffer(self, half: str, which: str) -> NDArray[np.uint8] | None:
        """Where a transfer goes, None if no memory is there."""
        low, high = self.shown[f"{half}_{which}", "low"], self.shown[f"{half}_{which}_high", "high"]
        place = (low | high << 32) - self._base
        size = self.shown[f"{half}_length", "bytes"]
        return self._memory[place : place + size] if 0 <= place <= len(self._memory) - size else None

    def step(self) -> None:
        """Finish what can be finished."""
        if self._busy["send"]:
            source = self._buffer("send", "source")
            if source is None:
                self._fail("send", "decode_error")
            else:
                self._send(source.tobytes())
                self._done("send", len(source))
        if self._busy["receive"] and self.packets:
            packet = np.frombuffer(self.packets.popleft(), np.uint8)
            room = self._buffer("receive", "destination")
            if room is None:
                self._fail("receive", "decode_error")
                return
            fits = min(len(room), len(packet))
            room[:fits] = packet[:fits]
            if fits < len(packet):
                self._fail("receive", "internal_error")
            else:
                self._done("receive", fits)

    @property
    def waits(self) -> bool:
        """For a packet."""
        return self._busy["receive"] and not self.packets

    @property
    def lines(self) -> tuple[bool, bool]:
        """Interrupts of sender and receiver."""
        causes = (("completed", "interrupt_on_complete"), ("failed", "interrupt_on_error"))
        get = self.shown.get
        sender, receiver = (
            any(get((f"{half}_status", flag), 0) and get((f"{half}_control", on), 0) for flag, on in causes)
            for half in ("send", "receive")
        )
        return sender, receiver


class Interrupts(Table):
    """The controller of interrupts.

    Args:
        lines: what is high.
    """

    def __init__(self, lines: Callable[[], list[bool]]) -> None:
        super().__init__(INTERRUPTS)
        self._lines = lines
        self._status = self._enabled = 0

    def written(self, register: str, given: dict[str, int]) -> None:
        """Acknowledge, enable, disable."""
        lines = given.get("lines", 0)
        if register == "acknowledge":
            self._status &= ~lines
        elif register == "enable":
            self._enabled = lines
        elif register == "set_enable":
            self._enabled |= lines
        elif register == "clear_enable":
            self._enabled &= ~lines

    def step(self) -> None:
        """Look at the lines."""
        if self.shown["master_enable", "hardware"]:
            self._status |= sum(high << number for number, high in enumerate(self._lines()))
        pending = self._status & self._enabled
        lowest = (pending & -pending).bit_length() - 1 if pending else 2**32 - 1
        self.shown |= {
            ("status", "lines"): self._status,
            ("enable", "lines"): self._enabled,
            ("pending", "lines"): pending,
            ("vector", "number"): lowest,
        }

    @property
    def irq(self) -> bool:
        """To the processor."""
        return bool(self.shown["master_enable", "output"] and self.shown.get(("pending", "lines"), 0))


class PulseShaperTable(Table):
    """The pulse shaper.

    Args:
        lanes: samples per clock.
        samples_per_symbol: M.
        span: K.
    """

    def __init__(self, *, lanes: int, samples_per_symbol: int, span: int) -> None:
        super().__init__(PULSE_SHAPER)
        sizes = {"lanes": lanes, "samples_per_symbol": samples_per_symbol, "span": span}
        self.shown |= {("capabilities", name): size for name, size in sizes.items()}
        self._m = samples_per_symbol
        self._taps = np.zeros(samples_per_symbol * span, np.int16)
        self._shaper: PulseShaper | None = None
        self._waiting: list[bytes] = []
        self.given: Callable[[bytes], None] = lambda packet: None

    def written(self, register: str, given: dict[str, int]) -> None:
        """Taps, and their use."""
        if register == "tap":
            place = given["symbol"] * self._m + given["sample"]
            if given["sample"] < self._m and place < len(self._taps):
                self._taps[place] = given["value"]
            else:
                self.shown["status", "tap_refused"] = 1
        elif register == "control":
            if given["apply"]:
                self._shaper = PulseShaper(self._taps.copy(), self._m, self.shown["shift", "amount"])
                self.shown["control", "loaded"] = 1
            if given["clear_counters"]:
                self.shown["saturations", "count"] = 0

    def take(self, packet: bytes) -> None:
        """Symbols."""
        self._waiting.append(packet)

    def step(self) -> None:
        """Shape what is there; without taps it waits."""
        while self._shaper is not None and self._waiting:
            symbols = np.frombuffer(self._waiting.pop(0), "<i2").reshape(-1, 2)
            samples, saturated = self._shaper.process(symbols)
            if saturated:
                self.shown["status", "saturated"] = 1
                self.shown["saturations", "count"] = self.shown.get(("saturations", "count"), 0) + saturated
            self.given(samples.astype("<i2").tobytes())


class ModelGateware:
    """An overlay of tables.

    Args:
        overlay: what is where.
        tables: of each page, by its name.
    """

    def __init__(self, overlay: Overlay, tables: Mapping[str, Table]) -> None:
        pages = [name for name, _ in overlay.pages.pages]
        if pages != list(tables):
            raise ValueError(f"overlay {overlay.name} has other pages than its model")
        self._tables = list(tables.values())
        self.clocks = 0

    @property
    def irq(self) -> bool:
        """The line to the processor."""
        return any(table.irq for table in self._tables if isinstance(table, Interrupts))

    def _find(self, offset: int) -> tuple[Table, Register] | None:
        page, inside = divmod(offset, PAGE_BYTES)
        if page >= len(self._tables):
            return None
        register = self._tables[page].at(inside // WORD_BYTES * WORD_BYTES)
        return (self._tables[page], register) if register else None

    def read(self, offset: int) -> int:
        """A word; BusError where there is no register."""
        self.run(1)
        found = self._find(offset)
        if found is None:
            raise BusError(READ, offset)
        return found[0].read(found[1])

    def write(self, offset: int, word: int) -> None:
        """Write a word; BusError where nothing can be written."""
        found = self._find(offset)
        if found is None or not found[1].host_writes:
            raise BusError(WRITTEN, offset)
        found[0].write(found[1], word)
        self.run(1)

    def run(self, clocks: int) -> None:
        """Let every part do what it can; twice, since one may wait for another."""
        self.clocks += clocks
        for table in self._tables:
            table.pass_time(clocks)
        for _ in range(2):
            for table in self._tables:
                table.step()
                self.clocks += table.spent
                table.spent = 0
