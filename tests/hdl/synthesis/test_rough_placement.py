"""A rough placement: what is wired together lies together, all over the device, and the same each time."""

import json
import subprocess
import sys
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from kronborg_hdl.synthesis import rough_placement
from kronborg_hdl.synthesis.column_sites import FEW, ROWS, Place, place_of, sites
from kronborg_hdl.synthesis.rough_placement import SIZE, _spread, place
from kronborg_hdl.synthesis.shift_registers import REGISTER

MULTIPLIER, _ = ROWS


def netlist(kinds: list[str], nets: list[tuple[int, ...]]) -> dict[str, Any]:
    """Cells of these kinds, and nets that each lie between some of them."""
    cells: dict[str, Any] = {
        f"cell_{number}": {"type": kind, "port_directions": {}, "connections": {"CE": ["1"]}, "attributes": {}}
        for number, kind in enumerate(kinds)
    }
    for net, ends in enumerate(nets, start=2):
        for end in ends:
            cells[f"cell_{end}"]["connections"][f"P{net}"] = [net]
    return {"cells": cells}


def square(side: int) -> list[list[int]]:
    """Cells in a square, in an order that tells nothing of it."""
    return np.random.default_rng(1).permutation(side * side).reshape(side, side).tolist()  # type: ignore[no-any-return]


def mesh(side: int) -> list[tuple[int, ...]]:
    """Nets of such a square, each cell wired to its neighbours."""
    order = square(side)
    return [pair for line in (*order, *zip(*order, strict=True)) for pair in pairwise(line)]


def lengths(where: dict[str, Place], nets: list[tuple[int, ...]]) -> np.ndarray[Any, Any]:
    """Of nets with two ends, by x and y together."""
    ends = np.array([[where[f"cell_{end}"] for end in net] for net in nets])
    return np.abs(ends[:, 0] - ends[:, 1]).sum(1)


def test_a_mesh_lies_as_it_is_wired() -> None:
    side = 40
    nets = mesh(side)
    where = place(netlist([REGISTER] * side * side, nets))
    pitch = sum(SIZE) / 2 / side
    assert np.mean(lengths(where, nets)) < 2 * pitch  # by lot it is 73 tiles, and the best is 2.8


def test_a_few_long_wires_are_left_long() -> None:
    """Springs would make them short, and all others longer."""
    side = 40
    near = mesh(side)
    far = [(one, other) for one, other in np.random.default_rng(3).integers(0, side * side, (160, 2)).tolist()]
    where = place(netlist([REGISTER] * side * side, near + far))
    assert np.mean(lengths(where, near)) < np.mean(lengths(where, far)) / 4


def test_cells_are_all_over_the_device_by_their_area() -> None:
    side = 40
    kinds = ["LUT4"] * side * side
    for row in square(side)[: side // 2]:
        for cell in row:
            kinds[cell] = "CCU2C"
    where = np.array(list(place(netlist(kinds, mesh(side))).values()))
    area = np.array([2 if kind == "CCU2C" else 1 for kind in kinds])
    assert (where >= 0).all()
    assert (where <= SIZE).all()
    for column, row in product(range(4), range(4)):
        corner = np.array((column, row)) * SIZE / 4
        inside = ((where >= corner) & (where < corner + np.array(SIZE) / 4)).all(1)
        assert area[inside].sum() == pytest.approx(area.sum() / 16, rel=0.1)


def test_what_is_spread_evenly_stays() -> None:
    at = np.array(list(product(range(1, SIZE[0], 4), range(1, SIZE[1], 4))), float)
    assert np.abs(_spread(at, np.ones(len(at), int)) - at).max() < 8


def test_multipliers_have_sites_of_their_own_beside_what_they_are_wired_to() -> None:
    side, few = 40, 20
    count = side * side
    fed = np.random.default_rng(2).permutation(count)[:few].tolist()
    nets = [*mesh(side), *((cell, count + number) for number, cell in enumerate(fed))]
    where = place(netlist([REGISTER] * count + [MULTIPLIER] * few, nets))
    at = [where[f"cell_{count + number}"] for number in range(few)]
    assert len(set(at)) == few
    assert set(at) <= {place_of(site) for site in sites(MULTIPLIER)}
    assert np.mean(lengths(where, nets[-few:])) < 25  # rows of sites are 24 and 36 tiles apart


def test_cells_come_to_the_sites_of_multipliers_that_they_are_wired_to() -> None:
    side, patches, fed_by = 40, 30, 20
    others = side * side
    cells = np.random.default_rng(2).permutation(patches * fed_by).reshape(patches, fed_by).tolist()
    multipliers = [others + patches * fed_by + number for number in range(patches)]
    wires = [(others + cell, end) for patch, end in zip(cells, multipliers, strict=True) for cell in patch]
    ways = [(others + patch[0], number) for number, patch in enumerate(cells)]
    kinds = [REGISTER] * multipliers[0] + [MULTIPLIER] * patches
    where = place(netlist(kinds, [*mesh(side), *wires, *ways]))
    assert np.mean(lengths(where, wires)) < 10  # where they only were assigned what is near them, 14


def test_a_net_of_many_ends_draws_nothing_together() -> None:
    nets = mesh(20)
    among = netlist([REGISTER] * 400, [*nets, tuple(range(FEW + 1))])
    assert place(among) == place(netlist([REGISTER] * 400, nets))


def test_only_cells_with_wires_have_a_place() -> None:
    assert set(place(netlist([REGISTER] * 4, [(0, 2), (3,)]))) == {"cell_0", "cell_2"}


def test_nothing_is_placed_without_wires() -> None:
    assert place(netlist([REGISTER], [])) == {}
    assert place(netlist([], [])) == {}


def test_what_has_too_many_multipliers_is_told() -> None:
    count = len(sites(MULTIPLIER)) + 1
    with pytest.raises(RuntimeError, match=f"{count} {MULTIPLIER}"):
        place(netlist([MULTIPLIER] * count, [(one, one + 1) for one in range(count - 1)]))


def test_another_process_places_the_same() -> None:
    """Whose sets of texts have another order."""
    module = netlist([REGISTER] * 400 + [MULTIPLIER], [*mesh(20), (0, 400)])
    program = f"import json, sys; from {rough_placement.__name__} import place; print(place(json.load(sys.stdin)))"
    for seed in "1", "2":
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(module),
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(place(module))
