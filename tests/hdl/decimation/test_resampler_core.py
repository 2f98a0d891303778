from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kronborg_hdl.decimation.resampler.core import Resampler as ResamplerCore
from kronborg_hdl.decimation.resampler.kernel import KERNELS
from kronborg_hdl.decimation.resampler.model import UNIT_STEP, Resampler, Retime, start

SILENT_CLOCKS = 120


def simulate(
    core: ResamplerCore, samples: np.ndarray, commands: list[Retime], step: int, kernel: int, idle: bool, held: bool
) -> np.ndarray:
    """What comes out of the gateware, with random pauses of source and sink."""
    rng, received = np.random.default_rng(1), list[int]()
    port = core.port

    async def host(ctx: Any) -> None:
        ctx.set(port.step_low.word, step % 2**32)
        ctx.set(port.step_high.word, step >> 32)
        ctx.set(port.kernel.number, kernel)
        await ctx.tick().repeat(12)  # commands wait already
        ctx.set(port.control.apply.start, 1)
        await ctx.tick()
        ctx.set(port.control.apply.start, 0)

    async def source(ctx: Any) -> None:
        for beat in samples.reshape(-1, core.words_per_clock, 2).tolist():
            while idle and rng.random() < 0.4:
                await ctx.tick()
            ctx.set(core.i.payload.words, [{"i": i, "q": q} for i, q in beat])
            ctx.set(core.i.valid, 1)
            await ctx.tick().until(core.i.ready)
            ctx.set(core.i.valid, 0)

    async def synchroniser(ctx: Any) -> None:
        for command in commands:
            ctx.set(core.retime.payload.words, {"at": command.at, "jump": command.jump, "step": command.step})
            ctx.set(core.retime.valid, 1)
            await ctx.tick().until(core.retime.ready)
            ctx.set(core.retime.valid, 0)

    async def sink(ctx: Any) -> None:
        silent = 0
        while silent < SILENT_CLOCKS:
            ready = not (held and rng.random() < 0.6)
            ctx.set(core.o.ready, ready)
            _, _, valid, late, word = await ctx.tick().sample(core.o.valid, core.late, core.o.payload.as_value())
            assert not late
            silent = 0 if valid and ready else silent + 1
            if valid and ready:
                rails = [word >> 18 * n & 0x3FFFF for n in range(2 * core.words_per_clock)]
                received.extend((rail ^ 0x20000) - 0x20000 for rail in rails)

    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    for testbench in (host, source, synchroniser, sink):
        simulator.add_testbench(testbench)
    simulator.run()
    return np.array(received, np.int32).reshape(-1, 2)


@pytest.mark.parametrize(
    ("words_per_clock", "step", "kernel", "idle", "held"),
    [(2, 1.25, 1, True, True), (1, 1.5, 0, False, True), (2, 0.9998, 0, False, False), (4, 2.125, 2, True, False)],
)
def test_core_equals_its_model(words_per_clock: int, step: float, kernel: int, idle: bool, held: bool) -> None:
    rng = np.random.default_rng(words_per_clock)
    samples = rng.integers(-(2**17), 2**17, (600 // words_per_clock * words_per_clock, 2)).astype(np.int32)
    jumps = rng.integers(-(2**31), 2**31, 4).tolist()
    steps = rng.integers(UNIT_STEP * 7 // 8, UNIT_STEP * 2, 4).tolist()
    places = (64 * np.arange(1, 5) + 2 * rng.integers(0, 8, 4)).tolist()
    commands = [Retime(*words) for words in zip(places, jumps, steps, strict=True)]
    first = round(step * UNIT_STEP)
    wanted = Resampler(KERNELS[kernel], words_per_clock).process(samples, start(first), commands)
    core = ResamplerCore(words_per_clock=words_per_clock)
    np.testing.assert_array_equal(simulate(core, samples, commands, first, kernel, idle, held), wanted.samples)
