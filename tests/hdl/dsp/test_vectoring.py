import numpy as np
import pytest
from amaranth import Module
from amaranth.sim import Simulator, SimulatorContext

from kronborg_hdl.dsp.cordic import polar
from kronborg_hdl.dsp.vectoring import Vectoring


@pytest.mark.parametrize("fold", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("width", [24, 16])
@pytest.mark.parametrize("idle", [False, True])
def test_pairs_of_words_equal_the_numpy_half(width: int, fold: int, idle: bool) -> None:
    rng = np.random.default_rng(width)
    largest, count = 1 << (width - 1), 150
    words = rng.integers(-largest, largest, (count, 2)) >> rng.integers(0, width, count)[:, np.newaxis]
    corners = [-largest, largest - 1, 0, -1, 1]
    words[:25] = [(x, y) for x in corners for y in corners]
    m = Module()
    m.submodules.dut = dut = Vectoring(width=width, fold=fold)
    # As close as may be, or with steps to spare, among them fewer and more than a pair takes.
    gaps = rng.integers(0, 5 * fold, count // 2) if idle else np.zeros(count // 2, int)
    begins = np.cumsum(2 * fold + gaps).tolist()
    come = dict(zip([begin + second for begin in begins for second in range(2)], words.tolist(), strict=True))
    seen: dict[int, tuple[int, int]] = {}
    told: list[int] = []

    async def bench(ctx: SimulatorContext) -> None:
        for step in range(max(come) + dut.latency + 3):
            # Between pairs there are words too, which nobody asks for.
            x, y = come.get(step, rng.integers(-largest, largest, 2).tolist())
            ctx.set(dut.x, x)
            ctx.set(dut.y, y)
            ctx.set(dut.begins, step in begins)
            while rng.random() < 0.2:
                ctx.set(dut.advance, 0)
                await ctx.tick()
            ctx.set(dut.advance, 1)
            if ctx.get(dut.ends):
                told.append(step)
            seen[step] = (ctx.get(dut.magnitude), ctx.get(dut.angle))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    magnitude, angle = polar(words)
    assert told == [begin + dut.latency for begin in begins]
    assert [seen[step + dut.latency] for step in come] == list(zip(magnitude.tolist(), angle.tolist(), strict=True))


@pytest.mark.parametrize("fold", [0, 3, 32])
def test_refuses_stages_that_there_are_not(fold: int) -> None:
    with pytest.raises(ValueError, match=f"{fold} iterations a stage: must divide 16"):
        Vectoring(width=16, fold=fold)
