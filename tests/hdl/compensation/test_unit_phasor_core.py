from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.compensation.unit_phasor.core import UnitPhasor
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 8


@pytest.mark.parametrize("hops_per_clock", [2])
def test_core_equals_its_model_on_the_bench(hops_per_clock: int, tmp_path: Path) -> None:
    core = UnitPhasor(hops_per_clock=hops_per_clock)
    outcome = run_bench(
        Skin(core).to_verilog("unit_phasor"),
        "unit_phasor",
        "kronborg_sim.benches.unit_phasor",
        tmp_path,
        {"hops_per_clock": hops_per_clock, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("hops", [0, 3, 16])
def test_refuses_hops_per_clock_that_there_are_not(hops: int) -> None:
    with pytest.raises(ValueError, match=f"{hops} hops per clock: must be one of 1, 2, 4, 8"):
        UnitPhasor(hops_per_clock=hops)


def test_costs_five_multipliers_a_phasor() -> None:
    assert UnitPhasor(hops_per_clock=4).multipliers == 20
