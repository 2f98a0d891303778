"""An overlay by its name alone: PYNQ finds the files and binds the drivers, where nothing of ours was imported."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kronborg.board.pynq import overlays
from kronborg.board.pynq.opening import open_overlay
from kronborg.cli import main
from kronborg.errors import InputError
from kronborg_hdl.boards import BOARDS
from kronborg_hdl.modulation.interpolating_shaper.registers import REGISTERS as SHAPER
from kronborg_hdl.overlays.build import described
from kronborg_hdl.transmitter.registers import transmitter_pages
from kronborg_sim.devices.model_gateware import ModelGateware
from kronborg_sim.devices.models import model_device

from .conftest import BOARD

PAGES = [name for name, _ in transmitter_pages(shaper=SHAPER, predistortion=True).pages]
SCRIPT = """
import sys, pynq
from kronborg_hdl.boards import BOARDS
from kronborg_sim.devices.models import model_device
model_device(BOARDS["pynq-z2"]).activate()  # a real board is there by itself
assert not [name for name in sys.modules if name.startswith("kronborg.board.pynq.drivers")]
overlay = pynq.Overlay("kronborg_transmitter.bit")
print(type(overlay.transmitter).__module__, type(overlay.transmitter).__name__, overlay.transmitter.lanes)
print(type(overlay.record) is pynq.lib.DMA, type(overlay.watchdog).__name__)
"""


@pytest.fixture
def by_name():
    """The transmitter's description where PYNQ looks for it."""
    folder = overlays.folder("transmitter")
    stand_in, text = overlays.stand_in("transmitter")
    stand_in.parent.mkdir(parents=True)
    written = [stand_in, *(folder / name for name in described("transmitter", BOARD))]
    for path, content in zip(written, [text, *described("transmitter", BOARD).values()], strict=True):
        path.write_text(content)
    yield folder
    for path in written:
        path.unlink(missing_ok=True)
    stand_in.parent.rmdir()
    folder.rmdir()


def test_an_overlay_is_found_and_bound_by_name(by_name: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *_, driver, others = done.stdout.splitlines()
    assert driver == f"kronborg.board.pynq.drivers TransmitterDriver {BOARD.lanes}"
    assert others == "True WatchdogDriver"


def test_what_cannot_be_opened_is_one_clear_line(
    by_name: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pynq

    monkeypatch.delenv("BOARD", raising=False)
    model_device(BOARDS["rfsoc4x2"]).activate()
    with pytest.raises(
        InputError, match=r"kronborg_transmitter\.hwh is built for pynq-z2 and this is a rfsoc4x2: build"
    ):
        pynq.Overlay("kronborg_transmitter.bit")
    with pytest.raises(InputError, match=r"not built for TUL PYNQ-Z2: run kronborg_transmitter\.tcl first"):
        open_overlay("pynq", by_name)
    manifest = by_name / "manifest.json"
    text = manifest.read_text()
    said = json.loads(text) | {"status": "built", "bitstream": "kronborg_transmitter.bit"}
    manifest.write_text(json.dumps(said))
    (by_name / "kronborg_transmitter.bit").write_bytes(b"no bitstream")
    try:
        with pytest.raises(InputError, match="is no manifest"):  # nothing says which bitstream it is of
            open_overlay("pynq", by_name)
        said["sha256"] |= {"kronborg_transmitter.bit": hashlib.sha256(b"no bitstream").hexdigest()}
        manifest.write_text(json.dumps(said))
        monkeypatch.setenv("BOARD", "RFSoC4x2")
        with pytest.raises(InputError, match="is built for TUL PYNQ-Z2 and this is a RFSoC4x2: name the files of"):
            open_overlay("pynq", by_name)
        monkeypatch.setenv("BOARD", "Pynq-Z2")
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        with pytest.raises(InputError, match="open to root only: run this with sudo"):
            open_overlay("pynq", by_name)
        manifest.write_text(text.replace('"kronborg_version": "', '"kronborg_version": "0.0.'))
        with pytest.raises(
            InputError, match=r"was built by kronborg 0\.0\.0\.1\.0 and this is 0\.1\.0: build it again"
        ):
            open_overlay("model", by_name)
        manifest.write_text(text)
        (by_name / "kronborg_transmitter.hwh").unlink()
        with pytest.raises(InputError, match=r"kronborg_transmitter\.hwh is missing; build it again"):
            open_overlay("model", by_name)
        (by_name / "kronborg_transmitter.hwh").write_text(described("transmitter", BOARD)["kronborg_transmitter.hwh"])
        with pytest.raises(InputError, match="no kind of board 'none': there are pynq, model, rtl"):
            open_overlay("none", by_name)
        with pytest.raises(InputError, match=r"there is no manifest\.json in"):
            open_overlay("model", tmp_path)
    finally:
        (by_name / "kronborg_transmitter.bit").unlink()


def test_flash_reads_back_what_every_core_is(by_name: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = tmp_path / "said.json"
    arguments = ["flash", "pynq-z2", "--overlay", "transmitter", "--on", "model", "--json", str(said)]
    assert main(arguments) == 0
    parts = {part["page"]: part for part in json.loads(said.read_text())["parts"]}
    assert set(parts) == {"watchdog", *(f"transmitter_{name}" for name in PAGES)}
    assert parts["transmitter_transmitter"]["id"] == "KBTX"
    assert parts["transmitter_transmitter"]["capabilities"] == {
        "lanes": BOARD.lanes,
        "samples_per_symbol": 8,
        "span": 33,
    }
    assert capsys.readouterr().out.endswith("kronborg_transmitter for TUL PYNQ-Z2 is loaded\n")
    assert main([*arguments[:-2], "--dry-run"]) == 0
    assert capsys.readouterr().out == "kronborg_transmitter for TUL PYNQ-Z2 can be loaded\n"


def test_flash_loads_nothing_that_is_not_what_was_built(by_name: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, line in (
        (["pynq-z2"], "not built for TUL PYNQ-Z2"),
        (["pynq-z2", "--dry-run"], "not built for TUL PYNQ-Z2"),
        (["rfsoc4x2", "--on", "model"], "is built for pynq-z2: build it for rfsoc4x2, or name other files"),
        (["pynq-z2", "--files", "/nowhere"], "there is no manifest.json in '/nowhere'"),
    ):
        assert main(["flash", *arguments, "--overlay", "transmitter"]) == 2
        error = capsys.readouterr().err
        assert line in error
        assert error.count("\n") == 1
    with (by_name / "kronborg_transmitter.hwh").open("a") as file:
        file.write(" ")
    assert main(["flash", "pynq-z2", "--overlay", "transmitter", "--on", "model"]) == 2
    assert "kronborg_transmitter.hwh is not the one that was built" in capsys.readouterr().err


def test_flash_tells_another_core_from_the_one_described(
    by_name: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = ModelGateware.read
    monkeypatch.setattr(ModelGateware, "read", lambda self, offset: read(self, offset) ^ (offset == 0x5000) * 1)
    assert main(["flash", "pynq-z2", "--overlay", "transmitter", "--on", "model"]) == 1
    assert "the bitstream on the board is another than the .hwh says" in capsys.readouterr().err
