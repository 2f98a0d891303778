import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from kronborg.board.serial import flashing
from kronborg.cli import main
from kronborg_sim.benches.echo_core import REGISTERS, EchoBoard
from kronborg_sim.devices.serial_line import PseudoTerminal


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder as the build writes it, of an echo."""
    bits = b"as good as any"
    manifest = {
        "overlay": "echo",
        "board": "ulx3s",
        "status": "built",
        "kronborg_version": version("kronborg"),
        "bitstream": "kronborg_echo.bit",
        "streams": {"into": ["s_axis"], "out_of": ["m_axis"]},
        "sha256": {"kronborg_echo.bit": hashlib.sha256(bits).hexdigest()},
    }
    (tmp_path / "kronborg_echo.bit").write_bytes(bits)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def loader(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A stand-in for openFPGALoader, the only program there is."""
    program = folder / "bin" / "openFPGALoader"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + "/bin")


def test_it_loads_the_file_and_reads_back_what_answers(
    files: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(flashing.DESIGNS, "echo", REGISTERS)
    told, said = tmp_path_factory.mktemp("told") / "arguments", tmp_path_factory.mktemp("said") / "said.json"
    loader(told.parent, monkeypatch, f'echo "$@" > {told}')
    with PseudoTerminal(EchoBoard()) as terminal:
        options = ["--files", str(files), "--port", terminal.name, "--json", str(said)]
        assert main(["flash", "ulx3s", *options]) == 0
    assert told.read_text().split() == ["--board", "ulx3s", str(files / "kronborg_echo.bit")]
    assert json.loads(said.read_text())["parts"] == ["echo"]


def test_a_dry_run_loads_nothing(files: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["flash", "ulx3s", "--files", str(files), "--dry-run"]) == 0
    assert "kronborg_echo for Radiona ULX3S-85F can be loaded" in capsys.readouterr().out


def test_what_is_wrong_is_one_line(files: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def fails(line: str, code: int) -> None:
        assert main(["flash", "ulx3s", "--files", str(files)]) == code
        error = capsys.readouterr().err
        assert line in error
        assert error.count("\n") == 1

    monkeypatch.setenv("PATH", "")
    fails("there is no openFPGALoader: install it", 2)
    loader(files, monkeypatch, "echo unable to open ftdi device >&2; exit 1")
    fails("openFPGALoader failed (unable to open ftdi device): the board may have no design now", 1)
    text = (files / "manifest.json").read_text()
    for old, new, line in (
        ('"ulx3s"', '"rfsoc4x2"', "is built for rfsoc4x2 and not for ulx3s"),
        ('"built"', '"not built"', "is not built: kronborg build ulx3s --out DIR builds it"),
        (version("kronborg"), "0.0.0", "was built by kronborg 0.0.0 and this is"),
    ):
        (files / "manifest.json").write_text(text.replace(old, new))
        fails(line, 2)
    (files / "manifest.json").write_text(text)
    (files / "kronborg_echo.bit").write_bytes(b"cut short")
    fails("kronborg_echo.bit is not the one that was built", 2)
