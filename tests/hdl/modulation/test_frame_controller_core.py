from pathlib import Path

import pytest
from amaranth.sim import Simulator, SimulatorContext

from kronborg_hdl.axi.skin import Skin
from kronborg_hdl.modulation.frame_controller.core import FrameController
from kronborg_sim.benches.runner import run_bench

TESTS_IN_THE_BENCH = 26


@pytest.mark.parametrize("symbols_per_clock", [2])
def test_core_equals_its_model_on_the_bench(symbols_per_clock: int, tmp_path: Path) -> None:
    # A head that is no multiple of the width, and a memory that is no power of two.
    limits = {"preamble_capacity": 12 * symbols_per_clock, "minimum_head": 4 * symbols_per_clock - 1}
    core = FrameController(symbols_per_clock=symbols_per_clock, **limits)
    outcome = run_bench(
        Skin(core).to_verilog("frame_controller"),
        "frame_controller",
        "kronborg_sim.benches.frame_controller",
        tmp_path,
        {"symbols_per_clock": symbols_per_clock, "latency": core.latency, **limits},
    )
    assert not outcome.failed, f"failed: {', '.join(outcome.failed)}\n{outcome.log[-6000:]}"
    assert len(outcome.passed) == TESTS_IN_THE_BENCH


def test_an_empty_frame_is_refused_when_a_head_is_not_asked_for() -> None:
    core = FrameController(symbols_per_clock=1, preamble_capacity=1)

    async def bench(context: SimulatorContext) -> None:
        control, status = core.port.control, core.port.status
        for length, refused in ((0, 1), (1, 0)):
            context.set(core.port.vacuum.length, length)
            context.set(control.apply.start, 1)
            await context.tick()
            context.set(control.apply.start, 0)
            verdicts = []
            while context.get(control.apply.busy):
                verdicts.append(context.get(status.settings_refused))
                await context.tick()
            assert any(verdicts) == refused
            assert context.get(control.loaded) != refused

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_refuses_a_core_that_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="3 symbols per clock: must be one of 1, 2, 4, 8"):
        FrameController(symbols_per_clock=3)
    with pytest.raises(ValueError, match="a preamble memory of 6 symbols: must be a multiple of 4"):
        FrameController(symbols_per_clock=4, preamble_capacity=6)
