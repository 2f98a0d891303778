"""From a folder of files to an overlay that runs, on a board or on one that is none; each mistake is told in a line."""

from __future__ import annotations

import lzma
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, Protocol, cast

from kronborg_hdl.boards import BOARDS
from kronborg_hdl.boards.board import Board
from kronborg_hdl.overlays.description import OVERLAYS
from kronborg_hdl.overlays.manifest import NOT_BUILT, PACKED, check, load

from ...console.atomic import write_bytes
from ...errors import BoardError, InputError, KronborgError
from . import overlays

DEVICES = "kronborg.devices"
"""Entry points: devices for PYNQ that are none, made from a board of ``kronborg_hdl.boards``."""
ON_BOARD = "pynq"
REMOTE = "PYNQ_REMOTE_DEVICES"
"""PYNQ's own variable: addresses of boards that are driven from here."""
FIRMWARE = "/lib/firmware"
"""Where a board's Linux looks for bitstreams."""
USUAL = "pynq-z2"
"""Board that a simulated one stands for, if it is not said."""
PYNQ_BOARD = "BOARD"
"""PYNQ's own variable on a board's image: the board's name."""


class Loaded(Protocol):
    """A loaded overlay, of whichever kind of board; :class:`Opened` says what is what."""

    @property
    def kind(self) -> str:
        """Of board."""

    @property
    def overlay(self) -> Any:
        """Its parts."""

    @property
    def clock_hz(self) -> float:
        """Of the fabric."""

    @property
    def device(self) -> Any:
        """The simulated device, if it is one."""

    @property
    def clocks(self) -> int | None:
        """That have passed, if it is a simulated device."""


@dataclass(frozen=True)
class Opened:
    """A loaded overlay.

    Attributes:
        kind: of board.
        overlay: as ``pynq.Overlay`` gives it.
        clock_hz: of the fabric.
        device: the simulated device; None on a board.
        board: that it is built for.
        manifest: of its files.
    """

    kind: str
    overlay: Any
    clock_hz: float
    device: Any
    board: Board
    manifest: dict[str, Any]

    @property
    def clocks(self) -> int | None:
        """That have passed, if it is a simulated device."""
        return None if self.device is None else int(self.device.gateware.clocks)


def kinds() -> list[str]:
    """Of boards: that on which this runs, and those that packages offer."""
    return [ON_BOARD, *sorted(point.name for point in entry_points(group=DEVICES))]


def simulated(kind: str, board: Board) -> Any:
    """A device of this kind in place of a board, which PYNQ uses from now on.

    Raises:
        InputError: there is no such kind, or what it needs is not installed.
    """
    found = {point.name: point for point in entry_points(group=DEVICES)}
    if kind not in found:
        raise InputError(f"no kind of board {kind!r}: there are {', '.join(kinds())}")
    try:
        device = cast(Callable[[Board], Any], found[kind].load())(board)
        device.activate()
    except ModuleNotFoundError as error:
        if str(error.name).startswith("kronborg"):
            raise
        # The commands' own extra, pynq, does not bring what simulates a board.
        wants = f"a simulated board needs the extras 'sim' and 'pynq' ({error.name} is missing)"
        raise InputError(f"{wants}: pip install 'kronborg[sim,pynq]'") from None
    return device


def checked(folder: Path) -> dict[str, Any]:
    """The manifest of an overlay's files, which are as they were built, by this version.

    Raises:
        InputError: a file is missing or another, or they are of another version.
    """
    try:
        manifest = load(folder)
    except ValueError as error:
        raise InputError(str(error)) from None
    if differ := check(folder):
        raise InputError(f"{folder} is not as it was built: {', '.join(differ)}; build it again")
    if (built := manifest["kronborg_version"]) != (here := version("kronborg")):
        raise InputError(f"{folder} was built by kronborg {built} and this is {here}: build it again")
    if manifest["board"] not in BOARDS:
        raise InputError(f"{folder} is built for {manifest['board']!r}, which is none of {', '.join(BOARDS)}")
    if manifest["overlay"] not in OVERLAYS:
        raise InputError(f"{folder} has the overlay {manifest['overlay']!r}, which is none of {', '.join(OVERLAYS)}")
    return manifest


def bitstream(folder: Path, manifest: dict[str, Any]) -> Path:
    """The bitstream of a folder, for this board; packed, where it lies there packed alone.

    Raises:
        InputError: nobody has built it, or it is for another board.
    """
    board, name = BOARDS[manifest["board"]], f"kronborg_{manifest['overlay']}"
    if manifest["status"] == NOT_BUILT:
        script = f"{name}.tcl"
        if not (folder / script).exists():
            script = f"the script that kronborg build {board.name} --overlay {manifest['overlay']} --out DIR writes"
        # Of no command's options: --board of one is --on of another.
        simulate = f"kronborg selftest --board rtl:{board.name} --overlay {manifest['overlay']}"
        take = "put what it makes into the manifest with kronborg build --take"
        raise InputError(f"{name} is not built for {board.title}: run {script} first, {take}, or try {simulate}")
    path = folder / manifest["bitstream"]
    if path.suffix == PACKED and path.with_suffix("").exists():
        path = path.with_suffix("")
    here = os.environ.get(PYNQ_BOARD)
    if here and not os.environ.get(REMOTE) and _plain(here) != _plain(board.name):
        raise InputError(f"{path} is built for {board.title} and this is a {here}: name the files of this board")
    return path


