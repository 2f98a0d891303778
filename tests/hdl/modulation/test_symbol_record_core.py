from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.symbol_record.core import SymbolRecord
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 18


@pytest.mark.parametrize("symbols_per_clock", [2])
def test_core_equals_its_model_on_the_bench(symbols_per_clock: int, tmp_path: Path) -> None:
    core = SymbolRecord(symbols_per_clock=symbols_per_clock, depth=16)
    outcome = run_bench(
        Skin(core).to_verilog("symbol_record"),
        "symbol_record",
        "kronborg_sim.benches.symbol_record",
        tmp_path,
        {"symbols_per_clock": symbols_per_clock, "depth": core.depth, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"symbols_per_clock": 16}, "16 symbols per clock: must be one of 1, 2, 4, 8"),
        ({"symbols_per_clock": 1, "depth": 1}, "a FIFO of 1 beats: must be 2 to 65535"),
        ({"symbols_per_clock": 1, "depth": 65536}, "a FIFO of 65536 beats"),
    ],
)
def test_refuses_a_core_that_cannot_be_built(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SymbolRecord(**arguments)
