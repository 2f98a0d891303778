"""Write an overlay's files for a board: Verilog, hardware description, constraints, Vivado script and manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from kronborg.board.pynq import overlays
from kronborg.console.atomic import write_text
from kronborg.errors import InputError

from ..boards import BOARDS
from ..overlays.build import files
from ..overlays.gateware import GATEWARE
from ..overlays.manifest import NOT_BUILT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("board", choices=BOARDS, metavar="BOARD", help=", ".join(BOARDS))
    parser.add_argument(
        "--overlay", choices=GATEWARE, default="transmitter", help=f"{', '.join(GATEWARE)} (default %(default)s)"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="where the files go; made if it is not there (default: where pynq.Overlay finds them by name)",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    by_name = options.out is None
    folder = overlays.folder(options.overlay) if by_name else Path(options.out)
    stand_in, text = overlays.stand_in(options.overlay)
    try:
        (stand_in.parent if by_name else folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {str(folder)!r}: {error.strerror}; name another directory with --out") from None
    try:
        texts = files(options.overlay, BOARDS[options.board])
    except ValueError as error:
        raise InputError(str(error)) from None
    for name, content in texts.items():
        write_text(folder / name, content)
    if by_name:
        write_text(stand_in, text)
    print(f"{options.overlay} for {BOARDS[options.board].title}, {NOT_BUILT}: {', '.join(texts)} in {folder}")
    print(f"A bitstream needs Vivado: cd {folder} && vivado -mode batch -source kronborg_{options.overlay}.tcl")
    return 0
