"""Netlists that nextpnr would place wrongly, or not at all."""

import copy

import pytest

from kronborg_hdl.zynq.netlist import LONGEST, shorten


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


def test_shift_registers_are_refused() -> None:
    module = cascade(1)
    module["cells"]["delay"] = {"type": "SRL16E", "connections": {}}
    with pytest.raises(ValueError, match="shift registers in look-up tables"):
        shorten(module)
