"""What stands behind a simulated board's bus: an overlay's RTL, or a model of it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.registers import WORD_BYTES

from ..rtl.model import RtlModel

SLVERR = 0b10
READ, WRITTEN = "reading", "writing"


class BusError(OSError):
    """The bus answered an access with an error: on a board the program would be killed for it (SIGBUS)."""

    def __init__(self, what: str, address: int) -> None:
        super().__init__(f"bus error: nothing answers {what} {address:#x}")


class Gateware(Protocol):
    """An overlay that runs. Addresses are offsets from its base; time passes with :meth:`run` and each access.

    Attributes:
        clocks: that have passed.
        irq: the line to the processor.
    """

    @property
    def clocks(self) -> int: ...  # noqa: D102
    @property
    def irq(self) -> bool: ...  # noqa: D102

    def read(self, offset: int) -> int:
        """A word; BusError where there is no register."""

    def write(self, offset: int, word: int) -> None:
        """Write a word; BusError where nothing can be written."""

    def run(self, clocks: int) -> None:
        """Let so much time pass."""


class RtlGateware:
    """The Verilog that is built for a board, in Verilator.

    Args:
        verilog: file of the overlay in its skin; its module has the file's name.
        memory: of the board, bytes, behind all DMA engines.
        base: address of the first of them.
    """

    def __init__(self, verilog: Path, memory: NDArray[np.uint8], base: int) -> None:
        self.rtl = RtlModel(verilog.read_text(), verilog.stem)
        self._bytes = 1 << self.rtl.bits("s_axi_araddr")
        for stream in self.rtl.streams:
            if stream.startswith("m_axi_") and stream.endswith("_ar"):
                self.rtl.attach_memory(stream.removesuffix("_ar"), memory, base)

    @property
    def clocks(self) -> int:
        """That have passed."""
        return self.rtl.clocks

    @property
    def irq(self) -> bool:
        """The line to the processor."""
        return bool(self.rtl.get("irq"))

    def read(self, offset: int) -> int:
        """A word, by a cycle on AXI4-Lite; BusError if it is not answered with OKAY."""
        word, response = self.rtl.read_at(offset) if offset < self._bytes else (0, SLVERR)
        if response:
            raise BusError(READ, offset)
        return word

    def write(self, offset: int, word: int) -> None:
        """Write a word likewise."""
        if offset >= self._bytes or self.rtl.write_at(offset, word):
            raise BusError(WRITTEN, offset)

    def run(self, clocks: int) -> None:
        """Let so much time pass."""
        self.rtl.run(clocks)


class Memory:
    """Memory of a board that buffers are cut from, each at a multiple of a page.

    Args:
        base: address of its first byte.
        size: bytes.
    """

    PAGE = 4096

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.bytes = np.zeros(size, np.uint8)
        self._taken: dict[int, int] = {}

    def take(self, size: int) -> tuple[int, NDArray[np.uint8]]:
        """A buffer of zeros; its address and its bytes.

        Raises:
            MemoryError: there is no room for it.
        """
        place = 0
        for begin, length in sorted(self._taken.items()):
            if begin - place >= size:
                break
            place = -(-(begin + length) // self.PAGE) * self.PAGE
        if place + size > len(self.bytes):
            raise MemoryError(f"no room for a buffer of {size} bytes in the board's {len(self.bytes)}")
        self._taken[place] = max(size, WORD_BYTES)
        buffer = self.bytes[place : place + size]
        buffer[:] = 0
        return self.base + place, buffer

    def give_back(self, address: int) -> None:
        """Forget a buffer."""
        self._taken.pop(address - self.base, None)
