import json
from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg_hdl.synthesis import yosys

ONE = ["--core", "alphabet", "--lanes", "1", "--device", "xczu48dr"]


def test_writes_the_rows_that_were_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.json"
    assert main(["resources", *ONE, "--json", str(path)]) == 0
    (row,) = json.loads(path.read_text())["rows"]
    assert (row["core"], row["lanes"], row["device"]) == ("alphabet", 1, "xczu48dr")
    assert {"multipliers", "luts", "registers", "block_rams", "logic_levels"} < row.keys()
    assert str(row["luts"]) in capsys.readouterr().out


def test_json_on_standard_output_is_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resources", *ONE, "--json", "-"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--core", "gaussian", "--lanes", "16"], "no core is built so"),
        (["--core", "pulse_shaper", "--lanes", "2", "--samples-per-symbol", "3"], "3 samples per symbol: must be"),
        (["--core", "transmitter", "--lanes", "8", "--samples-per-symbol", "0"], "0 samples per symbol: must be 2"),
        (["--core", "transmitter", "--lanes", "8", "--span", "0"], "a span of 0 symbols: must be 1 to 256"),
        (["--timing", "--slow-paths"], "--timing and --slow-paths are two tables"),
        (["--jobs", "0"], "--jobs 0"),
        (["--timing", "--jobs", "2"], "take one core after the other: leave out --jobs"),
        (["--slow-paths", "--jobs", "2"], "take one core after the other: leave out --jobs"),
        (["--store", "--span", "5"], "leave out --samples-per-symbol and --span"),
        (["--json", "/nowhere/rows.json"], "cannot write '/nowhere/rows.json'"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resources", "--plain", *arguments]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("kronborg resources: ") == 1


@pytest.mark.parametrize(
    ("program", "line"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "Yosys, on alphabet, was ended by SIGKILL: is there",
        ),
        (
            "print('ERROR: no such module'); print('bye'); raise SystemExit(1)",
            "Yosys, on alphabet, failed: ERROR: no such",
        ),
        ("raise SystemExit(3)", "Yosys, on alphabet, failed: it said nothing, and ended with 3"),
    ],
)
def test_a_yosys_that_fails_or_is_killed_is_one_line(
    program: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(yosys, "_PROGRAM", program)
    assert main(["resources", *ONE, "--fresh"]) == 1
    error = capsys.readouterr().err
    assert f"kronborg resources: {line}" in error
    assert "Traceback" not in error
