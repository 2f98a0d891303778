"""Where the cells of a netlist want to be on an ECP5, in seconds: a quadratic placement.

Wires are springs: a net is at the mean of its cells, a cell at the mean of its nets. By themselves all would meet in a
point; so after each round the cells are spread over the device, one half of them to each half of it, and so on. Rounds
of this sort out what is far from what. In later ones a cell is drawn to where it was spread to, a little more each
time, and a net pulls the less the longer it is: what counts then is length, and no more its square (as in SimPL: Kim,
Lee, Markov 2012). Multipliers and block RAMs are drawn to sites of their own, see :mod:`.column_sites`.

Cells may share a place, and no rule of slices is kept: this tells what should be near what, and no more. The same
netlist gives the same places: no lots are drawn, sums go in the netlist's order, and places are rounded after each
round.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .column_sites import FEW, ROWS, Place, nearest
from .shift_registers import Netlist

Vector = NDArray[np.floating[Any]]
Places = NDArray[np.floating[Any]]
"""A row for each cell or net: x and y in tiles."""
SIZE = (126, 95)
"""Tiles of an LFE5U-85F."""
AREA = {"TRELLIS_FF": 1, "LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 8}
"""What a cell takes of the slices."""
SORTING, DRAWN, WITH_SITES = 30, 20, 5
"""Rounds: without and with a draw to where cells were spread to; of the former, the last that have sites."""
STEPS = 20
"""Of a round, towards the balance of all springs."""
INERTIA = 0.8
"""Of a step in the next: so much fewer are needed."""
DRAW, SITES_DRAW = 0.5, 2.0
"""Of a cell in the last round, and of a multiplier or a block RAM, beside all its wires."""
HALVINGS = 13
"""Down to a tile or two."""
GRID = 64
"""Parts of a tile that places are rounded to: processors may differ in a last bit."""


def place(module: Netlist) -> dict[str, Place]:
    """Place all cells.

    Args:
        module: the netlist, before nextpnr packs it; pins of the device do not count.

    Returns: a tile for each cell that is at a net of two to ``FEW`` ends, by its name.

    Raises:
        RuntimeError: there are more multipliers or block RAMs than sites.
    """
    kinds = np.array([cell["type"] for cell in module["cells"].values()])
    pins = _pins(module)
    nets = pins.T.tocsr()
    ends = np.diff(nets.indptr)
    area = np.array([AREA.get(kind, 0) for kind in kinds])
    in_columns = np.isin(kinds, list(ROWS))
    # Evenly over the device, and next to each other what is far apart in the netlist: R2 of M. Roberts.
    at = spread = (np.arange(1, 1 + len(kinds))[:, None] * (0.7548776662466927, 0.5698402909980532)) % 1 * SIZE
    for number in range(1 - SORTING, 1 + DRAWN):
        weight = 1 / (ends - 1) if number <= 0 else 1 / (1 + _length(nets, at) / 2)
        wires = pins @ weight
        draw = wires * DRAW * (max(number, 0) / DRAWN) ** 2
        if number > -WITH_SITES:
            draw[in_columns] = wires[in_columns] * SITES_DRAW * min(1, 1 + number / WITH_SITES)
        at = _settle(pins, nets, weight, at, spread, draw)
        spread = _spread(at, area)
        if number > -WITH_SITES:
            middle = pins @ (nets @ spread / ends[:, None]) / np.maximum(np.diff(pins.indptr), 1)[:, None]
            for kind in ROWS:
                spread[kinds == kind] = nearest(kind, middle[kinds == kind])
        if number <= 0:
            at = spread
    return {
        name: (int(x), int(y))
        for name, (x, y), wired in zip(module["cells"], np.rint(spread), np.diff(pins.indptr), strict=True)
        if wired
    }


def _pins(module: Netlist) -> Any:
    """Which cell, a row, is at which net, a column, of those with two ends to ``FEW``: ones."""
    from scipy.sparse import csr_array  # who places nothing needs no SciPy

    at = [
        (row, bit)
        for row, cell in enumerate(module["cells"].values())
        for bits in cell["connections"].values()
        for bit in bits
        if isinstance(bit, int)
    ]
    rows, bits = np.unique(np.array(at, int).reshape(-1, 2), axis=0).T
    ends = np.bincount(bits, minlength=1)
    used = (ends > 1) & (ends <= FEW)
    kept = used[bits]
    columns = (np.cumsum(used) - 1)[bits[kept]]
    shape = (len(module["cells"]), int(used.sum()))
    return csr_array((np.ones(len(columns)), (rows[kept], columns)), shape=shape)


def _length(nets: Any, at: Places) -> Vector:
    """Of each net, half the way around its cells."""
    ends = at[nets.indices]
    boxes = np.maximum.reduceat(ends, nets.indptr[:-1]) - np.minimum.reduceat(ends, nets.indptr[:-1])
    return boxes.sum(1)


def _settle(pins: Any, nets: Any, weight: Vector, at: Places, towards: Places, draw: Vector) -> Places:
    """Where cells come to, some steps on, that their nets and a draw hold."""
    pull = np.maximum(pins @ weight + draw, 1e-9)[:, None]
    middle = weight / np.diff(nets.indptr)
    before = at
    for _ in range(STEPS):
        balance = (pins @ (middle[:, None] * (nets @ at)) + draw[:, None] * towards) / pull
        at, before = at + (1 + INERTIA) * (balance - at) + INERTIA * (at - before), at
    return np.rint(at * GRID) / GRID


def _spread(at: Places, area: NDArray[np.int_]) -> Places:
    """All over the device, with neighbours near each other: half of the area to half of each part, again and again."""
    part = np.zeros(len(at), int)
    low, size = np.zeros((1, 2)), np.array(SIZE, float)
    for _ in range(HALVINGS):
        axis = int(size[1] > size[0])
        order = np.lexsort((at[:, axis], part))
        sums = np.concatenate(([0], np.cumsum(area[order])))
        begins, ends = (sums[np.searchsorted(part[order], np.arange(len(low)), side)] for side in ("left", "right"))
        beyond = np.empty(len(at), int)
        beyond[order] = sums[1:] + sums[:-1] > (begins + ends)[part[order]]
        part = 2 * part + beyond
        size[axis] /= 2
        low = np.repeat(low, 2, axis=0)
        low[1::2, axis] += size[axis]
    return low[part] + size / 2
