from pathlib import Path

import pytest

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.synchronisation.frame_synchroniser.core import FrameSynchroniser
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 26
OF_SEVERAL_SYMBOLS = 3
"""More of them, where a beat has several."""


# Trees of an odd number of steps and of an even one: their real and imaginary parts come out with another clock.
@pytest.mark.parametrize(
    ("symbols_per_clock", "preamble", "detector_chips", "shared"),
    [(2, 131, 64, False), (2, 131, 64, True), (1, 259, 128, True)],
)
def test_core_equals_its_model_on_the_bench(
    symbols_per_clock: int, preamble: int, detector_chips: int, shared: bool, tmp_path: Path
) -> None:
    core = FrameSynchroniser(
        symbols_per_clock=symbols_per_clock,
        preamble=preamble,
        detector_chips=detector_chips,
        chain=100,
        shared=shared,
    )
    outcome = run_bench(
        Skin(core).to_verilog("frame_synchroniser"),
        "frame_synchroniser",
        "kronborg_sim.benches.frame_synchroniser",
        tmp_path,
        {
            "symbols_per_clock": symbols_per_clock,
            "preamble": core.sizes.preamble,
            "detector_chips": core.sizes.detector_chips,
            "shared": int(shared),
            "reach": core.reach,
            "delay": core.delay,
            "metered_delay": core.metered_delay,
        },
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH + (OF_SEVERAL_SYMBOLS if symbols_per_clock > 1 else 0)


def test_refuses_a_core_that_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="16 symbols per clock: must be one of 1, 2, 4, 8"):
        FrameSynchroniser(symbols_per_clock=16)


def test_an_event_marks_for_as_long_as_the_chain_and_the_core_hold_symbols() -> None:
    core = FrameSynchroniser(symbols_per_clock=2, preamble=131, detector_chips=64, chain=100)
    assert core.reach == core.delay + 100
