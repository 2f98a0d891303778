"""What `bitstreams/` says of each board is so: files are those that were built, of the design as it is."""

import hashlib
import json
import lzma
import subprocess
from pathlib import Path

import pytest

from kronborg_hdl.boards import BOARDS, FABRIC_BOARDS
from kronborg_hdl.overlays.manifest import BUILT, MANIFEST, NOT_BUILT, PACKED, check, load, revision
from kronborg_hdl.serial_board.build import DESIGNS
from kronborg_hdl.serial_board.top import Top
from kronborg_hdl.synthesis import place_and_route
from kronborg_hdl.synthesis.place_and_route import pack, pack_again

HOME = Path(__file__).parents[3] / "bitstreams"
EVERY = {**BOARDS, **FABRIC_BOARDS}
FOLDERS = [path.parent for path in sorted(HOME.glob(f"*/*/{MANIFEST}"))]
"""`BOARD/OVERLAY`."""
ON_FABRIC = [path for path in FOLDERS if path.parent.name in FABRIC_BOARDS and load(path)["status"] == BUILT]
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


@pytest.mark.parametrize("folder", ON_FABRIC, ids=called)
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


def bitstream_of(folder: Path) -> tuple[bytes, bool]:
    """As the device takes it, and whether it is compressed for the device."""
    file = folder / load(folder)["bitstream"]
    packed = file.suffix == PACKED
    return (lzma.decompress(file.read_bytes()) if packed else file.read_bytes()), not packed


@pytest.mark.parametrize("folder", ON_FABRIC, ids=called)
def test_the_features_of_a_bitstream_make_the_same_bitstream(folder: Path, tmp_path: Path) -> None:
    bitstream, compress = bitstream_of(folder)
    assert pack_again(bitstream, tmp_path, compress=compress) == bitstream
    memories = (tmp_path / "read.config").read_text().count(".bram_init")
    assert memories == load(folder)["utilisation"]["DP16KD"][0]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small bitstream, `read.bit`, and its features."""
    folder = tmp_path_factory.mktemp("small")
    bitstream, compress = bitstream_of(HOME / "ulx3s" / "pulse_shaper")
    pack_again(bitstream, folder, compress=compress)
    return folder


def test_what_reads_back_as_something_else_is_no_bitstream(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small / "read.config").rename(small / "design.config")
    good = pack(small)
    assert good == (small / "read.bit").read_bytes()
    monkeypatch.setattr(place_and_route, "pack_again", lambda bitstream, folder, compress: bitstream[:-1])
    with pytest.raises(RuntimeError, match="has other features than it was made of"):
        pack(small)


@pytest.mark.parametrize("damage", ["cut short", "a bit flipped", "nothing"])
def test_a_damaged_bitstream_has_no_features(small: Path, damage: str, tmp_path: Path) -> None:
    bits = (small / "read.bit").read_bytes()
    place = len(bits) // 2
    broken = {
        "cut short": bits[:place],
        "a bit flipped": bits[:place] + bytes([bits[place] ^ 4]) + bits[place + 1 :],
        "nothing": b"",
    }
    with pytest.raises(RuntimeError) as error:
        pack_again(broken[damage], tmp_path, compress=True)
    assert "\n" not in str(error.value)


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
