from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.decimation.power_meter.core import PowerMeter
from kronborg_sim.benches.metered_stream import MeteredStream
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 32


@pytest.mark.parametrize("symbols_per_clock", [1, 4])
def test_core_equals_its_model_on_the_bench(symbols_per_clock: int, tmp_path: Path) -> None:
    core = MeteredStream(symbols_per_clock=symbols_per_clock)
    outcome = run_bench(
        Skin(core).to_verilog("power_meter"),
        "power_meter",
        "kronborg_sim.benches.power_meter",
        tmp_path,
        {"symbols_per_clock": symbols_per_clock, "latency": core.meter.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize("symbols", [0, 3, 16])
def test_refuses_symbols_per_clock_that_there_are_not(symbols: int) -> None:
    with pytest.raises(ValueError, match=f"{symbols} symbols per clock: must be one of 1, 2, 4, 8"):
        PowerMeter(symbols_per_clock=symbols)


def test_costs_two_multipliers_a_symbol() -> None:
    assert PowerMeter(symbols_per_clock=2).multipliers == 4
