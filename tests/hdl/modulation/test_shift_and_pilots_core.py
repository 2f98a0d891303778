from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.shift_and_pilots.core import ShiftAndPilots
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 17


@pytest.mark.parametrize(("lanes", "spare"), [(2, False), (1, True)])
def test_core_equals_its_model_on_the_bench(lanes: int, spare: bool, tmp_path: Path) -> None:
    core = ShiftAndPilots(lanes=lanes, spare=spare)
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


def test_costs_five_multipliers_a_lane_and_thirteen_where_they_are_spare() -> None:
    complex_product, one_tone, oscillators = 3, 2, 3
    assert ShiftAndPilots(lanes=8).multipliers == 8 * (complex_product + one_tone)
    assert ShiftAndPilots(lanes=2, spare=True).multipliers == 2 * (complex_product + 2 * one_tone + 2 * oscillators)