def unpacked(file: Path) -> Path:
    """A bitstream as PYNQ takes it: what is packed is unpacked beside itself. Raises InputError."""
    if file.suffix != PACKED:
        return file
    path = file.with_suffix("")
    write_bytes(path, lzma.decompress(file.read_bytes()))
    return path


def check_root() -> None:
    """Whether registers can be reached. Raises InputError if not; a remote board's server has its own rights."""
    if os.geteuid() and not os.environ.get(REMOTE):
        raise InputError("a board's registers and memory are open to root only: run this with sudo")


def open_overlay(kind: str, folder: Path) -> Opened:
    """Load an overlay.

    Args:
        kind: ``pynq``, or a kind of simulated board.
        folder: its files, as ``kronborg build`` writes them.

    Raises:
        InputError: they are not what can be loaded here; the line says what to do.
        BoardError: what answers is not what the description says.
    """
    device = None if kind == ON_BOARD else simulated(kind, _built_for(checked(folder)))
    return _load(kind, folder, device)


def _built_for(manifest: dict[str, Any]) -> Board:
    """The board of a manifest, of the size that it says."""
    board = BOARDS[manifest["board"]]
    return replace(board, lanes=manifest.get("lanes", board.lanes), clock_hz=manifest.get("clock_hz", board.clock_hz))


def _load(kind: str, folder: Path, device: Any) -> Opened:
    manifest = checked(folder)
    name = f"kronborg_{manifest['overlay']}"
    if device is None:
        file = bitstream(folder, manifest)
        check_root()

    import pynq

    if device is None:
        overlay = _load_on_board(file)
    else:
        # A model needs the description alone.
        file = next((path for path in (folder / f"{name}.v", folder / f"{name}.hwh") if path.exists()), folder)
        overlay = pynq.Overlay(str(file))
    return Opened(kind, overlay, pynq.Clocks.fclk0_mhz * 1e6, device, _built_for(manifest), manifest)


def _load_on_board(file: Path) -> Any:
    """The overlay of a bitstream, loaded by PYNQ.

    Raises:
        InputError: PYNQ finds no board.
        BoardError: it cannot load the bitstream; what the board has then is not known.
    """
    import pynq

    try:
        board = pynq.Device.active_device
    except RuntimeError as error:
        where = f"{REMOTE}={os.environ[REMOTE]}" if os.environ.get(REMOTE) else "this machine"
        raise InputError(
            f"PYNQ finds no board ({where}: {error}): run this on a board, or name one that is on in {REMOTE}"
        ) from None
    file = unpacked(file)
    try:
        _renew(board, file)
        return pynq.Overlay(str(file))
    except KronborgError:
        raise
    # PYNQ, and gRPC beneath it, have no error of their own for what goes wrong with a board.
    except Exception as error:
        said = getattr(error, "details", error.__str__)().partition("\n")[0] or type(error).__name__
        raise BoardError(
            f"PYNQ cannot load {file.name} ({said}): the board may have no design now; load it again"
        ) from error


def _renew(device: Any, file: Path) -> None:
    """Give a remote board this bitstream: PYNQ.remote loads whatever the board has under its name already."""
    if device.has_capability("REMOTE"):
        from pynq.pl_server.embedded_device import bit2bin

        device.write_file(f"{FIRMWARE}/{file.stem}.bin", bytes(bit2bin(file.read_bytes())))


def open_by_name(kind: str, overlay: str) -> Opened:
    """Load an overlay that PYNQ finds by name, or on a simulated board one as it is usually built.

    Args:
        kind: ``pynq``, or a kind of simulated board: which, may stand behind a colon, as in ``rtl:rfsoc4x2``.
        overlay: its name.

    Raises:
        InputError: there is no such board, or its bitstream is not there.
    """
    kind, _, name = kind.partition(":")
    if kind == ON_BOARD:
        if name:
            raise InputError(f"{ON_BOARD} is the board that this runs on, not one to choose: leave out :{name}")
        return open_overlay(kind, overlays.folder(overlay))
    board = BOARDS.get(name or USUAL)
    if board is None:
        raise InputError(f"no board {name!r}: there are {', '.join(BOARDS)}")
    device = simulated(kind, board.of_size(overlay))
    return _load(kind, device.files(overlay), device)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
