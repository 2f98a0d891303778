"""A core's netlist as Verilog that can be simulated: mapped to a device's cells, and those replaced by what they do.

What the cells do is said by the models that come with Yosys. They are read, given their parameters and flattened into
the netlist, so that the harness of :mod:`.model` runs it as it runs the RTL.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from kronborg_hdl.axi.skin import Core, Skin
from kronborg_hdl.synthesis.place_and_route import SYNTHESIS, command_of, synthesise
from kronborg_hdl.zynq.flow import prepare
from kronborg_hdl.zynq.netlist import synthesis

from .block_rams import DP16KD
from .block_rams_xc7 import RAMB

_WAIVED = (
    "WIDTH",
    "UNUSED",
    "UNDRIVEN",
    "UNOPTFLAT",
    "CMPCONST",
    "CASEOVERLAP",
    "DECLFILENAME",
    "ASCRANGE",
    "PROCASSINIT",
    "SYNCASYNCNET",
)
_NO_LINT = " ".join(f"/* verilator lint_off {code} */" for code in _WAIVED)
_YOSYS = "from pyosys import libyosys as y; y.run_pass('script netlist.ys', y.Design())"
_MAP = f"""read_rtlil core.il
{synthesis("{top}", "-noclkbuf")}write_json -noscopeinfo netlist.json
"""
_SCRIPT = """read_json netlist.json
select {top}
write_rtlil -selected mapped.il
design -reset
read_rtlil mapped.il
delete t:$scopeinfo
setundef -zero
read_verilog -icells own.v
read_verilog -nooverwrite {models}
hierarchy -check -top {top}
proc
flatten
delete t:$scopeinfo
opt_expr
opt_clean -purge
write_verilog -noattr netlist.v
"""
"""Of the pins and wires within each cell only what carries something is left: a quarter of the text, and half the time
to compile it."""

_FACTORS = "".join(f", A{bit}, B{bit}" for bit in range(18))
_WORDS = {factor: f"{{{', '.join(f'{factor}{bit}' for bit in reversed(range(18)))}}}" for factor in "AB"}
_PRODUCT = "".join(f", P{bit}" for bit in range(36))
_MULTIPLIER = f"""
module MULT18X18D(input SIGNEDA, SIGNEDB{_FACTORS}, output{_PRODUCT[1:]},
  input SOURCEA, SOURCEB, CLK0, CE0, CE1, RST0{"".join(f", C{bit}" for bit in range(18))});
  parameter REG_INPUTA_CLK = "NONE";
  parameter REG_INPUTB_CLK = "NONE";
  parameter REG_PIPELINE_CLK = "NONE";
  parameter REG_PIPELINE_CE = "CE0";
  reg [17:0] laterA = 18'd0, laterB = 18'd0;
  always @(posedge CLK0) if (CE0) begin
    laterA <= {_WORDS["A"]};
    laterB <= {_WORDS["B"]};
  end
  wire [17:0] a = REG_INPUTA_CLK == "CLK0" ? laterA : {_WORDS["A"]};
  wire [17:0] b = REG_INPUTB_CLK == "CLK0" ? laterB : {_WORDS["B"]};
  wire signed [18:0] x = {{SIGNEDA & a[17], a}};
  wire signed [18:0] y = {{SIGNEDB & b[17], b}};
  wire signed [37:0] product = x * y;
  reg [35:0] laterP = 36'd0;
  always @(posedge CLK0) if (REG_PIPELINE_CE == "CE1" ? CE1 : CE0) laterP <= product[35:0];
  assign {{{", ".join(f"P{bit}" for bit in reversed(range(36)))}}} =
    REG_PIPELINE_CLK == "CLK0" ? laterP : product[35:0];
endmodule
"""
"""Yosys has no model of it, and uses it without its registers: Lattice FPGA-TN-02205. Those are of
:mod:`kronborg_hdl.synthesis.multiplier_registers`, which never resets them."""

_CLOCK_BUFFER = """
module DCCA(input CLKI, input CE, output CLKO);
  assign CLKO = CLKI & CE;
