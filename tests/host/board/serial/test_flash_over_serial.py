import hashlib
import json
import lzma
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from serial.tools import list_ports

from kronborg.board.serial import flashing
from kronborg.cli import main
from kronborg_hdl.axi.watchdog.registers import REGISTERS as WATCHDOG
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
    told, said = tmp_path_factory.mktemp("told") / "arguments", tmp_path_factory.mktemp("said") / "said.json"
    loader(told.parent, monkeypatch, f'echo "$@" > {told}')
    with PseudoTerminal(EchoBoard()) as terminal:
        options = ["--files", str(files), "--port", terminal.name, "--json", str(said)]
        assert main(["flash", "ulx3s", *options]) == 0
    assert told.read_text().split() == ["--board", "ulx3s", str(files / "kronborg_echo.bit")]
    assert json.loads(said.read_text())["parts"] == ["echo"]


def test_a_packed_file_is_unpacked_before_it_is_loaded(
    files: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    bits, manifest = (files / "kronborg_echo.bit").read_bytes(), json.loads((files / "manifest.json").read_text())
    (files / "kronborg_echo.bit").unlink()
    packed = lzma.compress(bits)
    (files / "kronborg_echo.bit.xz").write_bytes(packed)
    manifest |= {"bitstream": "kronborg_echo.bit.xz", "bitstream_sha256": hashlib.sha256(bits).hexdigest()}
    manifest["sha256"] = {"kronborg_echo.bit.xz": hashlib.sha256(packed).hexdigest()}
    (files / "manifest.json").write_text(json.dumps(manifest))
    taken = tmp_path_factory.mktemp("told") / "taken"
    loader(taken.parent, monkeypatch, f'cat "$3" > {taken}')
    with PseudoTerminal(EchoBoard()) as terminal:
        assert main(["flash", "ulx3s", "--files", str(files), "--port", terminal.name]) == 0
    assert taken.read_bytes() == bits


def test_a_dry_run_loads_nothing(files: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["flash", "ulx3s", "--files", str(files), "--dry-run"]) == 0
    assert "kronborg_echo for Radiona ULX3S-85F can be loaded" in capsys.readouterr().out


@pytest.fixture
def port() -> Iterator[str]:
    """One at which nobody is."""
    ours, theirs = os.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def fails(files: Path, port: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """The command fails, and says one line."""

    def fails(line: str, code: int, *options: str) -> None:
        assert main(["flash", "ulx3s", "--files", str(files), *(options or ("--port", port))]) == code
        error = capsys.readouterr().err
        assert line in error
        assert error.count("\n") == 1

    return fails


@pytest.fixture(autouse=True)
def design(monkeypatch: pytest.MonkeyPatch) -> None:
    """An echo can be loaded."""
    monkeypatch.setitem(flashing.DESIGNS, "echo", REGISTERS)


def test_what_is_wrong_is_one_line(fails, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    fails("there is no openFPGALoader: install it", 2)
    loader(files, monkeypatch, "echo unable to open ftdi device >&2; exit 1")
    fails("openFPGALoader failed (unable to open ftdi device): the board may have no design now", 1)
    text = (files / "manifest.json").read_text()
    for old, new, line in (
        ('"ulx3s"', '"rfsoc4x2"', "is built for rfsoc4x2 and not for ulx3s"),
        ('"built"', '"not built"', "is not built: kronborg build ulx3s --out DIR builds it"),
        (version("kronborg"), "0.0.0", "was built by kronborg 0.0.0 and this is"),
        ('"overlay": "echo"', '"overlay": "another"', "is of 'another', which this cannot talk to: there are "),
        ('"bitstream": "kronborg_echo.bit"', '"bitstream": "../a.bit"', "is no manifest: kronborg build writes one"),
        ('"bitstream": "kronborg_echo.bit"', '"bitstream": null', "is no manifest: kronborg build writes one"),
    ):
        (files / "manifest.json").write_text(text.replace(old, new))
        fails(line, 2)
    (files / "manifest.json").write_text(text)
    (files / "kronborg_echo.bit").write_bytes(b"cut short")
    fails("kronborg_echo.bit is not the one that was built", 2)


def test_a_manifest_that_does_not_hash_its_bitstream_is_none(files: Path, fails) -> None:
    manifest = json.loads((files / "manifest.json").read_text())
    for digests in ({}, None, ["kronborg_echo.bit"], {"kronborg_echo.bit": 7}, {"../kronborg_echo.bit": ""}):
        (files / "manifest.json").write_text(json.dumps(manifest | {"sha256": digests}))
        fails("is no manifest: kronborg build writes one", 2)


def test_what_is_asked_for_and_not_done_is_refused_before_anything_is_loaded(
    files: Path, tmp_path_factory: pytest.TempPathFactory, fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path_factory.mktemp("told") / "arguments"
    loader(told.parent, monkeypatch, f'echo "$@" > {told}')
    fails("has the overlay echo: name the files of loopback", 2, "--overlay", "loopback")
    fails("--on means nothing to ulx3s: leave it out", 2, "--on", "model")
    monkeypatch.setattr(list_ports, "comports", list)
    fails("no USB serial port 0403:6015 is there", 2, "--json", "-")
    fails("cannot open /dev/nowhere at 3000000 baud: there is no such port: is the board", 2, "--port", "/dev/nowhere")
    monkeypatch.setitem(sys.modules, "serial", None)
    fails("pip install 'kronborg[serial]'", 2)
    assert not told.exists()


def test_a_board_that_was_loaded_and_is_not_what_it_must_be_is_said_to_be_loaded(
    tmp_path_factory: pytest.TempPathFactory, port: str, fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path_factory.mktemp("loader") / "port"
    gone.symlink_to(port)
    loader(gone.parent, monkeypatch, f"rm -f {gone}")
    said = f"the bitstream is loaded, and is not what it must be or cannot be asked: cannot open {gone}"
    fails(said, 1, "--port", str(gone))
    monkeypatch.setitem(flashing.DESIGNS, "echo", WATCHDOG)
    with PseudoTerminal(EchoBoard()) as terminal:
        fails(
            "the bitstream is loaded, and is not what it must be or cannot be asked: watchdog",
            1,
            "--port",
            terminal.name,
        )
