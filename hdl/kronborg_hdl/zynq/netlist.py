"""A netlist of 7-series cells as nextpnr takes it: what it places wrongly is found, or said otherwise.

Two things are known of nextpnr's Xilinx target. Cascades of operands between DSP slices (ACOUT to ACIN, BCOUT to BCIN)
are configured wrongly, so that they would compute something else and nobody would know. And sums that cascade through
more than ten slices find no place, for a column's slices lie in groups of ten.
"""

from __future__ import annotations

from typing import Any

Netlist = dict[str, Any]
"""A module as Yosys' ``write_json`` has it."""
LONGEST = 10
"""Slices whose sums may cascade."""
DSP = "DSP48E1"
_SUM_BITS = 48
_FROM_CASCADE, _FROM_C = ("1", "0", "0"), ("1", "1", "0")
"""Bits 4 to 6 of OPMODE: where the sum that is added to comes from."""


def shorten(module: Netlist) -> int:
    """Let the sum of every tenth slice of a cascade go through the fabric to the next one's operand C instead.

    That computes the same: C has no register here, and P is what PCOUT is.

    Returns: the cascades that were cut.

    Raises:
        ValueError: the netlist has what cannot be placed, or would compute something else: see above.
    """
    cells = module["cells"]
    slices = {name: cell for name, cell in cells.items() if cell["type"] == DSP}
    giver = {}
    for name, cell in slices.items():
        for port in ("ACOUT", "BCOUT", "PCOUT"):
            for bit in cell["connections"].get(port, ())[:1]:
                giver[bit] = (name, port)
    before: dict[str, str] = {}
    for name, cell in slices.items():
        for port in ("ACIN", "BCIN", "PCIN"):
            first = cell["connections"].get(port, ["0"])[0]
            if isinstance(first, str):
                continue
            if port != "PCIN":
                raise ValueError(f"{name} takes an operand from its neighbour, which nextpnr configures wrongly")
            before[name] = giver[first][0]
    if any(cell["type"].startswith("SRL") for cell in cells.values()):
        raise ValueError("the netlist has shift registers in look-up tables, for which nextpnr finds no way")
    free = 1 + max(
        (bit for net in module["netnames"].values() for bit in net["bits"] if isinstance(bit, int)), default=1
    )
    cut = 0
    for name in sorted(before, key=lambda name: _length(name, before)):
        if _length(name, before) <= LONGEST:
            continue
        free = _through_fabric(name, slices[name], slices[before.pop(name)], free)
        cut += 1
    return cut


def _length(name: str, before: dict[str, str]) -> int:
    """Slices of a cascade up to this one."""
    length = 1
    while name in before:
        name, length = before[name], length + 1
    return length


def _through_fabric(name: str, taker: Netlist, giver: Netlist, free: int) -> int:
    """Cut the cascade between two slices; returns the next number of a net that is free."""
    connections = taker["connections"]
    operation = connections["OPMODE"]
    unused = all(bit == "0" for bit in connections["C"])
    if tuple(operation[4:7]) != _FROM_CASCADE or not unused or int(taker["parameters"].get("CREG", "1"), 2):
        raise ValueError(f"{name} is slice {LONGEST + 1} of a cascade and uses its operand C: nextpnr cannot place it")
    result = giver["connections"]["P"]
    for bit in range(_SUM_BITS):
        if bit >= len(result):
            result.append(free)
            free += 1
    connections["C"] = list(result)
    connections["PCIN"] = ["0"] * _SUM_BITS
    connections["OPMODE"] = [*operation[:4], *_FROM_C]
    giver["connections"].pop("PCOUT", None)
    giver["port_directions"].pop("PCOUT", None)
    return free
