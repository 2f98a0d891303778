import json
from pathlib import Path

import numpy as np
import pytest

from kronborg.cli import main
from kronborg.commands import doctor


def test_it_says_what_is_there_and_how_to_get_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    assert main(["doctor"]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    said = {name.strip(): text.strip() for name, text in lines.items()}
    assert said["numpy"] == np.__version__
    assert said["C++ compiler"].startswith("missing: ")
    assert "install g++" in said["C++ compiler"]
    for tool, extra in (("pyserial", "serial"), ("nextpnr-ecp5", "ecp5")):
        assert said[tool][0].isdigit() or f"kronborg[{extra}]" in said[tool]
    assert said["openFPGALoader"].startswith("missing: loads the ULX3S")
    assert said["Vivado"].startswith("missing: makes bitstreams")
    assert said["board"].startswith("missing: ")
    assert "root" not in said


def test_on_a_board_it_says_which_and_whether_registers_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = tmp_path / "pynq_board"
    name.write_text("Pynq-Z2\0")
    monkeypatch.setattr(doctor, "PYNQ_IMAGE", name)
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 1000)
    assert main(["doctor", "--json", "-"]) == 0
    found = {entry["what"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert found["board"]["found"] == "Pynq-Z2"
    assert found["root"]["found"] == ""
    assert "sudo" in found["root"]["use"]


@pytest.mark.parametrize("value", ["", " ", '"no end'])
def test_a_compiler_that_is_named_in_no_words_is_none_and_no_traceback(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CXX", value)
    assert main(["doctor"]) == 0
    assert "missing: runs RTL, decodes faster" in capsys.readouterr().out
