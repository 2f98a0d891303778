"""`dieharder` itself is not needed: a program of its name stands in and says what it was given."""

import sys
from pathlib import Path

import pytest

from kronborg_sim.commands.bench import entropy
from kronborg_sim.commands.bench.keystream import chacha20

from .conftest import Bench

RESULT = "        {name},   {ntuple},    100000,     100,{p:.8f},  {assessment}"
PASSED = RESULT.format(name="sts_serial", ntuple=3, p=0.5, assessment="PASSED")
WEAK = RESULT.format(name="rgb_bitdist", ntuple=2, p=0.004, assessment=" WEAK ")
FAILED = RESULT.format(name="diehard_craps", ntuple=0, p=0.0, assessment="FAILED")


class Program:
    """Writes a `dieharder` and puts it on the path, where nothing else is then."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        monkeypatch.setenv("PATH", str(folder))

    def says(self, *lines: str, reads: int = 1000, ends: str = "") -> None:
        path = self.folder / "dieharder"
        path.write_text(
            f"#!{sys.executable}\nimport os, sys\n"
            f"here = {str(self.folder)!r}\n"
            "open(here + '/arguments', 'w').write(' '.join(sys.argv[1:]))\n"
            f"open(here + '/stream', 'wb').write(sys.stdin.buffer.read({reads}))\n"
            f"print({chr(10).join(lines)!r}, flush=True)\n{ends}\n"
        )
        path.chmod(0o755)

    def saw(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Program(folder, monkeypatch)


def test_the_keystream_passes_the_built_in_battery(bench: Bench, program: Program) -> None:
    finished = bench("entropy", "--bytes", "1e6", "--seed", "3")
    figures = finished.figures
    assert finished.code == 0, finished.err
    assert figures["battery"] == "built-in"
    assert figures["generator"] == "chacha20"
    assert figures["seed"] == 3
    assert 1e6 <= figures["bytes"] < 1e6 + 8192
    assert len(figures["tests"]) == 9
    assert all(0 < test["p_value"] <= 1 for test in figures["tests"])
    assert figures["passed"] is True
    assert "family-wise level" in finished.out


@pytest.mark.parametrize(("generator", "found"), [("prbs31", "rank"), ("stuck", "position")])
def test_a_bad_generator_fails(bench: Bench, program: Program, generator: str, found: str) -> None:
    finished = bench("entropy", "--bytes", "1e6", "--generator", generator)
    assert finished.code == 1
    assert finished.err.splitlines()[-1].startswith("kronborg bench: entropy failed: ")
    assert found in finished.err
    assert finished.figures["passed"] is False


def test_the_built_in_battery_gets_the_keystream() -> None:
    battery = entropy.count(entropy.Task("chacha20", 8, 0, 128))
    assert battery.heads[0].tolist() == chacha20(8, 0, 128).view("<u8")[:, 0].tolist()


def test_dieharder_gets_the_keystream_and_all_its_tests_run(bench: Bench, program: Program) -> None:
    program.says(*[PASSED] * 113, WEAK, reads=3_000_000)
    finished = bench("entropy", "--seed", "6")
    assert finished.code == 0, finished.err
    assert program.saw("arguments").startswith(b"-g 200 -a ")
    assert program.saw("stream") == chacha20(6, 0, 46875).astype("<u4").tobytes()
    figures = finished.figures
    assert figures["battery"] == "dieharder"
    assert figures["bytes"] >= 3_000_000
    assert len(figures["tests"]) == 114
    assert figures["tests"][0] == {
        "test": "sts_serial",
        "ntuple": 3,
        "tsamples": 100000,
        "psamples": 100,
        "p_value": 0.5,
        "assessment": "PASSED",
    }
    assert "rgb_bitdist(2)" in finished.out
    assert "113 PASSED, 1 WEAK, 0 FAILED" in finished.out


def test_one_of_dieharders_tests_can_be_chosen(bench: Bench, program: Program) -> None:
    program.says(PASSED)
    assert bench("entropy", "--test", "102").code == 0
    assert program.saw("arguments").startswith(b"-g 200 -d 102 ")


def test_what_dieharder_finds_fails_the_bench(bench: Bench, program: Program) -> None:
    program.says(PASSED, FAILED)
    finished = bench("entropy")
    assert finished.code == 1
    assert finished.err.splitlines()[-1] == "kronborg bench: entropy failed: diehard_craps(0)"
    assert finished.figures["passed"] is False


@pytest.mark.parametrize(
    ("lines", "ends", "message"),
    [
        ([], "", "which is no result"),
        (["Usage: dieharder"], "", "'Usage: dieharder', which is no result"),
        ([PASSED], "sys.exit('out of memory')", "ended with code 1 after 1 results. out of memory"),
        ([PASSED], "os.kill(os.getpid(), 11)", "ended with code -11 after 1 results"),
    ],
    ids=["nothing", "something else", "an error", "a crash"],
)
def test_a_dieharder_that_breaks_off_is_no_pass(
    bench: Bench, program: Program, lines: list[str], ends: str, message: str
) -> None:
    program.says(*lines, ends=ends)
    finished = bench("entropy")
    assert finished.code == 1
    assert message in finished.err.splitlines()[-1]
    assert finished.figures is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bytes", "1e5", "--battery", "built-in"], "give a whole number from 1e+06"),
        (["--bytes", "1e99", "--battery", "built-in"], "give a whole number"),
        (["--bytes", "0"], "give a whole number"),
        (["--seed", "-1"], "give a whole number"),
        (["--battery", "dieharder"], "apt install dieharder"),
        (["--test", "1"], "apt install dieharder"),
        (["--battery", "dieharder", "--bytes", "1e6"], "takes what it needs"),
        (["--battery", "built-in", "--test", "1"], "leave --battery built-in out"),
        (["--generator", "dice"], "invalid choice"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_refused_in_one_line(
    bench: Bench, program: Program, arguments: list[str], message: str
) -> None:
    finished = bench("entropy", *arguments)
    assert finished.code == 2
    assert len(finished.err.splitlines()) == 1
    assert message in finished.err
    assert finished.figures is None


def test_a_test_that_dieharder_does_not_know_is_refused(bench: Bench, program: Program) -> None:
    program.says(PASSED)
    finished = bench("entropy", "--test", "50")
    assert finished.code == 2
    assert "no test 50" in finished.err
