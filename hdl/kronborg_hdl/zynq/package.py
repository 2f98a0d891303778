"""All files of an overlay whose bitstream was built for a Zynq-7000."""

from __future__ import annotations

from ..boards.board import Board
from ..overlays.build import files
from ..overlays.gateware import GATEWARE
from ..overlays.manifest import MANIFEST, built
from .flow import Tools, build


def package(overlay: str, board: Board, tools: Tools, *, seed: int = 1) -> tuple[dict[str, bytes], float]:
    """Contents of each file by its name, the manifest last, and the frequency that the clock reaches.

    Args:
        overlay: its name.
        board: that it is for.
        tools: to build it with.
        seed: of the placement.

    Raises:
        ValueError: see :func:`~kronborg_hdl.zynq.flow.build`.
    """
    core = GATEWARE[overlay](board)
    planned = files(overlay, board, core)
    made = build(core, board, tools, seed=seed)
    name = f"kronborg_{overlay}"
    contents = {
        f"{name}.bit": made.file,
        f"{name}.hwh": planned[f"{name}.hwh"].encode(),
        f"{name}.v": planned[f"{name}.v"].encode(),
        "report.txt": made.report.encode(),
    }
    manifest = built(
        planned[MANIFEST],
        contents,
        bitstream=f"{name}.bit",
        tool="nextpnr",
        tools=made.tools,
        seed=made.seed,
        utilisation=made.utilisation,
        asked_hz=made.asked_hz,
        reached_hz=made.reached_hz,
    )
    return {**contents, MANIFEST: manifest.encode()}, made.reached_hz
