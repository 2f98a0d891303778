from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.compensation.pilot_tracker.core import PilotTracker
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 20


@pytest.mark.parametrize(("hops_per_clock", "shared"), [(8, False), (1, False), (1, True)])
def test_core_equals_its_model_on_the_bench(hops_per_clock: int, shared: bool, tmp_path: Path) -> None:
    core = PilotTracker(hops_per_clock=hops_per_clock, halvings=1, shared=shared)
    outcome = run_bench(
        Skin(core).to_verilog("pilot_tracker"),
        "pilot_tracker",
        "kronborg_sim.benches.pilot_tracker",
        tmp_path,
        {"hops_per_clock": hops_per_clock, "halvings": core.halvings, "shared": int(shared)},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("hops", [0, 3, 16])
def test_refuses_hops_per_clock_that_there_are_not(hops: int) -> None:
    with pytest.raises(ValueError, match=f"{hops} hops per clock: must be one of 1, 2, 4, 8"):
        PilotTracker(hops_per_clock=hops, halvings=2)


def test_refuses_halvings_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="4 half-band stages: must be one of 0, 1, 2, 3"):
        PilotTracker(hops_per_clock=1, halvings=4)
