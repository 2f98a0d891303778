"""The bridge between the processor's AXI3 and AXI4-Lite: bursts of all kinds, waits, errors, addresses behind it."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from amaranth.sim import Simulator

from kronborg_hdl.axi.memory import DECERR, OKAY, SLVERR
from kronborg_hdl.zynq.bridge import FIXED, INCREMENTING, WRAPPING, Axi3Bridge

ADDRESS_BITS = 8
SIZE = 1 << ADDRESS_BITS


@dataclass(frozen=True)
class Burst:
    address: int
    beats: int
    size: int
    kind: int
    identifier: int
    words: list[int] = field(default_factory=list)
    strobes: list[int] = field(default_factory=list)

    def addresses(self) -> list[int]:
        """As the specification of AXI has them: of each beat."""
        step = 1 << self.size
        if self.kind == FIXED:
            return [self.address] * self.beats
        if self.kind == INCREMENTING:
            return [self.address + step * beat for beat in range(self.beats)]
        lowest = self.address // (step * self.beats) * (step * self.beats)
        return [lowest + (self.address - lowest + step * beat) % (step * self.beats) for beat in range(self.beats)]


def bursts(rng: np.random.Generator, count: int) -> list[Burst]:
    made = []
    for _ in range(count):
        kind, size = int(rng.choice([FIXED, INCREMENTING, WRAPPING])), int(rng.integers(0, 3))
        beats = int(rng.choice([2, 4, 8, 16]) if kind == WRAPPING else rng.integers(1, 17))
        address = int(rng.integers(0, (SIZE - (16 << size)) >> size)) << size
        words, strobes = rng.integers(0, 2**32, beats).tolist(), rng.integers(0, 16, beats).tolist()
        made.append(Burst(address, beats, size, kind, int(rng.integers(0, 2**12)), words, strobes))
    return made


class Bench:
    """The processor on one side, a slave on the other; both wait as the dice say."""

    def __init__(self, *, pause: float, seed: int = 1) -> None:
        self.bridge = Axi3Bridge(ADDRESS_BITS)
        self.pause = pause
        self.random = np.random.default_rng(seed)
        self.written: list[tuple[int, int, int]] = []
        self.read: list[int] = []
        self.bad: set[int] = set()

    async def _wait(self, ctx) -> None:
        while self.random.random() < self.pause:
            await ctx.tick()

    async def _until(self, ctx, signal, *sampled):
        """Values when a handshake happens; the other side's signal was set before."""
        happens = False
        while not happens:
            _, _, *values, happens = await ctx.tick().sample(*sampled, signal)
        return tuple(values)

    async def slave_writes(self, ctx) -> None:
        bus = self.bridge.lite
        while True:
            await self._wait(ctx)
            ctx.set(bus.awready, 1)
            (address,) = await self._until(ctx, bus.awvalid, bus.awaddr)
            ctx.set(bus.awready, 0)
            await self._wait(ctx)
            ctx.set(bus.wready, 1)
            data, strobe = await self._until(ctx, bus.wvalid, bus.wdata, bus.wstrb)
            ctx.set(bus.wready, 0)
            self.written.append((address, data, strobe))
            await self._wait(ctx)
            ctx.set(bus.bresp, SLVERR if address in self.bad else OKAY)
            ctx.set(bus.bvalid, 1)
            await self._until(ctx, bus.bready)
            ctx.set(bus.bvalid, 0)

    async def slave_reads(self, ctx) -> None:
        bus = self.bridge.lite
        while True:
            await self._wait(ctx)
            ctx.set(bus.arready, 1)
            (address,) = await self._until(ctx, bus.arvalid, bus.araddr)
            ctx.set(bus.arready, 0)
            self.read.append(address)
            await self._wait(ctx)
            ctx.set(bus.rdata, address * 0x01010101)
            ctx.set(bus.rresp, SLVERR if address in self.bad else OKAY)
            ctx.set(bus.rvalid, 1)
            await self._until(ctx, bus.rready)
            ctx.set(bus.rvalid, 0)

    async def _ask(self, ctx, channel: str, burst: Burst) -> None:
        port = self.bridge.processor
        said = {
            "id": burst.identifier,
            "addr": burst.address,
            "len": burst.beats - 1,
            "size": burst.size,
            "burst": burst.kind,
        }
        await self._wait(ctx)
        for name, value in said.items():
            ctx.set(getattr(port, f"{channel}{name}"), value)
        ctx.set(getattr(port, f"{channel}valid"), 1)
        await self._until(ctx, getattr(port, f"{channel}ready"))
        for name in said:
            ctx.set(getattr(port, f"{channel}{name}"), 0)
        ctx.set(getattr(port, f"{channel}valid"), 0)

    async def write(self, ctx, burst: Burst) -> tuple[int, int]:
        """Identifier and response."""
        port = self.bridge.processor
        await self._ask(ctx, "aw", burst)
        for beat, (word, strobe) in enumerate(zip(burst.words, burst.strobes, strict=True)):
            await self._wait(ctx)
            ctx.set(port.wdata, word)
            ctx.set(port.wstrb, strobe)
            ctx.set(port.wlast, beat == burst.beats - 1)
            ctx.set(port.wvalid, 1)
            await self._until(ctx, port.wready)
            ctx.set(port.wvalid, 0)
        await self._wait(ctx)
        ctx.set(port.bready, 1)
        answer = await self._until(ctx, port.bvalid, port.bid, port.bresp)
        ctx.set(port.bready, 0)
        return answer

    async def get(self, ctx, burst: Burst) -> list[tuple[int, int, int, int]]:
        """Of each beat: identifier, word, response, and whether it says that it is the last."""
        port = self.bridge.processor
        await self._ask(ctx, "ar", burst)
        beats = []
        for _ in range(burst.beats):
            await self._wait(ctx)
            ctx.set(port.rready, 1)
            beats.append(await self._until(ctx, port.rvalid, port.rid, port.rdata, port.rresp, port.rlast))
            ctx.set(port.rready, 0)
        return beats

    def run(self, *benches) -> None:
        simulator = Simulator(self.bridge)
        simulator.add_clock(1e-8)
        for bench in benches:
            simulator.add_testbench(bench)
        for slave in (self.slave_writes, self.slave_reads):
            simulator.add_testbench(slave, background=True)
        simulator.run()


