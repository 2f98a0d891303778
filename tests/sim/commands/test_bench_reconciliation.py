"""`kronborg bench reconciliation`: efficiency with all leakage charged, frame errors, speed, peers."""

import json
import math
import stat
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("snr", "method"), [(0.4, "multidimensional"), (1.5, "slices")])
def test_all_that_is_disclosed_is_charged_and_the_better_method_chosen(bench, snr: float, method: str) -> None:
    found = bench("reconciliation", "--snr", str(snr), "--frames", "1", "--seed", "3")
    assert found.code == 0
    figures = found.figures
    assert figures["method"] == method
    assert figures["failed_frames"] == figures["wrong_frames"] == figures["frame_error_rate"] == 0
    beta = figures["rate"] / (0.5 * math.log2(1 + snr))
    assert figures["reconciliation_efficiency"] == figures["efficiency_times_success"] == pytest.approx(beta)
    assert beta > 0.9
    if method == "multidimensional":
        left = figures["symbols_per_frame"] - figures["disclosed_bits_per_frame"]
        assert figures["rate"] == pytest.approx(left / figures["symbols_per_frame"])
    assert figures["symbols_per_second_per_core"] > 0
    assert figures["peers"] == []


def test_a_code_may_be_named(bench) -> None:
    figures = bench("reconciliation", "--snr", "0.2", "--code", "met-0.11/872", "--frames", "1").figures
    assert figures["method"] == "multidimensional"
    assert figures["code"] == "met-0.11/872"


def test_a_peer_runs_in_its_own_python_and_is_compared(bench, tmp_path: Path) -> None:
    """A stand-in answers for the peer: what it is asked, and that its figures come out side by side."""
    answer = {"version": "9", "symbols_per_frame": 100, "rate": 0.2, "frames": 2, "failed_frames": 1}
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\nimport json, sys\ntask = json.loads(sys.argv[2])\n"
        "assert sys.argv[1].endswith('with_information_reconciliation.py') and task['frames'] == 2\n"
        f"print(json.dumps({answer!r} | {{'symbols_per_second_per_core': 1e5}}))\n"
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    peer = ("--peer", "information-reconciliation", "--peer-python", str(python), "--peer-frames", "2")
    figures = bench("reconciliation", "--snr", "0.4", "--frames", "1", *peer).figures
    (theirs,) = figures["peers"]
    assert theirs["name"] == "information-reconciliation"
    assert theirs["efficiency_times_success"] == pytest.approx(0.5 * 0.2 / (0.5 * math.log2(1.4)))
    assert theirs["speed_ratio"] == pytest.approx(figures["symbols_per_second_per_core"] / 1e5)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--snr", "nan"), 2, "no positive number"),
        (("--snr", "inf"), 3, "check that the symbols are numbers"),
        (("--snr", "-1"), 2, "no positive number"),
        (("--snr", "0.001"), 3, "raise the modulation variance"),
        (("--snr", "0.2", "--frames", "0"), 2, "whole number"),
        (("--snr", "0.2", "--code", "met-9/1"), 2, "no code is called"),
        (("--snr", "0.2", "--code", "met-0.11/872", "--method", "slices"), 2, "leave --code out"),
        (("--snr", "0.2", "--peer", "ldpc"), 2, "name its Python with --peer-python"),
    ],
)
def test_bad_input_gets_one_line(bench, arguments: tuple[str, ...], code: int, said: str) -> None:
    found = bench("reconciliation", *arguments)
    assert found.code == code
    assert said in found.err.splitlines()[-1]


def test_a_peer_that_is_not_installed_gets_one_line(bench) -> None:
    arguments = ("--snr", "0.4", "--frames", "1", "--peer", "information-reconciliation")
    found = bench("reconciliation", *arguments, "--peer-python", "/nowhere/python")
    assert found.code == 2
    assert "cannot be run" in found.err.splitlines()[-1]
    assert json.dumps(found.err.splitlines()[-1]).count("\\n") == 0
