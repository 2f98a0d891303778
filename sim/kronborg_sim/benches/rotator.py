"""Bench of the rotator in its skin: every word against the model.

Parameters: samples_per_clock, latency, depth.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamFrame
from numpy.typing import NDArray

from kronborg_hdl.compensation.rotator.model import MOST_DELAY, REACH, SAMPLES_PER_HOP, Rotator
from kronborg_hdl.compensation.rotator.registers import REGISTERS
from kronborg_hdl.dsp.formats import BASEBAND

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
SAMPLES, LATENCY, DEPTH = PARAMETERS["samples_per_clock"], PARAMETERS["latency"], PARAMETERS["depth"]
HOPS = max(1, SAMPLES // SAMPLES_PER_HOP)

bench_test = cocotb.test(timeout_time=200, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def random_samples(rng: np.random.Generator, hops: int) -> NDArray[np.int32]:
    """Words of full scale, the extremes often: some saturate."""
    words = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (hops * SAMPLES_PER_HOP, 2))
    extremes = rng.choice([BASEBAND.minimum, BASEBAND.maximum], words.shape)
    return np.where(rng.random(words.shape) < 0.3, extremes, words).astype(np.int32)


def random_phasors(rng: np.random.Generator, hops: int) -> NDArray[np.int16]:
    """Words of full scale, not of unit length."""
    return rng.integers(-(2**15), 2**15, (hops, 2)).astype(np.int16)


class Bench(SkinBench):
    """The core's own ways on top of the skin's. A beat is a frame here: the streams have no end."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def delay(self, hops: int) -> None:
        """Write the delay and put it to use."""
        await self.write("delay", hops=hops)
        await self.write("control", apply=1)

    def send_samples(self, samples: NDArray[np.int32]) -> None:
        """Queue whole beats."""
        for beat in samples.astype("<i4").reshape(-1, SAMPLES * 2):
            self.source.send_nowait(AxiStreamFrame(beat.tobytes()))

    def send_phasors(self, phasors: NDArray[np.int16]) -> None:
        """Queue whole beats."""
        for beat in phasors.astype("<i2").reshape(-1, HOPS * 2):
            self.sources["phasors"].send_nowait(AxiStreamFrame(beat.tobytes()))

    async def receive_samples(self, count: int) -> NDArray[np.int32]:
        """So many samples."""
        received = [np.frombuffer(bytes((await self.sink.recv()).tdata), "<i4") for _ in range(count // SAMPLES)]
        return np.concatenate(received).reshape(-1, 2)

    async def expect(self, delay: int, hops: int, seed: int, *, spare: int = 0, turns: bool = True) -> int:
        """Streams equal the model's, and nothing more comes; returns how many words saturated.

        `hops` of phasors, and of samples so many more.
        """
        rng = np.random.default_rng(seed)
        samples, phasors = random_samples(rng, hops + spare), random_phasors(rng, hops)
        expected = Rotator(delay, turns).process(samples, phasors)
        self.send_samples(samples)
        self.send_phasors(phasors)
        np.testing.assert_array_equal(await self.receive_samples(len(expected.samples)), expected.samples)
        self.drain_output()
        await ClockCycles(self.dut.aclk, 20)
        assert self.sink.empty(), "a sample came out before its phasors had come"
        return expected.saturated


@bench_test
@crossed_with_pauses
async def streams_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words of full scale; saturated ones are counted."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    saturated = await bench.expect(0, 1000, seed=1)
    assert saturated > 10
    assert await bench.read("saturations", "count") == saturated
    assert await bench.read("status", "saturated") == 1
    await bench.write("control", clear_counters=1)
    assert await bench.read("saturations", "count") == 0


@bench_test
@cocotb.parametrize(delay=[-MOST_DELAY, -3, 1, 6, MOST_DELAY])
async def samples_find_the_phasor_of_their_hop(dut: Any, delay: int) -> None:
    """Late and early, from the first sample on, while samples wait."""
    bench = Bench(dut)
    await bench.reset()
    await bench.delay(delay)
    await bench.expect(delay, 400, seed=2, spare=24)


@bench_test
async def a_delay_beyond_the_reach_is_the_limit(dut: Any) -> None:
    """The one that the register can hold."""
    bench = Bench(dut)
    await bench.reset()
    await bench.delay(-MOST_DELAY - 1)
    await bench.expect(-MOST_DELAY, 64, seed=3)


@bench_test
async def a_delay_waits_for_apply(dut: Any) -> None:
    """Written, it is not yet in use."""
    bench = Bench(dut)
    await bench.reset()
    await bench.write("delay", hops=5)
    await bench.expect(0, 64, seed=4)


@bench_test
async def noise_alone_is_not_turned(dut: Any) -> None:
    """After apply, whatever the phasors are; and turned again after the next one."""
    bench = Bench(dut)
    await bench.reset()
    await bench.write("mode", noise=1)
    await bench.write("control", apply=1)
    await bench.expect(0, 64, seed=11, turns=False)
    await bench.reset()
    await bench.expect(0, 64, seed=12)


@bench_test
async def a_delay_can_be_changed_without_a_gap(dut: Any) -> None:
    """What comes after has the other phasors; nothing is lost or doubled."""
    bench = Bench(dut)
    await bench.reset()
    rng = np.random.default_rng(5)
    samples, phasors = random_samples(rng, 400), random_phasors(rng, 400)
    first, count = 2 * 200, 2 * (400 - REACH)
    before, after = (Rotator(delay).process(samples, phasors).samples for delay in (0, -4))
    bench.send_samples(samples)
    bench.send_phasors(phasors[: 200 + REACH])
    np.testing.assert_array_equal(await bench.receive_samples(first), before[:first])
    await bench.delay(-4)
    bench.send_phasors(phasors[200 + REACH :])
    np.testing.assert_array_equal(await bench.receive_samples(count - first), after[first:])


@bench_test
async def a_beat_a_clock_with_the_latency_that_the_core_says(dut: Any) -> None:
    """No gap, when samples wait."""
    bench = Bench(dut)
    await bench.reset()
    hops = 40 * HOPS
    taken, given = bench.watch("s_axis_phasors"), bench.watch("m_axis")
    rng = np.random.default_rng(6)
    bench.send_samples(random_samples(rng, hops))
    await ClockCycles(dut.aclk, 20)
    bench.send_phasors(random_phasors(rng, hops))
    await bench.receive_samples(2 * (hops - REACH))
    first = taken[REACH // HOPS] + LATENCY
    assert given == list(range(first, first + len(given))), "a gap, or another latency"
    assert len(given) == 2 * (hops - REACH) // SAMPLES


@bench_test
async def samples_wait_in_their_fifo_and_none_is_lost(dut: Any) -> None:
    """It takes its depth, and a word or two that stand outside of it; then the source has to wait."""
    bench = Bench(dut)
    await bench.reset()
    taken = bench.watch("s_axis")
    rng = np.random.default_rng(7)
    hops = (DEPTH + 40) * SAMPLES // SAMPLES_PER_HOP
    samples = random_samples(rng, hops)
    phasors = random_phasors(rng, hops + REACH)
    bench.send_samples(samples)
    await ClockCycles(dut.aclk, DEPTH + 60)
    assert DEPTH <= len(taken) <= DEPTH + 2
    bench.send_phasors(phasors)
    expected = Rotator().process(samples, phasors).samples
    np.testing.assert_array_equal(await bench.receive_samples(len(expected)), expected)


@bench_test
async def a_reset_forgets_samples_and_phasors(dut: Any) -> None:
    """And the delay: what was under way has no part in the next streams."""
    bench = Bench(dut)
    await bench.reset()
    await bench.delay(MOST_DELAY)
    rng = np.random.default_rng(8)
    bench.send_samples(random_samples(rng, 120))
    bench.send_phasors(random_phasors(rng, 100))
    await ClockCycles(dut.aclk, 60)
    await bench.reset()
    await bench.delay(MOST_DELAY)
    await bench.expect(MOST_DELAY, 200, seed=9)
    await bench.reset()
    await bench.expect(0, 64, seed=10)


@bench_test
async def registers_are_as_their_table_says(dut: Any) -> None:
    """Every register and hole; and what was built."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "samples_per_clock") == SAMPLES
    assert await bench.read("capabilities", "depth") == DEPTH
