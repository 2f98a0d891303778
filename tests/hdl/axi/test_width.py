import numpy as np
import pytest
from amaranth import Elaboratable, Module
from amaranth.sim import Simulator

from kronborg_hdl.axi.width import WidthConverter

PACKETS = (1, 2, 3, 4, 5, 8, 11)


def convert(core: WidthConverter, beats: list[tuple[int, int]], seed: int, expected: int) -> list[tuple[int, int]]:
    """Beats that come out, with pauses on both sides."""
    m = Module()
    m.submodules.core = core
    rng = np.random.default_rng(seed)
    came: list[tuple[int, int]] = []

    async def source(ctx):
        for words, last in beats:
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(core.i.payload.words, words)
            ctx.set(core.i.payload.last, last)
            ctx.set(core.i.valid, 1)
            await ctx.tick().until(core.i.ready)
            ctx.set(core.i.valid, 0)

    async def sink(ctx):
        for _ in range(20 * expected + 100):
            ready = int(rng.random() < 0.6)
            ctx.set(core.o.ready, ready)
            _, _, valid, words, last = await ctx.tick().sample(core.o.valid, core.o.payload.words, core.o.payload.last)
            if valid and ready:
                came.append((words, last))

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(source, background=True)
    simulator.add_testbench(sink)
    simulator.run()
    return came


@pytest.mark.parametrize(("into", "out"), [(32, 8), (8, 32), (16, 16)])
def test_packets_keep_their_words_and_their_ends(into: int, out: int) -> None:
    rng = np.random.default_rng(7)
    core = WidthConverter(into_bits=into, out_bits=out)
    beats, expected = [], []
    for size in PACKETS:
        words = [int(word) for word in rng.integers(0, 2**into, size)]
        beats += [(word, int(n == size - 1)) for n, word in enumerate(words)]
        whole = sum(word << (into * n) for n, word in enumerate(words))
        count = -(-into * size // out)  # the last word is filled up with zeros
        expected += [((whole >> (out * n)) & (2**out - 1), int(n == count - 1)) for n in range(count)]
    assert convert(core, beats, 11, len(expected)) == expected


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="24 bits to 64"):
        WidthConverter(into_bits=24, out_bits=64)
    assert isinstance(WidthConverter(into_bits=64, out_bits=32), Elaboratable)