@pytest.mark.parametrize("pause", [0, 0.5])
def test_every_beat_of_every_burst_is_the_access_that_it_should_be(pause: float) -> None:
    bench = Bench(pause=pause)
    asked, got = bursts(np.random.default_rng(7), 40), bursts(np.random.default_rng(8), 40)

    async def writes(ctx) -> None:
        for burst in asked:
            assert await bench.write(ctx, burst) == (burst.identifier, OKAY)

    async def reads(ctx) -> None:
        for burst in got:
            last = [False] * (burst.beats - 1) + [True]
            assert await bench.get(ctx, burst) == [
                (burst.identifier, address * 0x01010101, OKAY, end)
                for address, end in zip(burst.addresses(), last, strict=True)
            ]

    bench.run(writes, reads)
    assert bench.read == [address for burst in got for address in burst.addresses()]
    assert bench.written == [
        beat for burst in asked for beat in zip(burst.addresses(), burst.words, burst.strobes, strict=True)
    ]


def test_an_error_within_a_burst_is_its_answer_and_the_burst_goes_on() -> None:
    bench = Bench(pause=0.2)
    bench.bad = {8}

    async def processor(ctx) -> None:
        burst = Burst(0, 4, 2, INCREMENTING, 5, [1, 2, 3, 4], [15] * 4)
        assert await bench.write(ctx, burst) == (5, SLVERR)
        assert [beat[2] for beat in await bench.get(ctx, burst)] == [OKAY, OKAY, SLVERR, OKAY]
        assert await bench.write(ctx, Burst(0, 1, 2, INCREMENTING, 6, [9], [15])) == (6, OKAY), "it is forgotten"

    bench.run(processor)
    assert [address for address, _, _ in bench.written] == [0, 4, 8, 12, 0]


def test_addresses_behind_the_slave_are_answered_and_it_hears_nothing_of_them() -> None:
    bench = Bench(pause=0.2)

    async def processor(ctx) -> None:
        for address in (SIZE, 1 << 29, SIZE + 4):
            burst = Burst(address, 2, 2, INCREMENTING, 3, [1, 2], [15, 15])
            assert await bench.write(ctx, burst) == (3, DECERR)
            assert [beat[2] for beat in await bench.get(ctx, burst)] == [DECERR, DECERR]
        over = Burst(SIZE - 4, 2, 2, INCREMENTING, 4, [1, 2], [15, 15])
        assert await bench.write(ctx, over) == (4, DECERR)
        assert [beat[2] for beat in await bench.get(ctx, over)] == [OKAY, DECERR]

    bench.run(processor)
    assert bench.written == [(SIZE - 4, 1, 15)]
    assert bench.read == [SIZE - 4]


@pytest.mark.parametrize("bits", [1, 31])
def test_a_slave_that_does_not_fit_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"a slave of {bits} address bits"):
        Axi3Bridge(bits)
