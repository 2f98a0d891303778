"""Bench of the DMA engine in its skin, with a memory behind it, driven as ``pynq.lib.DMA`` drives it.

Parameters: data_bits.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiRam, AxiResp, AxiStreamFrame

from kronborg_hdl.axi.dma.registers import LENGTH_BITS, RECEIVE, REGISTERS, SEND
from kronborg_hdl.axi.memory import BURST_BEATS

from .runner import parameters
from .skin_bench import SkinBench

DATA_BITS = parameters()["data_bits"]
BEAT = DATA_BITS // 8
MEMORY_BYTES = 1 << 16
CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
RUN, RUN_WITH_INTERRUPT, RESET = 0x0001, 0x5001, 0x0004
HALTED, IDLE, INTERNAL, SLAVE, DECODE, COMPLETED, FAILED = 1 << 0, 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 12, 1 << 14

bench_test = cocotb.test(timeout_time=2, timeout_unit="ms")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


class Bench(SkinBench):
    """Memory, and the sequences of the driver."""

    def __init__(self, dut: Any, *, slow_memory: bool = False, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        self.ram = AxiRam(
            AxiBus.from_prefix(dut, "m_axi"), dut.aclk, dut.aresetn, reset_active_level=False, size=MEMORY_BYTES
        )
        interfaces = (self.ram.write_if, self.ram.read_if)
        for interface in interfaces:
            interface.log.setLevel("ERROR")
        self.channels = {
            name: getattr(interface, f"{name}_channel")
            for interface, names in zip(interfaces, (("aw", "w", "b"), ("ar", "r")), strict=True)
            for name in names
        }
        if slow_memory:
            chance = random.Random(7)
            for channel in self.channels.values():
                channel.set_pause_generator(chance.random() < 0.5 for _ in itertools.count())

    async def order(self, base: int, offset: int, word: int) -> None:
        """Write a register of one half."""
        await self._put(base + offset, word)

    async def status(self, base: int) -> int:
        """Of one half."""
        return await self._get(base + STATUS)

    async def start(self, base: int, word: int = RUN) -> None:
        """As the driver does when it is made."""
        await self.order(base, CONTROL, word)
        while await self.status(base) & HALTED:
            pass

    async def transfer(self, base: int, address: int, length: int) -> None:
        """Begin one."""
        await self.order(base, ADDRESS, address & 0xFFFFFFFF)
        await self.order(base, ADDRESS_HIGH, address >> 32)
        await self.order(base, LENGTH, length)

    async def wait(self, base: int) -> int:
        """Until it is complete; the bytes that it moved."""
        while not (await self.status(base)) & IDLE:
            pass
        return await self._get(base + LENGTH)


def packet(seed: int, beats: int) -> bytes:
    """Random bytes."""
    return random.Random(seed).randbytes(beats * BEAT)


@bench_test
@crossed_with_pauses
async def packets_go_to_memory_and_back(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Of any length, from any place, both ways at once, and nothing beside them is touched."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure, slow_memory=idle)
    await bench.reset()
    for base in (SEND, RECEIVE):
        await bench.start(base)
    chance = random.Random(3)
    for number, beats in enumerate((1, 2, 15, 16, 17, 64, 65, 131, 250)):
        outgoing, incoming = packet(number, beats), packet(100 + number, beats)
        source, target = (chance.randrange(0, 300) * BEAT + start for start in (0, MEMORY_BYTES // 2))
        bench.ram.write(source, outgoing)
        room = beats + chance.randrange(0, 20)
        bench.ram.write(target - BEAT if target >= BEAT else target, bytes(BEAT))
        bench.ram.write(target, b"\xa5" * (room + 8) * BEAT)
        await bench.transfer(RECEIVE, target, room * BEAT)
        await bench.transfer(SEND, source, len(outgoing))
        bench.source.send_nowait(AxiStreamFrame(incoming))
        received = bytes((await bench.sink.recv()).tdata)
        assert received == outgoing, f"packet {number} was not sent as it lay in memory"
        assert await bench.wait(SEND) == len(outgoing)
        assert await bench.wait(RECEIVE) == len(incoming)
        assert bench.ram.read(target, len(incoming)) == incoming
        behind = bench.ram.read(target + len(incoming), 8 * BEAT)
        assert behind == b"\xa5" * 8 * BEAT, "something was written behind the packet"
    for base in (SEND, RECEIVE):
        assert await bench.status(base) == IDLE | COMPLETED


@bench_test
async def bursts_do_not_cross_rows_of_addresses(dut: Any) -> None:
    """Nor are they longer than 16 beats: a burst that crosses 4 KiB is against AXI."""
    bench = Bench(dut)
    await bench.reset()
    bursts: list[tuple[int, int]] = []

    async def watch(channel: str) -> None:
        while True:
            await RisingEdge(dut.aclk)
            valid, ready = (getattr(dut, f"m_axi_{channel}{name}").value for name in ("valid", "ready"))
            if valid and ready:
                address, length = (int(getattr(dut, f"m_axi_{channel}{name}").value) for name in ("addr", "len"))
                bursts.append((address // BEAT, length + 1))

    watchers = [cocotb.start_soon(watch(channel)) for channel in ("aw", "ar")]
    for base in (SEND, RECEIVE):
        await bench.start(base)
    await bench.transfer(RECEIVE, 0x2000 + 5 * BEAT, 100 * BEAT)
    await bench.transfer(SEND, 0x1000 - 3 * BEAT, 100 * BEAT)
    bench.source.send_nowait(AxiStreamFrame(packet(1, 100)))
    await bench.wait(SEND)
    await bench.wait(RECEIVE)
    for watcher in watchers:
        watcher.cancel()
    assert sum(beats for _, beats in bursts) == 200
    for place, beats in bursts:
        assert place // BURST_BEATS == (place + beats - 1) // BURST_BEATS, f"a burst of {beats} beats at {place}"


@bench_test
async def a_beat_a_clock_both_ways(dut: Any) -> None:
    """Within a long packet no clock is lost."""
    bench = Bench(dut)
    await bench.reset()
    for base in (SEND, RECEIVE):
        await bench.start(base)
    taken, given = bench.watch("s_axis"), bench.watch("m_axis")
    await bench.transfer(RECEIVE, MEMORY_BYTES // 2, 1000 * BEAT)
    await bench.transfer(SEND, 0, 1000 * BEAT)
    bench.source.send_nowait(AxiStreamFrame(packet(1, 1000)))
    await bench.wait(SEND)
    await bench.wait(RECEIVE)
    for clocks, what in ((taken, "to memory"), (given, "from memory")):
        steady = [b - a for a, b in itertools.pairwise(clocks)]
        assert len(clocks) == 1000
        assert sum(steady) <= 1000 + 1000 // BURST_BEATS, f"{what}: {sum(steady)} clocks for 1000 beats"


@bench_test
async def a_packet_longer_than_its_buffer_is_an_error(dut: Any) -> None:
    """What fits is there, nothing is written behind it, and the next packet comes whole."""
    bench = Bench(dut)
    await bench.reset()
    await bench.start(RECEIVE, RUN_WITH_INTERRUPT)
    long, next_one = packet(1, 50), packet(2, 30)
    bench.ram.write(0x1000, b"\xa5" * 100 * BEAT)
    await bench.transfer(RECEIVE, 0x1000, 40 * BEAT)
    bench.source.send_nowait(AxiStreamFrame(long))
    bench.source.send_nowait(AxiStreamFrame(next_one))
    while not (await bench.status(RECEIVE)) & INTERNAL:
        pass
    assert dut.interrupts.value == 2
    assert (await bench.status(RECEIVE)) & (HALTED | FAILED | COMPLETED) == HALTED | FAILED
    assert bench.ram.read(0x1000, 41 * BEAT) == long[: 40 * BEAT] + b"\xa5" * BEAT
    await bench.order(RECEIVE, CONTROL, 0)
    await bench.start(RECEIVE)
    assert (await bench.status(RECEIVE)) & (INTERNAL | HALTED) == 0
    await bench.transfer(RECEIVE, 0x4000, 40 * BEAT)
    assert await bench.wait(RECEIVE) == len(next_one)
    assert bench.ram.read(0x4000, len(next_one)) == next_one


@bench_test
@cocotb.parametrize(base=[SEND, RECEIVE])
async def a_length_of_zero_is_an_error(dut: Any, base: int) -> None:
    """The driver asks that it be told."""
    bench = Bench(dut)
    await bench.reset()
    await bench.start(base)
    await bench.transfer(base, 0, 0)
    assert (await bench.status(base)) & (INTERNAL | HALTED) == INTERNAL | HALTED
    await bench.order(base, CONTROL, RUN | RESET)
    assert (await bench.status(base)) & INTERNAL == 0


@bench_test
@cocotb.parametrize(base=[SEND, RECEIVE], answer=[AxiResp.SLVERR, AxiResp.DECERR])
async def an_error_of_memory_stops_the_channel(dut: Any, base: int, answer: AxiResp) -> None:
    """It says which; after a reset the channel works again."""
    bench = Bench(dut)
    await bench.reset()
    await bench.start(base)

    # Memory itself never fails: what it answers is changed on its way.
    name = "b" if base == RECEIVE else "r"
    channel, send = bench.channels[name], bench.channels[name].send

    async def spoilt(response: Any) -> None:
        setattr(response, f"{name}resp", answer)
        await send(response)

    channel.send = spoilt
    await bench.transfer(base, 0, 40 * BEAT)
    bench.source.send_nowait(AxiStreamFrame(packet(1, 40)))
    while not (await bench.status(base)) & HALTED:
        pass
    assert (await bench.status(base)) & (SLAVE | DECODE) == (SLAVE if answer == AxiResp.SLVERR else DECODE)
    channel.send = send
    await bench.reset()
    bench.sink.clear()
    await bench.start(base)
    bench.ram.write(0, packet(2, 20))
    await bench.transfer(base, 0, 20 * BEAT)
    bench.source.send_nowait(AxiStreamFrame(packet(3, 20)))
    assert await bench.wait(base) == 20 * BEAT


@bench_test
@cocotb.parametrize(order=[0, RUN | RESET])
async def a_channel_that_is_stopped_gives_its_transfer_up(dut: Any, order: int) -> None:
    """In the middle of a burst. Memory behind is untouched, and the next transfer begins with a packet of its own."""
    bench = Bench(dut, slow_memory=True)
    await bench.reset()
    for base in (SEND, RECEIVE):
        await bench.start(base)
    bench.ram.write(0x1000, b"\xa5" * 100 * BEAT)
    await bench.transfer(RECEIVE, 0x1000, 400 * BEAT)
    await bench.transfer(SEND, 0, 400 * BEAT)
    taken = bench.watch("s_axis")
    bench.hold_output()
    bench.source.send_nowait(AxiStreamFrame(packet(1, 90)))
    while len(taken) < 37:
        await RisingEdge(dut.aclk)
    bench.source.pause = True
    await ClockCycles(dut.aclk, 300)
    for base in (SEND, RECEIVE):
        await bench.order(base, CONTROL, order)
        await bench.order(base, CONTROL, 0)
        while not (await bench.status(base)) & HALTED:
            pass
        assert (await bench.status(base)) & (IDLE | COMPLETED | FAILED) == IDLE
    written = len(taken) // BURST_BEATS * BURST_BEATS * BEAT
    assert bench.ram.read(0x1000, written) == packet(1, 90)[:written]
    assert bench.ram.read(0x1000 + written, 50 * BEAT) == b"\xa5" * 50 * BEAT
    bench.release_output()
    bench.sink.clear()

    bench.source.pause = False
    bench.source.send_nowait(AxiStreamFrame(packet(3, 33)))
    bench.ram.write(0, packet(2, 70))
    for base in (SEND, RECEIVE):
        await bench.start(base)
    await bench.transfer(SEND, 0, 70 * BEAT)
    assert bytes((await bench.sink.recv()).tdata)[-70 * BEAT :] == packet(2, 70)
    await bench.transfer(RECEIVE, 0x2000, 90 * BEAT)
    # A reset forgets that a packet was under way: the rest of it passes for one.
    expected = packet(1, 90)[len(taken[:37]) * BEAT :] if order else packet(3, 33)
    received = await bench.wait(RECEIVE)
    assert received == len(expected) if not order else received < 90 * BEAT
    assert bench.ram.read(0x2000, received) == expected[-received:]


@bench_test
async def a_reset_gives_a_transfer_up_that_memory_has_not_answered(dut: Any) -> None:
    """Though the channel runs on: it takes the answers, completes nothing, and the next transfer is whole."""
    bench = Bench(dut)
    await bench.reset()
    for base in (SEND, RECEIVE):
        await bench.start(base)
    bench.ram.write(0, packet(1, 100))
    bench.hold_output()
    bench.channels["r"].pause = bench.channels["b"].pause = True
    await bench.transfer(SEND, 0, 100 * BEAT)
    await bench.transfer(RECEIVE, 0x1000, 100 * BEAT)
    bench.source.send_nowait(AxiStreamFrame(packet(2, 40)))
    await ClockCycles(dut.aclk, 60)
    await bench.order(SEND, CONTROL, RUN | RESET)
    await ClockCycles(dut.aclk, 20)
    for base in (SEND, RECEIVE):
        assert not (await bench.status(base)) & IDLE, "memory still owes an answer"
    bench.channels["r"].pause = bench.channels["b"].pause = False
    bench.release_output()
    await ClockCycles(dut.aclk, 200)
    for base in (SEND, RECEIVE):
        assert (await bench.status(base)) & (IDLE | COMPLETED | FAILED | HALTED) == IDLE
    bench.sink.clear()

    await bench.transfer(SEND, 0, 70 * BEAT)
    await bench.transfer(RECEIVE, 0x2000, 70 * BEAT)
    assert bytes((await bench.sink.recv()).tdata)[-70 * BEAT :] == packet(1, 100)[: 70 * BEAT]
    bench.source.send_nowait(AxiStreamFrame(packet(3, 70)))
    assert await bench.wait(RECEIVE) == 70 * BEAT
    assert bench.ram.read(0x2000, 70 * BEAT) == packet(3, 70)


@bench_test
async def memory_may_take_its_time_to_answer(dut: Any) -> None:
    """Bursts that are not yet answered are counted, and a transfer is complete with the last answer."""
    bench = Bench(dut)
    await bench.reset()
    bench.channels["b"].pause = True
    await bench.start(RECEIVE)
    await bench.transfer(RECEIVE, 0, 500 * BEAT)
    bench.source.send_nowait(AxiStreamFrame(packet(1, 500)))
    for _ in range(20):
        await ClockCycles(dut.aclk, 20)
        assert not (await bench.status(RECEIVE)) & IDLE
        bench.channels["b"].pause = False
        await ClockCycles(dut.aclk, 1)
        bench.channels["b"].pause = True
    bench.channels["b"].pause = False
    assert await bench.wait(RECEIVE) == 500 * BEAT
    assert bench.ram.read(0, 500 * BEAT) == packet(1, 500)


@bench_test
async def the_interrupt_stands_until_its_flag_is_cleared(dut: Any) -> None:
    """And is raised only where it was asked for."""
    bench = Bench(dut)
    await bench.reset()
    await bench.start(SEND, RUN_WITH_INTERRUPT)
    for _ in range(2):
        await bench.transfer(SEND, 0, 8 * BEAT)
        await bench.wait(SEND)
        assert dut.interrupts.value == 1
        await bench.order(SEND, STATUS, COMPLETED)
        await ClockCycles(dut.aclk, 2)
        assert dut.interrupts.value == 0
    await bench.start(SEND, RUN)
    await bench.transfer(SEND, 0, 8 * BEAT)
    await bench.wait(SEND)
    assert dut.interrupts.value == 0


@bench_test
async def the_longest_transfer_fits_its_register(dut: Any) -> None:
    """2**26 bytes and more."""
    bench = Bench(dut)
    await bench.reset()
    await bench.start(SEND)
    bench.hold_output()
    longest = (1 << LENGTH_BITS) - BEAT
    await bench.transfer(SEND, 0, longest)
    assert await bench._get(SEND + LENGTH) == longest > 2**26


@bench_test
async def registers_are_as_their_table_says(dut: Any) -> None:
    """Every register and hole."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
