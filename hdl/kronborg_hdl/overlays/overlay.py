"""What an overlay consists of, as the host sees it. Pure Python: gateware, `.hwh` and simulated boards come from it.

An overlay is one AXI4-Lite slave with a page of 4 KiB for each register table in it. PYNQ sees parts: each has a row of
these pages, and a driver of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..axi.dma.registers import LENGTH_BITS
from ..axi.dma.registers import REGISTERS as DMA
from ..axi.interrupts.registers import REGISTERS as INTERRUPTS
from ..axi.pages import PAGE_BYTES, PageMap
from ..axi.registers import RegisterMap

VENDOR = "kronborg:core"
DMA_TYPE = "xilinx.com:ip:axi_dma:7.1"
"""Our engine has that one's registers, and says so: PYNQ's driver is chosen by this name."""
INTERRUPTS_TYPE = "xilinx.com:ip:axi_intc:4.1"
"""Likewise."""


@dataclass(frozen=True)
class Part:
    """Something with registers.

    Attributes:
        name: lower case, unique in the overlay.
        registers: its table, or its pages.
        type: vendor, library, name and version, by which PYNQ finds the driver.
        parameters: how it was built, for the driver.
        interrupts: names of its lines, by number.
    """

    name: str
    registers: RegisterMap | PageMap
    type: str
    parameters: dict[str, str] = field(default_factory=dict)
    interrupts: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[tuple[str, RegisterMap], ...]:
        """Name of each of its pages, and the table; a part with one page has the part's name there."""
        if isinstance(self.registers, RegisterMap):
            return ((self.name, self.registers),)
        return tuple((f"{self.name}_{page}", table) for page, table in self.registers.pages)

    @property
    def bytes(self) -> int:
        """Of its address space."""
        return len(self.tables) * PAGE_BYTES


@dataclass(frozen=True)
class Overlay:
    """Parts behind one AXI4-Lite slave.

    Attributes:
        name: of the overlay; its files are called ``kronborg_<name>``.
        parts: what has registers, in order of address; names are unique.
        sentence: what it is for.
    """

    name: str
    parts: tuple[Part, ...]
    sentence: str

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if len(set(names)) != len(names):
            raise ValueError(f"overlay {self.name} has two parts of one name")

    def __getitem__(self, name: str) -> Part:
        """The part of this name; KeyError if there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(f"overlay {self.name} has no part {name}")

    @property
    def pages(self) -> PageMap:
        """All tables, behind one slave, without holes between parts."""
        return PageMap(self.name, tuple(table for part in self.parts for table in part.tables))

    def offset(self, name: str) -> int:
        """Of a part's first byte, from the overlay's base; KeyError if there is no such part."""
        return self.pages.base(self[name].tables[0][0])

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Part and name of each line of interrupts, in the order in which the controller has them."""
        return tuple((part.name, line) for part in self.parts for line in part.interrupts)


def core_part(name: str, registers: RegisterMap | PageMap, **parameters: int) -> Part:
    """A core of ours; its type has the major and the minor version of its table."""
    first = registers if isinstance(registers, RegisterMap) else registers.pages[0][1]
    version = first["version"]
    numbers = f"{version['major'].reset}.{version['minor'].reset}"
    given = {key: str(value) for key, value in parameters.items()}
    return Part(name, registers, f"{VENDOR}:{first.name}:{numbers}", given)


def dma_part(name: str, *, data_bits: int, address_bits: int, sends: bool = True, receives: bool = True) -> Part:
    """A DMA engine, of which one half may be unused."""
    halves = (("mm2s", sends), ("s2mm", receives))
    parameters = {
        "c_include_sg": "0",
        "c_micro_dma": "0",
        "c_sg_length_width": str(LENGTH_BITS),
        "c_addr_width": str(address_bits),
    }
    for half, used in halves:
        parameters |= {
            f"c_include_{half}": str(int(used)),
            f"c_include_{half}_dre": "0",
            f"c_m_axi_{half}_data_width": str(data_bits),
        }
    return Part(name, DMA, DMA_TYPE, parameters, tuple(f"{half}_introut" for half, used in halves if used))


def interrupts_part() -> Part:
    """The interrupt controller, to which all lines of the other parts go."""
    return Part("interrupts", INTERRUPTS, INTERRUPTS_TYPE)
