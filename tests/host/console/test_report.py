from __future__ import annotations

import base64
import dataclasses
import os
import re
import stat
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from kronborg.console import plots
from kronborg.console.report import report_html, write_report
from kronborg.errors import InputError

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Reads a page and insists that every element is closed where it must be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def html(example):
    return report_html(example.result(), example.pictures())


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_is_well_formed_with_unique_ids(html, page):
    assert html.startswith("<!DOCTYPE html>")
    assert len(page.ids) == len(set(page.ids)) > 0
    references = {
        value[1:]
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("href", "xlink:href") and value.startswith("#")
    }
    references |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert references <= set(page.ids)


def test_every_picture_is_there_with_words_for_those_who_do_not_see_it(page):
    drawings = page.named("svg")
    assert len(drawings) == len(page.named("figure")) == len(page.named("figcaption")) == 7
    labels = " ".join(drawing["aria-label"] for drawing in drawings)
    assert all(drawing["role"] == "img" and "viewbox" in drawing for drawing in drawings)
    for what in (
        "signal from 103 to 223 MHz, pilot at 273 MHz, electronic noise 13.0 dB below",
        "before phase compensation",
        "after phase compensation",
        "against Alice's",
        "Pilot phase over one frame of 1040 µs",
        "Excess noise of 103 frames with error bars; together 11.3 mSNU, at worst 29.8 mSNU; above 187.4 mSNU",
        "Running mean",
    ):
        assert what in labels


def test_nothing_is_loaded_from_elsewhere(html, page):
    assert "//" not in re.sub(r"data:image/png;base64,[A-Za-z0-9+/=\s]+", "", html)
    assert page.named("script") == page.named("link") == page.named("iframe") == []
    policy = next(meta["content"] for meta in page.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_embedded_bitmaps_are_png(html):
    bitmaps = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", html)
    assert len(bitmaps) == 3  # two constellations and the histogram
    assert all(base64.b64decode(bitmap).startswith(b"\x89PNG") for bitmap in bitmaps)


def test_the_figures_of_the_run_stand_on_the_page(page):
    text = "".join(page.text).replace("\N{NARROW NO-BREAK SPACE}", " ")
    for figure in (
        "1.27 Mbit of secret key over 10 km",
        "12.4 Mbit/s",
        "11.3 ± 2.7 mSNU",
        "29.8 mSNU",
        "4.50 × 10−10",
        "−16 384 000",
        "1 270 311",
        "Collective attacks",
        "Trusted detector",
        "Simulated light",
        "From the symbols that each frame discloses",  # whose mean need not be the estimate, which is over all
        "the transmittance where an eavesdropper knows most",
    ):
        assert figure in text


def test_the_waterfall_falls_from_bar_to_bar(example, html):
    bars = [(float(left), float(width)) for left, width in re.findall(r"margin-left:([\d.]+)%;width:([\d.]+)%", html)]
    assert len(bars) == len(example.result().budget)
    assert bars[0] == (0, 100)
    level = 100.0
    for left, width in bars[1:-1]:
        assert left + width == pytest.approx(level, abs=2e-3)
        level = left
    assert bars[-1] == (0, pytest.approx(level, abs=2e-3))


def test_the_same_run_gives_the_same_bytes_in_another_process(example, html, tmp_path):
    # Another process, another hash seed, and a user with a matplotlib style of his own.
    (tmp_path / "matplotlibrc").write_text("xtick.major.size: 20\nsvg.fonttype: path\n")
    code = (
        "import runpy, sys; from kronborg.console.report import report_html; made = runpy.run_path(sys.argv[1]);"
        "sys.stdout.buffer.write(report_html(made['result'](), made['pictures']()).encode())"
    )
    conftest = Path(__file__).with_name("conftest.py")
    environment = os.environ | {
        "PYTHONHASHSEED": "77",
        "MATPLOTLIBRC": str(tmp_path),
    }
    again = subprocess.run(
        [sys.executable, "-c", code, conftest], env=environment, stdout=subprocess.PIPE, check=True
    ).stdout
    assert again.decode() == html


def test_drawing_leaves_a_users_matplotlib_settings_alone(example):
    import matplotlib

    with matplotlib.rc_context({"lines.linewidth": 7.5}):
        plots.phase_track(example.pictures())
        assert matplotlib.rcParams["lines.linewidth"] == 7.5


def test_hostile_strings_are_shown_and_not_obeyed(example):
    attack = "<script>alert('&')</script>\"'"
    budget = ((attack, 12), ("rest", -2), ("key", 10))
    page = Page(
        report_html(
            example.result(stage_seconds={attack: 1.0}, budget=budget, key_bits=10),
            example.pictures(points=50, frames=3),
        )
    )
    assert page.named("script") == []
    assert "".join(page.text).count(attack) == 2


def test_keys_that_differ_make_the_headline(example):
    text = "".join(Page(report_html(example.result(keys_identical=False), example.pictures(50, 3))).text)
    assert "No key: the two ends differ" in text
    assert "of secret key over" not in text


def test_a_real_board_is_not_called_simulated(example):
    text = "".join(Page(report_html(example.result(simulated_board=False, seed=None), example.pictures(50, 3))).text)
    assert "Real light" in text
    assert "imulated" not in text
    assert "seed" not in text


def test_odd_runs_are_drawn_all_the_same(example):
    """One frame, one symbol, no electronic noise at all, two pilots, a key of no bits."""
    pictures = dataclasses.replace(
        example.pictures(points=1, frames=1),
        spectrum_dark_db=np.full(1025, -np.inf),
        pilot_frequencies_hz=(30e6, 480e6),
    )
    result = example.result(
        budget=(("uniform code bits", 0), ("key", 0)), key_bits=0, electronic_noise_snu=0.0, excess_noise_std_snu=0.0
    )
    html = report_html(result, pictures)
    text = "".join(Page(html).text)
    assert "above a detector without noise" in text
    assert "pilot 30.0 MHz" in text
    assert "pilot 480 MHz" in text
    assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)


def test_the_file_holds_the_report_and_nothing_lies_beside_it(example, tmp_path, html):
    target = tmp_path / "report.html"
    target.write_text("old")
    write_report(target, example.result(), example.pictures())
    assert target.read_text(encoding="utf-8") == html
    assert os.listdir(tmp_path) == ["report.html"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_a_missing_directory_is_one_clear_line(example, tmp_path):
    with pytest.raises(InputError, match="No such file or directory") as caught:
        write_report(tmp_path / "nowhere" / "report.html", example.result(), example.pictures(50, 3))
    assert "report.html" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_write_that_fails_keeps_the_old_report_and_cleans_up(example, tmp_path, monkeypatch):
    target = tmp_path / "report.html"
    target.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_report(target, example.result(), example.pictures(50, 3))
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_importing_the_report_does_not_import_matplotlib():
    code = "import sys, kronborg.console.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
