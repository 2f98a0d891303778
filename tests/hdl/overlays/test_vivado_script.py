"""The Vivado script, run by a Tcl interpreter in which Vivado's commands note what they are told."""

import json
import tkinter
import warnings
from xml.etree import ElementTree

import pytest
from amaranth.hdl import UnusedElaboratable

from kronborg_hdl.axi.pages import PAGE_BYTES
from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.boards import BOARDS
from kronborg_hdl.boards.board import Board
from kronborg_hdl.overlays.description import OVERLAYS
from kronborg_hdl.overlays.gateware import GATEWARE
from kronborg_hdl.overlays.hwh import hwh
from kronborg_hdl.overlays.vivado import script

# Of a core the names of its ports are wanted, and no hardware.
warnings.simplefilter("ignore", UnusedElaboratable)

OTHERS = {
    "xilinx.com:ip:smartconnect:1.0": {"aclk": "I", "aresetn": "I", "S00_AXI": "S", "M00_AXI": "M"},
    "xilinx.com:ip:proc_sys_reset:5.0": {"slowest_sync_clk": "I", "ext_reset_in": "I", "peripheral_aresetn": "O"},
}
"""Pins of Vivado's own cells that the script may use: inputs, outputs, slaves, masters."""
PROCESSOR_OUTPUTS = {"FCLK_CLK0", "FCLK_RESET0_N", "pl_clk0", "pl_resetn0"}
TOLD = (
    *("create_project", "add_files", "create_bd_design", "create_bd_cell", "set_property", "connect_bd_net"),
    *("connect_bd_intf_net", "assign_bd_address", "validate_bd_design", "make_wrapper", "launch_runs", "wait_on_run"),
    *("open_run", "report_utilization", "report_timing_summary", "write_bitstream", "puts", "exit"),
    *("open", "close", "version", "file"),
)
NAMED = ("get_bd_cells", "get_bd_pins", "get_bd_intf_pins", "get_bd_addr_segs", "get_files", "current_fileset")


def run(text: str, **slack: str) -> list[tuple[str, ...]]:
    """What a script orders, in its order; what is named stands for itself. A kind's slack is 0.1 ns unless given."""
    orders: list[tuple[str, ...]] = []
    tcl = tkinter.Tcl()

    def tell(name: str) -> None:
        def told(*arguments: str) -> str:
            orders.append((name, *map(str, arguments)))
            if name == "exit":
                raise SystemExit
            return ""

        tcl.createcommand(name, told)

    for name in TOLD:
        tell(name)
    for name in NAMED:
        tcl.createcommand(name, lambda *arguments: " ".join(arguments))
    tcl.createcommand("get_timing_paths", lambda *arguments: arguments[-1])
    tcl.createcommand("get_property", lambda name, path: slack.get(path.removeprefix("-"), "0.1"))
    try:
        tcl.eval(text)
    except (tkinter.TclError, SystemExit):
        if orders[-1][0] != "exit":
            raise
    return orders


class Drawing:
    """The block design that the orders of a script draw."""

    def __init__(self, orders: list[tuple[str, ...]], overlay: dict[str, str]) -> None:
        self.cells: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.wires: list[tuple[str, str]] = []
        self.buses: list[tuple[str, str]] = []
        self.addresses: list[tuple[str, ...]] = []
        self.overlay = overlay
        for order, *told in orders:
            if order == "create_bd_cell":
                self.cells[told[-1]] = told[told.index("-vlnv" if "-vlnv" in told else "-reference") + 1]
            elif order == "set_property" and told[0] == "-dict":
                words = tkinter.Tcl().splitlist(told[1])
                self.settings |= dict(zip(words[::2], words[1::2], strict=True))
            elif order == "connect_bd_net":
                self.wires.append((told[0], told[1]))
            elif order == "connect_bd_intf_net":
                self.buses.append((told[0], told[1]))
            elif order == "assign_bd_address":
                self.addresses.append(tuple(told))

    def flow(self, pin: str) -> str:
        """I, O, S or M; KeyError if there is no such pin."""
        cell, _, name = pin.partition("/")
        if cell == "overlay":
            return self.overlay[name]
        if cell == "processor":
            if name.startswith(("S_AXI_", "M_AXI_")) and not name.endswith("_ACLK"):
                return name[0]
            return "O" if name in PROCESSOR_OUTPUTS else "I"
        return OTHERS[self.cells[cell]][name]


