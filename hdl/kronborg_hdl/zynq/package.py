"""All files of an overlay whose bitstream was built for a Zynq-7000."""

from __future__ import annotations

import json
import lzma
from hashlib import sha256

from ..boards.board import Board
from ..overlays.build import files
from ..overlays.gateware import GATEWARE
from ..overlays.manifest import MANIFEST, PACKED, built
from .flow import Tools, build
from .top import ZynqTop


def design_sha256(top: ZynqTop) -> str:
    """Of the hardware as Yosys reads it: a bitstream is of the source as it is while this stays."""
    return sha256(top.to_rtlil().encode()).hexdigest()


def package(
    overlay: str, board: Board, tools: Tools, *, seed: int = 1, pack: bool = False
) -> tuple[dict[str, bytes], float]:
    """Contents of each file by its name, the manifest last, and the frequency that the clock reaches.

    The manifest has the SHA-256 of the design too, and of the bitstream as it is unpacked.

    Args:
        overlay: its name.
        board: that it is for.
        tools: to build it with.
        seed: of the placement.
        pack: compress the bitstream, most of which is zeros, and leave the Verilog out.

    Raises:
        ValueError: see :func:`~kronborg_hdl.zynq.flow.build`.
    """
    core = GATEWARE[overlay](board)
    top = ZynqTop(core, board)
    planned = files(overlay, board, core)
    said = {**json.loads(planned[MANIFEST]), "design_sha256": design_sha256(top)}
    made = build(top, board, tools, seed=seed)
    said["bitstream_sha256"] = sha256(made.file).hexdigest()
    name = f"kronborg_{overlay}"
    bitstream, rest = f"{name}.bit", [f"{name}.hwh", f"{name}.v"]
    contents = {bitstream: made.file}
    if pack:
        bitstream, rest = f"{bitstream}{PACKED}", rest[:1]
        contents = {bitstream: lzma.compress(made.file, preset=9)}
    contents |= {file: planned[file].encode() for file in rest}
    contents["report.txt"] = made.report.encode()
    manifest = built(
        json.dumps(said),
        contents,
        bitstream=bitstream,
        tool="nextpnr",
        tools=made.tools,
        seed=made.seed,
        utilisation=made.utilisation,
        asked_hz=made.asked_hz,
        reached_hz=made.reached_hz,
    )
    return {**contents, MANIFEST: manifest.encode()}, made.reached_hz
