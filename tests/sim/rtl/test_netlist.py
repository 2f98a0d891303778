"""Mapped netlists do what their models do."""

import json
from pathlib import Path

import numpy as np
import pytest

from kronborg.cli import main
from kronborg_hdl.synthesis.cores import CORES
from kronborg_sim.commands.bench.netlist import size_of
from kronborg_sim.rtl.cases import CASES, Size


@pytest.mark.parametrize(("core", "family"), [("unit_phasor", "xc7"), ("tap", "ecp5"), ("gaussian", "ecp5-apart")])
def test_a_mapped_core_is_its_model_word_by_word(core: str, family: str, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    wanted = ["--core", core, "--family", family, "--symbols", "200", "--json", str(file), "--plain"]
    assert main(["bench", "netlist", *wanted]) == 0
    (found,) = json.loads(file.read_text())["netlists"]
    assert found["bit_exact"]
    assert found["clock_cycles"] > 4 * 200


def test_a_core_that_there_is_not_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "netlist", "--core", "nothing", "--plain"]) == 2
    assert "there is no core 'nothing': choose among alphabet, " in capsys.readouterr().err


@pytest.mark.parametrize("core", [core for core in CASES if core in CORES])
def test_every_core_can_be_run_at_its_size(core: str) -> None:
    size = size_of(core)
    case = CASES[core](Size(size.lanes, size.samples_per_symbol or 8, size.span or 33), np.random.default_rng(1))
    assert case.samples_per_symbol >= 1
