import json
from dataclasses import replace
from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg_hdl.synthesis import timing
from kronborg_hdl.synthesis.cores import CORES, configure, small
from kronborg_hdl.synthesis.place_and_route import Routed, TimingPath, read_report

STORED = {row.configuration: row for row in timing.load()}
ROW = timing.Timing("alphabet", 1, None, None, (90.0, 120.5, 99.0), "a to b: register, register", "a nextpnr", "")


def test_a_small_core_is_as_fast_as_it_was() -> None:
    """One seed, to save time. The same hardware, tools and seed give the same to the last picosecond."""
    job = small(timing.CHECKED)
    stored = STORED[job]
    assert stored.median_mhz is not None
    (now,) = timing.run([job], seeds=timing.SEEDS[:1])
    assert now.tools == stored.tools
    if timing.origin_of(timing.hardware(job)) == stored.origin:
        assert now.mhz == stored.mhz[:1]
    least = stored.median_mhz * (1 - timing.TOLERANCE)
    assert now.mhz[0] >= least, f"{job.core} reaches {now.mhz[0]} MHz and not {least:.1f}: {now.path}"


def test_the_page_is_made_from_the_table() -> None:
    assert timing.merge((), STORED.values()) == list(STORED.values())
    page = Path(__file__).parents[3] / "docs" / "timing.md"
    # A core that was just added is missing from the table, and need not be named in the page yet.
    stored, made = (
        [line for line in text.splitlines() if line and not line.startswith("Not measured yet")]
        for text in (page.read_text("utf-8").partition("\n## ")[0], timing.markdown(STORED.values()))
    )
    assert stored == made


def test_a_row_has_the_median_and_the_page_names_what_is_slow_or_missing() -> None:
    assert ROW.median_mhz == 99.0
    too_large = replace(ROW, lanes=2, mhz=(), path="does not fit: 200 multipliers of 156")
    assert timing.slow([ROW, too_large]) == [ROW]
    page = timing.markdown([ROW, too_large])
    assert "| alphabet | 1 |  |  | 99.0 | 90.0, 120.5, 99.0 | a to b: register, register |" in page
    assert "| alphabet | 2 |  |  |  |  | does not fit: 200 multipliers of 156 |" in page
    assert "Below 100 MHz, by lanes: alphabet at 1." in page
    (missing,) = (line for line in page.splitlines() if line.startswith("Not measured yet"))
    assert "entropy at 1" in missing
    assert "alphabet at 1," not in missing
    assert "alphabet at 2," not in missing
    assert "99.0 MHz  a to b" in timing.text([ROW])


def test_the_page_says_which_rows_are_by_other_tools() -> None:
    other = [replace(ROW, core=core, tools="another") for core in ("tap", "mixer")]
    most = [replace(ROW, lanes=lanes) for lanes in (1, 2, 4)]
    assert "Rows are by a nextpnr; by another: tap at 1, mixer at 1." in timing.markdown([*most, *other])


def test_a_table_keeps_its_own_rows_and_reads_back_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = replace(ROW, mhz=(1.0, 2.0, 3.0))
    assert timing.merge([ROW], [newer, replace(ROW, lanes=16)]) == [newer]
    monkeypatch.setattr(timing, "STORED", tmp_path / "timing.json")
    timing.STORED.write_text(timing.to_json([newer]))
    assert timing.load() == [newer]
    assert json.loads(timing.STORED.read_text())["rows"][0]["median_mhz"] == 2.0


def test_what_is_known_is_not_measured_again() -> None:
    design = timing.hardware(configure("alphabet", 1))
    known = replace(ROW, tools=timing.tools(), origin=timing.origin_of(design))
    assert timing.run([configure("alphabet", 1)], known=[known]) == [known]


def test_what_is_known_of_one_nextpnr_is_measured_again_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "hardware", lambda configuration: "design")
    monkeypatch.setattr(timing, "_measure", lambda design, seeds, command, nextpnr: ((100.0,) * 3, str(nextpnr)))
    monkeypatch.setattr(timing, "version_of", lambda nextpnr: "of its own")
    job = configure("alphabet", 1)
    packages = timing.run([job])
    assert packages[0].path == "None"
    (own,) = timing.run([job], known=packages, nextpnr="own")
    assert (own.path, own.tools) == ("own", f"{timing.tools().split(',')[0]}, of its own")
    assert timing.run([job], known=[own], nextpnr="another") == [own]


def test_each_seed_is_placed_by_the_nextpnr_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    def place(folder: Path, seed: int, *, nextpnr: str | None) -> Routed:
        used.append((seed, nextpnr))
        return Routed({"clk": 100.0}, {"clk": TimingPath("a", "b", "", 0.0, 0.0)}, {}, {})

    def synthesise(design: str, top: str, folder: Path, **how: object) -> None:
        (folder / "netlist.json").write_text(json.dumps({"modules": {top: {"cells": {}}}}))

    monkeypatch.setattr(timing, "hardware", lambda configuration: "design")
    monkeypatch.setattr(timing, "version_of", lambda nextpnr: "of its own")
    monkeypatch.setattr(timing, "synthesise", synthesise)
    monkeypatch.setattr(timing, "place_and_route", place)
    timing.run([configure("alphabet", 1)], nextpnr="own")
    assert used == [(seed, "own") for seed in timing.SEEDS]


