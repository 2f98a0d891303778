"""Write an overlay's files for a board: Verilog, hardware description, constraints, Vivado script and manifest.

With ``--tool nextpnr`` the bitstream of a Zynq-7000 too, and no Vivado script.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from kronborg.board.pynq import overlays
from kronborg.console.atomic import write_bytes, write_text
from kronborg.errors import InputError

from ..boards import BOARDS, Board
from ..overlays.build import files
from ..overlays.gateware import GATEWARE
from ..overlays.manifest import BUILT, NOT_BUILT
from ..zynq.flow import find_tools
from ..zynq.package import package

VIVADO, NEXTPNR = "vivado", "nextpnr"


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
    parser.add_argument("--lanes", type=int, metavar="N", help="samples per clock (default: the board's)")
    parser.add_argument(
        "--tool",
        choices=(VIVADO, NEXTPNR),
        default=VIVADO,
        help="vivado: write its script, run nothing; nextpnr: build the bitstream of a Zynq-7000 (default %(default)s)",
    )
    parser.add_argument("--nextpnr", metavar="FILE", help="nextpnr-himbaechel (default: from PATH)")
    parser.add_argument("--chipdb", metavar="FILE", help="nextpnr's chip database of the device")
    parser.add_argument("--bits", metavar="DIR", help="Project X-Ray's bit database of the device's family")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of nextpnr's placement (default %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    board = BOARDS[options.board]
    try:
        if options.lanes is not None:
            board = replace(board, lanes=options.lanes)
        if options.tool == NEXTPNR:
            return _bitstream(options, board)
        texts = files(options.overlay, board)
    except ValueError as error:
        raise InputError(str(error)) from None
    folder = _folder(options)
    for name, text in texts.items():
        write_text(folder / name, text)
    if options.out is None:
        stand_in, text = overlays.stand_in(options.overlay)
        _make(stand_in.parent)
        write_text(stand_in, text)
    print(f"{options.overlay} for {board.title}, {NOT_BUILT}: {', '.join(texts)} in {folder}")
    print(f"A bitstream needs Vivado: cd {folder} && vivado -mode batch -source kronborg_{options.overlay}.tcl")
    return 0


def _bitstream(options: argparse.Namespace, board: Board) -> int:
    """Nothing is written until everything is there."""
    tools = find_tools(options.nextpnr, options.chipdb, options.bits)
    folder = _folder(options)
    contents, reached_hz = package(options.overlay, board, tools, seed=options.seed)
    for name, data in contents.items():
        write_bytes(folder / name, data)
    print(
        f"{options.overlay} for {board.title}, {BUILT}, {reached_hz / 1e6:.1f} MHz: {', '.join(contents)} in {folder}"
    )
    print("Nobody has run it on a board yet.")
    return 0


def _folder(options: argparse.Namespace) -> Path:
    """Where the files go; it is made."""
    return _make(overlays.folder(options.overlay) if options.out is None else Path(options.out))


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {str(folder)!r}: {error.strerror}; name another directory with --out") from None
    return folder
