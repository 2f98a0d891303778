from pathlib import Path

import pytest
from amaranth.back import verilog

from kronborg_hdl.modulation.entropy.chacha20.core import Expander
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_EXPANDERS_BENCH = 10


@pytest.mark.parametrize("rounds_per_clock", [4, 20])
def test_expander_equals_the_rfc_on_the_bench(rounds_per_clock: int, tmp_path: Path) -> None:
    core = Expander(rounds_per_clock=rounds_per_clock)
    outcome = run_bench(
        verilog.convert(core, name="expander", emit_src=False, strip_internal_attrs=True),
        "expander",
        "kronborg_sim.benches.chacha20",
        tmp_path,
        {"rounds_per_clock": rounds_per_clock, "ring": core.ring, "latency": core.latency},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_EXPANDERS_BENCH
