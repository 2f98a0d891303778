"""A board for unmodified PYNQ on a machine that has none: registers and memory are those of a simulation.

``pynq.Overlay(file, device=device)`` loads an overlay, and then everything goes its own way: ``MMIO`` and
``register_map`` become cycles on the overlay's AXI4-Lite, ``allocate`` gives the memory behind its DMA engines,
``pynq.lib.DMA`` drives these, and interrupts come from its controller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pynq import ps
from pynq.buffer import PynqBuffer
from pynq.interrupt import _InterruptController
from pynq.pl_server.device import Device
from pynq.ps import Clocks
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from kronborg.board.pynq.overlays import SIMULATED, described
from kronborg.errors import BoardError, InputError
from kronborg_hdl.axi.pages import PAGE_BYTES
from kronborg_hdl.axi.registers import WORD_BYTES
from kronborg_hdl.boards.board import Board
from kronborg_hdl.overlays.manifest import MANIFEST, load

from .files import built
from .gateware import READ, BusError, Gateware, Memory, RtlGateware

Load = Callable[[Path, NDArray[np.uint8], int], Gateware]

MEMORY_BASE = 0x1000_0000
MEMORY_BYTES = 1 << 28
ARCHITECTURE = {"zynq": "armv7l", "zynquplus": "aarch64"}
"""As PYNQ tells processors apart."""
CLOCKS = {"zynq": "_ClocksZynq", "zynquplus": "_ClocksUltrascale"}
"""Its classes for their clocks."""

LONGEST_STEP = 4096
"""Clocks. A host that asks for one register again and again lets time pass, first little and then more."""
PATIENCE = 1 << 25
"""Clocks for which a host may ask for one register: longer than any transfer takes."""
INTERRUPT_STEP = 64
"""Clocks between two looks at the interrupt."""

# Clock generation of the processor after its boot, so far as pynq.Clocks looks at it: PLLs, and the fabric's clocks.
_PROCESSOR = {
    "zynq": {
        0xF800_0100: 26 << 12,
        0xF800_0104: 21 << 12,
        0xF800_0108: 20 << 12,
        **{0xF800_0170 + 0x10 * n: 1 << 20 | 10 << 8 for n in range(4)},
    },
    "zynquplus": {
        0xFF5E_0020: 90 << 8 | 1 << 16,
        **{0xFF5E_00C0 + 4 * n: 1 << 24 | 1 << 16 | 15 << 8 for n in range(4)},
    },
}


class SimulatedBuffer(PynqBuffer):
    """A buffer in a simulated board's memory."""

    owner: Memory | None = None

    def freebuffer(self) -> None:
        """Give the memory back; views of a buffer have none."""
        if self.owner is not None:
            self.owner.give_back(self.device_address)
            self.owner = None


