"""All files of an overlay for a board, but for the bitstream, which needs a vendor's tool."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from kronborg import __version__

from ..axi.skin import Skin
from ..boards.board import Board
from .gateware import GATEWARE
from .hwh import hwh
from .vivado import constraints, script

NOT_BUILT = "not built"
MANIFEST = "manifest.json"


def files(overlay: str, board: Board) -> dict[str, str]:
    """Text of each file by its name; the manifest is the last.

    Raises:
        ValueError: the overlay cannot be built for the board.
    """
    core = GATEWARE[overlay](board)
    name = f"kronborg_{overlay}"
    texts = {
        f"{name}.v": Skin(core).to_verilog(name),
        f"{name}.hwh": hwh(core.overlay, board),
        f"{name}.xdc": constraints(board),
        f"{name}.tcl": script(core.overlay, board),
    }
    manifest = {
        "overlay": overlay,
        "board": board.name,
        "device": board.device,
        "clock_hz": board.clock_hz,
        "lanes": board.lanes,
        "kronborg_version": __version__,
        "status": NOT_BUILT,
        "bitstream": None,
        "tool": None,
        "utilisation": None,
        "timing": None,
        "sha256": {file: hashlib.sha256(text.encode()).hexdigest() for file, text in texts.items()},
        "notes": ["No bitstream of this has been built.", f"Nobody has run {name}.tcl yet."],
    }
    return {**texts, MANIFEST: json.dumps(manifest, indent=2) + "\n"}


def check(folder: Path) -> list[str]:
    """What differs from the manifest in a folder: files that are missing or have changed."""
    wanted = json.loads((folder / MANIFEST).read_text())["sha256"]
    found = []
    for file, digest in wanted.items():
        path = folder / file
        if not path.exists():
            found.append(f"{file} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            found.append(f"{file} is not the one that was built")
    return found
