"""What thousands of registers share goes through the clocks' network, and arrives where it went before."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, Module, Signal

from kronborg_hdl.synthesis.global_nets import BUFFER, FEWEST, LINES, fold
from kronborg_hdl.synthesis.netlist import measure
from kronborg_hdl.synthesis.place_and_route import synthesise
from kronborg_hdl.synthesis.shift_registers import REGISTER

CLOCK, FIRST_NET, FIRST_Q = 1, 10, 1000


def registers(*groups: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    """A netlist of so many registers with these connections each."""
    cells: dict[str, Any] = {}
    for number, connections in groups:
        for _ in range(number):
            q = FIRST_Q + len(cells)
            cells[f"register_{q}"] = {
                "type": REGISTER,
                "parameters": {},
                "port_directions": dict.fromkeys(["CLK", *connections], "input") | {"Q": "output"},
                "connections": {"CLK": [CLOCK], "Q": [q], **{pin: [net] for pin, net in connections.items()}},
            }
    return {"cells": cells, "netnames": {}, "ports": {}}


def arrives(module: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What each register's pins are connected to, looked at through buffers."""
    cells = module["cells"].values()
    behind = {
        cell["connections"]["CLKO"][0]: cell["connections"]["CLKI"][0] for cell in cells if cell["type"] == BUFFER
    }
    pins = [cell["connections"] for cell in cells if cell["type"] == REGISTER]
    return [tuple((pin, behind.get(bits[0], bits[0])) for pin, bits in sorted(of.items())) for of in pins]


def buffered(module: dict[str, Any]) -> set[Any]:
    return {cell["connections"]["CLKI"][0] for cell in module["cells"].values() if cell["type"] == BUFFER}


def test_what_enables_or_resets_many_goes_through_a_buffer() -> None:
    module = registers((30, {"LSR": FIRST_NET, "CE": FIRST_NET + 1}), (10, {"LSR": FIRST_NET, "CE": FIRST_NET + 2}))
    before = arrives(deepcopy(module))
    assert fold(module, fewest=20) == 2
    assert buffered(module) == {FIRST_NET, FIRST_NET + 1}
    assert arrives(module) == before
    through = [cell for cell in module["cells"].values() if cell["type"] == REGISTER]
    assert all(cell["connections"]["LSR"] != [FIRST_NET] for cell in through)


def test_no_more_nets_than_there_are_lines_those_of_most_registers_first() -> None:
    nets = range(FIRST_NET, FIRST_NET + 10)
    module = registers(*((20 + net, {"CE": net}) for net in nets))
    before = arrives(deepcopy(module))
    assert fold(module, fewest=20) == LINES
    assert buffered(module) == set(nets[-LINES:])
    assert arrives(module) == before


def test_what_else_reads_the_net_reads_it_where_it_was() -> None:
    module = registers((20, {"CE": FIRST_NET, "DI": FIRST_NET}))
    fold(module, fewest=20)
    assert all(c["connections"]["DI"] == [FIRST_NET] for c in module["cells"].values() if c["type"] == REGISTER)


@pytest.mark.parametrize("constant", ["0", "1"])
def test_constants_need_no_line(constant: str) -> None:
    module = registers((20, {"CE": constant}), (19, {"CE": FIRST_NET}))
    before = deepcopy(module)
    assert fold(module, fewest=20) == 0
    assert module == before


@pytest.mark.parametrize(("number", "lines"), [(FEWEST - 1, 0), (FEWEST, 1)])
def test_a_core_that_is_timed_has_its_large_enables_there(number: int, lines: int, tmp_path: Path) -> None:
    m = Module()
    bits, enable, out = Signal(number, reset_less=True), Signal(), Signal()
    m.d.comb += out.eq(bits[-1])
    with m.If(enable):
        m.d.sync += bits.eq(Cat(~out, bits))
    text = rtlil.convert(m, name="top", ports={"enable": (enable, None), "out": (out, None)}, emit_src=False)
    synthesise(str(text), "top", tmp_path, registered=True)
    cells = json.loads((tmp_path / "netlist.json").read_text())["modules"]["top"]["cells"]
    kinds = [cell["type"] for cell in cells.values()]
    assert (kinds.count(REGISTER), kinds.count(BUFFER)) == (number, lines)
    assert measure(cells).registers == number
