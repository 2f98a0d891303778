"""Netlists that nextpnr would place wrongly, or not at all."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Const, Module, Signal, Value, signed
from hypothesis import given
from hypothesis import strategies as st

from kronborg_hdl.zynq.netlist import LONGEST, register_delays, shorten, synthesis


def cascade(length: int) -> dict:
    """Slices that add to their neighbour's sum, the first alone."""
    cells, free = {}, 10
    for number in range(length):
        previous = cells.get(f"slice{number - 1}")
        result, out = list(range(free, free + 48)), list(range(free + 48, free + 96))
        free += 96
        cells[f"slice{number}"] = {
            "type": "DSP48E1",
            "parameters": {"CREG": "0"},
            "port_directions": {"PCOUT": "output", "P": "output"},
            "connections": {
                "P": result[:40] if number % 2 else result,
                "PCOUT": out,
                "PCIN": previous["connections"]["PCOUT"] if previous else ["0"] * 48,
                "C": ["0"] * 48,
                "OPMODE": list("1010100" if previous else "1010000"),
            },
        }
    return {"cells": cells, "netnames": {"all": {"bits": list(range(2, free))}}}


def sources(module: dict, name: str) -> tuple[str, str]:
    """Which port a slice adds to, and whose sum that is."""
    cell = module["cells"][name]["connections"]
    port = {"100": "PCIN", "110": "C", "000": "none"}["".join(cell["OPMODE"][4:])]
    for other, giver in module["cells"].items():
        given = giver["connections"].get("PCOUT" if port == "PCIN" else "P")
        if port != "none" and cell[port] == given:
            return port, other
    return port, ""


@pytest.mark.parametrize(("length", "cut"), [(1, 0), (10, 0), (11, 1), (20, 1), (21, 2), (33, 3)])
def test_no_cascade_is_longer_than_a_column_has_slices_and_every_sum_is_still_added(length: int, cut: int) -> None:
    module = cascade(length)
    assert shorten(module) == cut
    run = 1
    for number in range(1, length):
        port, giver = sources(module, f"slice{number}")
        assert giver == f"slice{number - 1}"
        run = run + 1 if port == "PCIN" else 1
        assert run <= LONGEST
        if port == "C":
            assert module["cells"][f"slice{number}"]["connections"]["PCIN"] == ["0"] * 48
    numbers = [bit for cell in module["cells"].values() for bit in cell["connections"]["P"]]
    assert len(set(numbers)) == len(numbers), "nets that were added are new ones"


def test_short_cascades_stay_as_they_are() -> None:
    module = cascade(10)
    before = copy.deepcopy(module)
    shorten(module)
    assert module == before


def test_a_slice_whose_operand_c_is_used_is_refused() -> None:
    module = cascade(11)
    module["cells"]["slice10"]["connections"]["C"][3] = 5
    with pytest.raises(ValueError, match="slice10 is slice 11 of a cascade and uses its operand C"):
        shorten(module)


@pytest.mark.parametrize("operand", ["A", "B"])
def test_a_cascade_of_operands_is_refused(operand: str) -> None:
    module = cascade(2)
    module["cells"]["slice0"]["connections"][f"{operand}COUT"] = list(range(1000, 1030))
    module["cells"]["slice1"]["connections"][f"{operand}CIN"] = list(range(1000, 1030))
    with pytest.raises(ValueError, match="slice1 takes an operand from its neighbour"):
        shorten(module)


def delay_line(stages: int, *, q31: bool = False, init: str = "") -> dict:
    """Net 4 is net 3, so many clocks later; of Q31 it is 32, whatever the address."""
    small = stages <= 16 and not q31
    address = [str((stages - 1) >> place & 1) for place in range(4 if small else 5)]
    pins = {f"A{place}": [bit] for place, bit in enumerate(address)} if small else {"A": address}
    outputs = {"Q": [5], "Q31": [4]} if q31 else {"Q": [4]}
    cell = {
        "type": "SRL16E" if small else "SRLC32E",
        "parameters": {"INIT": init or "x" * (16 if small else 32)},
        "port_directions": {**dict.fromkeys((*pins, "CE", "CLK", "D"), "input"), **dict.fromkeys(outputs, "output")},
        "connections": {**pins, "CE": [6], "CLK": [2], "D": [3], **outputs},
    }
    port = {"direction": "output", "bits": [4]}
    return {"cells": {"delay": cell}, "ports": {"out": port}, "netnames": {"all": {"bits": list(range(2, 7))}}}


