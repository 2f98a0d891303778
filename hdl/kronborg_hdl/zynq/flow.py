"""From an overlay to its bitstream for a Zynq-7000: Yosys, nextpnr's Xilinx target, and configuration frames.

nextpnr and what it needs are not packages: they are found or named. Each runs as a process of its own. The same
hardware, the same tools and the same seed give the same file.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..boards.board import Board
from ..synthesis.failure import why
from . import enables
from .bitstream import bit_file, parse
from .database import Database
from .frames import assemble, disassemble, flat
from .netlist import Netlist, register_delays, shorten, synthesis
from .top import CLOCK_NET, TOP, ZynqTop

NEXTPNR = "nextpnr-himbaechel"
MENDED = "mended"
"""What its version says where docs/boards.md was followed."""
GOAL_HZ = 100e6
"""That nextpnr is asked for where the board's clock is slower: it places better when more is asked."""
PLACER = "static"
"""nextpnr's usual one, ``heap``, begins with all cells at one point, for only the processor has a fixed place, and does
not get many apart."""
ROUTER = {
    "router2/bbMargin/x": "4",
    "router2/bbMargin/y": "6",
    "router2/histCongWeight": "4.0",
    "router2/estimateWeight": "2.0",
}
"""Settings of nextpnr's router, as a netlist may have them. A wire stays in a box around its ends, and finds no way if
that is small. What several nets have wanted before counts fourfold, or the last hundred take turns for ever; and the
way that is left to go double, or a search floods all of its box."""
_SCRIPT = f"read_rtlil top.il\n{synthesis(TOP)}write_json -noscopeinfo netlist.json\n"
_YOSYS = "from pyosys import libyosys as y; y.run_pass('script synthesis.ys', y.Design())"
_CELLS = {
    "SLICE_LUTX": "half LUT",
    "SLICE_FFX": "register",
    "CARRY4": "carry of 4",
    "DSP48E1_DSP48E1": "DSP48E1",
    "RAMB18E1_RAMB18E1": "RAMB18",
    "RAMB36E1_RAMB36E1": "RAMB36",
}
"""What a report counts, by the names that nextpnr has for the places. A look-up table is two: of 6 inputs, and of 5."""


@dataclass(frozen=True)
class Tools:
    """What is no package.

    Attributes:
        nextpnr: the program.
        chip: its database of the device.
        bits: folder of Project X-Ray's database, of the family.
    """

    nextpnr: Path
    chip: Path
    bits: Path


@dataclass(frozen=True)
class Built:
    """A bitstream, and how it came to be.

    Attributes:
        file: whole, as it is written.
        tools: versions, and hashes of what has none.
        seed: of the placement.
        utilisation: used and there, of each kind of cell that is used.
        asked_hz: of the clock.
        reached_hz: likewise, after routing.
        report: for people to read.
    """

    file: bytes
    tools: dict[str, str]
    seed: int
    utilisation: dict[str, tuple[int, int]]
    asked_hz: float
    reached_hz: float
    report: str


def find_tools(nextpnr: str | None, chip: str | None, bits: str | None) -> Tools:
    """The tools that are named; nextpnr is looked for in PATH if it is not.

    Raises:
        ValueError: one of them is missing, or not named; which, and where it comes from.
    """
    found = shutil.which(nextpnr or NEXTPNR)
    if not found:
        raise ValueError(
            f"there is no {nextpnr or NEXTPNR}: build it with HIMBAECHEL_UARCH=xilinx from "
            "https://github.com/YosysHQ/nextpnr, mended as docs/boards.md says, then put it into PATH or name it with "
            "--nextpnr; not built"
        )
    if MENDED not in (said := _nextpnr_version(Path(found))):
        raise ValueError(
            f"{found} is nextpnr {said}, and not {MENDED}: it would place shift registers where they cannot be routed, "
            "and not end; docs/boards.md says what has to be mended; not built"
        )
    if not chip or not Path(chip).is_file():
        raise ValueError(
            f"there is no chip database{f' {chip!r}' if chip else ''}: nextpnr's build makes one for the device; "
            "name it with --chipdb; not built"
        )
    if not bits or not Path(bits).is_dir():
        raise ValueError(
            f"there is no bit database{f' {bits!r}' if bits else ''}: take folder zynq7 of "
            "https://github.com/f4pga/prjxray-db and name it with --bits; not built"
        )
    return Tools(Path(found), Path(chip), Path(bits))


def build(top: ZynqTop, board: Board, tools: Tools, *, seed: int = 1) -> Built:
    """Build the bitstream of an overlay, and read it back.

    Raises:
        ValueError: the overlay does not fit the device, does not reach the board's clock, or a tool failed.
    """
    database = Database(tools.bits, board.device)
    with TemporaryDirectory() as name:
        folder = Path(name)
        synthesise(top, folder)
        cut = _prepare(folder / "netlist.json")
        _route(folder, board, tools, seed)
        found = json.loads((folder / "report.json").read_text())
        assembly = (folder / "top.fasm").read_text()
    reached = _reached(found, board)
    file = bit_file_of(assembly, database, top.name)
    used = {
        kind: (found["utilization"][cell]["used"], found["utilization"][cell]["available"])
        for cell, kind in _CELLS.items()
        if cell in found["utilization"]
    }
    return Built(
        file=file,
        tools={
            "pyosys": version("pyosys"),
            NEXTPNR: _nextpnr_version(tools.nextpnr),
            "chip database, SHA-256": sha256(tools.chip.read_bytes()).hexdigest(),
        },
        seed=seed,
        utilisation={kind: pair for kind, pair in used.items() if pair[0]},
        asked_hz=board.clock_hz,
        reached_hz=reached,
        report=_report(top.name, board, used, found, cut),
    )


