import re
from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.gaussian.core import GaussianSource
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 20


def test_core_equals_its_model_on_the_bench(tmp_path: Path) -> None:
    core = GaussianSource(symbols_per_clock=2)
    outcome = run_bench(
        Skin(core).to_verilog("gaussian"),
        "gaussian",
        "kronborg_sim.benches.gaussian",
        tmp_path,
        {"symbols_per_clock": core.symbols_per_clock, "latency": core.latency, "beats": 20_000},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("symbols_per_clock", [0, 17])
def test_refuses_a_width_that_it_cannot_have(symbols_per_clock: int) -> None:
    with pytest.raises(ValueError, match=f"{symbols_per_clock} symbols per clock: must be 1 to 16"):
        GaussianSource(symbols_per_clock=symbols_per_clock)


@pytest.mark.parametrize("symbols_per_clock", [1, 2])
def test_has_as_many_multipliers_as_it_says(symbols_per_clock: int) -> None:
    core = GaussianSource(symbols_per_clock=symbols_per_clock)
    verilog = Skin(core).to_verilog("gaussian")
    assert len(re.findall(r" \* ", verilog)) == core.multipliers < 12 * symbols_per_clock
