"""Run Alice's end of a link: connect to Bob and answer him, until he has all his rounds."""

from __future__ import annotations

import argparse
import sys

from ..errors import InputError
from ..link.service import AliceService
from .ends import add_end_arguments, address, open_end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--connect", required=True, metavar="HOST:PORT", help="where Bob listens")
    parser.add_argument(
        "--patience", type=float, default=float("inf"), metavar="S", help="give up when Bob is away so long"
    )
    add_end_arguments(parser, "alice")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    host, port = address(options.connect)
    if not options.patience >= 0:
        raise InputError(f"a patience of {options.patience:g} s is none")
    with open_end(options, "alice") as end:
        AliceService(end).run(
            host, port, lambda line: print(line, file=sys.stderr, flush=True), patience_seconds=options.patience
        )
    return 0