def run(module: dict, bits: list[int], enables: list[int]) -> list[int]:
    """What net 4 is before each clock; `bits` are net 3."""
    shifts = {name: cell for name, cell in module["cells"].items() if cell["type"] == "SRLC32E"}
    last = {name: cell for name, cell in module["cells"].items() if cell["type"] == "FDRE"}
    state = {name: [int(bit) for bit in cell["parameters"]["INIT"][::-1]] for name, cell in module["cells"].items()}
    seen = []
    for bit, enable in zip(bits, enables, strict=True):
        nets = {3: bit, **{cell["connections"]["Q"][0]: state[name][0] for name, cell in last.items()}}
        for name, cell in shifts.items():
            length = int("".join(cell["connections"]["A"][::-1]), 2)
            nets[cell["connections"]["Q"][0]] = state[name][length]
        seen.append(nets[4])
        if enable:
            for name, cell in module["cells"].items():
                state[name] = [nets[cell["connections"]["D"][0]], *state[name][:-1]]
    return seen


@given(
    st.integers(2, 32), st.booleans(), st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1), st.data()
)
def test_a_delay_ends_in_a_register_and_is_as_long_as_before(
    stages: int, q31: bool, steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    width = 16 if stages <= 16 and not q31 else 32
    init = data.draw(st.text("01", min_size=width, max_size=width))
    module = delay_line(stages, q31=q31, init=init)
    assert register_delays(module) == 1
    last = module["cells"]["delay.last"]["connections"]
    shift = module["cells"]["delay"]
    assert last["D"] == shift["connections"]["Q"]
    assert last["Q"] == [4]
    assert "Q31" not in shift["connections"]
    assert last["CE"] == shift["connections"]["CE"] == [6]
    assert last["C"] == [2]
    bits, enables = [bit for bit, _ in steps], [enable for _, enable in steps]
    line = [int(bit) for bit in init[::-1]][: 32 if q31 else stages]
    expected = []
    for bit, enable in steps:
        expected.append(line[-1])
        line = [bit, *line[:-1]] if enable else line
    assert run(module, bits, enables) == expected


def test_what_a_delay_begins_with_is_zero_if_nobody_says() -> None:
    module = delay_line(5)
    register_delays(module)
    assert run(module, [1] * 8, [1] * 8) == [0, 0, 0, 0, 0, 1, 1, 1]


def test_a_delay_that_changes_is_refused() -> None:
    module = delay_line(5)
    module["cells"]["delay"]["connections"]["A1"] = [3]
    with pytest.raises(ValueError, match="delay is no delay of one length"):
        register_delays(module)


def test_a_delay_that_is_used_at_two_places_is_refused() -> None:
    module = delay_line(32, q31=True)
    module["ports"]["out"]["bits"].append(5)
    with pytest.raises(ValueError, match="delay is no delay of one length"):
        register_delays(module)


def test_a_shift_register_of_one_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="delay is a single register"):
        register_delays(delay_line(1))


def test_a_shift_register_of_the_falling_edge_is_refused() -> None:
    module = delay_line(5)
    module["cells"]["delay"]["parameters"]["IS_CLK_INVERTED"] = "1"
    with pytest.raises(ValueError, match="delay shifts at the falling edge"):
        register_delays(module)


def synthesised(script: str, folder: Path) -> tuple[int, str]:
    """Sums of products, each in a slice, by a script of Yosys: its exit code, and what it said."""
    m = Module()
    m.domains.sync = sync = ClockDomain("sync", reset_less=True)
    enable, factors = Signal(), [Signal(signed(18), name=f"factor_{n}") for n in range(6)]
    total: Value = Const(1 << 16, signed(40))
    for n in range(3):
        product, following = Signal(signed(36)), Signal(signed(40), name=f"total_{n}")
        with m.If(enable):
            m.d.sync += product.eq(factors[2 * n] * factors[2 * n + 1]), following.eq(total + product)
        total = following
    result = Signal(signed(40))
    m.d.comb += result.eq(total)
    ports = {port.name: (port, None) for port in (sync.clk, enable, *factors, result)}
    (folder / "sums.il").write_text(rtlil.convert(m, name="sums", ports=ports))
    (folder / "sums.ys").write_text(f"read_rtlil sums.il\n{script}write_json netlist.json\n")
    yosys = "from pyosys import libyosys as y; y.run_pass('script sums.ys', y.Design())"
    ran = subprocess.run([sys.executable, "-c", yosys], cwd=folder, check=False, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def test_a_sum_that_a_slice_takes_keeps_its_sign(tmp_path: Path) -> None:
    """The second sum reads it in bits that Yosys left without a driver, which made them zero."""
    assert synthesised(synthesis("sums"), tmp_path)[0] == 0
    netlist = json.loads((tmp_path / "netlist.json").read_text())["modules"]["sums"]
    assert "DSP48E1" in {cell["type"] for cell in netlist["cells"].values()}
    assert "x" not in netlist["netnames"]["total_0"]["bits"]


def test_a_bit_that_is_read_and_has_no_driver_ends_the_synthesis(tmp_path: Path) -> None:
    as_yosys_does = synthesis("sums").replace("wreduce t:$*dff*\n", "")
    assert as_yosys_does != synthesis("sums")
    status, said = synthesised(as_yosys_does, tmp_path)
    assert status != 0
    assert "is used but has no driver" in said
    assert "ERROR: Found" in said
