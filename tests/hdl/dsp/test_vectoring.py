import numpy as np
import pytest
from amaranth import Module
from amaranth.sim import Simulator, SimulatorContext

from kronborg_hdl.dsp.cordic import polar
from kronborg_hdl.dsp.vectoring import Vectoring


@pytest.mark.parametrize("width", [24, 16])
def test_a_word_a_step_equals_the_numpy_half(width: int) -> None:
    rng = np.random.default_rng(width)
    largest, count = 1 << (width - 1), 150
    words = rng.integers(-largest, largest, (count, 2)) >> rng.integers(0, width, count)[:, np.newaxis]
    corners = [-largest, largest - 1, 0, -1, 1]
    words[:25] = [(x, y) for x in corners for y in corners]
    m = Module()
    m.submodules.dut = dut = Vectoring(width=width)
    pauses = rng.random(4 * count) < 0.2
    seen: list[tuple[int, int]] = []

    async def bench(ctx: SimulatorContext) -> None:
        steps = 0
        for pause in pauses:
            if steps == count + Vectoring.LATENCY:
                break
            x, y = words[min(steps, count - 1)]
            ctx.set(dut.x, int(x))
            ctx.set(dut.y, int(y))
            ctx.set(dut.advance, int(not pause))
            if not pause:
                if steps >= Vectoring.LATENCY:
                    seen.append((ctx.get(dut.magnitude), ctx.get(dut.angle)))
                steps += 1
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    magnitude, angle = polar(words)
    assert seen == list(zip(magnitude.tolist(), angle.tolist(), strict=True))
