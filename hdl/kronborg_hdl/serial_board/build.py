"""From a design to a bitstream, with the truth about it beside it."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from ..axi.skin import Core
from ..boards.fabric import FabricBoard
from ..loopback.core import Loopback
from ..modulation.pulse_shaper.core import PulseShaper
from ..overlays.manifest import MANIFEST, PACKED, built
from ..synthesis.place_and_route import TOOLS, Routed, place_and_route, synthesise, version_of
from ..synthesis.place_and_route import pack as pack_bitstream
from .top import Top


@dataclass(frozen=True)
class Design:
    """What can be built for a board.

    Attributes:
        make: the core, with sizes that fit.
        apart: it is so large that its modules are synthesised one by one.
        caution: what who builds it should know before.
    """

    make: Callable[[FabricBoard], Core]
    apart: bool = False
    caution: str = ""


DESIGNS = {
    "loopback": Design(
        lambda board: Loopback(lanes=board.lanes, samples_per_symbol=8, span=33),
        apart=True,
        caution="it fills most of an LFE5U-85F: to place and route it takes half an hour and more",
    ),
    "pulse_shaper": Design(lambda board: PulseShaper(lanes=board.lanes, samples_per_symbol=4, span=9)),
}
"""By name."""
SEED = 1
SHOWN = ("TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D", "DP16KD", "TRELLIS_RAMW", "EHXPLLL", "TRELLIS_IO")
"""Cells of the utilisation."""


class TimingMissedError(RuntimeError):
    """The design is placed and routed, and too slow for its clock."""


def build(
    board: FabricBoard, design: str, seed: int = SEED, *, pack: bool = False, nextpnr: str | None = None
) -> dict[str, bytes]:
    """All files of a design by their names; the manifest is the last.

    Args:
        board: that it is for, with the clock and the lanes of the design.
        design: one of ``DESIGNS``.
        seed: of the placer. The same design, tools and seed give the same bits.
        pack: compress the bitstream.
        nextpnr: a nextpnr-ecp5 of one's own, instead of the package's.

    Raises:
        ValueError: the design cannot be built for the board, or that is no nextpnr-ecp5.
        PackageNotFoundError: a tool is not installed.
        RuntimeError: a tool failed; a design that is too large for the device among others.
        TimingMissedError: it is too slow for its clock: no bitstream.
    """
    name = f"kronborg_{design}"
    tools = {tool: version(tool) for tool in TOOLS}
    if DESIGNS[design].apart:
        version("scipy")  # is missed now, not between two placements
    if nextpnr is not None:
        tools["nextpnr-ecp5"] = version_of(nextpnr)
    top = Top(board, DESIGNS[design].make(board))
    hardware = top.to_rtlil(name)
    asked_mhz = board.clock_hz / 1e6
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        apart = DESIGNS[design].apart
        synthesise(hardware, name, folder, apart=apart)
        constraints = board.constraints()
        routed = place_and_route(
            folder,
            seed,
            part=board.part,
            frequency_mhz=asked_mhz,
            constraints=constraints,
            large=apart,
            nextpnr=nextpnr,
        )
        clock, reached_mhz = min(routed.frequency_mhz.items(), key=lambda pair: pair[1])
        if reached_mhz < asked_mhz:
            raise TimingMissedError(
                f"{design} reaches {reached_mhz:.1f} MHz and its clock is {asked_mhz:g} MHz:"
                f" {routed.critical.get(clock, clock)}; another --seed may do"
            )
        bits = pack_bitstream(folder, compress=not pack)
    bitstream, content = f"{name}.bit", bits
    if pack:
        bitstream, content = f"{bitstream}{PACKED}", lzma.compress(bits, preset=9)
    files = {
        bitstream: content,
        f"{name}.lpf": board.constraints().encode(),
        "report.txt": _report(routed).encode(),
    }
    planned = {
        "overlay": design,
        "board": board.name,
        "device": board.device,
        "clock_hz": board.clock_hz,
        "lanes": board.lanes,
        "kronborg_version": version("kronborg"),
        "design_sha256": hashlib.sha256(hardware.encode()).hexdigest(),
        "bitstream_sha256": hashlib.sha256(bits).hexdigest(),
        "baud": board.baud,
        "streams": {"into": list(top.skin.inputs), "out_of": list(top.skin.outputs)},
    }
    manifest = built(
        json.dumps(planned),
        files,
        bitstream=bitstream,
        tool="nextpnr",
        tools=tools,
        seed=seed,
        utilisation={kind: (routed.used[kind], routed.available[kind]) for kind in SHOWN},
        asked_hz=board.clock_hz,
        reached_hz=reached_mhz * 1e6,
    )
    return {**files, MANIFEST: manifest.encode()}


def _report(routed: Routed) -> str:
    lines = [f"{kind}: {routed.used[kind]} of {routed.available[kind]}" for kind in SHOWN]
    for clock, reached in routed.frequency_mhz.items():
        lines += ["", f"{clock}: {reached:.2f} MHz", f"longest path: {routed.critical.get(clock, 'none')}"]
    return "\n".join(lines) + "\n"
