"""Multipliers and block RAMs get sites by what they are wired to, each its own."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.synthesis.column_sites import BLOCKS, FEW, ROWS, WITHIN, fix, sites
from kronborg_hdl.synthesis.shift_registers import REGISTER

MULTIPLIER, BLOCK_RAM = ROWS
PINS = {MULTIPLIER: ("A0", "P0"), BLOCK_RAM: ("DIA0", "DOB0")}
"""An input and an output that count."""


class Design:
    """A netlist and a placement of it."""

    def __init__(self) -> None:
        self.cells: dict[str, Any] = {}
        self.nets = 1

    def add(self, kind: str, site: str, **pins: tuple[int, str]) -> str:
        """A cell on a site; each pin with its net and direction."""
        name = f"cell_{len(self.cells)}"
        self.cells[name] = {
            "type": kind,
            "attributes": {"NEXTPNR_BEL": site},
            "port_directions": {pin: direction for pin, (_, direction) in pins.items()},
            "connections": {pin: [net] for pin, (net, _) in pins.items()},
        }
        return name

    def net(self) -> int:
        self.nets += 1
        return self.nets

    def wired(self, kind: str, registers: list[str], site: str | None = None) -> str:
        """A cell of a kind, each of whose inputs comes from a register at one of these places."""
        inputs = {f"{PINS[kind][0][:-1]}{n}": (self.net(), "input") for n in range(len(registers))}
        for place, (net, _) in zip(registers, inputs.values(), strict=True):
            self.add(REGISTER, place, Q=(net, "output"))
        return self.add(kind, site or sites(kind)[0], **inputs)

    def fixed(self) -> dict[str, str]:
        """Each cell's site, of those that were given one."""
        module = {"cells": {name: {"attributes": {}} for name in self.cells}}
        count = fix(module, {"cells": self.cells})
        given = {name: cell["attributes"]["BEL"] for name, cell in module["cells"].items() if cell["attributes"]}
        assert len(given) == count
        return given


def test_a_device_has_all_its_sites() -> None:
    assert len(set(sites(MULTIPLIER))) == 156
    assert len(set(sites(BLOCK_RAM))) == 208
    assert {len(BLOCKS) * len(WITHIN[kind]) for kind in ROWS} == {52}


def test_each_kind_goes_to_what_drives_it_and_nothing_else_moves() -> None:
    design = Design()
    multiplier = design.wired(MULTIPLIER, ["X62/Y33/SLICEA.FF0"] * 3)
    block_ram = design.wired(BLOCK_RAM, ["X118/Y84/SLICEA.FF0"])
    assert design.fixed() == {multiplier: "X62/Y34/MULT18_4", block_ram: "X118/Y82/EBR2"}


def test_a_cell_goes_to_what_it_drives() -> None:
    design = Design()
    for kind, (_, output) in PINS.items():
        net = design.net()
        design.add(REGISTER, "X4/Y57/SLICEA.FF0", DI=(net, "input"))
        design.add(kind, sites(kind)[-1], **{output: (net, "output")})
    assert sorted(site.partition("/")[0] for site in design.fixed().values()) == ["X4", "X4"]


def test_others_that_read_a_cells_input_do_not_draw_it() -> None:
    design = Design()
    net = design.net()
    design.add(REGISTER, "X4/Y10/SLICEA.FF0", Q=(net, "output"))
    for _ in range(9):
        design.add(REGISTER, "X119/Y58/SLICEA.FF0", DI=(net, "input"))
    multiplier = design.add(MULTIPLIER, sites(MULTIPLIER)[-1], A0=(net, "input"))
    assert design.fixed()[multiplier] == "X4/Y10/MULT18_0"


def test_what_reaches_everywhere_does_not_draw_a_cell() -> None:
    design = Design()
    net = design.net()
    design.add(REGISTER, "X119/Y58/SLICEA.FF0", Q=(net, "output"))
    for _ in range(FEW):
        design.add(REGISTER, "X119/Y58/SLICEA.FF0", DI=(net, "input"))
    here = design.net()
    design.add(REGISTER, "X4/Y10/SLICEA.FF0", Q=(here, "output"))
    multiplier = design.add(MULTIPLIER, sites(MULTIPLIER)[-1], A0=(net, "input"), A1=(here, "input"))
    assert design.fixed()[multiplier] == "X4/Y10/MULT18_0"


def test_of_two_for_one_site_the_one_with_more_wires_has_it() -> None:
    design = Design()
    one = design.wired(MULTIPLIER, ["X4/Y10/SLICEA.FF0"])
    many = design.wired(MULTIPLIER, ["X4/Y10/SLICEA.FF0"] * 5)
    assert design.fixed() == {many: "X4/Y10/MULT18_0", one: "X5/Y10/MULT18_1"}


def test_a_block_ram_follows_the_multiplier_that_it_feeds() -> None:
    design = Design()
    net = design.net()
    design.add(BLOCK_RAM, sites(BLOCK_RAM)[0], DOA0=(net, "output"))
    multiplier = design.wired(MULTIPLIER, ["X119/Y58/SLICEA.FF0"] * 2)
    design.cells[multiplier]["port_directions"]["B0"] = "input"
    design.cells[multiplier]["connections"]["B0"] = [net]
    given = design.fixed()
    assert given[multiplier].startswith("X119/Y58/")
    assert given["cell_0"] in ("X120/Y70/EBR3", "X118/Y70/EBR2", "X120/Y46/EBR3", "X118/Y46/EBR2")


@given(
    wires=st.lists(
        st.lists(st.tuples(st.integers(1, 125), st.integers(1, 94)), max_size=4),
        min_size=1,
        max_size=len(sites(MULTIPLIER)),
    )
)
def test_no_two_share_a_site(wires: list[list[tuple[int, int]]]) -> None:
    design = Design()
    for places in wires:
        design.wired(MULTIPLIER, [f"X{x}/Y{y}/SLICEA.FF0" for x, y in places])
    given_sites = list(design.fixed().values())
    assert len(given_sites) == len(set(given_sites)) == len(wires)
    assert set(given_sites) <= set(sites(MULTIPLIER))
