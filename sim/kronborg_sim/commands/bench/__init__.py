"""Measure what is claimed: the gateware on its models and its Verilog, post-processing on this machine.

A bench is a module with a docstring, ``add_arguments(parser)`` and ``run(options, progress) -> Outcome``. What it needs
beyond numpy it imports when it runs.
"""

from __future__ import annotations

import argparse
import json
import sys

from kronborg.console.atomic import check_writable, write_text
from kronborg.console.progress import RunProgress
from kronborg.errors import InputError, KronborgError

from . import (
    arm,
    crash,
    distillation,
    encryptors,
    entropy,
    estimation,
    farm,
    fuzz,
    gaussian,
    kme,
    ledger,
    netlist,
    phase,
    privacy_amplification,
    proofs,
    receiver,
    reconciliation,
    relay,
    rtl,
    scale,
)

BENCHES = {
    "gaussian": gaussian,
    "entropy": entropy,
    "rtl": rtl,
    "netlist": netlist,
    "proofs": proofs,
    "privacy-amplification": privacy_amplification,
    "estimation": estimation,
    "reconciliation": reconciliation,
    "farm": farm,
    "arm": arm,
    "phase": phase,
    "ledger": ledger,
    "receiver": receiver,
    "distillation": distillation,
    "kme": kme,
    "relay": relay,
    "scale": scale,
    "crash": crash,
    "encryptors": encryptors,
    "fuzz": fuzz,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    benches = parser.add_subparsers(metavar="WHAT", required=True)
    for name, module in BENCHES.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        options = benches.add_parser(name, help=summary, description=summary)
        module.add_arguments(options)
        options.add_argument("--json", metavar="FILE", help="write the figures as JSON (- for standard output)")
        options.add_argument("--plain", action="store_true", help="lines instead of progress bars")
        options.set_defaults(bench=name)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code.

    Raises:
        KronborgError: the bench found that a claim does not hold; table and figures are out by then.
    """
    to_stdout = options.json == "-"
    # What cannot be written is better said before the work than after.
    if options.json and not to_stdout:
        check_writable(options.json)
    with RunProgress(plain=options.plain) as progress:
        try:
            outcome = BENCHES[options.bench].run(options, progress)
        except ModuleNotFoundError as error:
            # A bench names the extra that it needs beyond the command's own.
            extra = getattr(BENCHES[options.bench], "EXTRA", "")
            if not extra or str(error.name).startswith("kronborg"):
                raise
            wants = f"{options.bench} needs the extra '{extra}' ({error.name} is missing)"
            raise InputError(f"{wants}: pip install 'kronborg[{extra}]'") from None
    for quantity, value in outcome.table:
        print(f"{quantity:<22}{value}".rstrip(), file=sys.stderr if to_stdout else sys.stdout)
    text = json.dumps(outcome.figures, indent=2, allow_nan=False) + "\n"
    if to_stdout:
        print(text, end="")
    elif options.json:
        write_text(options.json, text)
    if outcome.fault:
        raise KronborgError(f"{options.bench} failed: {outcome.fault}")
    return 0
