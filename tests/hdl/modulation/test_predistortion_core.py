from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.predistortion.core import Predistortion
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 20


@pytest.mark.parametrize("lanes", [1, 4])
def test_core_equals_its_model_on_the_bench(lanes: int, tmp_path: Path) -> None:
    core = Predistortion(lanes=lanes)
    outcome = run_bench(
        Skin(core).to_verilog("predistortion"),
        "predistortion",
        "kronborg_sim.benches.predistortion",
        tmp_path,
        {"lanes": lanes, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("lanes", [0, 3, 32])
def test_refuses_lanes_that_there_are_not(lanes: int) -> None:
    with pytest.raises(ValueError, match=f"{lanes} samples per clock: must be one of 1, 2, 4, 8, 16"):
        Predistortion(lanes=lanes)


def test_symmetry_halves_the_multipliers() -> None:
    filter, rails = 5, 2
    assert Predistortion(lanes=4).multipliers == 4 * rails * filter
