from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.shift_and_pilots.core import ShiftAndPilots
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 17


@pytest.mark.parametrize("lanes", [2])
def test_core_equals_its_model_on_the_bench(lanes: int, tmp_path: Path) -> None:
    core = ShiftAndPilots(lanes=lanes)
    outcome = run_bench(
        Skin(core).to_verilog("shift_and_pilots"),
        "shift_and_pilots",
        "kronborg_sim.benches.shift_and_pilots",
        tmp_path,
        {"lanes": lanes, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("lanes", [0, 3, 32])
def test_refuses_lanes_that_there_are_not(lanes: int) -> None:
    with pytest.raises(ValueError, match=f"{lanes} samples per clock: must be one of 1, 2, 4, 8, 16"):
        ShiftAndPilots(lanes=lanes)


def test_costs_fourteen_multipliers_a_lane() -> None:
    complex_product, one_tone = 3, 2
    assert ShiftAndPilots(lanes=8).multipliers == 8 * (complex_product + one_tone)
