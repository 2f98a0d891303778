import json
from dataclasses import replace
from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg_hdl.synthesis import timing
from kronborg_hdl.synthesis.cores import CORES, configure, small
from kronborg_hdl.synthesis.place_and_route import Routed, read_report

STORED = {row.configuration: row for row in timing.load()}
ROW = timing.Timing("alphabet", 1, None, None, (90.0, 120.5, 99.0), "a to b: register, register", "")


def test_a_small_core_is_as_fast_as_it_was() -> None:
    """One seed, to save time. The same hardware, tools and seed give the same to the last picosecond."""
    job = small(timing.CHECKED)
    stored = STORED[job]
    assert stored.median_mhz is not None
    (now,) = timing.run([job], seeds=timing.SEEDS[:1])
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
    assert "alphabet" not in missing
    assert "99.0 MHz  a to b" in timing.text([ROW])


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
    known = replace(ROW, origin=timing.origin_of(design))
    assert timing.run([configure("alphabet", 1)], known=[known]) == [known]


def test_a_core_that_abc9_cannot_map_is_mapped_without_it_and_its_row_is_of_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "hardware", lambda configuration: "design")
    monkeypatch.setattr(timing, "_measure", lambda design, seeds, command: ((100.0,) * 3, command))
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
    monkeypatch.setattr(timing, "_measure", lambda design, seeds, command: (ROW.mhz, ROW.path))
    asked = ["resources", "--timing", "--core", "alphabet", "--lanes", "1", "--plain"]
    assert main(asked) == 0
    assert main([*asked, "--check"]) == 1
    line = "slower: alphabet at 1 lanes: 99.0 MHz, and was at 300.0 MHz"
    assert line in capsys.readouterr().out
    assert main([*asked, "--check", "--json", "-"]) == 1
    said = capsys.readouterr()
    assert line in said.err
    assert len(json.loads(said.out)["rows"]) == 1


def test_the_jobs_are_all_cores_and_the_assemblies_come_last() -> None:
    jobs = timing.jobs()
    assert {job.core for job in jobs if job.lanes == 1} == {core for core, entry in CORES.items() if 1 in entry.lanes}
    assert {job.core for job in jobs} == set(CORES)
    assert {job.core for job in jobs if job.lanes == 2 and job.core in timing.ASSEMBLIES} == set(timing.ASSEMBLIES)
    assert all(job.core in timing.ASSEMBLIES for job in [job for job in jobs if job.lanes == 2][-3:])
    assert [job.lanes for job in jobs if job.core == "frame_synchroniser"] == [8]


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
        (["--lanes", "16"], "no core is timed so: there are rows of 1 and 2 lanes"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resources", "--plain", "--timing", *arguments]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("kronborg resources: ") == 1
