"""Registers before and behind a multiplier of an ECP5, put into the multiplier, as Yosys does it for other families.

A ``MULT18X18D`` has registers at its inputs. Where all bits of both factors come from registers that move together,
those do the work: the way from a register to the multiplier, which is long where many words meet, is gone. Another
register is between its partial products and their sum, and may stand for that which holds the product. Word for word
it is the same. Lattice FPGA-TN-02205 has the cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count

from .shift_registers import REGISTER, Bit, Netlist, bits_of, inputs_of, is_plain, new_cell, without_undriven_names

MULTIPLIER = "MULT18X18D"
FACTORS = ("A", "B")
FACTOR_BITS = 18

Move = tuple[Bit, Bit, bool]
"""When a register moves: its clock, its clock enable, and whether that is inverted."""


def fold(module: Netlist) -> int:
    """Put registers of a module into its multipliers.

    Only registers that are not reset and begin at zero, as those within a multiplier do; one that is read elsewhere
    too stays there as well.

    Args:
        module: changed in place.

    Returns: the multipliers whose factors are registered now.
    """
    cells = module["cells"]
    free = count(1 + max(bits_of(module), default=1))
    registers = {cell["connections"]["Q"][0]: cell for cell in cells.values() if _is_foldable(cell)}
    enables: dict[Bit, Bit] = {}
    folded = 0
    for name in [name for name, cell in cells.items() if cell["type"] == MULTIPLIER]:
        multiplier = cells[name]
        move = _moves_together(multiplier, registers)
        if move is None:
            continue
        for pin in _pins():
            bit = multiplier["connections"][pin][0]
            if bit in registers:
                multiplier["connections"][pin] = list(registers[bit]["connections"]["DI"])
        clock, enable, inverted = move
        if inverted and enable not in enables:
            enables[enable] = next(free)
            cells[f"$multiplier$enable${enable}"] = _inverter(enable, enables[enable])
        for pin, net in (("CLK0", clock), ("CE0", enables[enable] if inverted else enable), ("RST0", "0")):
            multiplier["connections"][pin] = [net]
            multiplier["port_directions"][pin] = "input"
        multiplier["parameters"].update({f"REG_INPUT{factor}_CLK": "CLK0" for factor in FACTORS})
        folded += 1
    _drop_unread(module, registers)
    without_undriven_names(module)
    return folded


def fold_products(module: Netlist) -> int:
    """Put registers that hold a product into the multiplier, where :func:`fold` has put those of its factors: for room.

    Only where all bits of the product that are read go to registers of that kind, which move together, and to nothing
    else. nextpnr does not know when the register within is read: it takes the way from the factors' registers to the
    product for one clock, and what follows too, so that the frequency that it says is too low, never too high.

    Args:
        module: changed in place.

    Returns: the multipliers whose products are registered now.
    """
    cells = module["cells"]
    uses = Counter(bit for cell in cells.values() for bit in inputs_of(cell))
    uses.update(bit for port in module["ports"].values() for bit in port["bits"])
    behind = {cell["connections"]["DI"][0]: name for name, cell in cells.items() if _is_foldable(cell)}
    folded = 0
    for multiplier in [cell for cell in cells.values() if cell["type"] == MULTIPLIER]:
        parameters, connections = multiplier["parameters"], multiplier["connections"]
        pins = [pin for pin in _product_pins() if uses[connections.get(pin, [""])[0]]]
        names = [behind.get(connections[pin][0]) for pin in pins if uses[connections[pin][0]] == 1]
        holders = [name for name in names if name is not None]
        moves = {_move(cells[name]) for name in holders}
        if parameters.get("REG_INPUTA_CLK") != "CLK0" or len(holders) < len(pins) or len(moves) != 1:
            continue
        clock, enable, inverted = moves.pop()
        if clock != connections["CLK0"][0] or inverted:
            continue
        for pin, name in zip(pins, holders, strict=True):
            connections[pin] = cells.pop(name)["connections"]["Q"]
        connections["CE1"] = [enable]
        multiplier["port_directions"]["CE1"] = "input"
        parameters.update({"REG_PIPELINE_CLK": "CLK0", "REG_PIPELINE_CE": "CE1"})
        folded += 1
    without_undriven_names(module)
    return folded


def _product_pins() -> Iterator[str]:
    return (f"P{bit}" for bit in range(len(FACTORS) * FACTOR_BITS))


def _pins() -> Iterator[str]:
    for factor in FACTORS:
        yield from (f"{factor}{bit}" for bit in range(FACTOR_BITS))


def _inverter(bit: Bit, inverted: Bit) -> Netlist:
    inputs: dict[str, list[Bit]] = {"A": [bit], "B": ["0"], "C": ["0"], "D": ["0"]}
    return new_cell("LUT4", {"INIT": f"{0x5555:016b}"}, inputs, {"Z": [inverted]})


def _is_foldable(cell: Netlist) -> bool:
    """A plain register; its clock enable may be inverted."""
    if cell["type"] != REGISTER:
        return False
    parameters = cell["parameters"]
    enable = "CE" if parameters.get("CEMUX") == "INV" else parameters.get("CEMUX", "1")
    return is_plain({**cell, "parameters": {**parameters, "CEMUX": enable}})


def _moves_together(multiplier: Netlist, registers: dict[Bit, Netlist]) -> Move | None:
    """When both factors move, if all of their bits come from registers of one clock and enable, or are zero."""
    moves = set()
    for pin in _pins():
        bit = multiplier["connections"][pin][0]
        if bit == "0":
            continue
        if bit not in registers:
            return None
        moves.add(_move(registers[bit]))
    return moves.pop() if len(moves) == 1 else None


def _move(register: Netlist) -> Move:
    mux, connections = register["parameters"].get("CEMUX", "1").strip(), register["connections"]
    return connections["CLK"][0], "1" if mux == "1" else connections["CE"][0], mux == "INV"


def _drop_unread(module: Netlist, registers: dict[Bit, Netlist]) -> None:
    """Leave those registers out that nothing reads, and then those that only they read."""
    cells = module["cells"]
    names = {cell["connections"]["Q"][0]: name for name, cell in cells.items() if cell["type"] == REGISTER}
    while True:
        read = Counter(bit for cell in cells.values() for bit in inputs_of(cell))
        read.update(bit for port in module["ports"].values() for bit in port["bits"])
        unread = [bit for bit in registers if not read[bit]]
        if not unread:
            return
        for bit in unread:
            del registers[bit], cells[names[bit]]
