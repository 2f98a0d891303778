from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.decimation.half_band.core import HalfBandDecimator
from kronborg_hdl.decimation.half_band.model import NARROW, WIDE, HalfBand
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 12


@pytest.mark.parametrize(
    ("words_per_clock", "half_band", "shared"),
    [(1, WIDE, False), (1, WIDE, True), (4, NARROW, False)],
    ids=["one word, wide", "one word, wide, rails in turn", "four words, narrow"],
)
def test_core_equals_its_model_on_the_bench(
    words_per_clock: int, half_band: HalfBand, shared: bool, tmp_path: Path
) -> None:
    core = HalfBandDecimator(words_per_clock=words_per_clock, half_band=half_band, shared=shared)
    outcome = run_bench(
        Skin(core).to_verilog("half_band"),
        "half_band",
        "kronborg_sim.benches.half_band",
        tmp_path,
        {"words_per_clock": words_per_clock, "wide": half_band is WIDE, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def test_refuses_words_per_clock_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="3 samples per clock: must be one of 1, 2, 4, 8, 16"):
        HalfBandDecimator(words_per_clock=3, half_band=WIDE)


def test_refuses_rails_in_turn_of_several_samples_per_clock() -> None:
    with pytest.raises(ValueError, match="2 samples per clock: rails go in turn with one alone"):
        HalfBandDecimator(words_per_clock=2, half_band=WIDE, shared=True)
