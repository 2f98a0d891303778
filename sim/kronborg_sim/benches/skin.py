"""Bench of the skin itself, around ``skin_core``: pages, write-only registers, streams with TUSER, plain signals."""

from __future__ import annotations

import itertools
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp, AxiStreamFrame

from kronborg_hdl.axi.pages import PAGE_BYTES
from kronborg_hdl.axi.registers import WORD_BYTES

from .skin_bench import SkinBench
from .skin_core import PART, REGISTERS

PAGES = [name for name, _ in REGISTERS.pages]

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


@bench_test
async def registers_are_as_the_tables_say(dut: Any) -> None:
    """On every page; and each page has its own part behind it."""
    bench = SkinBench(dut, REGISTERS)
    await bench.reset()
    for number, page in enumerate(PAGES):
        assert await bench.read((page, "capabilities"), "number") == number
    await bench.walk_registers()


@bench_test
async def what_is_write_only_reaches_the_core_once(dut: Any) -> None:
    """Of the page that it was written to, for one clock, in all its fields; and the other pages see nothing."""
    rng = random.Random(1)
    bench = SkinBench(dut, REGISTERS)
    await bench.reset()
    for page in PAGES:
        await bench.write((page, "control"), clear=1)
        low, high = 0, 0
        for _ in range(20):
            addends = rng.randrange(32), rng.randrange(-(2**19), 2**19)
            await bench.write((page, "secret"), low=addends[0], high=addends[1])
            low, high = low + addends[0], high + addends[1]
        # Parts of a word are refused, and nothing of them is seen.
        for offset, part in ((0, b"\x1f"), (0, b"\xff\xff\xff"), (1, b"\xff\xff\xff"), (2, b"\xff\xff")):
            response = await bench.bus.write(REGISTERS.offset(page, "secret") + offset, part)
            assert response.resp == AxiResp.SLVERR
        assert await bench.read((page, "writes"), "count") == 20
        assert await bench.read((page, "low"), "sum") == low
        assert await bench.read((page, "high"), "sum") == high
        assert await bench.read((page, "status"), "written") == 1
        others = [other for other in PAGES if other > page]  # not yet written to; the names rise
        for other in others:
            assert await bench.read((other, "writes"), "count") == 0
            assert await bench.read((other, "status"), "written") == 0


@bench_test
async def what_is_write_only_is_not_read_on_its_way_to_the_core(dut: Any) -> None:
    """Reads begin before, with and after the write: one of them meets the word in the only clock in which it stands."""
    bench = SkinBench(dut, REGISTERS)
    await bench.reset()
    offset = REGISTERS.offset("second", "secret")
    for clocks in range(-8, 9):  # from write to read
        read, write = bench.bus.read(offset, WORD_BYTES), bench.bus.write(offset, b"\xff" * WORD_BYTES)
        first, then = (write, read) if clocks > 0 else (read, write)
        tasks = [cocotb.start_soon(first)]
        await ClockCycles(dut.aclk, abs(clocks))
        tasks.append(cocotb.start_soon(then))
        responses = [await task for task in tasks]
        assert [response.resp for response in responses] == [AxiResp.OKAY] * 2
        assert responses[clocks > 0].data == bytes(WORD_BYTES), f"read {clocks} clocks after the write"


