from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.compensation.phase_smoother.core import PhaseSmoother
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 15


@pytest.mark.parametrize(("hops_per_clock", "shared"), [(2, False), (1, True)])
def test_core_equals_its_model_on_the_bench(hops_per_clock: int, shared: bool, tmp_path: Path) -> None:
    core = PhaseSmoother(hops_per_clock=hops_per_clock, shared=shared)
    outcome = run_bench(
        Skin(core).to_verilog("phase_smoother"),
        "phase_smoother",
        "kronborg_sim.benches.phase_smoother",
        tmp_path,
        {"hops_per_clock": hops_per_clock, "clocks_per_beat": core.clocks_per_beat, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("hops", [0, 3, 16])
def test_refuses_hops_per_clock_that_there_are_not(hops: int) -> None:
    with pytest.raises(ValueError, match=f"{hops} hops per clock: must be one of 1, 2, 4, 8"):
        PhaseSmoother(hops_per_clock=hops)


def test_refuses_rails_in_turn_of_several_hops_per_clock() -> None:
    with pytest.raises(ValueError, match="2 hops per clock: rails go in turn with one alone"):
        PhaseSmoother(hops_per_clock=2, shared=True)
