"""Shift registers in distributed memory do what the registers did: both netlists run side by side."""

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from kronborg_hdl.synthesis.shift_registers import MEMORY, REGISTER, fold

CLOCK, RESET, DATA, ENABLES = 2, 3, tuple(range(4, 12)), (12, 13, "1")
CLOCKS = 400


class Chains:
    """A netlist of chains of registers, each with its own input and its end as an output."""

    def __init__(self) -> None:
        self.module: dict[str, Any] = {"cells": {}, "netnames": {}, "ports": {}}
        self.ends: list[int] = []
        self._free = 100

    def add(self, length: int, data: int, enable: Any = "1", *, reset: bool = False, **parameters: str) -> list[str]:
        names = []
        bit = data
        for _ in range(length):
            name, q = f"register_{self._free}", self._free
            self._free += 1
            connections = {"CLK": [CLOCK], "DI": [bit], "LSR": [RESET if reset else "0"], "Q": [q]}
            if enable != "1":
                connections["CE"] = [enable]
            self.module["cells"][name] = {
                "type": REGISTER,
                "parameters": {
                    "CLKMUX": "CLK",
                    "CEMUX": "1 " if enable == "1" else "CE",
                    "LSRMUX": "LSR",
                    "REGSET": "RESET",
                    **parameters,
                },
                "attributes": {},
                "port_directions": {port: "output" if port == "Q" else "input" for port in connections},
                "connections": connections,
            }
            self.module["netnames"][name] = {"bits": [q]}
            names.append(name)
            bit = q
        self.ends.append(bit)
        self._name_ends()
        return names

    def show(self, name: str) -> None:
        """A register's output is an output of all."""
        self.ends.append(self.module["cells"][name]["connections"]["Q"][0])
        self._name_ends()

    def _name_ends(self) -> None:
        inputs = [CLOCK, RESET, *DATA, *ENABLES[:2]]
        self.module["ports"] = {"i": {"bits": inputs}, "o": {"bits": list(self.ends)}}


def run(module: dict[str, Any], ends: list[int], seed: int) -> list[list[int]]:
    """The outputs, clock by clock, for inputs drawn with this seed."""
    rng = np.random.default_rng(seed)
    cells = module["cells"].values()
    nets: dict[Any, int] = {"0": 0, "1": 1}
    state = {
        id(cell): [0] * 16 if cell["type"] == MEMORY else int(cell["parameters"].get("REGSET") == "SET")
        for cell in cells
    }
    seen = []
    for _ in range(CLOCKS):
        nets |= {bit: int(rng.integers(2)) for bit in (*DATA, *ENABLES[:2])}
        nets[RESET] = int(rng.random() < 0.05)
        for kind in (REGISTER, "LUT4", MEMORY):  # what reads comes behind what is read
            for cell in cells:
                if cell["type"] == kind:
                    _drive(cell, state[id(cell)], nets)
        seen.append([nets[bit] for bit in ends])
        state = {id(cell): _clocked(cell, state[id(cell)], nets) for cell in cells}
    return seen


def _word(bits: list[Any], nets: dict[Any, int]) -> int:
    return sum(nets[bit] << place for place, bit in enumerate(bits))


def _drive(cell: dict[str, Any], state: Any, nets: dict[Any, int]) -> None:
    pins = cell["connections"]
    if cell["type"] == REGISTER:
        nets[pins["Q"][0]] = state
    elif cell["type"] == MEMORY:
        word = state[_word(pins["RAD"], nets)]
        nets.update({bit: word >> place & 1 for place, bit in enumerate(pins["DO"])})
    else:
        now = _word([pins[pin][0] for pin in "ABCD"], nets)
        nets[pins["Z"][0]] = int(cell["parameters"]["INIT"], 2) >> now & 1


