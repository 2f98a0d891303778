"""Registers within multipliers do what the registers before them did: both netlists run side by side."""

from copy import deepcopy
from itertools import count
from typing import Any

import numpy as np
import pytest

from kronborg_hdl.synthesis.multiplier_registers import MULTIPLIER, fold, fold_products
from kronborg_hdl.synthesis.shift_registers import REGISTER

CLOCK, ENABLE, RESET, FIRST_DATA, FIRST_NET = 2, 3, 4, 10, 100
CLOCKS = 200


class Multiplied:
    """A netlist of multipliers, the factors of which are inputs that registers hold for a clock."""

    def __init__(self) -> None:
        self.module: dict[str, Any] = {"cells": {}, "netnames": {}, "ports": {}}
        self.data, self.ends = list(range(FIRST_DATA, FIRST_DATA + 36)), list[int]()
        self._net = count(FIRST_NET)

    def register(self, data: Any, enable: str = "1 ", reset: Any = "0", **parameters: str) -> int:
        q = next(self._net)
        connections = {"CLK": [CLOCK], "DI": [data], "LSR": [reset], "Q": [q]}
        if enable != "1 ":
            connections["CE"] = [ENABLE]
        told = {"CLKMUX": "CLK", "CEMUX": enable, "LSRMUX": "LSR", "REGSET": "RESET", **parameters}
        self._add(f"register_{q}", REGISTER, told, connections, {"Q"})
        return q

    def multiplier(self, a: list[Any], b: list[Any]) -> dict[str, Any]:
        product = [next(self._net) for _ in range(36)]
        pins = [(f"{factor}{bit}", net) for factor, nets in (("A", a), ("B", b)) for bit, net in enumerate(nets)]
        pins += [(f"P{bit}", net) for bit, net in enumerate(product)]
        outputs = {f"P{bit}" for bit in range(36)}
        self.ends += product
        return self._add(f"multiplier_{product[0]}", MULTIPLIER, {}, {pin: [net] for pin, net in pins}, outputs)

    def _add(
        self, name: str, kind: str, parameters: dict[str, str], connections: dict[str, list[Any]], outputs: set[str]
    ) -> dict[str, Any]:
        directions = {pin: "output" if pin in outputs else "input" for pin in connections}
        cell = {"type": kind, "parameters": parameters, "attributes": {}, "port_directions": directions}
        self.module["cells"][name] = cell | {"connections": connections}
        self.module["netnames"] |= {f"{name}.{pin}": {"bits": connections[pin]} for pin in outputs}
        inputs = [CLOCK, ENABLE, RESET, *self.data]
        self.module["ports"] = {"i": {"bits": inputs}, "o": {"bits": self.ends}}
        return self.module["cells"][name]


def run(module: dict[str, Any], seed: int) -> list[list[int]]:
    """The outputs, clock by clock, for inputs drawn with this seed."""
    rng = np.random.default_rng(seed)
    cells = module["cells"]
    nets: dict[Any, int] = {"0": 0, "1": 1}
    held = {name: [int(cell["parameters"].get("REGSET") == "SET")] * 72 for name, cell in cells.items()}
    seen = []
    for _ in range(CLOCKS):
        nets |= {bit: int(rng.integers(2)) for bit in module["ports"]["i"]["bits"]}
        for kind in (REGISTER, "LUT4", MULTIPLIER):
            for name, cell in cells.items():
                if cell["type"] == kind:
                    _drive(cell, held[name], nets)
        seen.append([nets[bit] for bit in module["ports"]["o"]["bits"]])
        held = {name: _clocked(cell, held[name], nets) for name, cell in cells.items()}
    return seen


def _drive(cell: dict[str, Any], held: list[int], nets: dict[Any, int]) -> None:
    pins = {pin: bits[0] for pin, bits in cell["connections"].items()}
    if cell["type"] == REGISTER:
        nets[pins["Q"]] = held[0]
    elif cell["type"] == "LUT4":
        nets[pins["Z"]] = int(cell["parameters"]["INIT"][::-1][nets[pins["A"]]])
    else:
        product = _product(cell, held, nets) if "REG_PIPELINE_CLK" not in cell["parameters"] else held[36:]
        nets |= {pins[f"P{bit}"]: product[bit] for bit in range(36)}


def _product(cell: dict[str, Any], held: list[int], nets: dict[Any, int]) -> list[int]:
    pins = {pin: bits[0] for pin, bits in cell["connections"].items()}
    now = held[:36] if "REG_INPUTA_CLK" in cell["parameters"] else _factors(pins, nets)
    a, b = (sum(bit << place for place, bit in enumerate(half)) for half in (now[:18], now[18:]))
    return [a * b >> bit & 1 for bit in range(36)]


def _factors(pins: dict[str, Any], nets: dict[Any, int]) -> list[int]:
    return [nets[pins[f"{factor}{bit}"]] for factor in "AB" for bit in range(18)]


def _clocked(cell: dict[str, Any], held: list[int], nets: dict[Any, int]) -> list[int]:
    pins = {pin: bits[0] for pin, bits in cell["connections"].items()}
    if cell["type"] == REGISTER:
        enabled = nets[pins["CE"]] != (cell["parameters"]["CEMUX"] == "INV") if "CE" in pins else True
        return [0] if nets[pins["LSR"]] else [nets[pins["DI"]]] if enabled else held
    if cell["type"] == MULTIPLIER and "CE0" in pins:
        assert pins["CLK0"] == CLOCK
        assert pins["RST0"] == "0"
        factors = _factors(pins, nets) if nets[pins["CE0"]] else held[:36]
        product = held[36:]
        if "CE1" in pins and nets[pins["CE1"]]:
            assert cell["parameters"]["REG_PIPELINE_CE"] == "CE1"
            product = _product(cell, held, nets)
        return factors + product
    return held