class InterruptLine:
    """The processor's interrupt, in place of a UIO device: while somebody waits for it, time passes."""

    def __init__(self, device: SimulatedDevice) -> None:
        self._device = device
        self._events: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add_event(self, event: Any, number: int) -> None:
        """Call the event's ``set`` when the line is high."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._events.clear()  # who waited in a loop that ended waits no more
        if not self._events:
            loop.call_soon(self._look)
        self._loop = loop
        self._events.append(event)

    def _look(self) -> None:
        gateware = self._device.gateware
        gateware.run(INTERRUPT_STEP)
        if gateware.irq:
            events, self._events = self._events, []
            for event in events:
                event.set()
        else:
            asyncio.get_running_loop().call_soon(self._look)


class SimulatedDevice(Device):
    """A board whose programmable logic is simulated.

    Args:
        board: which one.
        load: makes the gateware from the file that is loaded: RTL, or a model.

    Attributes:
        board: as given.
        gateware: what is loaded; an error before anything is.
        patience: clocks for which one register may be waited for; PYNQ's own waits have no end.
    """

    _probe_priority_ = 7301

    @classmethod
    def _probe_(cls) -> list[Device]:
        """None by themselves: whoever wants a simulated board makes it."""
        return []

    def __init__(self, board: Board, load: Load = RtlGateware) -> None:
        super().__init__(f"kronborg_{board.name}")
        self.board = board
        self.name = SIMULATED
        self.arch = ARCHITECTURE[board.processor.family]
        self.capabilities = {"REGISTER_RW": True}
        self.memory = Memory(MEMORY_BASE, MEMORY_BYTES)
        self.timestamp = ""
        self.bitfile_name: str | None = None
        self._load = load
        self._gateware: Gateware | None = None
        self._processor = dict(_PROCESSOR[board.processor.family])
        self._asked, self._times, self._since = -1, 0, 0
        self.patience = PATIENCE

    @property
    def gateware(self) -> Gateware:
        """What is loaded.

        Raises:
            InputError: nothing is.
        """
        if self._gateware is None:
            raise InputError("no overlay is loaded on the board: pynq.Overlay(file) does it")
        return self._gateware

    def files(self, overlay: str) -> Path:
        """The folder with an overlay's files for this board, as it is usually built; made where it is not there yet."""
        return built(overlay, self.board, verilog=self._load is RtlGateware)

    def activate(self) -> None:
        """Make this the device that PYNQ uses where none is given."""
        Device.active_device = self
        if hasattr(Clocks, "set_device"):
            Clocks.set_device(self)
            if hasattr(Clocks, "_real_instance"):
                del Clocks._real_instance  # it keeps the registers of the device before
        else:  # before 4.0 the machine's own processor says which clocks there are
            Clocks._real_instance = getattr(ps, CLOCKS[self.board.processor.family])()

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        """The hardware description of a file.

        Raises:
            InputError: there is none, or it is of another board.
        """
        path = described(Path(bitfile_name)).with_suffix(".hwh")
        if not path.exists():
            raise InputError(f"there is no {path.name} beside {Path(bitfile_name).name}: kronborg build writes both")
        if (path.parent / MANIFEST).exists() and (built := load(path.parent)["board"]) != self.board.name:
            raise InputError(f"{path.name} is built for {built} and this is a {self.board.name}: build it for this one")
        return RuntimeMetadataParser(Metadata(input=path))

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Load what the file has, in reset, and forget what was loaded before."""
        verilog = described(Path(bitstream.bitfile_name)).with_suffix(".v")
        self._gateware = self._load(verilog, self.memory.bytes, self.memory.base)
        self._asked, self._times = -1, 0
        super().post_download(bitstream, parser, self.name)
        for controller in self.parser.interrupt_controllers.values():
            _InterruptController._uio_devices[controller["raw_irq"]] = InterruptLine(self)

    def read_registers(self, address: int, length: int) -> bytes:
        """Words from an address on."""
        words = [self._read(address + offset) for offset in range(0, length, WORD_BYTES)]
        return b"".join(word.to_bytes(WORD_BYTES, "little") for word in words)

    def write_registers(self, address: int, data: bytes) -> None:
        """Write words from an address on."""
        given = bytes(data)
        for offset in range(0, len(given), WORD_BYTES):
            self._write(address + offset, int.from_bytes(given[offset : offset + WORD_BYTES], "little"))

    def _is_fabric(self, address: int) -> bool:
        """Whether an address lies in what the master port has, rather than in the processor."""
        return 0 <= address - self.board.processor.base < 256 * PAGE_BYTES

    def _read(self, address: int) -> int:
        if not self._is_fabric(address):
            if address < self.board.processor.base + 0x1000_0000:
                raise BusError(READ, address)
            return self._processor.get(address, 0)
        if address == self._asked:
            self._times += 1
            self.gateware.run(min(1 << self._times, LONGEST_STEP))
        else:
            self._asked, self._times, self._since = address, 0, self.gateware.clocks
        word = self.gateware.read(address - self.board.processor.base)
        if self.gateware.clocks - self._since > self.patience:
            raise BoardError(
                f"register {address:#x} reads {word:#x} and is waited for since {self.gateware.clocks - self._since}"
                " clocks, in which nothing else was asked for: what is waited for does not come"
            )
        return word

    def _write(self, address: int, word: int) -> None:
        self._asked = -1
        if self._is_fabric(address):
            self.gateware.write(address - self.board.processor.base, word)
        else:
            self._processor[address] = word

    def allocate(self, shape: int | tuple[int, ...], dtype: DTypeLike, **kwargs: Any) -> SimulatedBuffer:
        """A buffer of zeros."""
        of = np.dtype(dtype)
        address, memory = self.memory.take(int(np.prod(shape)) * of.itemsize)
        buffer = SimulatedBuffer(shape, of, buffer=memory.data, device=self, device_address=address, coherent=True)
        buffer.owner = self.memory
        return buffer

    def flush(self, *where: Any) -> None:
        """Nothing to do: there is no cache."""

    def invalidate(self, *where: Any) -> None:
        """Likewise."""
