"""The bitstreams in `bitstreams/pynq-z2` are of the design as it is, whole, and for the device that their board has."""

import lzma
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from kronborg_hdl.boards import BOARDS
from kronborg_hdl.overlays.gateware import GATEWARE
from kronborg_hdl.overlays.hwh import hwh
from kronborg_hdl.overlays.manifest import BUILT, MANIFEST, check, load
from kronborg_hdl.zynq.bitstream import parse
from kronborg_hdl.zynq.package import design_sha256
from kronborg_hdl.zynq.top import ZynqTop

HOME = Path(__file__).parents[3] / "bitstreams" / "pynq-z2"
FOLDERS = sorted(path.parent for path in HOME.glob(f"*/{MANIFEST}") if load(path.parent)["status"] == BUILT)
IDENTITY = 0x0372_7093
"""IDCODE of an XC7Z020 (UG585)."""


def test_every_overlay_has_one() -> None:
    assert {folder.name for folder in FOLDERS} == set(GATEWARE)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_is_of_the_design_as_it_is(folder: Path) -> None:
    manifest = load(folder)
    board = replace(BOARDS[manifest["board"]], lanes=manifest["lanes"], clock_hz=manifest["clock_hz"])
    core = GATEWARE[manifest["overlay"]](board)
    again = "build it again, or take its files away and say that it is not built"
    assert design_sha256(ZynqTop(core, board)) == manifest["design_sha256"], f"the design has changed: {again}"
    assert (folder / f"kronborg_{manifest['overlay']}.hwh").read_text() == hwh(core.overlay, board), again


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_is_whole_and_for_the_boards_device(folder: Path) -> None:
    manifest = load(folder)
    assert check(folder) == []
    file = lzma.decompress((folder / manifest["bitstream"]).read_bytes())
    assert sha256(file).hexdigest() == manifest["bitstream_sha256"]
    read = parse(file)
    assert (read.design, read.part, read.identity) == (f"kronborg_{manifest['overlay']}", manifest["device"], IDENTITY)
    assert any(read.words)
    assert manifest["timing"]["reached_hz"] >= manifest["timing"]["asked_hz"] == manifest["clock_hz"]
    assert manifest["run_on_hardware"] == "no"
