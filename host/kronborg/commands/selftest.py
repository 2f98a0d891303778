"""Play a stimulus on a board, or on its RTL, and compare every word with the bit-exact model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..board.pynq.opening import ON_BOARD, open_overlay
from ..console.atomic import check_writable, write_text
from ..errors import BoardError

EXTRA = "pynq"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", metavar="DIR", help="of an overlay, as kronborg build writes it")
    parser.add_argument(
        "--board",
        default=ON_BOARD,
        metavar="KIND",
        help="pynq: the board that this runs on (default); rtl, model: none",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the stimulus (default 1)")
    parser.add_argument("--json", metavar="FILE", help="write the outcome as JSON (- for standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    if options.json and options.json != "-":
        check_writable(options.json)
    opened = open_overlay(options.board, Path(options.files))

    from ..board.pynq.selftest import TESTS

    overlay = opened.manifest["overlay"]
    outcome = TESTS[overlay](opened.overlay, options.seed)
    said = {"board": options.board, **outcome.as_dict(), "clock_cycles": opened.clocks}
    if options.json == "-":
        print(json.dumps(said, indent=2))
    elif options.json:
        write_text(options.json, json.dumps(said, indent=2) + "\n")
    if outcome.wrong:
        raise BoardError(f"{outcome.wrong} of {outcome.words} words of {overlay} are not the model's")
    print(f"{overlay} on {options.board}: {outcome.words} words, all of them the model's", file=sys.stderr)
    return 0
