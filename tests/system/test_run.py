"""The main job, from light to keys. A short fibre and a good detector let 2.3 million symbols make a key."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Command, kronborg_in

SHORT = ("run", "--distance", "1", "--detector-efficiency", "0.9", "--electronic-noise", "0.02", "--symbols", "2.3e6")

FIELDS = {
    *("distance_km", "loss_db", "symbol_rate_hz", "symbols", "modulation_variance_snu", "transmittance"),
    *("excess_noise_snu", "excess_noise_worst_case_snu", "electronic_noise_snu", "snr", "reconciliation_efficiency"),
    *("frame_error_rate", "disclosed_bits", "key_bits", "keys_identical", "key_rate_bit_per_symbol"),
    *("key_rate_bit_per_second", "epsilon", "wall_seconds", "stage_seconds"),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, kronborg_in(folder)(*SHORT, "--json", "run.json")


def blocks(path: Path) -> list[tuple[str, int, str, int, bytes]]:
    with sqlite3.connect(path) as store:
        return store.execute("SELECT link, sequence, state, bits, key FROM block ORDER BY sequence").fetchall()


def test_ends_with_one_identical_key_in_two_stores(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, finished = done
    assert finished.returncode == 0, finished.stderr
    figures = json.loads((folder / "run.json").read_text())
    assert figures["keys_identical"] is True
    assert figures["key_bits"] > 0
    hers, his = blocks(folder / "keys" / "alice.sqlite"), blocks(folder / "keys" / "bob.sqlite")
    assert hers == his
    assert [(sequence, state, bits) for _, sequence, state, bits, _ in hers] == [(1, "ready", figures["key_bits"])]


def test_the_json_has_all_fields_and_they_agree(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    figures = json.loads((done[0] / "run.json").read_text())
    assert set(figures) >= FIELDS
    assert figures["epsilon"] <= 1e-9
    assert figures["key_rate_bit_per_symbol"] == pytest.approx(figures["key_bits"] / figures["symbols"])
    assert figures["key_rate_bit_per_second"] == pytest.approx(figures["key_rate_bit_per_symbol"] * 125e6)
    lines = {line["label"]: line["bits"] for line in figures["budget"]}
    disclosed = (
        "low bits of the slices",
        "error-correction syndromes",
        "verification tags",
        "Alice's answers",
        "Alice's sums for the estimation",
    )
    assert figures["disclosed_bits"] == -sum(lines.get(label, 0) for label in disclosed)
    assert set(figures["stage_seconds"]) >= {"calibration", "light", "estimation", "reconciliation"}


def test_the_estimates_find_the_world_they_came_from(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    figures = json.loads((done[0] / "run.json").read_text())
    assert figures["transmittance"] == pytest.approx(10**-0.02, rel=0.01)
    # What the receiver adds is a few mSNU on top.
    assert abs(figures["excess_noise_snu"] - 0.011) < 4 * figures["excess_noise_std_snu"]
    assert figures["excess_noise_worst_case_snu"] > figures["excess_noise_snu"] + 5 * figures["excess_noise_std_snu"]
    assert figures["transmittance_worst_case"] < figures["transmittance"]
    assert figures["electronic_noise_snu"] == pytest.approx(0.02, rel=0.02)


def test_the_summary_and_the_report_say_so(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, finished = done
    bits = json.loads((folder / "run.json").read_text())["key_bits"]
    assert f"{bits:,}".replace(",", " ") in finished.stdout.replace("\u202f", " ").replace("\xa0", " ")
    assert "<svg" in (folder / "report.html").read_text()


def test_no_output_holds_the_key(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, finished = done
    key = blocks(folder / "keys" / "bob.sqlite")[0][4]
    written = (
        finished.stdout + finished.stderr + (folder / "run.json").read_text() + (folder / "report.html").read_text()
    )
    assert key[:8].hex() not in written.lower()
    assert sorted(path.name for path in folder.iterdir()) == ["keys", "report.html", "run.json"]


def test_the_same_seed_gives_the_same_json_times_aside(
    done: tuple[Path, subprocess.CompletedProcess[str]], kronborg: Command
) -> None:
    finished = kronborg(*SHORT, "--json", "-")
    again, first = json.loads(finished.stdout), json.loads((done[0] / "run.json").read_text())
    for figures in (again, first):
        del figures["wall_seconds"], figures["stage_seconds"]
    assert again == first


def test_an_excess_noise_above_the_bound_gives_exit_code_3_one_line_and_no_key(
    kronborg: Command, tmp_path: Path
) -> None:
    finished = kronborg(*SHORT, "--excess-noise", "0.3", "--plain")
    assert finished.returncode == 3
    assert finished.stdout == ""
    errors = [line for line in finished.stderr.splitlines() if line.startswith("kronborg run: ")]
    assert len(errors) == 1
    assert errors[0] == finished.stderr.splitlines()[-1]
    assert "no key" in errors[0]
    assert "excess noise" in errors[0]
    assert blocks(tmp_path / "keys" / "alice.sqlite") == blocks(tmp_path / "keys" / "bob.sqlite") == []


def test_too_few_symbols_give_exit_code_3(kronborg: Command) -> None:
    finished = kronborg(*SHORT[:-1], "1000", "--plain")
    assert finished.returncode == 3
    assert "no key: of 1 frames of 128000 symbols 125440 would be left for the key, and one block" in finished.stderr
    assert "send more symbols" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_an_snr_that_no_code_covers_gives_exit_code_3(kronborg: Command) -> None:
    finished = kronborg(*SHORT[:-1], "256000", "--modulation-variance", "0.05", "--pilot-snr", "10", "--plain")
    assert finished.returncode == 3
    assert "no key" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_run_leaves_the_stores_as_they_were(tmp_path: Path, number: signal.Signals) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "kronborg.cli", *SHORT, "--plain"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    assert running.stderr.readline().startswith("calibration")
    time.sleep(0.5)
    os.kill(running.pid, number)
    rest = running.stderr.read()
    assert running.wait(60) == 130
    running.stderr.close()
    assert rest.splitlines()[-1] == "kronborg run: interrupted"
    assert "Traceback" not in rest
    assert blocks(tmp_path / "keys" / "alice.sqlite") == blocks(tmp_path / "keys" / "bob.sqlite") == []


DRAWN = ["run", "--light", "drawn", "--symbols", "6e5", "--distance", "2", "--epsilon", "1e-9", "--plain"]


def test_without_optics_symbols_are_drawn_and_become_the_same_key_again(tmp_path: Path) -> None:
    figures = []
    for name in ("first", "second"):
        finished = kronborg_in(tmp_path)(*DRAWN, "--store", name, "--json", f"{name}.json")
        assert finished.returncode == 0, finished.stderr
        assert "600000 symbols were asked for; whole frames of 128000 are sent" in finished.stderr
        assert "calibration" not in finished.stderr
        assert "pilot" not in finished.stdout
        figures.append(json.loads((tmp_path / f"{name}.json").read_text()))
        for times in ("wall_seconds", "stage_seconds"):
            del figures[-1][times]
    assert figures[0] == figures[1]
    assert figures[0]["keys_identical"] is True
    assert figures[0]["key_bits"] > 0
    assert figures[0]["pilot_snr_db"] is figures[0]["linewidth_hz"] is None
    assert not (tmp_path / "report.html").exists()
    assert blocks(tmp_path / "first" / "bob.sqlite") == blocks(tmp_path / "second" / "alice.sqlite")


def test_a_channel_that_is_tapped_in_mid_run_gives_no_key(tmp_path: Path) -> None:
    finished = kronborg_in(tmp_path)(*DRAWN, "--tap-from", "2", "--tap-noise", "0.5")
    assert finished.returncode == 3
    assert "no key: " in finished.stderr
    assert blocks(tmp_path / "keys" / "alice.sqlite") == blocks(tmp_path / "keys" / "bob.sqlite") == []
