"""Multipliers and block RAMs of an ECP5 on sites that are near what they are wired to.

Sites of either kind lie in a few rows. Where most of them are taken nextpnr's static placer gives what comes last one
that is left, half a device away, and each has some seventy wires. So a design is placed twice. The first placement says
where everything else wants to be; each kind is then put onto its sites by the assignment that takes the least wire, and
stays there while the second placement puts the rest around it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .shift_registers import Netlist

Site = str
"""Of nextpnr: `X62/Y34/MULT18_0`."""
Place = tuple[int, int]
End = tuple[str, bool]
"""Of a net: a cell, and whether it drives it."""
BLOCKS = (*range(4, 59, 9), *range(69, 115, 9))
"""Columns where a block of sites begins, in every row that has them (an LFE5U-85F, as nextpnr counts its tiles)."""
ROWS = {"MULT18X18D": (10, 34, 58), "DP16KD": (22, 46, 70, 82)}
WITHIN = {
    "MULT18X18D": ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5")),
    "DP16KD": ((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3")),
}
"""Of a block: each site's column and name."""
WIRED = {"MULT18X18D": re.compile(r"[ABP]\d+"), "DP16KD": re.compile(r"(AD|DI|DO|WE|CE)[AB]?\d*")}
"""Pins whose wires count."""
FEW = 60
"""Ends of a net that is worth a look: one with more is everywhere anyway."""
ROUNDS = 4
"""The kinds are wired to each other, and take turns."""


def sites(kind: str) -> list[Site]:
    """All sites of a kind of cell."""
    return [f"X{column + x}/Y{y}/{name}" for y in ROWS[kind] for column in BLOCKS for x, name in WITHIN[kind]]


def fix(module: Netlist, placed: Netlist) -> int:
    """Give all multipliers and block RAMs of a netlist a site, by where everything is in a placement of it.

    Args:
        module: before it is placed; changed in place, attribute ``BEL``.
        placed: the same as nextpnr writes it, attribute ``NEXTPNR_BEL``.

    Returns: the cells that have a site now.
    """
    from scipy.optimize import linear_sum_assignment  # who places nothing needs no SciPy

    cells = placed["cells"]
    where = {name: _place(cell["attributes"]["NEXTPNR_BEL"]) for name, cell in cells.items() if _is_placed(cell)}
    ends: dict[int, list[End]] = defaultdict(list)
    for name, cell in cells.items():
        for pin, bits in cell["connections"].items():
            for bit in bits:
                ends[bit].append((name, cell["port_directions"][pin] == "output"))
    chosen: dict[str, Site] = {}
    for _ in range(ROUNDS):
        for kind in ROWS:
            names = [name for name, cell in cells.items() if cell["type"] == kind]
            if not names:
                continue
            options = sites(kind)
            places = np.array([_place(site) for site in options])
            wire = [_wire(places, list(_wired_to(cells[name], name, kind, ends, where))) for name in names]
            for row, column in zip(*linear_sum_assignment(wire), strict=True):
                chosen[names[row]] = options[column]
                where[names[row]] = _place(options[column])
    for name, site in chosen.items():
        module["cells"][name]["attributes"]["BEL"] = site
    return len(chosen)


def _is_placed(cell: Netlist) -> bool:
    return str(cell["attributes"].get("NEXTPNR_BEL", "")).startswith("X")


def _place(site: Site) -> Place:
    x, y = (int(part[1:]) for part in site.split("/")[:2])
    return x, y


def _wired_to(
    cell: dict[str, Any], name: str, kind: str, ends: dict[int, list[End]], where: dict[str, Place]
) -> Iterator[Place]:
    """What drives a cell's inputs, and what its outputs drive: their places, one for each wire."""
    for pin, bits in cell["connections"].items():
        if not WIRED[kind].fullmatch(pin):
            continue
        drives = cell["port_directions"][pin] == "output"
        for bit in bits:
            if len(ends[bit]) <= FEW:
                yield from (
                    where[other]
                    for other, driver in ends[bit]
                    if (drives or driver) and other != name and other in where
                )


def _wire(places: NDArray[np.int_], ends: list[Place]) -> NDArray[np.int_]:
    """Of each place, the length of wire from there to all ends."""
    if not ends:
        return np.zeros(len(places), int)
    return np.abs(places[:, None, :] - np.array(ends)[None, :, :]).sum((1, 2))