def test_a_core_that_abc9_cannot_map_is_mapped_without_it_and_its_row_is_of_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "hardware", lambda configuration: "design")
    monkeypatch.setattr(timing, "_measure", lambda design, seeds, command, nextpnr: ((100.0,) * 3, command))
    entropy, alphabet = timing.run([configure("entropy", 1), configure("alphabet", 1)])
    assert (entropy.path, alphabet.path) == ("synth_ecp5 -noabc9", "synth_ecp5")
    assert entropy.origin != alphabet.origin
    assert alphabet.origin == timing.origin_of("design")


def test_the_median_may_fall_by_the_placers_luck_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert timing.slower([replace(ROW, mhz=(88.0, 88.0, 200.0))], [ROW]) == []
    assert timing.slower([replace(ROW, mhz=(86.0, 86.0, 200.0))], [ROW]) == [
        "alphabet at 1 lanes: 86.0 MHz, and was at 99.0 MHz: a to b: register, register"
    ]
    assert "no frequency" in timing.slower([replace(ROW, mhz=(), path="does not fit")], [ROW])[0]
    assert timing.slower([replace(ROW, lanes=2)], [ROW]) == []
    monkeypatch.setattr(timing, "STORED", tmp_path / "timing.json")
    timing.STORED.write_text(timing.to_json([replace(ROW, mhz=(300.0, 300.0, 300.0))]))
    monkeypatch.setattr(timing, "_measure", lambda design, seeds, command, nextpnr: (ROW.mhz, ROW.path))
    asked = ["resources", "--timing", "--core", "alphabet", "--lanes", "1", "--plain"]
    assert main(asked) == 0
    assert main([*asked, "--check"]) == 1
    line = "slower: alphabet at 1 lanes: 99.0 MHz, and was at 300.0 MHz"
    assert line in capsys.readouterr().out
    assert main([*asked, "--check", "--json", "-"]) == 1
    said = capsys.readouterr()
    assert line in said.err
    assert len(json.loads(said.out)["rows"]) == 1


def test_the_jobs_are_all_cores_at_all_their_lanes_and_no_assembly() -> None:
    jobs = timing.jobs()
    cores = set(CORES) - set(timing.ASSEMBLIES)
    assert {(job.core, job.lanes) for job in jobs} == {(core, lanes) for core in cores for lanes in CORES[core].lanes}
    assert len(jobs) == len({(job.core, job.lanes) for job in jobs})
    assert [job.lanes for job in jobs] == sorted(job.lanes for job in jobs)


def _step(kind: str, begin: str, end: str, delay: float) -> dict[str, object]:
    return {"type": kind, "from": {"cell": begin}, "to": {"cell": end}, "delay": delay}


def test_a_report_is_read_into_words() -> None:
    cells = {"a_TRELLIS_FF_Q": "TRELLIS_FF", "x_LUT4_Z": "LUT4", "s_CCU2C_S0": "CCU2C", "mul": "MULT18X18D"}
    path = [
        _step("clk-to-q", "a_TRELLIS_FF_Q", "a_TRELLIS_FF_Q", 0.5),
        _step("routing", "a_TRELLIS_FF_Q", "mul", 1.0),
        _step("logic", "mul", "mul", 3.0),
        _step("routing", "mul", "s_CCU2C_S0$CCU2_COMB0", 1.0),
        _step("logic", "s_CCU2C_S0$CCU2_COMB0", "s_CCU2C_S0$CCU2_COMB0", 0.4),
        _step("logic", "$nextpnr_CCU2C_3$CCU2_COMB1", "$nextpnr_CCU2C_3$CCU2_COMB1", 0.1),
        _step("routing", "s_CCU2C_S0", "x_LUT4_Z", 0.5),
        _step("logic", "x_LUT4_Z", "x_LUT4_Z", 0.25),
        _step("logic", "x_LUT4_Z", "x_LUT4_Z", 0.25),
        _step("setup", "a_TRELLIS_FF_Q", "a_TRELLIS_FF_Q", 0.0),
    ]
    report = {
        "critical_paths": [
            {"from": "posedge clk", "to": "posedge clk", "path": path},
            {"from": "<async>", "to": "posedge clk", "path": path},
        ],
        "fmax": {"clk": {"achieved": 142.0, "constraint": 100.0}},
        "utilization": {"TRELLIS_FF": {"used": 3, "available": 83640}},
    }
    routed = read_report(report, cells)
    assert isinstance(routed, Routed)
    assert routed.frequency_mhz == {"clk": 142.0}
    assert (routed.used, routed.available) == ({"TRELLIS_FF": 3}, {"TRELLIS_FF": 83640})
    said = "a to a: register, MULT18X18D, carry chain, 2 x LUT, register; 4.5 ns in cells, 2.5 ns in wires"
    assert str(routed.critical["clk"]) == said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--span", "5"], "leave out --samples-per-symbol, --span and --device"),
        (["--core", "loopback"], "no core is timed so: one without so many lanes, or an assembly"),
        (["--core", "alphabet", "--nextpnr", "/nowhere"], "'/nowhere' does not start"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resources", "--plain", "--timing", *arguments]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("kronborg resources: ") == 1


def test_a_nextpnr_is_only_for_what_is_placed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resources", "--plain", "--nextpnr", "nextpnr-ecp5"]) == 2
    assert "--nextpnr is of --timing" in capsys.readouterr().err
