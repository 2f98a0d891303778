from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.compensation.mixer.core import Mixer
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 15


def test_core_equals_its_model_on_the_bench(tmp_path: Path) -> None:
    lanes, halvings, complex_input = 2, 1, True
    core = Mixer(lanes=lanes, halvings=halvings, complex_input=complex_input)
    outcome = run_bench(
        Skin(core).to_verilog("mixer"),
        "mixer",
        "kronborg_sim.benches.mixer",
        tmp_path,
        {
            "lanes": lanes,
            "halvings": halvings,
            "complex_input": complex_input,
            "latency": core.latency,
            "pilot_latency": core.pilot_latency,
        },
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def test_refuses_lanes_and_stages_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="3 samples per clock: must be one of 1, 2, 4, 8, 16"):
        Mixer(lanes=3, halvings=2)
    with pytest.raises(ValueError, match="4 half-band stages: must be one of 0, 1, 2, 3"):
        Mixer(lanes=8, halvings=4)


def test_costs_two_multipliers_an_oscillator_and_lane_and_four_if_samples_are_complex() -> None:
    assert Mixer(lanes=8, halvings=2).multipliers == 48
    assert Mixer(lanes=8, halvings=2, complex_input=True).multipliers == 96


def test_says_how_many_hops_there_are_in_a_clock_and_clocks_in_a_hop() -> None:
    cores = [Mixer(lanes=lanes, halvings=2) for lanes in (1, 4, 8, 16)]
    assert [core.hops_per_clock for core in cores] == [1, 1, 1, 2]
    assert [core.beats_per_hop for core in cores] == [8, 2, 1, 1]
