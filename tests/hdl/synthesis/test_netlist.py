import pytest

from kronborg_hdl.synthesis.netlist import Cell, logic_levels, measure


def cell(kind: str, inputs: dict[str, list], outputs: dict[str, list], **parameters: int) -> Cell:
    return {
        "type": kind,
        "parameters": {name: f"{value:032b}" for name, value in parameters.items()},
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": inputs | outputs,
    }


def lut(inputs: list[int], output: int) -> Cell:
    return cell(f"LUT{len(inputs)}", {f"I{n}": [bit] for n, bit in enumerate(inputs)}, {"O": [output]})


def register(d: int, q: int) -> Cell:
    return cell("FDRE", {"C": [1], "CE": [2], "D": [d], "R": ["0"]}, {"Q": [q]})


def carry(ci: int | str, below: int, s: list[int], o: list[int], co: list[int]) -> Cell:
    inputs = {"CI": [ci], "CYINIT": ["0"], "DI": [below] * 4, "S": s}
    return cell("CARRY4", inputs, {"O": o, "CO": co})


def level_count(*cells: Cell) -> int:
    return logic_levels({str(n): entry for n, entry in enumerate(cells)})


def test_counts_cells_in_the_units_of_a_device() -> None:
    kinds = ("LUT2", "LUT6", "INV", "SRL16E", "RAM32M", "MUXF7", "CARRY4", "FDRE", "FDSE", "DSP48E1", "RAMB18E1")
    cells = {kind: cell(kind, {}, {}) for kind in (*kinds, "RAMB36E1")}
    cells["CARRY4"]["connections"].update(S=[])
    figures = measure(cells)
    assert (figures.luts, figures.registers, figures.multipliers, figures.block_rams) == (4 + 4, 2, 1, 1 + 2)


def test_refuses_to_leave_an_unknown_cell_out() -> None:
    with pytest.raises(RuntimeError, match="cells of unknown kind: LUT9"):
        measure({"a": cell("LUT9", {}, {})})


def test_levels_are_look_up_tables_between_registers() -> None:
    one = (register(10, 11), lut([11, 3], 12), lut([12, 4], 13), register(13, 14))
    assert level_count(*one) == 2
    assert level_count(*one, lut([14, 3], 15), register(15, 16)) == 2


def test_a_wide_multiplexer_belongs_to_its_look_up_tables() -> None:
    wide = cell("MUXF7", {"I0": [10], "I1": [11], "S": [5]}, {"O": [12]})
    assert level_count(lut([3], 10), lut([4], 11), wide) == 1


def test_a_carry_chain_is_one_level_however_long() -> None:
    first = carry("0", 3, [4, 5, 6, 7], [20, 21, 22, 23], [24, 25, 26, 27])
    second = carry(27, 3, [4, 5, 6, 7], [30, 31, 32, 33], [34, 35, 36, 37])
    third = carry(37, 3, [4, 5, 6, 7], [40, 41, 42, 43], [44, 45, 46, 47])
    assert level_count(first, second, third) == 1
    assert level_count(lut([9], 7), first, second, third) == 2


def test_a_sum_does_not_wait_for_the_places_above_it() -> None:
    # The lowest sum bit goes through a look-up table to the highest place of the same carry cell: no loop.
    assert level_count(carry("0", 3, [4, 5, 6, 50], [20, 21, 22, 23], [24, 25, 26, 27]), lut([20], 50)) == 3


@pytest.mark.parametrize(
    ("parameters", "levels"),
    [
        ({}, 3),  # crossed: look-up table, multiplier, look-up table
        ({"MREG": 1}, 2),  # left through the adder behind the register
        ({"AREG": 1, "BREG": 1}, 2),
        ({"PREG": 1}, 1),
        ({"AREG": 1, "BREG": 1, "MREG": 1, "PREG": 1}, 1),
    ],
)
def test_a_multiplier_is_a_level_where_no_register_stands(parameters: dict[str, int], levels: int) -> None:
    dsp = cell("DSP48E1", {"A": [10], "B": [11]}, {"P": [12]}, **parameters)
    assert level_count(lut([3], 10), lut([4], 11), dsp, lut([12], 13)) == levels


def test_the_adder_of_a_multiplier_has_its_own_way_in() -> None:
    dsp = cell("DSP48E1", {"A": [10], "C": [11], "PCIN": [9]}, {"P": [12]}, AREG=1, MREG=1)
    assert level_count(lut([3], 8), lut([8], 11), dsp) == 3


def test_distributed_memory_is_read_at_once_and_written_later() -> None:
    memory = {"ADDRA": [10], "DIA": [11], "WE": [12], "WCLK": [1]}
    assert level_count(lut([3], 10), cell("RAM32M", memory, {"DOA": [13]})) == 2
    assert level_count(lut([3], 11), cell("RAM32M", memory, {"DOA": [13]})) == 1
    shift = cell("SRL16E", {"A0": [10], "D": [11], "CE": [12], "CLK": [1]}, {"Q": [13]})
    assert level_count(lut([3], 11), lut([4], 12), shift) == 1
    assert level_count(lut([3], 10), shift) == 2