def edges(overlay: str, board: Board) -> dict[str, str]:
    """Pins and buses of the overlay's Verilog as a block design sees them."""
    found = {}
    for path, member, _ in (skin := Skin(GATEWARE[overlay](board))).signature.flatten(skin):
        name = str(path[0])
        bus = name.startswith(("s_axi", "m_axi"))
        found[name] = name[0].upper() if bus else "I" if member.flow.name == "In" else "O"
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_every_pin_address_and_clock_is_that_of_the_verilog_and_the_description(board: Board, overlay: str) -> None:
    description = OVERLAYS[overlay](board)
    drawn = Drawing(run(script(description, board)), edges(overlay, board))
    assert drawn.cells["overlay"] == f"kronborg_{overlay}"
    assert drawn.cells["processor"] == board.processor.type

    sinks = [pin for pair in drawn.wires for pin in pair if drawn.flow(pin) == "I"]
    for pair in drawn.wires:
        assert sorted(map(drawn.flow, pair)) == ["I", "O"], f"{pair}: one drives and one is driven"
    assert len(sinks) == len(set(sinks)), "nothing is driven twice"
    for pair in drawn.buses:
        assert sorted(map(drawn.flow, pair)) == ["M", "S"], f"{pair}: a master and a slave"
    wired = {pin.partition("/")[2] for pair in drawn.wires + drawn.buses for pin in pair if pin.startswith("overlay/")}
    assert wired == set(drawn.overlay), "every pin of the Verilog is connected, and no other"
    for cell, kind in drawn.cells.items():
        if kind in OTHERS and kind != "xilinx.com:ip:proc_sys_reset:5.0":
            ends = {pin for pair in drawn.wires + drawn.buses for pin in pair if pin.startswith(f"{cell}/")}
            assert ends == {f"{cell}/{pin}" for pin in OTHERS[kind]}

    (registers, rest) = drawn.addresses
    offset, size = (int(registers[registers.index(name) + 1], 0) for name in ("-offset", "-range"))
    assert rest == (), "memory has the addresses that the processor gives it"
    assert offset == board.processor.base
    assert size & (size - 1) == 0
    assert size >= len(description.pages.pages) * PAGE_BYTES
    modules = ElementTree.fromstring(hwh(description, board)).iter("MEMRANGE")
    ranges = [(int(entry.get("BASEVALUE", ""), 0), int(entry.get("HIGHVALUE", ""), 0)) for entry in modules]
    of_registers = [pair for pair in ranges if offset <= pair[0] < offset + size]
    assert of_registers, "the description has the registers where the script puts them"
    assert all(high < offset + size for _, high in of_registers)

    megahertz = [float(value) for name, value in drawn.settings.items() if name.endswith("FREQMHZ")]
    assert megahertz == [board.clock_hz / 1e6]


def test_a_design_that_is_too_slow_has_no_bitstream() -> None:
    board = BOARDS["pynq-z2"]
    text = script(OVERLAYS["pulse_shaper"](board), board)
    orders = run(text)
    assert orders[-1] == ("write_bitstream", "-force", "kronborg_pulse_shaper.bit")
    (said,) = [order[-1] for order in orders if order[0] == "puts"]
    assert json.loads(said) == {"vivado": "", "setup_slack_ns": 0.1}
    for kind in ("setup", "hold"):
        *_, said, left = run(text, **{kind: "-0.25"})
        assert said == ("puts", f"timing of {kind} is missed by 0.25 ns: no bitstream")
        assert left == ("exit", "1")
        *_, said, left = run(text, **{kind: ""})
        assert said == ("puts", f"there is no path of {kind}: no bitstream")
        assert left == ("exit", "1")
