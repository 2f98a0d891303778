"""Small pieces of streams, in Amaranth's own simulator: they are a few gates."""

import random

import pytest
from amaranth.sim import Simulator, SimulatorContext

from kronborg_hdl.axi.stream import Fork

WORDS = list(range(1, 200))


@pytest.mark.parametrize("ready", [(1.0, 1.0), (0.3, 1.0), (0.4, 0.4)])
def test_every_branch_of_a_fork_gets_every_payload_once(ready: tuple[float, ...]) -> None:
    fork = Fork(8, branches=len(ready))
    rng = random.Random(1)
    received: list[list[int]] = [[] for _ in ready]
    held: list[int | None] = [None for _ in ready]
    left = list(WORDS)

    async def drive(ctx: SimulatorContext) -> None:
        offered = False
        for _ in range(3000):
            offered = bool(left) and (offered or rng.random() < 0.7)
            ctx.set(fork.i.valid, offered)
            ctx.set(fork.i.payload, left[0] if left else 0)
            for number, chance in enumerate(ready):
                ctx.set(fork.o[number].ready, rng.random() < chance)
            for number, branch in enumerate(fork.o):
                offer = ctx.get(branch.payload) if ctx.get(branch.valid) else None
                assert held[number] is None or offer == held[number], "an offer was withdrawn"
                taken = offer is not None and ctx.get(branch.ready)
                held[number] = None if taken else offer
                if taken:
                    received[number].append(offer)
            if offered and ctx.get(fork.i.ready):
                left.pop(0)
                offered = False
            await ctx.tick()

    simulator = Simulator(fork)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert received == [WORDS] * len(ready)
