from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.compensation.rotator.core import Rotator
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 17


@pytest.mark.parametrize("samples_per_clock", [1, 4])
def test_core_equals_its_model_on_the_bench(samples_per_clock: int, tmp_path: Path) -> None:
    core = Rotator(samples_per_clock=samples_per_clock, depth=64)
    outcome = run_bench(
        Skin(core).to_verilog("rotator"),
        "rotator",
        "kronborg_sim.benches.rotator",
        tmp_path,
        {"samples_per_clock": samples_per_clock, "latency": core.latency, "depth": core.depth},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("samples", [0, 3, 32])
def test_refuses_samples_per_clock_that_there_are_not(samples: int) -> None:
    with pytest.raises(ValueError, match=f"{samples} samples per clock: must be one of 1, 2, 4, 8, 16"):
        Rotator(samples_per_clock=samples)


@pytest.mark.parametrize("depth", [1, 1 << 16])
def test_refuses_a_depth_that_its_register_cannot_tell(depth: int) -> None:
    with pytest.raises(ValueError, match=f"a FIFO of {depth} beats"):
        Rotator(samples_per_clock=2, depth=depth)


def test_costs_four_multipliers_a_sample_and_waits_for_the_smoother() -> None:
    assert Rotator(samples_per_clock=2).multipliers == 8
    assert Rotator(samples_per_clock=2).depth == 512
    assert Rotator(samples_per_clock=1).depth == 1024
