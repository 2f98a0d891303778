"""Load a bitstream into a board without a processor, and read back over its serial line what it is."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kronborg_hdl.axi.pages import PageMap
from kronborg_hdl.axi.registers import RegisterMap
from kronborg_hdl.boards.fabric import FabricBoard
from kronborg_hdl.loopback.pages import loopback_pages
from kronborg_hdl.modulation.pulse_shaper.registers import REGISTERS as PULSE_SHAPER
from kronborg_hdl.overlays.manifest import BUILT, check, load

from ...errors import BoardError, InputError, KronborgError
from ..pynq.registers import page_class
from .device import Device
from .ports import open_device

LOADER = "openFPGALoader"
LOADER_S = 120
DESIGNS: dict[str, RegisterMap | PageMap] = {
    "pulse_shaper": PULSE_SHAPER,
    "loopback": loopback_pages(halvings=2, predistortion=False),
}
"""Registers of what can be loaded, by name."""


def checked(board: FabricBoard, folder: Path) -> dict[str, Any]:
    """The manifest of a bitstream that is as it was built, for this board, by this version.

    Raises:
        InputError: it is not.
    """
    try:
        manifest = load(folder)
        differ = check(folder)
    except ValueError as error:
        raise InputError(str(error)) from None
    again = f"kronborg build {board.name} --out DIR builds it"
    if manifest["board"] != board.name:
        raise InputError(f"{folder} is built for {manifest['board']} and not for {board.name}: {again}")
    if manifest["status"] != BUILT:
        raise InputError(f"the bitstream of {folder} is not built: {again}")
    if differ:
        raise InputError(f"{folder} is not as it was built: {', '.join(differ)}; {again}")
    if (built := manifest["kronborg_version"]) != (here := version("kronborg")):
        raise InputError(f"{folder} was built by kronborg {built} and this is {here}: {again}")
    if (design := manifest["overlay"]) not in DESIGNS or "streams" not in manifest:
        raise InputError(f"{folder} is of {design!r}, which this cannot talk to: there are {', '.join(DESIGNS)}")
    return manifest


def write(board: FabricBoard, file: Path) -> None:
    """Load a bitstream with openFPGALoader; it stays until the board is switched off.

    Raises:
        InputError: there is no openFPGALoader.
        BoardError: it fails, or does not end; what the board has then is not known.
    """
    program = shutil.which(LOADER)
    if program is None:
        raise InputError(f"there is no {LOADER}: install it (apt install openfpgaloader, brew install openfpgaloader)")
    again = "the board may have no design now: look at the cable, and load it again"
    try:
        done = subprocess.run(
            [program, "--board", board.loader, str(file)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LOADER_S,
            check=False,
        )
    except OSError as error:
        raise InputError(f"{program} cannot be run ({error.strerror}): install it anew") from None
    except subprocess.TimeoutExpired:
        raise BoardError(f"{LOADER} does not end within {LOADER_S} s: {again}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()[-1]
        raise BoardError(f"{LOADER} failed ({said}): {again}")


def answers(board: FabricBoard, manifest: dict[str, Any], port: str) -> list[str]:
    """What of a board that was just loaded has answered as what it must be, by name.

    Raises:
        BoardError: something does not, or nobody answers; the bitstream is on the board all the same.
    """
    try:
        device = open_device(board, manifest, port)
        try:
            return identities(device, manifest["overlay"])
        finally:
            device.close()
    except KronborgError as error:
        raise BoardError(f"the bitstream is loaded, and is not what it must be or cannot be asked: {error}") from None


def identities(device: Device, design: str) -> list[str]:
    """Of each page of a design its name, once it has answered as what it must be.

    Raises:
        BoardError: it answers as something else.
    """
    registers = DESIGNS[design]
    pages = registers.pages if isinstance(registers, PageMap) else ((design, registers),)
    found = []
    for name, table in pages:
        if "id" in (register.name for register in table.registers):
            base = registers.base(name) if isinstance(registers, PageMap) else 0
            page_class(table)(device, base).check_identity()
            found.append(name)
    return found
