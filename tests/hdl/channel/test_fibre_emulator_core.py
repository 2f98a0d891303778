from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.channel.fibre_emulator.core import FibreEmulator
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 18


@pytest.mark.parametrize(("lanes", "complex_output"), [(2, True), (4, False)], ids=["complex", "real"])
def test_core_equals_its_model_on_the_bench(lanes: int, complex_output: bool, tmp_path: Path) -> None:
    core = FibreEmulator(lanes=lanes, complex_output=complex_output)
    outcome = run_bench(
        Skin(core).to_verilog("fibre_emulator"),
        "fibre_emulator",
        "kronborg_sim.benches.fibre_emulator",
        tmp_path,
        {
            "lanes": lanes,
            "complex_output": complex_output,
            "latency": core.latency,
            "noise_latency": core.noise_latency,
        },
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def test_refuses_lanes_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="3 samples per clock: must be one of 1, 2, 4, 8, 16"):
        FibreEmulator(lanes=3)


def test_costs_three_multipliers_a_lane_and_five_for_two_samples_of_noise() -> None:
    assert FibreEmulator(lanes=1).multipliers == 3 + 5
    assert FibreEmulator(lanes=2).multipliers == 2 * 3 + 5
    assert FibreEmulator(lanes=2, complex_output=True).multipliers == 2 * 6 + 2 * 5
