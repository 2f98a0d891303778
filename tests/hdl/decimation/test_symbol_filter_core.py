from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.decimation.symbol_filter.core import SymbolFilter
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 18


@pytest.mark.parametrize("words_per_clock", [4, 1])
def test_core_equals_its_model_on_the_bench(words_per_clock: int, tmp_path: Path) -> None:
    core = SymbolFilter(words_per_clock=words_per_clock)
    outcome = run_bench(
        Skin(core).to_verilog("symbol_filter"),
        "symbol_filter",
        "kronborg_sim.benches.symbol_filter",
        tmp_path,
        {"words_per_clock": words_per_clock, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def test_refuses_words_per_clock_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="3 samples per clock: must be one of 1, 2, 4, 8, 16"):
        SymbolFilter(words_per_clock=3)
