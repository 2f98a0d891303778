"""Enables and resets that thousands of registers share, on the network that an ECP5 has for clocks.

A wire of the fabric to each of the tiles that hold such registers is a wire that others lack, and where most of a
device is full there is none to spare. Eight of the sixteen lines of the clocks' network reach enables and resets too,
as nextpnr uses it; one of them is the clock's. A ``DCCA`` (Lattice FPGA-TN-02200) puts a net onto it. Word for word
nothing changes.
"""

from __future__ import annotations

from collections import Counter
from itertools import count

from .shift_registers import REGISTER, Bit, Netlist, bits_of, new_cell

BUFFER = "DCCA"
LINES = 7
"""That reach enables and resets, without the clock's."""
FEWEST = 1000
"""Registers of a net that is worth a line."""
PINS = ("LSR", "CE")


def fold(module: Netlist, *, lines: int = LINES, fewest: int = FEWEST) -> int:
    """Put the nets that enable or reset the most registers onto the clocks' network.

    Whatever else reads such a net, reads it where it was.

    Args:
        module: changed in place.
        lines: nets at most.
        fewest: registers that a net has to have.

    Returns: the nets that are on it now.
    """
    cells = module["cells"]
    registers = [cell for cell in cells.values() if cell["type"] == REGISTER]
    shared = Counter(bit for cell in registers for pin in PINS for bit in cell["connections"].get(pin, []))
    chosen = [bit for bit, number in shared.most_common() if isinstance(bit, int) and number >= fewest][:lines]
    free = count(1 + max(bits_of(module), default=1))
    line: dict[Bit, Bit] = {bit: next(free) for bit in chosen}
    for bit in chosen:
        cells[f"$global${bit}"] = new_cell(BUFFER, {}, {"CLKI": [bit], "CE": ["1"]}, {"CLKO": [line[bit]]})
    for cell in registers:
        for pin in PINS:
            if pin in cell["connections"]:
                cell["connections"][pin] = [line.get(bit, bit) for bit in cell["connections"][pin]]
    return len(chosen)
