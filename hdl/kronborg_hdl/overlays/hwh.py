"""The hardware description that PYNQ reads beside a bitstream (`.hwh`), from register tables and no vendor's tool.

It says what PYNQ asks for: the processor and its clocks, each part with its driver's name, address, parameters and
registers, and the way of the interrupts. What only a vendor's tool asks for is not there.
"""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..axi.registers import WORD_BITS, Access, Register
from ..boards.board import CLOCKS, Board, Processor
from .overlay import Overlay, Part

PROCESSOR = "processor"
CONTROLLER = "interrupts"
CONCATENATION = "interrupt_lines"
BUS = "s_axi"
AXI = "xilinx.com:interface:aximm:1.0"
OUT, IN = "O", "I"

_ACCESS = {
    Access.CONSTANT: "read-only",
    Access.READ: "read-only",
    Access.READ_WRITE: "read-write",
    Access.STICKY: "read-write",
    Access.COMMAND: "read-write",
    Access.EXCHANGE: "read-write",
    Access.WRITE_ONLY: "write-only",
}


def hwh(overlay: Overlay, board: Board) -> str:
    """The hardware description of an overlay on a board, XML.

    Raises:
        ValueError: the overlay has interrupts and no controller for them.
    """
    if overlay.lines and CONTROLLER not in (part.name for part in overlay.parts):
        raise ValueError(f"overlay {overlay.name} has interrupts and no controller of interrupts")
    root = Element("EDKSYSTEM", EDWVERSION="1.2", TIMESTAMP="", VIVADOVERSION="")
    device, _, _ = board.device.partition("-")
    SubElement(root, "SYSTEMINFO", ARCH=board.processor.family, DEVICE=device, NAME=f"kronborg_{overlay.name}")
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    _processor(modules, overlay, board)
    for part in overlay.parts:
        _part(modules, overlay, part, board.processor)
    if overlay.lines:
        _concatenation(modules, overlay)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _module(modules: Element, name: str, type_: str) -> tuple[Element, Element]:
    """A module without contents; returns it and the element of its ports."""
    vlnv = {"INSTANCE": name, "FULLNAME": f"/{name}", "MODTYPE": type_.split(":")[2], "VLNV": type_}
    module = SubElement(modules, "MODULE", vlnv, IPTYPE="PERIPHERAL", IS_ENABLE="1", MODCLASS="PERIPHERAL")
    return module, Element("PORTS")


def _port(ports: Element, pin: tuple[str, str], direction: str, other: tuple[str, str], *, bits: int = 1) -> None:
    """A port that is connected to one of another module, each given by module and name."""
    width = {"LEFT": str(bits - 1), "RIGHT": "0"} if bits > 1 else {}
    # PYNQ before 3.0 follows a signal by its name, later ones by its connections.
    signal = "_".join(pin if direction == OUT else other)
    of = {"DIR": direction, "NAME": pin[1], "SIGIS": "INTERRUPT", "SIGNAME": signal}
    element = SubElement(ports, "PORT", {**of, **width})
    SubElement(SubElement(element, "CONNECTIONS"), "CONNECTION", INSTANCE=other[0], PORT=other[1])


def _bus(module: Element, name: str, kind: str) -> None:
    interface = SubElement(
        SubElement(module, "BUSINTERFACES"), "BUSINTERFACE", BUSNAME=BUS, NAME=name, TYPE=kind, VLNV=AXI
    )
    SubElement(interface, "PORTMAPS")


def _parameters(module: Element, values: dict[str, str]) -> None:
    parameters = SubElement(module, "PARAMETERS")
    for name, value in values.items():
        SubElement(parameters, "PARAMETER", NAME=name, VALUE=value)


