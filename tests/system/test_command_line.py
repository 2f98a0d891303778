"""Wrong input: exit code 2, one line, no trace. Commands of other packages."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Command

WRONG = {
    "no command": [],
    "unknown command": ["fly"],
    "unknown option": ["run", "--fast"],
    "not a number": ["run", "--distance", "far"],
    "negative distance": ["run", "--distance", "-1"],
    "distance not finite": ["run", "--distance", "nan"],
    "half a symbol": ["run", "--symbols", "1.5"],
    "no symbols": ["run", "--symbols", "0"],
    "endless symbols": ["run", "--symbols", "inf"],
    "all symbols disclosed": ["run", "--estimation-fraction", "1"],
    "efficiency above one": ["run", "--detector-efficiency", "1.1"],
    "negative noise": ["run", "--excess-noise", "-0.1"],
    "negative modulation": ["run", "--modulation-variance", "-3"],
    "pilot beyond the converter": ["run", "--pilot-snr", "50"],
    "epsilon of one": ["run", "--epsilon", "1"],
    "unknown board": ["run", "--board", "zcu999"],
    "negative seed": ["run", "--seed", "-1"],
    "a store that is a file": ["run", "--store", "/dev/null"],
    "a report that cannot be written": ["run", "--report", "/missing/report.html"],
    "figures that cannot be written": ["run", "--json", "/missing/run.json"],
    "more symbols than memory holds": ["run", "--symbols", "1e9"],
    "more symbols than a light has": ["run", "--light", "drawn", "--symbols", "2e9"],
    "unknown light": ["run", "--light", "moon", "--symbols", "6e5"],
    "a tap without a light": ["run", "--tap-from", "3"],
    "a tap before the first frame": ["run", "--light", "drawn", "--tap-from", "-1"],
    "a tap that takes noise away": ["run", "--light", "drawn", "--tap-from", "1", "--tap-noise", "-1"],
    "no recording": ["replay", "nothing.sigmf-meta", "--alice", "nothing.npy"],
    "not a recording": ["replay", "/dev/null", "--alice", "nothing.npy"],
    "rate without a channel": ["rate", "--modulation-variance", "4"],
    "bench of nothing": ["bench"],
    "unknown bench": ["bench", "everything"],
    "no samples": ["bench", "gaussian", "--samples", "0"],
    "bench figures that cannot be written": ["bench", "gaussian", "--json", "/missing/gaussian.json"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_gives_exit_code_2_and_one_line(kronborg: Command, arguments: list[str]) -> None:
    finished = kronborg(*arguments)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    assert finished.stderr.startswith("kronborg")


def test_help_names_every_command(kronborg: Command) -> None:
    finished = kronborg("--help")
    assert finished.returncode == 0
    assert all(f"\n    {command} " in finished.stdout for command in ("run", "replay", "rate", "bench"))
    assert "Measure what is claimed" in finished.stdout


WINGS = '''"""Fly to another castle.

Nobody has to read this."""

import argparse
import sys

{imports}


def add_arguments(parser):
    parser.add_argument("--to")


def run(options):
    if options.to == "nowhere":
        raise KeyboardInterrupt
    if options.to == "far":
        import feathers
    print("flown to", options.to)
    return 4
'''


@pytest.fixture
def fly(kronborg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`kronborg`, where another package offers the command `fly`; its module imports what is given."""
    facts = tmp_path / "wings-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: wings\nVersion: 1\n")
    points = "[kronborg.commands]\nfly = kronborg_wings.fly\nrun = kronborg_wings.fly\nlost = kronborg_wings.lost\n"
    (facts / "entry_points.txt").write_text(points)
    (tmp_path / "kronborg_wings").mkdir()
    (tmp_path / "kronborg_wings" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(*arguments: str, imports: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "kronborg_wings" / "fly.py").write_text(WINGS.format(imports=imports))
        return kronborg(*arguments)

    return run


def test_a_command_of_another_package_runs(fly: Command) -> None:
    finished = fly("fly", "--to", "Helsingborg")
    assert (finished.stdout, finished.stderr, finished.returncode) == ("flown to Helsingborg\n", "", 4)


def test_its_wrong_arguments_and_interrupts_are_treated_as_those_of_others(fly: Command) -> None:
    finished = fly("fly", "--from", "Helsingør")
    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    finished = fly("fly", "--to", "nowhere")
    assert (finished.returncode, finished.stderr) == (130, "kronborg fly: interrupted\n")


def test_its_module_is_not_run_before_it_is_asked_for(fly: Command) -> None:
    crash = "raise SystemExit('loaded')"
    finished = fly("--help", imports=crash)
    assert finished.returncode == 0, finished.stderr
    lines = [line.split() for line in finished.stdout.splitlines()]
    assert ["fly", "Fly", "to", "another", "castle."] in lines
    assert ["lost", "(not", "there:", "install", "again)"] in lines
    finished = fly("rate", "--distance", "10", imports=crash)
    assert finished.returncode == 0, finished.stderr
    assert "loaded" in fly("fly", imports=crash).stderr


@pytest.mark.parametrize(("to", "imports"), [("here", "import feathers.long"), ("far", "")])
def test_a_missing_extra_is_named(fly: Command, to: str, imports: str) -> None:
    finished = fly("fly", "--to", to, imports=imports)
    assert finished.returncode == 2
    wanted = "kronborg fly: needs the extra 'wings' (feathers is missing): pip install 'kronborg[wings]'\n"
    assert finished.stderr == wanted


def test_a_part_of_kronborg_that_is_missing_is_a_fault_not_an_extra(fly: Command) -> None:
    finished = fly("fly", imports="import kronborg_feathers")
    assert finished.returncode == 1
    assert "ModuleNotFoundError" in finished.stderr


def test_this_packages_own_commands_cannot_be_replaced(fly: Command) -> None:
    assert "--distance" in fly("run", "--help").stdout


def test_importing_the_host_package_takes_neither_amaranth_nor_matplotlib_nor_the_simulation() -> None:
    # The command's modules as well: without extras there is no Amaranth.
    script = "import sys, kronborg.cli, kronborg.link.bob; print([m for m in sys.modules if m.split('.')[0] in "
    script += "('amaranth', 'matplotlib', 'kronborg_sim', 'scipy', 'cocotb')])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"
