"""Play a stimulus on a board, or on its RTL, and compare every word with the bit-exact model."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from kronborg_hdl.boards import BOARDS
from kronborg_hdl.overlays.manifest import NOT_BUILT, check, load

from ..console.atomic import check_writable, write_text
from ..errors import BoardError, InputError

EXTRA = "pynq"
DEVICES = "kronborg.devices"
ON_BOARD = "pynq"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", metavar="DIR", help="of an overlay, as kronborg build writes it")
    parser.add_argument(
        "--board", default=ON_BOARD, metavar="KIND", help="pynq: the board that this runs on (default); rtl: simulated"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the stimulus (default 1)")
    parser.add_argument("--json", metavar="FILE", help="write the outcome as JSON (- for standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    if options.json and options.json != "-":
        check_writable(options.json)
    folder = Path(options.files)
    try:
        manifest = load(folder)
    except ValueError as error:
        raise InputError(str(error)) from None
    if differ := check(folder):
        raise InputError(f"{folder} is not as it was built: {', '.join(differ)}; build it again")
    board, overlay = BOARDS[manifest["board"]], manifest["overlay"]
    device, file = _open(options.board, manifest, board)

    import pynq

    from ..board.pynq.selftest import TESTS

    outcome = TESTS[overlay](pynq.Overlay(str(folder / file)), options.seed)
    said = {"board": options.board, **outcome.as_dict(), "clock_cycles": _clocks(device)}
    if options.json == "-":
        print(json.dumps(said, indent=2))
    elif options.json:
        write_text(options.json, json.dumps(said, indent=2) + "\n")
    if outcome.wrong:
        raise BoardError(f"{outcome.wrong} of {outcome.words} words of {overlay} are not the model's")
    print(f"{overlay} on {options.board}: {outcome.words} words, all of them the model's", file=sys.stderr)
    return 0


def _open(kind: str, manifest: dict[str, Any], board: Any) -> tuple[Any, str]:
    """The device, if it is a simulated one, and the file to be loaded."""
    name = f"kronborg_{manifest['overlay']}"
    if kind == ON_BOARD:
        if manifest["status"] == NOT_BUILT:
            raise InputError(f"{name} is not built for {board.title}: run {name}.tcl first, or try --board rtl")
        return None, f"{name}.bit"
    found = {point.name: point for point in entry_points(group=DEVICES)}
    if kind not in found:
        raise InputError(f"no kind of board {kind!r}: there are {', '.join([ON_BOARD, *sorted(found)])}")
    device = found[kind].load()(board)
    device.activate()
    return device, f"{name}.v"


def _clocks(device: Any) -> int | None:
    return None if device is None else int(device.gateware.clocks)
