"""All files of an overlay for a board, but for the bitstream, which needs a vendor's tool."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version

from ..axi.skin import Skin
from ..boards.board import Board
from .assembly import Assembly
from .description import OVERLAYS
from .gateware import GATEWARE
from .hwh import hwh
from .manifest import MANIFEST, NOT_BUILT
from .overlay import Overlay
from .vivado import constraints, script


def files(overlay: str, board: Board, core: Assembly | None = None) -> dict[str, str]:
    """Text of each file by its name; the manifest is the last.

    Args:
        overlay: its name.
        board: that it is for.
        core: its gateware, if not of the usual size.

    Raises:
        ValueError: the overlay cannot be built for the board.
    """
    core = core or GATEWARE[overlay](board)
    name = f"kronborg_{overlay}"
    return _with_manifest(core.overlay, board, {f"{name}.v": Skin(core).to_verilog(name)})


def described(overlay: str, board: Board) -> dict[str, str]:
    """The same without Verilog: what a board needs that is its model."""
    return _with_manifest(OVERLAYS[overlay](board), board, {})


def _with_manifest(overlay: Overlay, board: Board, verilog: dict[str, str]) -> dict[str, str]:
    name = f"kronborg_{overlay.name}"
    texts = {
        **verilog,
        f"{name}.hwh": hwh(overlay, board),
        f"{name}.xdc": constraints(board),
        f"{name}.tcl": script(overlay, board),
    }
    manifest = {
        "overlay": overlay.name,
        "board": board.name,
        "device": board.device,
        "clock_hz": board.clock_hz,
        "lanes": board.lanes,
        "kronborg_version": version("kronborg"),
        "status": NOT_BUILT,
        "bitstream": None,
        "tool": None,
        "utilisation": None,
        "timing": None,
        "sha256": {file: hashlib.sha256(text.encode()).hexdigest() for file, text in texts.items()},
        "notes": ["No bitstream of this has been built.", f"Nobody has run {name}.tcl yet."],
    }
    return {**texts, MANIFEST: json.dumps(manifest, indent=2) + "\n"}
