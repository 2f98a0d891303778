"""Play a stimulus on a board, its RTL or its model, and compare every word with the bit-exact models."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kronborg_hdl.overlays.description import OVERLAYS

from ..board.pynq.opening import ON_BOARD, Opened, open_by_name, open_overlay
from ..console.atomic import check_writable, write_text
from ..errors import BoardError, InputError

EXTRA = "pynq"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "files", metavar="DIR", nargs="?", help="of an overlay, as kronborg build writes it (default: all overlays)"
    )
    parser.add_argument(
        "--board",
        default=ON_BOARD,
        metavar="KIND",
        help="pynq: the board that this runs on (default); rtl, model: none; rtl:BOARD for another size",
    )
    parser.add_argument("--overlay", metavar="NAME", help="this one alone, where no DIR is given")
    parser.add_argument("--seed", type=int, default=1, help="of the stimulus (default 1)")
    parser.add_argument("--json", metavar="FILE", help="write the outcome as JSON (- for standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    if options.json and options.json != "-":
        check_writable(options.json)
    if options.seed < 0:
        raise InputError(f"a seed cannot be negative: {options.seed}")
    if options.files and options.overlay:
        raise InputError("--overlay chooses where no DIR is given: leave one of them out")
    said: dict[str, Any]
    if options.files:
        said = _test(open_overlay(options.board, Path(options.files)), options)
    else:
        names = list(OVERLAYS) if options.overlay is None else [options.overlay]
        if unknown := [name for name in names if name not in OVERLAYS]:
            raise InputError(f"no overlay {unknown[0]!r}: there are {', '.join(OVERLAYS)}")
        each = [_test(open_by_name(options.board, name), options) for name in names]
        said = {
            "board": options.board,
            "overlays": each,
            "words": sum(one["words"] for one in each),
            "wrong": sum(one["wrong"] for one in each),
            "bit_exact_with_model": all(one["bit_exact_with_model"] for one in each),
        }
    if options.json == "-":
        print(json.dumps(said, indent=2))
    elif options.json:
        write_text(options.json, json.dumps(said, indent=2) + "\n")
    if said["wrong"]:
        which = [one["overlay"] for one in said.get("overlays", [said]) if one["wrong"]]
        raise BoardError(f"{said['wrong']} of {said['words']} words of {', '.join(which)} are not the model's")
    return 0


def _test(opened: Opened, options: argparse.Namespace) -> dict[str, Any]:
    """Of one overlay."""
    from ..board.pynq.selftest import TESTS

    outcome = TESTS[opened.manifest["overlay"]](opened, options.seed)
    if not outcome.wrong:
        print(f"{outcome.overlay} on {options.board}: {outcome.words} words, all the model's", file=sys.stderr)
    return {"board": options.board, **outcome.as_dict(), "clock_cycles": opened.clocks}
