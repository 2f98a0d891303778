"""Load an overlay's bitstream on a board, and read back from every core what it is.

With PYNQ; on a board without a processor with openFPGALoader, and over its serial line.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kronborg_hdl.axi.pages import PAGE_BYTES
from kronborg_hdl.axi.registers import RegisterMap
from kronborg_hdl.boards import BOARDS, FABRIC_BOARDS
from kronborg_hdl.overlays.description import OVERLAYS
from kronborg_hdl.overlays.manifest import BUILT, MANIFEST, load

from ..board.pynq import overlays
from ..board.pynq.opening import ON_BOARD, Opened, bitstream, checked, open_overlay, unpacked
from ..console.atomic import check_writable, write_text
from ..errors import BoardError, InputError

EXTRA = "pynq"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    every = (*BOARDS, *FABRIC_BOARDS)
    parser.add_argument("board", choices=every, metavar="BOARD", help=", ".join(every))
    parser.add_argument(
        "--overlay",
        choices=OVERLAYS,
        help=f"{', '.join(OVERLAYS)} (default: that of the files; where none are named loopback, or the largest that is"
        " built)",
    )
    parser.add_argument(
        "--files",
        metavar="DIR",
        help="of the overlay (default: where PYNQ finds it by name; where it is not, bitstreams/BOARD/OVERLAY)",
    )
    parser.add_argument(
        "--port", metavar="PORT", help="serial port of such a board (default: found by its USB numbers)"
    )
    parser.add_argument("--dry-run", action="store_true", help="check files and manifest, and load nothing")
    parser.add_argument(
        "--on",
        metavar="KIND",
        help="pynq: this board, or that of PYNQ_REMOTE_DEVICES (default); rtl or model: a simulated one",
    )
    parser.add_argument("--json", metavar="FILE", help="write what was read as JSON (- for standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    if options.json and options.json != "-":
        check_writable(options.json)
    folder, serial = _folder(options), options.board in FABRIC_BOARDS
    for name in ("on",) if serial else ("port",):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} means nothing to {options.board}: leave it out")
    options.on = options.on or ON_BOARD
    if serial:
        return _over_serial(options, folder)
    manifest = checked(folder)
    _check_overlay(options, folder, manifest)
    if manifest["board"] != options.board:
        raise InputError(
            f"{folder} is built for {manifest['board']}: build it for {options.board}, or name other files"
        )
    said: dict[str, Any] = {key: manifest[key] for key in ("overlay", "board", "status")}
    said |= {"loaded": False, "parts": []}
    if options.on == ON_BOARD:
        said["bitstream"] = bitstream(folder, manifest).name
    if not options.dry_run:
        said["parts"] = identities(open_overlay(options.on, folder))
        said["loaded"] = True
    if options.json == "-":
        print(json.dumps(said, indent=2))
    elif options.json:
        write_text(options.json, json.dumps(said, indent=2) + "\n")
    out = sys.stderr if options.json == "-" else sys.stdout
    for part in said["parts"]:
        built = ", ".join(f"{name} {value}" for name, value in part["capabilities"].items())
        print(f"{part['page']:36} {part['id']} {part['version']:6} {built}".rstrip(), file=out)
    done = "is loaded" if said["loaded"] else "can be loaded"
    print(f"kronborg_{manifest['overlay']} for {BOARDS[options.board].title} {done}", file=out)
    return 0


def _folder(options: argparse.Namespace) -> Path:
    """Where the files are."""
    if options.files:
        return Path(options.files)
    named, home = overlays.folder(options.overlay or "loopback"), Path("bitstreams") / options.board
    if options.board in BOARDS and (named / MANIFEST).exists():
        return named
    # The largest is the last.
    kept = [home / overlay for overlay in reversed(OVERLAYS) if options.overlay in (None, overlay)]
    if found := [folder for folder in kept if (folder / MANIFEST).exists()]:
        return next(filter(_is_built, found), found[0])
    places = [named] if options.board in BOARDS else []
    places.append(home / options.overlay if options.overlay else home)
    build = f"kronborg build {options.board}{f' --overlay {options.overlay}' if options.overlay else ''} --out DIR"
    raise InputError(
        f"there are no files for {options.board} in {' or '.join(map(str, places))}: name them with --files,"
        f" or make them with {build}"
    )


def _is_built(folder: Path) -> bool:
    try:
        return bool(load(folder)["status"] == BUILT)
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_overlay(options: argparse.Namespace, folder: Path, manifest: dict[str, Any]) -> None:
    if options.overlay and manifest["overlay"] != options.overlay:
        raise InputError(
            f"{folder} has the overlay {manifest['overlay']}: name the files of {options.overlay} with --files, or make"
            f" them with kronborg build {options.board} --overlay {options.overlay} --out DIR"
        )


def _over_serial(options: argparse.Namespace, folder: Path) -> int:
    """A board without a processor; returns the exit code."""
    from ..board.serial import flashing, ports

    board = FABRIC_BOARDS[options.board]
    manifest = flashing.checked(board, folder)
    _check_overlay(options, folder, manifest)
    said = {key: manifest[key] for key in ("overlay", "board", "status", "bitstream")} | {"loaded": False, "parts": []}
    if not options.dry_run:
        # A port that is not there, or not open to us, is better said before the board has another bitstream than after.
        port = ports.at(board, options.port)
        ports.open_port(port, int(manifest.get("baud", board.baud))).close()
        flashing.write(board, unpacked(folder / manifest["bitstream"]))
        said |= {"loaded": True, "parts": flashing.answers(board, manifest, port)}
    if options.json == "-":
        print(json.dumps(said, indent=2))
    elif options.json:
        write_text(options.json, json.dumps(said, indent=2) + "\n")
    done = f"is loaded and answers: {', '.join(said['parts'])}" if said["loaded"] else "can be loaded"
    out = sys.stderr if options.json == "-" else sys.stdout
    print(f"kronborg_{manifest['overlay']} for {board.title} {done}", file=out)
    return 0


def identities(opened: Opened) -> list[dict[str, Any]]:
    """ID, VERSION and CAPABILITIES of each page of a loaded overlay that has them.

    Raises:
        BoardError: one is not what the description says.
    """
    found = []
    for part in OVERLAYS[opened.manifest["overlay"]](opened.board).parts:
        if part.name not in opened.overlay.ip_dict:
            raise BoardError(f"the board's description has no {part.name}: build the overlay again")
        driver = getattr(opened.overlay, part.name)
        for number, (page, table) in enumerate(part.tables):
            if "id" in (register.name for register in table.registers):
                found.append(_identity(page, table, driver, number))
    return found


def _identity(page: str, table: RegisterMap, driver: Any, number: int) -> dict[str, Any]:
    def read(register: str) -> int:
        return int(driver.read(number * PAGE_BYTES + table[register].offset))

    identity, version, capabilities = read("id"), read("version"), read("capabilities")
    wanted, major = table["id"]["word"].reset, table["version"]["major"]
    if identity != wanted:
        raise BoardError(f"{page} answers as {identity:#010x} and not as {wanted:#010x}: another bitstream is loaded")
    if major.extract(version) != major.reset:
        raise BoardError(f"{page} has version {major.extract(version)} and not {major.reset}: build it again")
    return {
        "page": page,
        "id": identity.to_bytes(4, "big").decode("ascii"),
        "version": f"{major.extract(version)}.{table['version']['minor'].extract(version)}",
        "capabilities": {field.name: field.extract(capabilities) for field in table["capabilities"].fields},
    }
