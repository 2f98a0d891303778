from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.decimation.resampler.core import Resampler
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 30


@pytest.mark.parametrize("words_per_clock", [2, 1])
def test_core_equals_its_model_on_the_bench(words_per_clock: int, tmp_path: Path) -> None:
    core = Resampler(words_per_clock=words_per_clock, depth=32)
    outcome = run_bench(
        Skin(core).to_verilog("resampler"),
        "resampler",
        "kronborg_sim.benches.resampler",
        tmp_path,
        {"words_per_clock": words_per_clock, "depth": core.depth, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def test_refuses_words_per_clock_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="3 samples per clock: must be one of 1, 2, 4, 8, 16"):
        Resampler(words_per_clock=3)
