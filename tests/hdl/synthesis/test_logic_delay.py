from typing import Any

import pytest

from kronborg_hdl.synthesis.logic_delay import paths
from kronborg_hdl.synthesis.netlist import Cell


def cell(kind: str, inputs: dict[str, list], outputs: dict[str, list], **parameters: int) -> Cell:
    return {
        "type": kind,
        "parameters": {name: f"{value:032b}" for name, value in parameters.items()},
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": inputs | outputs,
    }


def lut(inputs: list[int], output: int) -> Cell:
    return cell(f"LUT{len(inputs)}", {f"I{n}": [bit] for n, bit in enumerate(inputs)}, {"O": [output]})


def register(d: int, q: int, **others: list[int]) -> Cell:
    return cell("FDRE", {"C": [1], "D": [d], **others}, {"Q": [q]})


def carry(ci: int | str, s: list[int | str], o: list[int], co: list[int]) -> Cell:
    return cell("CARRY4", {"CI": [ci], "CYINIT": ["0"], "DI": ["0"] * 4, "S": s}, {"O": o, "CO": co})


def multiplier(a: int, b: int, p: int, **registers: int) -> Cell:
    return cell("DSP48E1", {"CLK": [1], "A": [a], "B": [b], "C": ["0"]}, {"P": [p]}, **registers)


def longest(*cells: Cell) -> tuple[float, str]:
    found = paths({str(n): entry for n, entry in enumerate(cells)}, {}, longer_than=0.0)
    return found[0].ns, found[0].cells


def test_a_path_is_the_sum_of_its_cells_from_clock_to_clock() -> None:
    ways = (register(2, 3), lut([3, 5], 4), lut([4], 6), register(6, 7))
    assert longest(*ways) == (0.75, "register, 2 x LUT, register")


def test_the_longer_of_two_ways_counts_and_a_reset_is_wanted_earlier() -> None:
    assert longest(register(2, 3), lut([3], 4), lut([3, 4], 5), register(5, 6))[0] == 0.75
    assert longest(register(2, 3), register("0", 6, R=[3]))[0] == 0.75


def test_a_carry_chain_costs_its_entry_its_length_and_its_exit() -> None:
    chain = [
        carry(
            20 + 4 * n - 1 if n else "0",
            [8 + 4 * n + k for k in range(4)],
            [40 + 4 * n + k for k in range(4)],
            [20 + 4 * n + k for k in range(4)],
        )
        for n in range(3)
    ]
    assert longest(register(2, 8), *chain, register(51, 60)) == (1.41, "register, carry chain, register")
    own = carry("0", ["0", "0", "0", 11], [40, 41, 42, 43], [20, 21, 22, 23])
    assert longest(register(2, 11), own, register(43, 60))[0] == 0.68


@pytest.mark.parametrize(
    ("registers", "ns", "words"),
    [
        ({}, 3.42, "register, LUT, multiplier, register"),
        ({"AREG": 1, "BREG": 1}, 3.05, "multiplier, register"),
        ({"MREG": 1}, 1.92, "register, LUT, multiplier"),
        ({"MREG": 1, "AREG": 1, "BREG": 1}, 1.77, "adder of a multiplier, register"),
        ({"PREG": 1}, 3.24, "register, LUT, multiplier"),
        ({"AREG": 1, "BREG": 1, "MREG": 1, "PREG": 1}, 0.82, "register, LUT, multiplier"),
    ],
)
def test_of_a_multiplier_its_registers_count(registers: dict[str, int], ns: float, words: str) -> None:
    found = longest(register(2, 3), lut([3], 4), multiplier(4, 3, 5, **registers), register(5, 6))
    assert (round(found[0], 2), found[1]) == (ns, words)


@pytest.mark.parametrize(("registered", "ns"), [(0, 2.70), (1, 1.13)])
def test_of_a_block_ram_its_output_register_counts(registered: int, ns: float) -> None:
    memory = cell("RAMB18E1", {"ADDRARDADDR": [2]}, {"DOADO": [3]}, DOA_REG=registered)
    found = paths({"m": memory, "l": lut([3], 4), "r": register(4, 5)}, {}, longer_than=0.0)
    assert found[0].ns == ns


def test_distributed_memory_is_read_at_once_and_a_shift_register_is_slow() -> None:
    memory = cell("RAM32M", {"ADDRA": [3], "DIA": [8], "WCLK": [1]}, {"DOA": [4]})
    assert longest(register(2, 3), memory, register(4, 5)) == (1.25, "distributed memory, register")
    shift = cell("SRL16E", {"A0": ["0"], "D": [3], "CLK": [1]}, {"Q": [4]})
    assert longest(register(2, 3), shift, lut([4], 5), register(5, 6))[0] == 1.72


def test_only_long_paths_are_listed_the_worst_first_and_one_for_each_end() -> None:
    names: dict[int, Any] = {3: "begin", 10: "end", 12: "other"}
    cells = [
        register(2, 3),
        lut([3], 4),
        lut([4], 5),
        register(5, 10),
        register(4, 10),
        register(4, 12),
        register(3, 14),
    ]
    found = paths({str(n): entry for n, entry in enumerate(cells)}, names, longer_than=0.5)
    assert [(path.begins, path.ends, path.ns) for path in found] == [("begin", "end", 0.75), ("begin", "other", 0.6)]
    assert str(found[0]) == "begin to end: register, 2 x LUT, register; 0.8 ns in cells"
