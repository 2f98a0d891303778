"""The whole device: every pin of the processor that is used is one that it has, and what cannot be built is refused."""

import re
from pathlib import Path

import pyosys
import pytest

from kronborg_hdl.boards import BOARDS
from kronborg_hdl.overlays.gateware import GATEWARE
from kronborg_hdl.zynq.top import ZynqTop

BOARD = BOARDS["pynq-z2"]
CELLS = Path(pyosys.__file__).parent / "share" / "xilinx" / "cells_xtra.v"


def processor_pins() -> dict[str, tuple[str, int]]:
    """Direction and width of each pin, as Yosys' library of cells has them."""
    module = re.search(r"module PS7\b.*?endmodule", CELLS.read_text(), re.DOTALL)[0]
    declared = re.findall(r"^\s*(input|output|inout)\s+(?:\[(\d+):0\]\s+)?(\w+);", module, re.MULTILINE)
    return {name: (direction, int(high or 0) + 1) for direction, high, name in declared}


def connections(text: str) -> dict[str, str]:
    """What the processor's pins are connected to, as RTLIL has it."""
    cell = re.search(r"cell \\PS7 .*?\n  end\n", text, re.DOTALL)[0]
    return dict(re.findall(r"connect \\(\w+) (.*)", cell))


def widths(text: str) -> dict[str, int]:
    """Of the wires of the top module."""
    top = text[text.index("module \\zynq_top") :].partition("\nend\n")[0]
    return {
        name: int(width or 1) for width, name in re.findall(r"wire (?:width (\d+) )?.*?(\\\S+)$", top, re.MULTILINE)
    }


def bits(expression: str, wires: dict[str, int]) -> int:
    """Of an expression of RTLIL: a wire, a part of one, a constant, or these in braces."""
    if expression.startswith("{"):
        parts = re.findall(r"\d+'[01]+|\\\S+(?: \[\d+(?::\d+)?\])?", expression[1:-1])
        return sum(bits(part, wires) for part in parts)
    if constant := re.fullmatch(r"(\d+)'[01]+", expression):
        return int(constant[1])
    wire, _, part = expression.partition(" ")
    if not part:
        return wires[wire]
    high, _, low = part.strip("[]").partition(":")
    return int(high) - int(low or high) + 1


@pytest.mark.parametrize("overlay", GATEWARE)
def test_every_pin_exists_and_has_its_width(overlay: str) -> None:
    core = GATEWARE[overlay](BOARD)
    text = ZynqTop(core, BOARD).to_rtlil()
    pins, found, wires = processor_pins(), connections(text), widths(text)
    for pin, expression in found.items():
        assert pin in pins, f"the processor has no {pin}"
        assert bits(expression, wires) == pins[pin][1], f"{pin} is connected to {expression}"
    given = {pin for pin, (direction, _) in pins.items() if direction == "input"}
    ports = ["MAXIGP0", *(f"SAXIHP{number}" for number in range(len(ZynqTop(core, BOARD).engines)))]
    for port in ports:
        of_port = {pin for pin in given if pin.startswith(port) and not pin.endswith(("QOS", "LOCK", "ISSUECAP1EN"))}
        assert of_port <= set(found), f"{of_port - set(found)} would be left to chance"
    assert found["IRQF2P"].startswith("{ 19'0000000000000000000 ")


def test_boards_with_other_processors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"has no Zynq-7000: xczu48dr.* needs Vivado"):
        ZynqTop(None, BOARDS["rfsoc4x2"])
