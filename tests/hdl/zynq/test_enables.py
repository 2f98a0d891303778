"""Enables of a netlist that come through one table."""

import copy
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.zynq.enables import FEWEST, fold

SOURCES = 8
FIRST = 2
"""Number of the first source's net."""


def table(inputs: list[int | str], output: int, init: str) -> dict:
    """A look-up table, or an inverter where it has one input and says so."""
    pins = [f"I{place}" for place in range(len(inputs))]
    return {
        "type": f"LUT{len(inputs)}",
        "parameters": {"INIT": init},
        "port_directions": {**dict.fromkeys(pins, "input"), "O": "output"},
        "connections": {**{pin: [bit] for pin, bit in zip(pins, inputs, strict=True)}, "O": [output]},
    }


def inverter(source: int, output: int) -> dict:
    directions = {"I": "input", "O": "output"}
    return {
        "type": "INV",
        "parameters": {},
        "port_directions": directions,
        "connections": {"I": [source], "O": [output]},
    }


def registers(enable: int, number: int) -> dict:
    """Registers with that enable, and a source of each net that is none's output."""
    directions = {"CE": "input", "Q": "output"}
    return {
        f"register{enable}_{n}": {
            "type": "FDRE",
            "parameters": {},
            "port_directions": directions,
            "connections": {"CE": [enable], "Q": [1000 * enable + n]},
        }
        for n in range(number)
    }


def values(module: dict, sources: tuple[bool, ...]) -> dict[int | str, bool]:
    """All nets that tables make of the sources."""
    known: dict[int | str, bool] = {FIRST + n: value for n, value in enumerate(sources)} | {"0": False, "1": True}

    def value(net: int | str) -> bool:
        if net not in known:
            cell = next(c for c in module["cells"].values() if c["connections"].get("O") == [net])
            ends = cell["connections"]
            if cell["type"] == "INV":
                known[net] = not value(ends["I"][0])
            else:
                row = sum(value(ends[f"I{place}"][0]) << place for place in range(int(cell["type"][3:])))
                known[net] = cell["parameters"]["INIT"][-1 - row] == "1"
        return known[net]

    outputs = [cell["connections"]["O"][0] for cell in module["cells"].values() if "O" in cell["connections"]]
    return {net: value(net) for net in outputs}


@st.composite
def netlists(draw: st.DrawFn) -> dict:
    """Tables of sources and of each other; some of their outputs enable many registers, some few."""
    nets: list[int | str] = [*range(FIRST, FIRST + SOURCES), "0", "1"]
    cells: dict = {}
    for number in range(draw(st.integers(1, 9))):
        output = FIRST + SOURCES + number
        inputs = draw(st.lists(st.sampled_from(nets), min_size=1, max_size=4))
        if len(inputs) == 1 and isinstance(inputs[0], int) and draw(st.booleans()):
            cells[f"table{number}"] = inverter(inputs[0], output)
        else:
            init = draw(st.text("01", min_size=1 << len(inputs), max_size=1 << len(inputs)))
            cells[f"table{number}"] = table(inputs, output, init)
        nets.append(output)
    for enable in draw(st.lists(st.integers(FIRST + SOURCES, output), min_size=1, max_size=3, unique=True)):
        cells |= registers(enable, draw(st.sampled_from([1, FEWEST])))
    seen = draw(st.lists(st.integers(FIRST + SOURCES, output), unique=True))
    return {"cells": cells, "ports": {"out": {"direction": "output", "bits": seen}}, "netnames": {}}


@given(netlists())
def test_what_is_read_stays_what_it_is(module: dict) -> None:
    before = copy.deepcopy(module)
    fold(module)
    for sources in product((False, True), repeat=SOURCES):
        was, now = values(before, sources), values(module, sources)
        assert {net: now[net] for net in was if net in now} == {net: was[net] for net in now if net in was}
    assert all(cell["type"] != "LUT0" for cell in module["cells"].values())
    enables = {bit for cell in module["cells"].values() for bit in cell["connections"].get("CE", [])}
    assert enables <= now.keys()
    kept = [name for name in before["cells"] if name.startswith("register")]
    assert [name for name in module["cells"] if name.startswith("register")] == kept


def chain(sources: int) -> dict:
    """An enable through a row of tables of two inputs, each of which says that all of its sources are set."""
    cells = {"table0": table([FIRST, FIRST + 1], 100, "1000")}
    for number in range(1, sources - 1):
        cells[f"table{number}"] = table([FIRST + 1 + number, 99 + number], 100 + number, "1000")
    return {"cells": cells | registers(98 + sources, FEWEST), "ports": {}, "netnames": {}}


def test_an_enable_of_six_signals_comes_through_one_table() -> None:
    module = chain(6)
    assert fold(module) == 1
    (name,) = [name for name in module["cells"] if name.startswith("table")]
    made = module["cells"][name]
    assert (made["type"], made["connections"]["O"]) == ("LUT6", [104])
    assert sorted(made["connections"][f"I{place}"][0] for place in range(6)) == list(range(FIRST, FIRST + 6))
    assert made["parameters"]["INIT"] == "1".ljust(64, "0")


def test_an_enable_of_seven_signals_stays_as_it_is() -> None:
    module = chain(7)
    before = copy.deepcopy(module)
    assert fold(module) == 0
    assert module == before


def test_an_enable_of_few_registers_stays_as_it_is() -> None:
    module = chain(6)
    del module["cells"]["register104_0"]
    before = copy.deepcopy(module)
    assert fold(module) == 0
    assert module == before


def test_a_table_that_something_else_reads_stays() -> None:
    module = chain(4)
    module["ports"]["out"] = {"direction": "output", "bits": [101]}
    assert fold(module) == 1
    assert sorted(name for name in module["cells"] if name.startswith("table")) == ["table0", "table1", "table2"]
    assert module["cells"]["table2"]["type"] == "LUT4"


def test_logic_that_reads_enables_has_tables_of_its_own() -> None:
    cells = {
        "table0": table([FIRST, FIRST + 1], 100, "0100"),
        "table1": table([FIRST + 2, 100], 101, "0010"),
        "table2": table([FIRST + 3, 100], 102, "0100"),
        "reader1": table([FIRST + 6, 101], 301, "1000"),
        "reader2": table([FIRST + 7, 102], 302, "1000"),
    }
    out = {"direction": "output", "bits": [301, 302]}
    module = {
        "cells": cells | registers(101, FEWEST) | registers(102, FEWEST),
        "ports": {"out": out},
        "netnames": {},
    }
    before = copy.deepcopy(module)
    assert fold(module) == 2
    own = [module["cells"][f"reader{number}"]["connections"]["I1"][0] for number in (1, 2)]
    assert len({*own, 101, 102}) == 4
    for sources in product((False, True), repeat=SOURCES):
        was, now = values(before, sources), values(module, sources)
        assert [now[net] for net in (101, 102, 301, 302)] == [was[net] for net in (101, 102, 301, 302)]


def test_an_enable_of_a_single_table_that_nothing_else_reads_stays_as_it_is() -> None:
    module = chain(2)
    before = copy.deepcopy(module)
    assert fold(module) == 0
    assert module == before
