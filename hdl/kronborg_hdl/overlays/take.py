"""A bitstream that Vivado has made of an overlay's files, into their manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..boards.board import Board
from .manifest import MANIFEST, built
from .vivado import REACHED, REPORTS


def taken(overlay: str, board: Board, folder: Path, texts: Mapping[str, str]) -> str:
    """The manifest of a folder in which the Vivado script has run.

    Args:
        overlay: its name.
        board: that it is for.
        folder: of the files.
        texts: what these sources write for this overlay and board.

    Raises:
        ValueError: the files are others, or the script has not made a bitstream of them.
    """
    bitstream = f"kronborg_{overlay}.bit"
    contents = {}
    for name in (*texts, bitstream, REACHED, *REPORTS):
        if name == MANIFEST:
            continue
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError:
            first = (
                "write the files first, without --take" if name in texts else f"run kronborg_{overlay}.tcl there first"
            )
            raise ValueError(f"there is no {name} in {str(folder)!r}: {first}") from None
        if name in texts and contents[name] != texts[name].encode():
            raise ValueError(f"{folder / name} is not what these sources and options write: build it again")
    try:
        reached = json.loads(contents[REACHED])
        version, slack_ns = str(reached["vivado"]), float(reached["setup_slack_ns"])
        reached_hz = 1e9 / (1e9 / board.clock_hz - slack_ns)
    except (ValueError, TypeError, KeyError, ArithmeticError):
        raise ValueError(f"{folder / REACHED} is not what the script writes: run it again") from None
    if not contents[bitstream] or slack_ns < 0:
        raise ValueError(f"{folder / bitstream} is no bitstream whose timing is met: run the script again")
    return built(
        texts[MANIFEST],
        contents,
        bitstream=bitstream,
        tool="vivado",
        tools={"vivado": version},
        seed=0,
        utilisation={},  # in utilisation.txt
        asked_hz=board.clock_hz,
        reached_hz=reached_hz,
    )
