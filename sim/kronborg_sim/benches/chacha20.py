"""Bench of the ChaCha20 expander by itself: RFC 8439's vectors, keys in every order, throughput and latency.

Parameters: rounds_per_clock, ring, latency.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from numpy.typing import NDArray

from kronborg_hdl.modulation.entropy.chacha20.model import keystream

from .rfc_8439 import RFC_8439
from .runner import parameters

PARAMETERS = parameters()
CLOCKS_PER_BLOCK = 20 // PARAMETERS["rounds_per_clock"]

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")


@dataclass(frozen=True)
class Offer:
    """A key that is offered: words, nonce, and whether it replaces the one in use."""

    key: NDArray[np.uint32]
    nonce: NDArray[np.uint32]
    replaces: bool

    @property
    def payload(self) -> int:
        """The port's bits."""
        text = np.concatenate([self.key, self.nonce]).astype("<u4").tobytes()
        return int.from_bytes(text, "little") | self.replaces << 352


def random_offer(rng: np.random.Generator, *, replaces: bool) -> Offer:
    """Random key and nonce."""
    return Offer(rng.integers(0, 2**32, 8, np.uint32), rng.integers(0, 2**32, 3, np.uint32), replaces)


class Bench:
    """Offers keys, takes blocks; each with pauses if wanted. Acts at falling edges, looks just before rising ones."""

    def __init__(self, dut: Any, limit: int, *, back_pressure: float = 0.0) -> None:
        self.dut = dut
        self.offers: deque[Offer] = deque()
        self.accepted: list[tuple[int, Offer]] = []
        self.blocks: list[tuple[int, NDArray[np.uint32]]] = []
        self.clock = 0
        self._random = random.Random(1)
        self._back_pressure = back_pressure
        cocotb.start_soon(Clock(dut.clk, 4, unit="ns").start())
        dut.limit.value = limit
        dut.key__valid.value = 0
        dut.o__ready.value = 0
        dut.rst.value = 1

    async def start(self) -> None:
        """Reset, then drive and watch."""
        await ClockCycles(self.dut.clk, 3)
        await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut = self.dut
        while True:
            await FallingEdge(dut.clk)
            dut.key__valid.value = bool(self.offers)
            if self.offers:
                dut.key__payload.value = self.offers[0].payload
            dut.o__ready.value = self._random.random() >= self._back_pressure
            await RisingEdge(dut.clk)
            self.clock += 1
            if int(dut.key__valid.value) and int(dut.key__ready.value):
                self.accepted.append((self.clock, self.offers.popleft()))
            if int(dut.o__valid.value) and int(dut.o__ready.value):
                text = int(dut.o__payload.value).to_bytes(64, "little")
                self.blocks.append((self.clock, np.frombuffer(text, "<u4").astype(np.uint32)))

    async def wait_for(self, blocks: int) -> None:
        """Until so many blocks have come."""
        while len(self.blocks) < blocks:
            await ClockCycles(self.dut.clk, 4)


@bench_test
@cocotb.parametrize(back_pressure=[0.0, 0.9])
async def blocks_are_those_of_the_rfc(dut: Any, back_pressure: float) -> None:
    """All its vectors of the block function."""
    bench = Bench(dut, 3, back_pressure=back_pressure)
    for key, nonce, _, _ in RFC_8439:
        # Each key is XORed onto those before it.
        words = np.frombuffer(key, "<u4").astype(np.uint32)
        before = [offer.key for offer in bench.offers]
        words = np.bitwise_xor.reduce([words, *before])
        bench.offers.append(Offer(words, np.frombuffer(nonce, "<u4").astype(np.uint32), False))
    await bench.start()
    await bench.wait_for(3 * len(RFC_8439))
    for number, (_, _, counter, expected) in enumerate(RFC_8439):
        assert bench.blocks[3 * number + counter][1].astype("<u4").tobytes() == expected


@bench_test
@cocotb.parametrize(back_pressure=[0.0, 0.9], limit=[1, 7, PARAMETERS["ring"] + 9])
async def every_block_is_the_next_of_its_key(dut: Any, back_pressure: float, limit: int) -> None:
    """Keys follow when the one before is spent, or replace it at any moment; no block comes twice or out of turn."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, limit, back_pressure=back_pressure)
    offers = [random_offer(rng, replaces=n % 5 in (0, 3, 4)) for n in range(24)]
    await bench.start()
    for offer in offers:
        bench.offers.append(offer)
        await ClockCycles(dut.clk, int(rng.integers(1, 250)))
    while bench.offers:
        await ClockCycles(dut.clk, 10)
    await ClockCycles(dut.clk, PARAMETERS["latency"] + limit * CLOCKS_PER_BLOCK)
    while int(dut.dry.value) == 0:
        await ClockCycles(dut.clk, 4)

    expected = [block for _, block in bench.blocks]
    in_use = np.zeros(8, np.uint32)
    replaced = 0
    for number, offer in enumerate(offers):
        in_use = offer.key if offer.replaces else in_use ^ offer.key
        blocks = keystream(in_use, offer.nonce, limit)
        count = 0
        while count < limit and expected and np.array_equal(expected[0], blocks[count]):
            expected.pop(0)
            count += 1
        next_replaces = number + 1 < len(offers) and offers[number + 1].replaces
        assert count == limit or next_replaces, f"key {number} gave {count} blocks of {limit}"
        replaced += count < limit
    assert not expected, "blocks came that belong to no key, or out of turn"
    assert replaced or limit <= 7


@bench_test
async def a_block_comes_every_few_clocks_through_changes_of_key(dut: Any) -> None:
    """Without a gap when a key lasts as long as the ring; the first after the latency."""
    rng = np.random.default_rng(2)
    limit = PARAMETERS["ring"] + 1
    bench = Bench(dut, limit)
    await bench.start()
    await ClockCycles(dut.clk, 9)
    keys = [random_offer(rng, replaces=False) for _ in range(4)]
    bench.offers.extend(keys)
    await bench.wait_for(4 * limit)
    clocks = [clock for clock, _ in bench.blocks]
    assert {b - a for a, b in itertools.pairwise(clocks)} == {CLOCKS_PER_BLOCK}
    latency = clocks[0] - bench.accepted[0][0]
    assert PARAMETERS["latency"] - CLOCKS_PER_BLOCK < latency <= PARAMETERS["latency"]
    expected = [
        keystream(np.bitwise_xor.reduce([k.key for k in keys[: n + 1]]), keys[n].nonce, limit) for n in range(4)
    ]
    np.testing.assert_array_equal([block for _, block in bench.blocks], np.concatenate(expected))


@bench_test
async def a_reset_within_a_block_ends_it(dut: Any) -> None:
    """Nothing comes after it until there is a key, and then the key's first block."""
    rng = np.random.default_rng(3)
    bench = Bench(dut, 0)
    bench.offers.append(random_offer(rng, replaces=True))
    await bench.start()
    await ClockCycles(dut.clk, PARAMETERS["latency"] + 3 * CLOCKS_PER_BLOCK + 1)
    assert len(bench.blocks) >= 2
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    count = len(bench.blocks)
    await ClockCycles(dut.clk, 2 * PARAMETERS["latency"])
    assert len(bench.blocks) == count, "a block outlived the reset"
    assert int(dut.keyed.value) == 0
    offer = random_offer(rng, replaces=False)
    bench.offers.append(offer)
    await bench.wait_for(count + 3)
    np.testing.assert_array_equal(
        [block for _, block in bench.blocks[count:]][:3], keystream(offer.key, offer.nonce, 3)
    )
