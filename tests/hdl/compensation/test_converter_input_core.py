from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.compensation.converter_input.core import ConverterInput
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 8


@pytest.mark.parametrize(("lanes", "complex_input"), [(8, True), (8, False)], ids=["complex", "real"])
def test_core_equals_its_model_on_the_bench(lanes: int, complex_input: bool, tmp_path: Path) -> None:
    core = ConverterInput(lanes=lanes, complex_input=complex_input)
    outcome = run_bench(
        Skin(core).to_verilog("converter_input"),
        "converter_input",
        "kronborg_sim.benches.converter_input",
        tmp_path,
        {"lanes": lanes, "complex_input": complex_input, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def test_refuses_lanes_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="3 samples per clock: must be one of 1, 2, 4, 8, 16"):
        ConverterInput(lanes=3)


def test_costs_two_multipliers_a_lane_if_samples_are_complex() -> None:
    assert ConverterInput(lanes=8).multipliers == 0
    assert ConverterInput(lanes=8, complex_input=True).multipliers == 16
