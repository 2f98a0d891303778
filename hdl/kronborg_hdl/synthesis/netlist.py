"""Count what a mapped netlist uses, and how many cells lie between its registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

Cell = Mapping[str, Any]
"""A cell of Yosys' JSON: ``type``, ``parameters``, ``port_directions`` and ``connections``."""

LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "INV": 1,  # no slice inverts a signal of itself
    "SRL16E": 1,
    "SRLC32E": 1,
    # Distributed memory: what its words and ports take of the slices that have it.
    "RAM64X1S": 1,
    "RAM128X1S": 2,
    "RAM256X1S": 4,
    "RAM512X1S": 8,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "RAM64X8SW": 8,
    "RAM32X16DR8": 8,
    # ECP5: a carry cell is made of two; 16 words of 4 bits take two slices, and a third for their write port.
    "CCU2C": 2,
    "TRELLIS_DPR16X4": 6,
}
REGISTERS = {"FDRE", "FDSE", "FDCE", "FDPE", "TRELLIS_FF"}
MULTIPLIERS = {"DSP48E1", "DSP48E2", "MULT18X18D"}
BLOCK_RAMS = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2, "DP16KD": 1}
FREE = {"CARRY4", "CARRY8", "MUXF7", "MUXF8", "PFUMX", "L6MUX21", "GND", "VCC", "VHI", "VLO", "DCCA"}
"""Parts of slices that are counted by their look-up tables, and buffers of clocks, which are no part of a slice."""


@dataclass(frozen=True)
class Figures:
    """What a netlist uses, in the units of ``devices.Device``, and its logic levels, see :func:`logic_levels`."""

    multipliers: int
    luts: int
    registers: int
    block_rams: int
    logic_levels: int


def measure(cells: Mapping[str, Cell]) -> Figures:
    """The figures of a flat netlist: its cells by name.

    Raises:
        RuntimeError: a cell of a kind that is not known here, for it would be left out of the count.
    """
    kinds = [str(cell["type"]) for cell in cells.values()]
    unknown = sorted(set(kinds) - {*LUTS, *REGISTERS, *MULTIPLIERS, *BLOCK_RAMS, *FREE})
    if unknown:
        raise RuntimeError(f"cells of unknown kind: {', '.join(unknown)}; say in synthesis/netlist.py what they take")
    return Figures(
        multipliers=sum(kind in MULTIPLIERS for kind in kinds),
        luts=sum(LUTS.get(kind, 0) for kind in kinds),
        registers=sum(kind in REGISTERS for kind in kinds),
        block_rams=sum(BLOCK_RAMS.get(kind, 0) for kind in kinds),
        logic_levels=logic_levels(cells),
    )


def logic_levels(cells: Mapping[str, Cell]) -> int:
    """The most levels on any way without a register.

    A level is a look-up table (with the wide multiplexers behind it), a whole carry chain, a read of distributed
    memory, or a multiplier that the way crosses or leaves without a register. Ways begin and end at registers, block
    RAMs and ports. (Yosys' own ``ltp`` takes every cell for a gate and finds loops; its ``sta`` knows no way that
    begins at a register.)
    """
    arcs = {output: inputs for cell in cells.values() for output, inputs in _arcs(cell)}
    levels: dict[int, int] = {}
    order = TopologicalSorter({output: [bit for bit, _ in inputs] for output, inputs in arcs.items()})
    for bit in order.static_order():
        levels[bit] = max((levels[before] + cost for before, cost in arcs.get(bit, ())), default=0)
    return max(levels.values(), default=0)


_WITHIN = -1
"""Stands for the registers within a multiplier."""
Arc = tuple[int, list[tuple[int, int]]]
"""An output, and the inputs that reach it without a register, each with the levels from there."""


def _arcs(cell: Cell) -> Iterator[Arc]:
    kind, ports = str(cell["type"]), cell["connections"]
    if kind in REGISTERS or kind in BLOCK_RAMS:
        return
    if kind in ("CARRY4", "CARRY8"):
        yield from _carry(ports)
    elif kind in MULTIPLIERS:
        yield from _multiplier(cell)
    else:
        cost = 0 if kind in FREE else 1
        inputs = {
            # The way along a chain costs nothing more.
            bit: 0 if port == "CIN" else cost
            for port, bits in ports.items()
            if cell["port_directions"][port] == "input" and _is_read(kind, port)
            for bit in signals(bits)
        }
        for port, bits in ports.items():
            if cell["port_directions"][port] == "output":
                for bit in signals(bits):
                    yield bit, list(inputs.items())


def signals(bits: list[int | str]) -> list[int]:
    """Without constants."""
    return [bit for bit in bits if isinstance(bit, int)]


def _is_read(kind: str, port: str) -> bool:
    """Whether an input of a look-up table or of distributed memory acts at once: data, enables and clocks do not."""
    if kind.startswith(("SRL", "RAM")):
        return port.startswith(("A", "DPRA"))
    return port == "RAD" if kind == "TRELLIS_DPR16X4" else True


def _carry(ports: Mapping[str, list[int | str]]) -> Iterator[Arc]:
    """Bit by bit: the sum at a place waits for the places below it, not for those above."""
    reaches: dict[int, int] = {bit: 1 for bit in signals(ports.get("CYINIT", []))}
    # CI is wired to the carry cell below and to nothing else: the chain has its level already.
    reaches.update((bit, 0) for bit in signals(ports.get("CI", [])))
    for place in range(len(ports["S"])):
        reaches.update((bit, 1) for port in ("S", "DI") for bit in signals(ports[port][place : place + 1]))
        for port in ("O", "CO"):
            for bit in signals(ports.get(port, [])[place : place + 1]):
                yield bit, list(reaches.items())


def _multiplier(cell: Cell) -> Iterator[Arc]:
    """DSP slices of which Yosys uses the multiplier, the adder behind it, and registers."""
    depth = {name: number(cell["parameters"].get(name, "0")) for name in ("AREG", "BREG", "CREG", "MREG", "PREG")}
    if depth["PREG"]:
        return
    ports = cell["connections"]
    # Without the output register a way begins at the registers within, and has passed the adder when it leaves.
    inputs = {_WITHIN: 1}
    for port, registers in (
        ("A", depth["AREG"] + depth["MREG"]),
        ("B", depth["BREG"] + depth["MREG"]),
        ("C", depth["CREG"]),
        ("PCIN", 0),
    ):
        if not registers:
            inputs.update((bit, 1) for bit in signals(ports.get(port, [])))
    for port, bits in ports.items():
        if cell["port_directions"][port] == "output":
            for bit in signals(bits):
                yield bit, list(inputs.items())


def number(parameter: str | int) -> int:
    """A parameter's value: Yosys writes 32 binary digits."""
    return parameter if isinstance(parameter, int) else int(parameter, 2)
