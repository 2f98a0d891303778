"""What `bitstreams/` says of each board is so: files are those that were built, of the design as it is."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from kronborg_hdl.boards import BOARDS, FABRIC_BOARDS
from kronborg_hdl.overlays.manifest import BUILT, MANIFEST, NOT_BUILT, check, load, revision
from kronborg_hdl.serial_board.build import DESIGNS
from kronborg_hdl.serial_board.top import Top

HOME = Path(__file__).parents[3] / "bitstreams"
EVERY = {**BOARDS, **FABRIC_BOARDS}
FOLDERS = [path.parent for path in sorted(HOME.glob(f"*/*/{MANIFEST}"))]
"""`BOARD/OVERLAY`."""
LARGEST = 5 << 18
"""Of a file in git, bytes: a link that fills two thirds of an LFE5U-85F, packed."""


def called(folder: Path) -> str:
    """Of a test."""
    return f"{folder.parent.name}-{folder.name}"


@pytest.mark.parametrize("folder", FOLDERS, ids=called)
def test_a_manifest_says_what_there_is_of_an_overlay_on_a_board(folder: Path) -> None:
    name = folder.parent.name
    manifest = load(folder)
    assert (manifest["overlay"], manifest["board"], manifest["device"]) == (folder.name, name, EVERY[name].device)
    assert manifest["status"] in (BUILT, NOT_BUILT)
    assert check(folder) == []
    unpacked = {file.removesuffix(".xz") for file in manifest["sha256"] if file.endswith(".xz")}  # by `kronborg flash`
    kept = [path for path in folder.iterdir() if path.name not in unpacked]
    assert {path.name for path in kept} == {MANIFEST, *manifest["sha256"]}
    assert all(path.stat().st_size <= LARGEST for path in kept)
    if manifest["status"] == NOT_BUILT:
        assert manifest["bitstream"] is manifest["timing"] is manifest["utilisation"] is None
        assert not manifest["sha256"]
    else:
        assert manifest["bitstream"] in manifest["sha256"]
        assert manifest["timing"]["reached_hz"] >= manifest["timing"]["asked_hz"]
        assert all(used <= there for used, there in manifest["utilisation"].values())
        assert {"revision", "tools", "seed"} <= manifest.keys()
    assert manifest["run_on_hardware"], "no, or by whom and when"


@pytest.mark.parametrize(
    "folder",
    [path for path in FOLDERS if path.parent.name in FABRIC_BOARDS and load(path)["status"] == BUILT],
    ids=called,
)
def test_a_bitstream_is_of_the_design_as_it_is(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    name = manifest["board"]
    board = FABRIC_BOARDS[name]
    top = Top(board, DESIGNS[manifest["overlay"]].make(board))
    assert (manifest["clock_hz"], manifest["timing"]["asked_hz"]) == (board.clock_hz, board.clock_hz)
    hardware = top.to_rtlil(f"kronborg_{manifest['overlay']}")
    again = f"kronborg build {name} --overlay {manifest['overlay']} --out DIR, and put its files there"
    assert hashlib.sha256(hardware.encode()).hexdigest() == manifest["design_sha256"], (
        f"the design has changed: {again}"
    )
    assert (folder / f"kronborg_{manifest['overlay']}.lpf").read_text() == board.constraints()


def test_every_board_has_a_manifest_and_there_is_nothing_else() -> None:
    assert {folder.parent.name for folder in FOLDERS} == {path.name for path in HOME.iterdir()} == set(EVERY)
    assert set(FOLDERS) == set(HOME.glob("*/*"))


def test_the_revision_is_that_of_these_sources_and_of_no_repository_that_they_lie_in(tmp_path: Path) -> None:
    """As an installed package within somebody's own project."""

    def git(*command: str) -> str:
        named = ("-c", "user.name=a", "-c", "user.email=a@b")
        done = subprocess.run(["git", *named, *command], cwd=tmp_path, check=True, text=True, capture_output=True)
        return done.stdout.strip()

    own, installed = tmp_path / "own.py", tmp_path / "installed.py"
    own.touch()
    git("init", "-q")
    git("add", "own.py")
    git("commit", "-q", "-m", "own")
    installed.touch()
    assert revision(own) == git("rev-parse", "HEAD")
    assert revision(installed) == revision(Path("/") / "nowhere.py") == "unknown"