def synthesise(top: ZynqTop, folder: Path) -> None:
    """Write the netlist of a device's top module, `netlist.json`, into a folder.

    Raises:
        ValueError: Yosys failed; with the end of what it said.
    """
    (folder / "top.il").write_text(top.to_rtlil())
    (folder / "synthesis.ys").write_text(_SCRIPT)
    # Yosys ends its process when it finds an error: so it has its own.
    _run([sys.executable, "-c", _YOSYS], folder, "yosys")


def prepare(module: Netlist) -> int:
    """Make a netlist one that nextpnr takes, and that routes well. It computes the same.

    Args:
        module: changed in place.

    Returns: how many cascades of sums were cut.

    Raises:
        ValueError: it has what nextpnr cannot place, or would make something else of.
    """
    cut = shorten(module)
    register_delays(module)
    enables.fold(module)
    return cut


def bit_file_of(assembly: str, database: Database, design: str) -> bytes:
    """The bitstream of features; it is read back, and has to say the same.

    Args:
        assembly: lines of FASM.
        database: of the part.
        design: its name, for the header.

    Raises:
        ValueError: features that the device does not have, or a bitstream that says something else.
    """
    features = set(flat(assembly + "\n" + database.required))
    file = bit_file(assemble(features, database), database, design=design)
    frames = parse(file).frames(database)
    read = disassemble(frames, database)
    if assemble(read, database) != frames:
        raise ValueError("the bitstream, read back, has other features than it was made of: not built")
    for tile, name, index in features - read:
        if assemble([(tile, name, index)], database):
            raise ValueError(f"the bitstream, read back, lacks {tile}.{name}[{index}]: not built")
    return file


def _run(command: list[str], folder: Path, tool: str) -> None:
    """Run a tool in a folder; what it says goes to a file there."""
    log = folder / f"{tool}.log"
    with log.open("wb") as file:
        status = subprocess.run(command, cwd=folder, stdout=file, stderr=file, check=False).returncode
    if status:
        raise ValueError(f"not built: {why(tool, status, log)}")


def _prepare(path: Path) -> int:
    """Prepare a file with a netlist, and say in it how it is routed; returns how many cascades were cut."""
    netlist = json.loads(path.read_text())
    cut = prepare(netlist["modules"][TOP])
    netlist["modules"][TOP]["settings"] = ROUTER
    path.write_text(json.dumps(netlist))
    return cut


def _route(folder: Path, board: Board, tools: Tools, seed: int) -> None:
    asked_hz = max(board.clock_hz, GOAL_HZ)
    (folder / "top.xdc").write_text(f"create_clock -period {1e9 / asked_hz:.3f} [get_nets {CLOCK_NET}]\n")
    command = [
        *(str(tools.nextpnr.resolve()), "--device", board.device, "--chipdb", str(tools.chip.resolve())),
        *("--json", "netlist.json", "-o", "xdc=top.xdc", "-o", "fasm=top.fasm"),
        *("--freq", f"{asked_hz / 1e6:g}", "--seed", str(seed), "--placer", PLACER),
        *("--report", "report.json", "--timing-allow-fail"),
    ]
    _run(command, folder, "nextpnr")


def _reached(found: dict[str, Any], board: Board) -> float:
    """Frequency of the slowest clock, with paths that nextpnr counts to none.

    The upper half of a wide memory without writes is such a path: nextpnr takes its clock for that of writes.
    """
    clocks = found["fmax"]
    if not clocks:
        raise ValueError("nextpnr found no path between registers: not built")
    reached = min(clock["achieved"] for clock in clocks.values()) * 1e6
    for path in found.get("critical_paths", []):
        if path["from"] != path["to"]:
            reached = min(reached, 1e9 / _delay(path))
    if reached < board.clock_hz:
        raise ValueError(
            f"the clock reaches {reached / 1e6:.1f} MHz of {board.clock_hz / 1e6:g}: not built; "
            "try another --seed, fewer --lanes, or a slower --clock"
        )
    return float(reached)


def _delay(path: dict[str, Any]) -> float:
    """Of a path, in nanoseconds."""
    return float(sum(step["delay"] for step in path["path"]))


def _nextpnr_version(program: Path) -> str:
    """As it says itself."""
    ran = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"\(Version ([^)]*)\)", ran.stdout + ran.stderr)
    return match[1] if match else "unknown"


def _report(name: str, board: Board, used: dict[str, tuple[int, int]], found: dict[str, Any], cut: int) -> str:
    reached = _reached(found, board)
    lines = [
        f"{name} on {board.title} ({board.device})",
        "Placed and routed by nextpnr; no vendor's tool has seen it, and nobody has run it on a board.",
        "",
        f"clock: {board.clock_hz / 1e6:g} MHz asked, {reached / 1e6:.1f} MHz reached after routing",
        *(f"{kind}: {count} of {there}" for kind, (count, there) in used.items() if count),
    ]
    if cut:
        lines.append(f"cascades of sums that were longer than a column's ten slices and go through the fabric: {cut}")
    for path in found.get("critical_paths", []):
        lines += ["", f"longest path, {path['from']} to {path['to']}: {_delay(path):.2f} ns"]
        lines += [
            f"  {step['delay']:6.3f} ns {step['type']:8} {step['to']['cell']} {step['to']['port']}"
            for step in path["path"]
        ]
    return "\n".join(lines) + "\n"
