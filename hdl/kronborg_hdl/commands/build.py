"""Write an overlay's files for a board: Verilog, hardware description, constraints, Vivado script and manifest.

With ``--tool nextpnr`` the bitstream of a Zynq-7000 too, and no Vivado script. That of a board without a processor is
always built, with the tools of the extra `ecp5`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from kronborg.board.pynq import overlays
from kronborg.console.atomic import write_bytes, write_text
from kronborg.errors import InputError, KronborgError

from ..boards import BOARDS, FABRIC_BOARDS, Board
from ..boards.board import ZYNQ_7000
from ..dsp.rates import check_lanes
from ..overlays.build import files
from ..overlays.gateware import GATEWARE
from ..overlays.manifest import BUILT, MANIFEST, NOT_BUILT
from ..overlays.take import taken
from ..serial_board.build import DESIGNS, TimingMissedError, build
from ..zynq.flow import find_tools
from ..zynq.package import package

VIVADO, NEXTPNR = "vivado", "nextpnr"
SLOWEST_MHZ, FASTEST_MHZ = 10, 250
"""Of a fabric; a processor's clock can be faster than any overlay."""
EVERY = {**BOARDS, **FABRIC_BOARDS}
USUAL_SEED = 1
OF_NEXTPNR = ("nextpnr", "chipdb", "bits", "seed", "xz")
"""Options that mean nothing where Vivado builds."""
USUAL = "loopback"
"""Of a board without a processor, which can do a whole link alone; of the others it is the transmitter."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("board", choices=EVERY, metavar="BOARD", help=", ".join(EVERY))
    parser.add_argument(
        "--overlay",
        choices=tuple(dict.fromkeys([*GATEWARE, *DESIGNS])),
        help=f"{', '.join(GATEWARE)} (default transmitter); for {', '.join(FABRIC_BOARDS)}: {', '.join(DESIGNS)}"
        f" (default {USUAL})",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="where the files go; made if it is not there (default: where pynq.Overlay finds them by name)",
    )
    parser.add_argument(
        "--lanes", type=int, metavar="N", help="samples per clock (default: what the board has room for)"
    )
    parser.add_argument("--clock", type=float, metavar="MHZ", help="of the fabric (default: the board's)")
    parser.add_argument(
        "--tool",
        choices=(VIVADO, NEXTPNR),
        default=VIVADO,
        help="vivado: write its script, run nothing; nextpnr: build the bitstream of a Zynq-7000 (default %(default)s)",
    )
    parser.add_argument(
        "--take", action="store_true", help="put the bitstream that Vivado has made of these files into their manifest"
    )
    parser.add_argument("--xz", action="store_true", help="pack the bitstream, and leave a Zynq-7000's Verilog out")
    parser.add_argument(
        "--nextpnr",
        metavar="FILE",
        help="nextpnr-himbaechel (default: from PATH); without a processor, a nextpnr-ecp5 instead of the package's",
    )
    parser.add_argument("--chipdb", metavar="FILE", help="nextpnr's chip database of the device")
    parser.add_argument("--bits", metavar="DIR", help="Project X-Ray's bit database of the device's family")
    parser.add_argument("--seed", type=int, metavar="N", help=f"of nextpnr's placement (default {USUAL_SEED})")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    known = GATEWARE if options.board in BOARDS else DESIGNS
    options.overlay = options.overlay or ("transmitter" if options.board in BOARDS else USUAL)
    if options.overlay not in known:
        raise InputError(f"there is no {options.overlay} for {options.board}: choose one of {', '.join(known)}")
    if options.take and (options.board in FABRIC_BOARDS or options.tool != VIVADO):
        raise InputError("--take is for what Vivado has made: nextpnr's bitstreams have their manifest already")
    if options.lanes is not None:
        try:
            check_lanes(options.lanes)
        except ValueError as error:
            raise InputError(str(error)) from None
    if options.board in FABRIC_BOARDS:
        return _fabric_bitstream(options)
    board = BOARDS[options.board]
    if options.tool == VIVADO:
        for name in OF_NEXTPNR:
            if getattr(options, name) not in (None, False):
                raise InputError(f"--{name} is of nextpnr: give --tool {NEXTPNR} too, or leave it out")
    elif board.processor is not ZYNQ_7000:
        raise InputError(
            f"nextpnr builds for a Zynq-7000 and the {board.title} has an {board.device}: it needs Vivado,"
            f" whose script is written without --tool"
        )
    if options.overlay in board.too_large:
        raise InputError(
            f"{options.overlay} has no room on a {board.title}, {board.device} (docs/resources.md): build it for"
            f" another board, or simulate it with --board rtl:{board.name}"
        )
    board = board.of_size(options.overlay)
    try:
        if options.lanes is not None:
            board = replace(board, lanes=options.lanes)
        if options.clock is not None:
            board = replace(board, clock_hz=_clock_hz(options.clock, board))
        if options.tool == NEXTPNR:
            return _bitstream(options, board)
        texts = files(options.overlay, board)
    except ValueError as error:
        raise InputError(str(error)) from None
    if options.take:  # into a folder that is there already
        folder = overlays.folder(options.overlay) if options.out is None else Path(options.out)
        return _take(options, board, folder, texts)
    folder = _folder(options)
    for name, text in texts.items():
        write_text(folder / name, text)
    if options.out is None:
        stand_in, text = overlays.stand_in(options.overlay)
        _make(stand_in.parent)
        write_text(stand_in, text)
    print(f"{options.overlay} for {board.title}, {NOT_BUILT}: {', '.join(texts)} in {folder}")
    print(f"A bitstream needs Vivado: cd {folder} && vivado -mode batch -source kronborg_{options.overlay}.tcl")
    print("Then the same command with --take puts it into the manifest, for kronborg flash.")
    return 0


def _take(options: argparse.Namespace, board: Board, folder: Path, texts: dict[str, str]) -> int:
    """What Vivado has made of the files."""
    try:
        text = taken(options.overlay, board, folder, texts)
    except ValueError as error:
        raise InputError(str(error)) from None
    write_text(folder / MANIFEST, text)
    reached = json.loads(text)["timing"]["reached_hz"]
    print(f"{options.overlay} for {board.title}, {BUILT}, {reached / 1e6:.1f} MHz: {folder / MANIFEST}")
    print("Nobody has run it on a board yet.")
    return 0


def _clock_hz(megahertz: float, board: Board) -> int:
    """What the processor makes of it: the nearest below."""
    if not SLOWEST_MHZ <= megahertz <= FASTEST_MHZ:
        raise InputError(f"a clock of {megahertz:g} MHz: must be {SLOWEST_MHZ} to {FASTEST_MHZ}")
    first, second = board.processor.divisors(megahertz * 1e6)
    return round(board.processor.source_clock_hz / (first * second))


def _bitstream(options: argparse.Namespace, board: Board) -> int:
    """Nothing is written until everything is there."""
    tools = find_tools(options.nextpnr, options.chipdb, options.bits)
    folder = _folder(options)
    contents, reached_hz = package(options.overlay, board, tools, seed=_seed(options), pack=options.xz)
    for name, data in contents.items():
        write_bytes(folder / name, data)
    print(
        f"{options.overlay} for {board.title}, {BUILT}, {reached_hz / 1e6:.1f} MHz: {', '.join(contents)} in {folder}"
    )
    print("Nobody has run it on a board yet.")
    return 0


def _fabric_bitstream(options: argparse.Namespace) -> int:
    """Of a board without a processor."""
    board = FABRIC_BOARDS[options.board]
    for name in ("clock", "chipdb", "bits"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} means nothing to {options.board}: leave it out")
    if options.out is None:
        raise InputError("name a directory for the bitstream with --out")
    if options.lanes is not None:
        board = replace(board, lanes=options.lanes)
    folder = _folder(options)
    caution = DESIGNS[options.overlay].caution or "to place and route it takes minutes"
    print(f"{options.overlay} for {board.title}: {caution}", flush=True)
    try:
        contents = build(board, options.overlay, _seed(options), pack=options.xz, nextpnr=options.nextpnr)
    except PackageNotFoundError as error:
        raise InputError(f"this needs the extra 'ecp5' ({error} is missing): pip install 'kronborg[ecp5]'") from None
    except (ValueError, TimingMissedError) as error:
        raise InputError(str(error)) from None
    except RuntimeError as error:
        raise KronborgError(str(error)) from None
    for name, data in contents.items():
        write_bytes(folder / name, data)
    manifest = json.loads(contents[MANIFEST])
    reached = f"{manifest['timing']['reached_hz'] / 1e6:.1f} MHz"
    print(f"{options.overlay} for {board.title}, {BUILT}, {reached}: {', '.join(contents)} in {folder}")
    print("Nobody has run it on a board yet. To load it:")
    print(f"kronborg flash {board.name} --files {folder}")
    return 0


def _seed(options: argparse.Namespace) -> int:
    """Of the placement."""
    return USUAL_SEED if options.seed is None else int(options.seed)


def _folder(options: argparse.Namespace) -> Path:
    """Where the files go; it is made."""
    return _make(overlays.folder(options.overlay) if options.out is None else Path(options.out))


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {str(folder)!r}: {error.strerror}; name another directory with --out") from None
    return folder