def _processor(modules: Element, overlay: Overlay, board: Board) -> None:
    processor = board.processor
    module, ports = _module(modules, PROCESSOR, processor.type)
    _parameters(module, clocks(board))
    if overlay.lines:
        _port(ports, (PROCESSOR, processor.interrupt), IN, (CONTROLLER, "irq"))
    module.append(ports)
    _bus(module, processor.master, "MASTER")
    memory_map = SubElement(module, "MEMORYMAP")
    for part in overlay.parts:
        base = processor.base + overlay.offset(part.name)
        SubElement(
            memory_map,
            "MEMRANGE",
            ADDRESSBLOCK="registers",
            BASENAME="C_BASEADDR",
            BASEVALUE=f"0x{base:08X}",
            HIGHNAME="C_HIGHADDR",
            HIGHVALUE=f"0x{base + part.bytes - 1:08X}",
            INSTANCE=part.name,
            MASTERBUSINTERFACE=processor.master,
            MEMTYPE="REGISTER",
            SLAVEBUSINTERFACE=BUS,
        )


def clocks(board: Board) -> dict[str, str]:
    """What the processor's configuration says of the fabric's clocks: the first is on, the others are off."""
    processor = board.processor
    first, second = processor.divisors(board.clock_hz)
    megahertz = f"{processor.source_clock_hz / (first * second) / 1e6:.6f}"
    said: dict[str, str] = {}
    for number in range(CLOCKS):
        values = (str(int(number == 0)), str(first), str(second), "IO PLL", megahertz)
        said |= {key.format(n=number): value for key, value in zip(processor.clock_parameters, values, strict=True)}
    return said


def _part(modules: Element, overlay: Overlay, part: Part, processor: Processor) -> None:
    module, ports = _module(modules, part.name, part.type)
    _parameters(module, part.parameters)
    blocks = SubElement(module, "ADDRESSBLOCKS")
    block = SubElement(
        blocks, "ADDRESSBLOCK", ACCESS="", INTERFACE=BUS, NAME="registers", RANGE=str(part.bytes), USAGE="register"
    )
    registers = SubElement(block, "REGISTERS")
    base = overlay.offset(part.name)
    for page, table in part.tables:
        prefix = "" if page == part.name else page.removeprefix(f"{part.name}_") + "_"
        for register in table.registers:
            _register(registers, prefix, overlay.pages.base(page) - base, register)
    for line in part.interrupts:
        _port(ports, (part.name, line), OUT, (CONCATENATION, f"In{overlay.lines.index((part.name, line))}"))
    if part.name == CONTROLLER and overlay.lines:
        _port(ports, (CONTROLLER, "intr"), IN, (CONCATENATION, "dout"), bits=len(overlay.lines))
        _port(ports, (CONTROLLER, "irq"), OUT, (PROCESSOR, processor.interrupt))
    module.append(ports)
    _bus(module, BUS, "SLAVE")


def _property(element: Element, **values: str) -> None:
    for name, value in values.items():
        SubElement(element, "PROPERTY", NAME=name, VALUE=value)


def _register(registers: Element, prefix: str, page: int, register: Register) -> None:
    element = SubElement(registers, "REGISTER", NAME=prefix + register.name)
    access = {_ACCESS[field.access] for field in register.fields}
    _property(
        element,
        DESCRIPTION=register.sentence,
        ADDRESS_OFFSET=hex(page + register.offset),
        SIZE=str(WORD_BITS),
        ACCESS=access.pop() if len(access) == 1 else "read-write",
        IS_ENABLED="true",
        RESET_VALUE=hex(register.reset),
    )
    fields = SubElement(element, "FIELDS")
    for field in register.fields:
        _property(
            SubElement(fields, "FIELD", NAME=field.name),
            DESCRIPTION=field.sentence,
            ACCESS=_ACCESS[field.access],
            BIT_OFFSET=str(field.lsb),
            BIT_WIDTH=str(field.width),
        )


def _concatenation(modules: Element, overlay: Overlay) -> None:
    """What makes one vector of the lines, in order: PYNQ counts them here."""
    lines = overlay.lines
    module, ports = _module(modules, CONCATENATION, "xilinx.com:ip:xlconcat:2.1")
    _parameters(module, {"NUM_PORTS": str(len(lines))})
    for number, (part, line) in enumerate(lines):
        _port(ports, (CONCATENATION, f"In{number}"), IN, (part, line))
    _port(ports, (CONCATENATION, "dout"), OUT, (CONTROLLER, "intr"), bits=len(lines))
    module.append(ports)
    SubElement(module, "BUSINTERFACES")