endmodule
"""
"""Yosys' is a black box. Its gate is always open: :mod:`kronborg_hdl.synthesis.global_nets`."""

_ECP5_MODELS = "+/ecp5/cells_sim.v"
_ECP5_OWN = _MULTIPLIER + DP16KD + _CLOCK_BUFFER


def _xc7(rtlil: str, top: str, folder: Path) -> None:
    """As it is for bitstreams, but that it has neither pins nor a clock's buffer."""
    (folder / "core.il").write_text(rtlil)
    _yosys(_MAP, top, folder)
    file = folder / "netlist.json"
    modules = json.loads(file.read_text())
    try:
        prepare(modules["modules"][top])
    except ValueError as error:
        raise RuntimeError(f"the netlist of {top} cannot be placed: {error}") from None
    file.write_text(json.dumps(modules))


def _ecp5(rtlil: str, top: str, folder: Path, **how: bool) -> None:
    """As it is for the rows of timing, and for bitstreams of large designs."""
    synthesise(rtlil, top, folder, command=command_of(top, SYNTHESIS), **how)
    _leave_out_unread_outputs(folder / "netlist.json", top)


@dataclass(frozen=True)
class Family:
    """Cells that a core is mapped to.

    Attributes:
        map: of RTLIL, the name of its top module, and a folder: writes there `netlist.json`, as it would be placed.
        models: file of Yosys' share.
        own: further models, Verilog; they count where that file has one too.
    """

    map: Callable[[str, str, Path], None]
    models: str
    own: str = ""


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "xc7": Family(_xc7, "+/xilinx/cells_sim.v", RAMB),
        "ecp5": Family(partial(_ecp5, registered=True), _ECP5_MODELS, _ECP5_OWN),
        "ecp5-apart": Family(partial(_ecp5, apart=True), _ECP5_MODELS, _ECP5_OWN),
    }
)
"""By name."""


def netlist(core: Core, top: str, family: str) -> str:
    """The netlist of a core in its skin, Verilog of generic operators, with the ports of the RTL.

    Args:
        core: the core.
        top: name of the module.
        family: one of ``FAMILIES``.

    Raises:
        RuntimeError: Yosys failed, or a cell has no model; with the end of what it said.
    """
    return netlist_of(Skin(core).to_rtlil(top), top, family)


def netlist_of(rtlil: str, top: str, family: str) -> str:
    """The same of any hardware, RTLIL."""
    of = FAMILIES[family]
    with TemporaryDirectory() as name:
        folder = Path(name)
        of.map(rtlil, top, folder)
        (folder / "own.v").write_text(of.own)
        _yosys(_SCRIPT, top, folder, models=of.models)
        # The lint is for Verilog that somebody wrote.
        return f"{_NO_LINT}\n{(folder / 'netlist.v').read_text()}"


def _yosys(script: str, top: str, folder: Path, **named: str) -> None:
    (folder / "netlist.ys").write_text(script.format(top=top, **named))
    log = folder / "yosys.log"
    with log.open("wb") as file:
        done = subprocess.run([sys.executable, "-c", _YOSYS], cwd=folder, stdout=file, stderr=file, check=False)
    if done.returncode:
        said = log.read_text(errors="replace")
        raise RuntimeError(f"Yosys failed on the netlist of {top}: {said[said.rfind('ERROR:') :][-2000:]}")


def _leave_out_unread_outputs(file: Path, top: str) -> None:
    """nextpnr wants a port to be there whose net is none; Yosys wants an output to have a net, or not to be there."""
    modules = json.loads(file.read_text())
    for cell in modules["modules"][top]["cells"].values():
        for port in [port for port, way in cell["port_directions"].items() if way == "output"]:
            if cell["connections"].get(port) == ["x"]:
                del cell["connections"][port], cell["port_directions"][port]
    file.write_text(json.dumps(modules))
