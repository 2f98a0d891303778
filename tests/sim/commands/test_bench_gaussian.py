import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.gaussian import tables
from kronborg_hdl.modulation.gaussian.model import DEFAULT_DEVIATION, MAXIMUM_DEVIATION, GaussianSource
from kronborg_sim.commands.bench import gaussian
from kronborg_sim.commands.bench.outcome import failed_tests

from .conftest import Bench

FIELDS = {
    "chi_square_p",
    "anderson_darling_p",
    "largest_sigma",
    "tail_counts",
    "largest_error_ulp",
    "samples_per_clock",
    "multipliers",
}


def test_a_faultless_source_passes(bench: Bench) -> None:
    finished = bench("gaussian", "--samples", "4e5", "--seed", "2")
    figures = finished.figures
    assert finished.code == 0, finished.err
    assert figures["passed"]
    assert set(figures) >= FIELDS
    assert figures["samples"] == 400_000
    assert figures["seed"] == 2
    assert figures["largest_sigma"] == tables.LARGEST_RADIUS > 8.24
    assert 4 < figures["largest_sigma_seen"] < 6.5
    assert 0.5 < figures["largest_error_ulp"] <= figures["error_bound_ulp"] < 1
    assert figures["samples_per_clock"] == 2
    assert figures["multipliers"] < 12
    tail = figures["tail_counts"]
    assert [band["from_sigma"] for band in tail] == list(range(9))
    assert sum(band["seen"] for band in tail) == 400_000
    assert tail[3]["expected"] == pytest.approx(4e5 * (math.erfc(3 / 2**0.5) - math.erfc(4 / 2**0.5)), rel=0.01)
    for quantity in ("chi_square_p", "8 sigma", "largest error", "multipliers", "passed"):
        assert quantity in finished.out


def test_a_source_too_wide_fails_and_the_figures_are_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def wider(deviation: int) -> GaussianSource:
        return GaussianSource(min(round(1.01 * deviation), MAXIMUM_DEVIATION))

    monkeypatch.setattr(gaussian, "GaussianSource", wider)
    finished = bench("gaussian", "--samples", "4e5")
    assert finished.code == 1
    assert finished.err.splitlines()[-1] == "kronborg bench: gaussian failed: tail_p, moments_p"
    assert finished.figures["passed"] is False
    assert "passed" not in finished.out


def test_an_error_of_more_than_a_word_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaussian, "error_bound_words", lambda errors, source: 1.01)
    finished = bench("gaussian", "--samples", "1e4")
    assert finished.code == 1
    assert "error_bound_ulp (1.010 is more than 1)" in finished.err


def test_symbols_are_made_of_the_entropy_sources_words() -> None:
    key = np.random.SeedSequence(5).generate_state(8)
    words = Entropy().host(key, 0, 96).view(np.uint64)
    expected = GaussianSource(DEFAULT_DEVIATION).process(words).words.astype(np.int64)
    counted = gaussian.count(gaussian.Task(5, 0, 96)).counts
    for rail in (0, 1):
        assert np.array_equal(counted[rail], np.bincount(expected[:, rail] + 2**15, minlength=2**16))


def test_seeds_make_different_symbols() -> None:
    first, again, second = (gaussian.count(gaussian.Task(seed, 0, 96)).report() for seed in (1, 1, 2))
    assert first == again
    assert first.p_values != second.p_values


def test_all_cores_find_what_one_finds(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    samples = 2 * gaussian.BLOCKS_PER_TASK * 2 * gaussian.SYMBOLS_PER_BLOCK + 5_000
    command = [sys.executable, "-m", "kronborg.cli", "bench", "gaussian", "--samples", str(samples), "--json", path]
    subprocess.run(command, check=True, capture_output=True)
    figures = json.loads(path.read_text())
    blocks = -(-samples // 16)
    battery = gaussian.count(gaussian.Task(1, 0, blocks))
    assert figures["samples"] == 16 * blocks
    # Correlations end at a task's edge.
    for name in ("chi_square_p", "anderson_darling_p", "tail_p", "moments_p", "independence_p"):
        assert figures[name] == pytest.approx(battery.report().p_values[name], rel=1e-9)


def test_an_interrupt_ends_all_processes_at_once() -> None:
    command = [sys.executable, "-m", "kronborg.cli", "bench", "gaussian", "--samples", "1e11"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    # All workers are there, and the parent, which ignored the signal while it made them, listens again.
    facts, cores = Path(f"/proc/{process.pid}"), os.cpu_count() or 1
    children = 1 + cores if cores > 1 else 0
    while len((facts / f"task/{process.pid}/children").read_text().split()) < children or int(
        re.findall(r"SigIgn:\s*(\w+)", (facts / "status").read_text())[0], 16
    ) & 1 << (signal.SIGINT - 1):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(said.splitlines()) <= 2, said
    assert said.endswith("kronborg bench: interrupted\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--samples", "0"],
        ["--samples", "9999"],
        ["--samples", "1e99"],
        ["--samples", "-1e8"],
        ["--samples", "nan"],
        ["--samples", "10000.5"],
        ["--samples", "many"],
        ["--seed", "-1"],
        ["--seed", "0.5"],
        ["--pleasant"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_refused_in_one_line(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.delattr(gaussian, "count")
    finished = bench("gaussian", *arguments)
    assert finished.code == 2
    assert finished.out == ""
    assert len(finished.err.splitlines()) == 1
    assert finished.figures is None


def test_a_file_that_cannot_be_written_is_refused_before_any_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(gaussian, "count")
    finished = bench("gaussian", path=tmp_path / "missing" / "figures.json")
    assert finished.code == 2
    assert len(finished.err.splitlines()) == 1
    assert "cannot write" in finished.err


@pytest.mark.parametrize(
    ("p_values", "failed"),
    [
        ({"a": 0.6e-3, "b": 0.5}, []),
        ({"a": 0.4e-3, "b": 0.5}, ["a"]),
        ({"a": math.nan, "b": 0.5}, ["a"]),
        ({"a": 0.0011}, []),
    ],
)
def test_the_level_is_that_of_the_family(p_values: dict[str, float], failed: list[str]) -> None:
    assert failed_tests(p_values) == failed