def _clocked(cell: dict[str, Any], state: Any, nets: dict[Any, int]) -> Any:
    pins = cell["connections"]
    if cell["type"] == MEMORY:
        if nets[pins["WRE"][0]]:
            state = list(state)
            state[_word(pins["WAD"], nets)] = _word(pins["DI"], nets)
        return state
    if cell["type"] != REGISTER:
        return state
    if nets[pins["LSR"][0]]:
        return int(cell["parameters"]["REGSET"] == "SET")
    return nets[pins["DI"][0]] if nets[pins.get("CE", ["1"])[0]] else state


def kinds(module: dict[str, Any]) -> Counter[str]:
    return Counter(cell["type"] for cell in module["cells"].values())


@pytest.mark.parametrize("seed", range(3))
def test_chains_of_all_lengths_give_the_same_words(seed: int) -> None:
    chains = Chains()
    for number, length in enumerate([*range(1, 24), 33, 34, 35, 64, 128]):
        for rail in range(3):
            chains.add(length, DATA[(number + rail) % len(DATA)], ENABLES[number % len(ENABLES)])
    wanted = run(chains.module, chains.ends, seed)
    before = kinds(chains.module)[REGISTER]
    gone = fold(chains.module)
    assert run(chains.module, chains.ends, seed) == wanted
    after = kinds(chains.module)
    counting = sum("$place$" in name for name in chains.module["cells"])
    assert after[REGISTER] == before - gone + counting
    assert gone > 0.8 * before
    assert any(any(row) for row in wanted)


def test_four_chains_that_move_together_share_a_memory_and_all_of_a_length_a_counter() -> None:
    chains = Chains()
    for rail in range(8):
        chains.add(10, DATA[rail], ENABLES[0])
    chains.add(10, DATA[0], ENABLES[1])
    assert fold(chains.module) == 9 * 9
    assert kinds(chains.module) == {MEMORY: 3, REGISTER: 9 + 2 * 4, "LUT4": 2 * 4}


@pytest.mark.parametrize(
    ("what", "length", "options"),
    [
        ("short", 4, {}),
        ("reset, as all that is secret", 20, {"reset": True}),
        ("one at the begin", 20, {"REGSET": "SET"}),
        ("on the falling edge", 20, {"CLKMUX": "INV"}),
        ("with an enable turned round", 20, {"enable": ENABLES[0], "CEMUX": "INV"}),
    ],
)
def test_other_chains_stay_registers(what: str, length: int, options: dict[str, Any]) -> None:
    chains = Chains()
    chains.add(length, DATA[0], **options)
    assert fold(chains.module) == 0
    assert kinds(chains.module) == {REGISTER: length}


def test_a_register_that_somebody_looks_at_stays() -> None:
    chains = Chains()
    names = chains.add(30, DATA[0], ENABLES[0])
    chains.show(names[12])
    wanted = run(chains.module, chains.ends, 5)
    assert fold(chains.module) > 0
    assert names[12] in chains.module["cells"]
    assert run(chains.module, chains.ends, 5) == wanted


def test_a_register_that_is_to_be_kept_stays() -> None:
    chains = Chains()
    names = chains.add(8, DATA[0])
    chains.module["cells"][names[4]]["attributes"]["keep"] = "1"
    assert fold(chains.module) == 0


def test_no_name_stands_for_a_net_that_nothing_drives() -> None:
    chains = Chains()
    names = chains.add(12, DATA[0])
    fold(chains.module)
    assert set(chains.module["netnames"]) == {names[-1]}


def test_the_netlist_is_the_same_in_every_process() -> None:
    """Python's order of a set of texts is another in each: a netlist, and so a bitstream, must not follow it."""
    chains = Chains()
    for number in range(40):
        chains.add(6 + number % 3, DATA[number % len(DATA)])
    program = "import json, sys; from kronborg_hdl.synthesis.shift_registers import fold; "
    program += "module = json.load(sys.stdin); fold(module); json.dump(module, sys.stdout)"
    folded = [
        subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(chains.module),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert MEMORY in folded[0]
    assert folded[0] == folded[1]
