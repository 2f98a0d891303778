"""Enables that hundreds of registers share, made by a single look-up table of a 7-series device.

Yosys' ABC saves tables wherever a design has as many levels elsewhere, and takes all wires for equally long. So the
enable of a whole stage came through four tables of two inputs, each of which somebody else had a use for, and lay all
over the device; and its own wire, to thousands of registers, is the longest there is. Where no more than six signals
say whether a stage moves one table does it, and logic that wants to know it as well has another one, which can be near.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import product

from .netlist import Netlist, free_net

FEWEST = 100
"""Registers, slices and memories of an enable that is worth a table of its own."""
INPUTS = 6
"""Of the largest table."""
_ENABLES = ("CE", "EN", "WE")
"""How pins begin that enable registers, slices and memories."""
_TABLES = {"INV": 1, **{f"LUT{inputs}": inputs for inputs in range(1, INPUTS + 1)}}
"""Inputs of each kind."""

Bit = int | str
"""Of a netlist: a net, or a constant."""


def fold(module: Netlist) -> int:
    """Make each such enable by one table, and what else reads it by another; tables that nobody reads are left out.

    Args:
        module: changed in place; it computes the same.

    Returns: the enables that this changed.
    """
    cells = module["cells"]
    tables = {_pins(cell)[-1]: name for name, cell in cells.items() if cell["type"] in _TABLES}
    enabled: Counter[Bit] = Counter()
    readers: dict[Bit, list[list[Bit]]] = defaultdict(list)
    for cell in cells.values():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] != "output":
                for bit in bits:
                    if pin.startswith(_ENABLES):
                        enabled[bit] += 1
                    else:
                        readers[bit].append(bits)
    free, folded = free_net(module), 0
    for enable, number in enabled.items():
        if number < FEWEST or enable not in tables:
            continue
        name = tables[enable]
        sources = _sources(enable, cells, tables)
        single = set(sources) == {bit for bit in _pins(cells[name])[:-1] if isinstance(bit, int)}
        if not 0 < len(sources) <= INPUTS or (single and not readers[enable]):
            continue
        rows = [
            _value(enable, dict(zip(sources, row, strict=True)), cells, tables)
            for row in product((False, True), repeat=len(sources))
        ]
        cells[name] = _table(sources[::-1], rows, enable)
        if readers[enable]:
            cells[f"{name}.logic"] = _table(sources[::-1], rows, free)
            tables[free] = f"{name}.logic"
            for bits in readers[enable]:
                bits[:] = [free if bit == enable else bit for bit in bits]
            free += 1
        folded += 1
    _leave_out_unread(module, tables)
    return folded


def _pins(cell: Netlist) -> list[Bit]:
    """What a table is wired to, its output last."""
    inputs = ["I"] if cell["type"] == "INV" else [f"I{pin}" for pin in range(_TABLES[cell["type"]])]
    return [cell["connections"][pin][0] for pin in (*inputs, "O")]


def _sources(net: Bit, cells: Netlist, tables: Mapping[Bit, str]) -> list[Bit]:
    """What a net follows from through tables alone; more than ``INPUTS`` need not be all."""
    found: dict[Bit, None] = {}
    seen, left = set(), [net]
    while left and len(found) <= INPUTS:
        bit = left.pop()
        if bit in seen or not isinstance(bit, int):
            continue
        seen.add(bit)
        if bit in tables:
            left += _pins(cells[tables[bit]])[:-1]
        else:
            found[bit] = None
    return list(found)


def _value(net: Bit, known: dict[Bit, bool], cells: Netlist, tables: Mapping[Bit, str]) -> bool:
    """Of a net, by what is known of its sources; what is found is known then too."""
    if not isinstance(net, int):
        return net == "1"
    if net not in known:
        cell = cells[tables[net]]
        address = [_value(bit, known, cells, tables) for bit in _pins(cell)[:-1]]
        if cell["type"] == "INV":
            known[net] = not address[0]
        else:
            row = sum(bit << place for place, bit in enumerate(address))
            known[net] = cell["parameters"]["INIT"][-1 - row] == "1"
    return known[net]


def _table(inputs: list[Bit], rows: list[bool], output: Bit) -> Netlist:
    """A look-up table; its first input is the lowest bit of a row's number."""
    pins = [f"I{place}" for place in range(len(inputs))]
    return {
        "hide_name": 1,
        "type": f"LUT{len(inputs)}",
        "parameters": {"INIT": "".join("01"[row] for row in reversed(rows))},
        "attributes": {},
        "port_directions": {**dict.fromkeys(pins, "input"), "O": "output"},
        "connections": {**{pin: [bit] for pin, bit in zip(pins, inputs, strict=True)}, "O": [output]},
    }


def _leave_out_unread(module: Netlist, tables: Mapping[Bit, str]) -> None:
    """Take away tables whose output nothing reads, and those that only such tables read."""
    cells = module["cells"]
    read = Counter(
        bit
        for cell in cells.values()
        for pin, bits in cell["connections"].items()
        if cell["port_directions"][pin] != "output"
        for bit in bits
    )
    read.update(bit for port in module["ports"].values() if port["direction"] != "input" for bit in port["bits"])
    left = [bit for bit in tables if not read[bit]]
    while left:
        for bit in _pins(cells.pop(tables[left.pop()]))[:-1]:
            read[bit] -= 1
            if bit in tables and not read[bit]:
                left.append(bit)
