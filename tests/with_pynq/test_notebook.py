"""The notebook that a physicist opens first runs from the first cell to the last, and PYNQ finds it."""

import json
from importlib.metadata import entry_points
from pathlib import Path

import matplotlib as mpl
import pytest

from kronborg.board.pynq import notebooks

FIRST = Path(notebooks.__file__).parent / "first_link.ipynb"


def test_the_first_link_runs_and_gives_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    mpl.use("Agg")
    cells = json.loads(FIRST.read_text())["cells"]
    names: dict = {}
    for cell in cells:
        assert not cell.get("outputs")
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["frames"][-1].good
    assert names["correlation"] ** 2 == pytest.approx(4 / 5.05, abs=0.03)
    assert "samples a clock" in capsys.readouterr().out


def test_pynq_finds_the_notebooks() -> None:
    (point,) = (point for point in entry_points(group="pynq.notebooks") if point.name == "kronborg")
    assert point.load() is notebooks