def built(enable: str = "1 ", b_enable: str | None = None, short: bool = False, **parameters: Any) -> Multiplied:
    """A multiplier behind registers; they may be different before its second factor."""
    design = Multiplied()
    a, b = design.data[:18], design.data[18:]
    ahead = (
        [design.register(bit, enable) for bit in a],
        [design.register(bit, b_enable or enable, **parameters) for bit in b],
    )
    if short:
        ahead = (ahead[0][:5] + ["0"] * 13, ahead[1])
    design.multiplier(*ahead)
    return design


@pytest.mark.parametrize("enable", ["1 ", "CE", "INV"])
@pytest.mark.parametrize("short", [False, True])
def test_registers_before_a_multiplier_go_into_it(enable: str, short: bool) -> None:
    design = built(enable, short=short)
    before = run(deepcopy(design.module), seed=1)
    assert fold(design.module) == 1
    kinds = [cell["type"] for cell in design.module["cells"].values()]
    assert REGISTER not in kinds
    assert kinds.count("LUT4") == (enable == "INV")
    assert run(design.module, seed=1) == before


def test_a_register_that_is_read_elsewhere_stays_there_too() -> None:
    design = built("CE")
    shown = next(cell["connections"]["Q"][0] for cell in design.module["cells"].values() if cell["type"] == REGISTER)
    design.ends.append(shown)
    before = run(deepcopy(design.module), seed=2)
    assert fold(design.module) == 1
    assert [cell["type"] for cell in design.module["cells"].values()].count(REGISTER) == 1
    assert run(design.module, seed=2) == before


def test_of_two_registers_in_a_row_one_goes_into_the_multiplier() -> None:
    design = Multiplied()
    words = [design.register(design.register(bit)) for bit in design.data]
    design.multiplier(words[:18], words[18:])
    design.multiplier(words[:18], words[:18])
    before = run(deepcopy(design.module), seed=3)
    assert fold(design.module) == 2
    assert [cell["type"] for cell in design.module["cells"].values()].count(REGISTER) == 36
    assert run(design.module, seed=3) == before


@pytest.mark.parametrize(
    "different",
    [
        {"b_enable": "CE"},
        {"b_enable": "INV", "enable": "CE"},
        {"reset": RESET},
        {"REGSET": "SET"},
        {"CLKMUX": "INV"},
    ],
)
def test_other_registers_stay(different: dict[str, Any]) -> None:
    design = built(**different)
    kept = deepcopy(design.module)
    assert fold(design.module) == 0
    assert design.module == kept


@pytest.mark.parametrize("bit", ["1", FIRST_DATA])
def test_a_factor_that_is_not_of_registers_alone_stays(bit: Any) -> None:
    design = built()
    multiplier = next(cell for cell in design.module["cells"].values() if cell["type"] == MULTIPLIER)
    multiplier["connections"]["A3"] = [bit]
    before = run(deepcopy(design.module), seed=4)
    assert fold(design.module) == 0
    assert run(design.module, seed=4) == before


def held_product(enable: str = "1 ", behind: str = "CE", **parameters: Any) -> Multiplied:
    """The same, with registers that hold the product."""
    design = built(enable)
    product = list(design.ends)
    design.ends[:] = [design.register(bit, behind, **parameters) for bit in product[:30]]
    return design


@pytest.mark.parametrize("enable", ["1 ", "CE"])
@pytest.mark.parametrize("behind", ["1 ", "CE"])
def test_registers_behind_a_multiplier_go_into_it(enable: str, behind: str) -> None:
    design = held_product(enable, behind)
    before = run(deepcopy(design.module), seed=5)
    assert fold(design.module) == 1
    assert fold_products(design.module) == 1
    assert [cell["type"] for cell in design.module["cells"].values()] == [MULTIPLIER]
    assert run(design.module, seed=5) == before


def test_a_product_stays_outside_where_its_factors_are_not_held() -> None:
    design = held_product()
    assert fold_products(design.module) == 0


@pytest.mark.parametrize("different", [{"reset": RESET}, {"REGSET": "SET"}, {"CLKMUX": "INV"}, {"behind": "INV"}])
def test_other_registers_behind_a_multiplier_stay(different: dict[str, Any]) -> None:
    design = held_product(**different)
    fold(design.module)
    kept = deepcopy(design.module)
    assert fold_products(design.module) == 0
    assert design.module == kept


def test_a_product_that_is_read_before_its_registers_stays() -> None:
    design = held_product()
    multiplier = next(cell for cell in design.module["cells"].values() if cell["type"] == MULTIPLIER)
    design.ends.append(multiplier["connections"]["P7"][0])
    before = run(deepcopy(design.module), seed=6)
    fold(design.module)
    assert fold_products(design.module) == 0
    assert run(design.module, seed=6) == before


def test_registers_that_do_not_move_together_stay() -> None:
    design = held_product()
    holders = [
        cell for cell in design.module["cells"].values() if cell["type"] == REGISTER and "CE" in cell["connections"]
    ]
    holders[3]["connections"]["CE"] = [RESET]
    fold(design.module)
    assert fold_products(design.module) == 0
