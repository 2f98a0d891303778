"""`kronborg selftest` on the RTL, and what it says when something is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from kronborg.board.pynq import selftest
from kronborg.cli import main
from kronborg_hdl.overlays.build import described

from .conftest import BOARD


def test_models_of_overlays_pass_too(tmp_path: Path) -> None:
    """As they are built for a board: of the Verilog a model needs nothing."""
    for overlay in ("pulse_shaper", "transmitter"):
        folder, said = tmp_path / overlay, tmp_path / f"{overlay}.json"
        folder.mkdir()
        for name, text in described(overlay, BOARD).items():
            (folder / name).write_text(text)
        assert main(["selftest", str(folder), "--board", "model", "--json", str(said)]) == 0
        assert json.loads(said.read_text())["bit_exact_with_model"] is True


@pytest.mark.parametrize("overlay", ["pulse_shaper", "transmitter"])
def test_every_word_of_an_overlay_is_compared(overlay: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    files = request.getfixturevalue(f"{overlay}_files").parent
    said = tmp_path / "said.json"
    assert main(["selftest", str(files), "--board", "rtl", "--json", str(said)]) == 0
    outcome = json.loads(said.read_text())
    assert outcome["bit_exact_with_model"] is True
    assert outcome["words"] > 10_000
    assert outcome["clock_cycles"] > outcome["words"] / 4
    assert (outcome["overlay"], outcome["board"]) == (overlay, "rtl")


def test_words_that_are_not_the_models_are_counted(
    pulse_shaper_files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = selftest.PulseShaper.process

    def one_off(self, symbols):
        samples, saturated = process(self, symbols)
        samples = samples.copy()
        samples[7, 1] += np.int16(1)
        return samples, saturated

    monkeypatch.setattr(selftest.PulseShaper, "process", one_off)
    assert main(["selftest", str(pulse_shaper_files.parent), "--board", "rtl"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"kronborg selftest: {selftest.FRAMES} of ")
    assert error.count("\n") == 1


def test_what_cannot_be_tested_is_one_clear_line(
    pulse_shaper_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pulse_shaper_files.parent
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "kronborg_pulse_shaper.hwh").write_text("<other/>")
    for arguments, line in (
        ([str(folder)], "kronborg_pulse_shaper is not built for TUL PYNQ-Z2: run kronborg_pulse_shaper.tcl first"),
        ([str(folder), "--seed", "-1"], "a seed cannot be negative: -1"),
        ([str(folder), "--overlay", "loopback"], "--overlay chooses where no DIR is given: leave one of them out"),
        ([str(folder), "--board", "none"], "no kind of board 'none': there are pynq, model, rtl"),
        ([str(tmp_path / "no"), "--board", "rtl"], "there is no manifest.json in"),
        ([str(tmp_path), "--board", "rtl"], "is not as it was built: kronborg_pulse_shaper.hwh is not the one"),
    ):
        assert main(["selftest", *arguments]) == 2
        error = capsys.readouterr().err
        assert line in error
        assert error.count("\n") == 1
