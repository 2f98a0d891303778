from __future__ import annotations

import io
import time

import pytest

from kronborg.console.progress import RunProgress
from kronborg.errors import InputError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def run(stream, clock, **options):
    with RunProgress(stream, **options) as progress:
        with progress.stage("calibrate", 4) as stage:
            stage.advance(4)
            clock[0] += 1.5
        with progress.stage("estimate"):
            clock[0] += 0.25
    return progress


def test_a_log_file_gets_one_plain_line_a_stage(clock, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    progress = run(stream, clock)
    assert stream.getvalue() == "calibrate: 1.5 s\nestimate: 0.2 s\n"
    assert progress.seconds == {"calibrate": 1.5, "estimate": 0.25}


@pytest.mark.parametrize(("term", "plain"), [("xterm", True), ("dumb", False)])
def test_a_terminal_gets_lines_when_asked_or_when_it_can_do_no_more(clock, monkeypatch, term, plain):
    monkeypatch.setenv("TERM", term)
    stream = Terminal()
    run(stream, clock, plain=plain)
    assert stream.getvalue() == "calibrate: 1.5 s\nestimate: 0.2 s\n"


def test_a_terminal_gets_one_bar_a_stage_with_names_taken_literally(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with RunProgress(stream) as progress:
        with progress.stage("rate [bold]1/5", 2) as stage:
            stage.advance()
        with progress.stage("estimate"):
            pass
    last = stream.getvalue().replace("\r", "\n").splitlines()[-2:]
    assert "rate [bold]1/5" in stream.getvalue()
    assert "100%" in last[0] or "100%" in last[1]
    assert set(progress.seconds) == {"rate [bold]1/5", "estimate"}


def test_nothing_goes_to_standard_output(capsys, clock):
    progress = RunProgress()
    with progress, progress.stage("calibrate"):
        pass
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "calibrate: 0.0 s\n"


def test_a_stage_that_breaks_says_so_counts_its_time_and_lets_the_error_pass(clock):
    def cut_fibre():
        with progress, progress.stage("receive", 3):
            clock[0] += 2
            raise RuntimeError("fibre cut")

    stream = io.StringIO()
    progress = RunProgress(stream)
    with pytest.raises(RuntimeError, match="fibre cut"):
        cut_fibre()
    assert stream.getvalue() == "receive: stopped after 2.0 s\n"
    assert progress.seconds == {"receive": 2.0}


def test_refused_input_gets_no_line():
    stream = io.StringIO()
    with RunProgress(stream) as progress, pytest.raises(InputError), progress.stage("build"):
        raise InputError("no such core")
    assert stream.getvalue() == ""


def test_a_broken_stage_leaves_its_bar_short_of_full(monkeypatch):
    def cut_fibre():
        with RunProgress(stream) as progress, progress.stage("receive", 4) as stage:
            stage.advance()
            raise RuntimeError("fibre cut")

    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with pytest.raises(RuntimeError, match="fibre cut"):
        cut_fibre()
    assert "25%" in stream.getvalue()
    assert "100%" not in stream.getvalue()


def test_a_stage_that_comes_twice_adds_up(clock):
    progress = RunProgress(io.StringIO())
    for seconds in (1.0, 2.0):
        with progress.stage("receive"):
            clock[0] += seconds
    assert progress.seconds == {"receive": 3.0}
