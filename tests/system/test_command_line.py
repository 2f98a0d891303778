"""Wrong input: exit code 2, one line, no trace."""

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
    "no recording": ["replay", "nothing.sigmf-meta", "--alice", "nothing.npy"],
    "not a recording": ["replay", "/dev/null", "--alice", "nothing.npy"],
    "rate without a channel": ["rate", "--modulation-variance", "4"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_gives_exit_code_2_and_one_line(kronborg: Command, arguments: list[str]) -> None:
    finished = kronborg(*arguments)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    assert finished.stderr.startswith("kronborg")


def test_help_names_every_command(kronborg: Command) -> None:
    text = kronborg("--help").stdout
    assert all(command in text for command in ("run", "replay", "rate"))


def test_importing_the_host_package_takes_neither_amaranth_nor_matplotlib_nor_the_simulation() -> None:
    import subprocess
    import sys

    script = "import sys, kronborg, kronborg.link.bob; print([m for m in sys.modules if m.split('.')[0] in "
    script += "('amaranth', 'matplotlib', 'kronborg_sim', 'scipy', 'cocotb')])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"
