"""Carry chains that were made smaller add what they added: both netlists run side by side."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from kronborg_hdl.synthesis.carry_chains import CARRY, TABLE, fold

INPUTS = tuple(range(2, 26))
AT_ONCE = 4096
"""Drawn inputs, a bit of each net's number for each."""
ALL = (1 << AT_ONCE) - 1
ADDS = "1001011010101010"


class Sums:
    """A netlist of sums as Yosys makes them, of inputs and of tables of inputs."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.module: dict[str, Any] = {"cells": {}, "netnames": {}, "ports": {}}
        self.outputs: list[int] = []
        self._free = 100
        self._show()

    def _net(self) -> int:
        self._free += 1
        return self._free

    def _show(self) -> None:
        self.module["ports"] = {"i": {"bits": list(INPUTS)}, "o": {"bits": list(self.outputs)}}

    def read(self, *nets: int) -> None:
        """Somebody reads these."""
        self.outputs += nets
        self._show()

    def table(self, pins: list[Any], table: int) -> int:
        """A look-up table."""
        z = self._net()
        connections = {**{pin: [bit] for pin, bit in zip("ABCD", pins, strict=True)}, "Z": [z]}
        self.module["cells"][f"table_{z}"] = cell(TABLE, {"INIT": f"{table:016b}"}, connections, "Z")
        return z

    def add(self, x: list[Any], y: list[Any], carry: Any = "0", negative: str = "0") -> tuple[list[int], int]:
        """A chain: the nets of its sums, and of its last carry."""
        sums = []
        for first in range(0, len(x), 2):
            connections: dict[str, list[Any]] = {"CIN": [carry], "COUT": [self._net()]}
            for half, (a, b) in enumerate(zip([*x, "0"][first:], [*y, "0"][first:], strict=False)):
                if half > 1:
                    break
                s = self._net()
                connections |= {f"{pin}{half}": [bit] for pin, bit in zip("ABCD", (a, b, negative, "1"), strict=True)}
                connections[f"S{half}"] = [s]
                sums.append(s)
            parameters = {f"INIT{half}": ADDS for half in "01"} | {f"INJECT1_{half}": "NO" for half in "01"}
            name = f"carry_{self._free}"
            self.module["cells"][name] = cell(CARRY, parameters, connections, "COUT", "S0", "S1")
            self.module["netnames"][name] = {"bits": connections["COUT"]}
            (carry,) = connections["COUT"]
        return sums[: len(x)], carry

    def operand(self, bits: int, constants: float) -> list[Any]:
        """Inputs, constants and tables of inputs."""
        word: list[Any] = []
        for _ in range(bits):
            if self.rng.random() < constants:
                word.append(str(self.rng.integers(2)))
            elif self.rng.random() < 0.7:
                few = int(self.rng.integers(1, 5))
                pins = [int(pin) for pin in self.rng.choice(INPUTS, few)] + ["0"] * (4 - few)
                word.append(
                    self.table(pins, int(self.rng.choice([0x6666, 0x8888, 0xCACA, self.rng.integers(1 << 16)])))
                )
            else:
                word.append(int(self.rng.choice(INPUTS)))
        return word


def cell(kind: str, parameters: dict[str, str], connections: dict[str, list[Any]], *outputs: str) -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": parameters,
        "attributes": {},
        "port_directions": {port: "output" if port in outputs else "input" for port in connections},
        "connections": connections,
    }


def look_up(init: str, pins: list[int]) -> int:
    """Bit by bit, of a table of as many pins as it has inputs."""
    found = 0
    for state, value in enumerate(reversed(init)):
        if value == "1":
            now = ALL
            for place, pin in enumerate(pins):
                now &= pin if state >> place & 1 else ~pin
            found |= now
    return found & ALL


def run(module: dict[str, Any], outputs: list[int]) -> list[int]:
    """The outputs for all drawn inputs; Lattice FPGA-TN-02200 has the half of a carry cell."""
    rng = np.random.default_rng(1)
    nets: dict[Any, int] = {"0": 0, "1": ALL, "x": int.from_bytes(rng.bytes(AT_ONCE // 8), "little")}
    nets |= {net: int.from_bytes(rng.bytes(AT_ONCE // 8), "little") for net in INPUTS}
    left = dict(module["cells"])
    while left:
        for name, of in list(left.items()):
            pins = {port: bits[0] for port, bits in of["connections"].items()}
            if any(pins[port] not in nets for port, way in of["port_directions"].items() if way == "input"):
                continue
            del left[name]
            if of["type"] == TABLE:
                nets[pins["Z"]] = look_up(of["parameters"]["INIT"], [nets[pins[pin]] for pin in "ABCD"])
                continue
            carry = nets[pins["CIN"]]
            for half in "01":
                init, four = of["parameters"][f"INIT{half}"], [nets[pins[f"{pin}{half}"]] for pin in "ABCD"]
                p = look_up(init, four)
                nets[pins[f"S{half}"]] = p ^ carry
                carry = (p & carry) | (~p & look_up(init[-4:], four[:2]) & ALL)
            nets[pins["COUT"]] = carry
    return [nets[net] for net in outputs]


def kinds(module: dict[str, Any]) -> Counter[str]:
    return Counter(of["type"] for of in module["cells"].values())


@pytest.mark.parametrize("seed", range(4))
def test_sums_of_all_widths_stay_what_they_are(seed: int) -> None:
    sums = Sums(seed)
    rng = sums.rng
    for bits in [*range(1, 14), 24, 25] * 4:
        constants = float(rng.choice([0, 0.3, 0.8]))
        carry = rng.choice(np.array(["0", "1", INPUTS[0]], object))
        total, last = sums.add(
            sums.operand(bits, constants / 2), sums.operand(bits, constants), carry, str(rng.integers(2))
        )
        read = [net for net in total if rng.random() < 0.8]
        sums.read(*read, *[last] * int(rng.random() < 0.3))
    wanted = run(sums.module, sums.outputs)
    before = kinds(sums.module)
    gone = fold(sums.module)
    assert run(sums.module, sums.outputs) == wanted
    after = kinds(sums.module)
    # nextpnr adds a cell to a chain that begins with a constant, and to one whose last carry has a name: counted, too.
    assert gone > 0.2 * (before[TABLE] + 2 * before[CARRY])
    assert before[TABLE] + 2 * before[CARRY] - after[TABLE] - 2 * after[CARRY] <= gone
    assert pins(sums.module, "CIN") == pins(sums.module, "COUT")
    assert not {"0", "1"} & pins(sums.module, "CIN")


def pins(module: dict[str, Any], port: str) -> set[Any]:
    """What is at this port of carry cells."""
    return {bit for of in module["cells"].values() if of["type"] == CARRY for bit in of["connections"][port]}


@pytest.mark.parametrize(("bits", "cells", "tables"), [(1, 0, 1), (2, 0, 2), (7, 4, 0), (8, 4, 1), (9, 5, 0)])
def test_the_first_carry_takes_the_half_that_is_over_or_that_of_the_lowest_bit(
    bits: int, cells: int, tables: int
) -> None:
    sums = Sums()
    total, _ = sums.add(list(INPUTS[:bits]), list(INPUTS[9 : 9 + bits]))
    sums.read(*total)
    fold(sums.module)
    assert kinds(sums.module) == Counter({CARRY: cells, TABLE: tables})


def test_the_low_end_of_a_rounding_goes() -> None:
    sums = Sums()
    total, _ = sums.add(list(INPUTS[:9]), ["0", "0", "0", "1", *["0"] * 5])
    sums.read(*total[4:])
    wanted = run(sums.module, sums.outputs)
    fold(sums.module)
    assert kinds(sums.module) == {CARRY: 3}
    assert run(sums.module, sums.outputs) == wanted


@pytest.mark.parametrize(
    ("what", "tables"),
    [
        ("a mask of each operand", (0x8888, 0x8888)),
        ("a choice", (0xCACA, None)),
        ("a change of sign", (0x6666, None)),
    ],
)
def test_tables_before_a_sum_become_part_of_it(what: str, tables: tuple[int, int | None]) -> None:
    sums = Sums()
    operands: list[list[Any]] = []
    for table in tables:
        bits = [[int(pin) for pin in sums.rng.choice(INPUTS, 3, replace=False)] for _ in range(7)]
        operands.append(
            [first for first, *_ in bits] if table is None else [sums.table([*few, "0"], table) for few in bits]
        )
    total, _ = sums.add(*operands)
    sums.read(*total)
    wanted = run(sums.module, sums.outputs)
    fold(sums.module)
    assert kinds(sums.module) == {CARRY: 4}
    assert run(sums.module, sums.outputs) == wanted


def test_a_table_that_somebody_else_reads_stays() -> None:
    sums = Sums()
    masked = [sums.table([INPUTS[bit], INPUTS[20], "0", "0"], 0x8888) for bit in range(7)]
    total, _ = sums.add(list(INPUTS[7:14]), masked)
    sums.read(*total, masked[3])
    wanted = run(sums.module, sums.outputs)
    fold(sums.module)
    assert kinds(sums.module) == {CARRY: 4, TABLE: 1}
    assert run(sums.module, sums.outputs) == wanted


def test_the_last_carry_comes_out_as_one_more_sum() -> None:
    sums = Sums()
    _, last = sums.add(list(INPUTS[:8]), list(INPUTS[8:16]), "1", "1")
    sums.read(last)
    wanted = run(sums.module, sums.outputs)
    fold(sums.module)
    assert kinds(sums.module) == {CARRY: 5}
    assert run(sums.module, sums.outputs) == wanted


@pytest.mark.parametrize("what", ["a carry that is seen on the way", "another table"])
def test_other_chains_stay(what: str) -> None:
    sums = Sums()
    total, _ = sums.add(list(INPUTS[:8]), list(INPUTS[8:16]))
    sums.read(*total)
    first = next(of for of in sums.module["cells"].values())
    if what == "another table":
        first["parameters"]["INIT0"] = "0" * 16
    else:
        sums.read(*first["connections"]["COUT"])
    before = kinds(sums.module)
    assert fold(sums.module) == 0
    assert kinds(sums.module) == before
