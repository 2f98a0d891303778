import json
from dataclasses import replace
from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg_hdl.synthesis import slow_paths, timing
from kronborg_hdl.synthesis.cores import CORES, configure

STORED = slow_paths.load()
ROW = slow_paths.SlowPaths(
    "alphabet", 1, None, None, "a to b: register, register; 2.6 ns in cells", 2.6, ("b", "c"), ""
)


def test_every_path_that_is_listed_has_its_reason() -> None:
    assert {row.core for row in STORED if row.ends} == set(slow_paths.REASONS)


def test_the_page_is_made_from_the_stored_rows() -> None:
    assert slow_paths.merge((), STORED) == STORED
    page = (Path(__file__).parents[3] / "docs" / "timing.md").read_text("utf-8")
    assert page.endswith(f"\n{slow_paths.markdown(STORED)}")


def test_a_page_names_what_is_long_what_is_not_and_what_nobody_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_paths, "REASONS", {"alphabet": "for a reason"})
    short = replace(ROW, core="tap", longest="", ns=0.0, ends=())
    page = slow_paths.markdown([ROW, short])
    assert "| alphabet | 2.6 | a to b: register, register | 2 | for a reason |" in page
    assert "None so long: tap." in page
    (missing,) = (line for line in page.splitlines() if line.startswith("Not looked at yet"))
    assert "entropy" in missing
    assert "alphabet" not in missing


def test_rows_read_back_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_paths, "STORED", tmp_path / "slow_paths.json")
    slow_paths.STORED.write_text(slow_paths.to_json([ROW]))
    assert slow_paths.load() == [ROW]
    newer = replace(ROW, ns=1.0)
    assert slow_paths.merge([ROW], [newer]) == [newer]


def test_every_core_is_looked_at_and_no_assembly() -> None:
    assert {job.core for job in slow_paths.jobs()} == set(CORES) - set(timing.ASSEMBLIES)


def test_a_small_core_has_what_was_stored_for_it(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    assert main(["resources", "--slow-paths", "--core", "alphabet", "--fresh", "--plain", "--json", str(file)]) == 0
    (found,) = json.loads(file.read_text())["rows"]
    (stored,) = (row for row in STORED if row.core == "alphabet")
    assert found["ns"] == pytest.approx(stored.ns, rel=0.2, abs=0.5)
    assert configure("alphabet", 1) in slow_paths.jobs()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--lanes", "2"], "leave out --lanes, --samples-per-symbol, --span and --device"),
        (["--core", "receiver"], "an assembly has the paths of its cores: name these"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resources", "--plain", "--slow-paths", *arguments]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("kronborg resources: ") == 1


def test_a_check_without_timing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resources", "--plain", "--check"]) == 2
    assert "--check is of --timing" in capsys.readouterr().err
