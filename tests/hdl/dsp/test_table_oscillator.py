import numpy as np
import pytest
from amaranth.sim import Simulator, SimulatorContext

from kronborg_hdl.dsp.phasor_table import COSINE, SINE
from kronborg_hdl.dsp.table_oscillator import TableOscillator


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("conjugate", [False, True])
def test_gives_the_model_s_phasors_over_pauses_and_new_words(lanes: int, conjugate: bool) -> None:
    rng = np.random.default_rng(lanes)
    core = TableOscillator(lanes=lanes, conjugate=conjugate)
    expected: list[list[tuple[int, int]]] = []
    given: list[list[tuple[int, int]]] = []

    async def drive(ctx: SimulatorContext) -> None:
        phase = step = 0
        due: list[int] = []
        for _ in range(300):
            word = int(rng.integers(2**32))
            advance = bool(rng.random() < 0.7)
            accept = advance and bool(rng.random() < 0.7)
            ctx.set(core.word, word)
            ctx.set(core.advance, advance)
            ctx.set(core.accept, accept)
            if advance:
                if step in due:
                    given.append([(phasor["cosine"], phasor["sine"]) for phasor in ctx.get(core.o)])
                if accept:
                    due.append(step + TableOscillator.LATENCY)
                    angles = [((phase + lane * word) % 2**32) >> 18 for lane in range(lanes)]
                    sign = -1 if conjugate else 1
                    expected.append([(int(COSINE[angle]), sign * int(SINE[angle])) for angle in angles])
                    phase = (phase + lanes * word) % 2**32
                step += 1
            await ctx.tick()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert len(given) > 100
    assert given == expected[: len(given)]


def test_refuses_lanes_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="3 samples per clock"):
        TableOscillator(lanes=3)
