"""Files of overlays for simulated boards, made where they are not there yet and kept beside compiled simulations."""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from kronborg_hdl.boards.board import Board
from kronborg_hdl.overlays.build import described, files
from kronborg_hdl.overlays.manifest import check

from ..rtl.build import user_cache

DIGITS = 24


@cache
def _sources() -> str:
    """A hash of the gateware's sources, and of the language that they are in."""
    spec = find_spec("kronborg_hdl")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    home = Path(spec.submodule_search_locations[0])
    digest = hashlib.sha256(f"{version('amaranth')} {version('kronborg')}".encode())
    for path in sorted(home.rglob("*.py")):
        digest.update(path.relative_to(home).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:DIGITS]


def built(overlay: str, board: Board, *, verilog: bool) -> Path:
    """The folder with an overlay's files for a board; without Verilog for a model."""
    kind = "rtl" if verilog else "model"
    kept = user_cache().parent / "overlays"
    folder = kept / f"{_sources()}_{board.name}_{kind}_{overlay}"
    if folder.exists() and not check(folder):
        return folder
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build_", dir=kept) as scratch:
        whole = Path(scratch) / "whole"
        whole.mkdir()
        for name, text in (files(overlay, board) if verilog else described(overlay, board)).items():
            (whole / name).write_text(text)
        if not folder.exists():  # another process may have been quicker
            os.replace(whole, folder)
    return folder