@bench_test
@cocotb.parametrize(pauses=[False, True])
async def accesses_to_all_pages_are_answered_in_order(dut: Any, pauses: bool) -> None:
    """Many at once, writes and reads, to pages that are there and to the one that is not, answers taken or not."""
    rng = random.Random(2)
    bench = SkinBench(dut, REGISTERS)
    await bench.reset()
    if pauses:
        write, read = bench.bus.write_if, bench.bus.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(rng.random() < 0.5 for _ in itertools.count())
    offsets = [rng.randrange(4) * PAGE_BYTES + PART[name].offset for name in ("id", "version", "offset") * 100]
    rng.shuffle(offsets)
    constants = {PART["id"].offset: PART["id"].reset, PART["version"].offset: PART["version"].reset}

    async def check_write(offset: int, word: int) -> None:
        there = offset < len(PAGES) * PAGE_BYTES and offset % PAGE_BYTES == PART["offset"].offset
        response = await bench.bus.write(offset, word.to_bytes(4, "little"))
        assert response.resp == (AxiResp.OKAY if there else AxiResp.SLVERR), f"write to {offset:#x}"

    async def check_read(offset: int) -> None:
        response = await bench.bus.read(offset, 4)
        if offset >= len(PAGES) * PAGE_BYTES:
            assert (response.resp, response.data) == (AxiResp.SLVERR, bytes(4)), f"read of {offset:#x}"
        else:
            assert response.resp == AxiResp.OKAY, f"read of {offset:#x}"
            if offset % PAGE_BYTES in constants:
                word = int.from_bytes(response.data, "little")
                assert word == constants[offset % PAGE_BYTES], f"read of {offset:#x}"

    written: dict[int, int] = {}
    tasks = []
    for offset in offsets:
        written[offset] = rng.getrandbits(32)
        tasks.append(cocotb.start_soon(check_write(offset, written[offset])))
        tasks.append(cocotb.start_soon(check_read(rng.choice(offsets))))
    for task in tasks:
        await task
    for page in PAGES:
        word = written[REGISTERS.offset(page, "offset")]
        assert await bench.read((page, "offset"), "word") == PART["offset"]["word"].extract(word)


@bench_test
@crossed_with_pauses
async def streams_pass_beside_each_other_with_all_their_fields(dut: Any, idle: bool, back_pressure: bool) -> None:
    """TDATA, TLAST and TUSER of the one; TDATA of the other, which has no frames."""
    rng = np.random.default_rng(3)
    bench = SkinBench(dut, REGISTERS, idle=idle, back_pressure=back_pressure)
    assert set(bench.sources) == {"i", "plain"}
    assert set(bench.sinks) == {"o", "again"}
    assert not hasattr(dut, "s_axis_plain_tlast")
    assert not hasattr(dut, "s_axis_plain_tuser")
    await bench.reset()
    frames = []
    for beats in (1, 2, 40, 1, 30):
        words = rng.integers(-(2**15), 2**15, (2 * beats, 2)).astype(np.int16)
        frames.append((words, rng.integers(0, 2**13, beats).tolist()))
    plain = rng.integers(0, 256, 3 * 50, np.uint8).tobytes()
    bench.hold_output("again")
    for words, user in frames:
        bench.send(words, user=user)
    bench.sources["plain"].send_nowait(AxiStreamFrame(plain))
    for words, user in frames:
        given, given_user = await bench.receive_with_user()
        np.testing.assert_array_equal(given, words)
        assert given_user == user
    assert bench.sinks["again"].empty(), "it was not held"
    bench.release_output("again")
    given_beats = [bytes((await bench.sinks["again"].recv()).tdata) for _ in range(50)]
    assert b"".join(given_beats) == plain
    bench.drain_output("again")
    await ClockCycles(dut.aclk, 8)
    assert all(sink.empty() and sink.idle() for sink in bench.sinks.values())


@bench_test
async def fields_of_a_payload_lie_in_their_order(dut: Any) -> None:
    """The oldest word lowest, I below Q; in TUSER the first field lowest."""
    bench = SkinBench(dut, REGISTERS)
    await bench.reset()
    bench.hold_output()
    bench.send(np.array([[1, 2], [3, 4]], np.int16), user=[0xABC << 1 | 1])
    await ClockCycles(dut.aclk, 6)
    assert int(dut.m_axis_tdata.value) == 0x0004_0003_0002_0001
    payload = int(dut.core.o__payload.value)
    assert payload == 0xABC << 66 | 1 << 65 | 1 << 64 | 0x0004_0003_0002_0001


@bench_test
async def other_signals_keep_their_names(dut: Any) -> None:
    """In both directions, a structure as its bits."""
    bench = SkinBench(dut, REGISTERS)
    await bench.reset()
    for level in range(8):
        dut.level.value = level
        await ClockCycles(dut.aclk, 1)
        assert int(dut.mirror.value) == 7 - level
