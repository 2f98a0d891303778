"""Bench of the frame synchroniser in its skin: packets and commands against the model.

Parameters: symbols_per_clock, preamble, detector_chips, shared, reach, delay, metered_delay.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamFrame
from numpy.typing import NDArray

from kronborg.board.receiver_writes import synchroniser_writes
from kronborg_hdl.axi.marks import SECTION_BITS
from kronborg_hdl.synchronisation.frame_synchroniser.model import FrameSynchroniser, Settings, sections_of
from kronborg_hdl.synchronisation.frame_synchroniser.packet import EVENTS, Flag, Packet, read_packet
from kronborg_hdl.synchronisation.frame_synchroniser.registers import REGISTERS
from kronborg_hdl.synchronisation.frame_synchroniser.sizes import Sizes

from .received_symbols import Channel, Link, command_words, frame_settings, gaussian, settings_for
from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
N, REACH, DELAY = PARAMETERS["symbols_per_clock"], PARAMETERS["reach"], PARAMETERS["delay"]
SIZES = Sizes(N, PARAMETERS["preamble"], PARAMETERS["detector_chips"])
CLOCKS = 2 if PARAMETERS["shared"] else 1
"""Of a beat at least."""
RATIO, SNR = 8.0, 20.0
NOT_WHOLE = (
    [{"vacuum": {"length": 100 * N + 1}}, {"calibration": {"length": 100 * N + 1}}, {"margin": {"symbols": 1}}]
    if N > 1
    else []
)
"""Settings that are no whole number of beats."""

# A core that stops must not stop the bench.
bench_test = cocotb.test(timeout_time=600 * CLOCKS, timeout_unit="us")
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


def make_link() -> Link:
    """Short frames whose preamble is strong enough for a short detector."""
    frame = frame_settings(
        480 * N // 2 + 192,
        preamble=SIZES.preamble,
        repetition=2 * N,
        vacuum=80 * N,
        calibration=40 * N,
        ratio=RATIO,
    )
    threshold = 620 * SIZES.detector_chips // 64
    return Link(frame, replace(settings_for(frame, SIZES, ratio=RATIO, margin=6 * N), threshold=threshold))


LINK = make_link()


def plain_stream(numbers: list[int], seed: int, *, late: dict[int, float] | None = None) -> NDArray[np.int16]:
    """Whole frames one after the other, then enough noise for all of them to be decided.

    `late` has by how many symbols the frames of these numbers are sampled too late.
    """
    rng = np.random.default_rng(seed)
    sent = [LINK.frame.frame(number, gaussian(rng, LINK.frame.payload))[0] for number in numbers]
    words = np.concatenate([*sent, np.zeros((SIZES.preamble + 100 * N, 2), np.int16)])
    words = words[: len(words) // 8 * 8]
    at = np.arange(float(len(words)))
    for number, symbols in (late or {}).items():
        at[numbers.index(number) * LINK.frame.symbols :][: LINK.frame.symbols] += symbols
    return Channel(SNR, rng=rng).sample(words, at)


def make_faint(stream: NDArray[np.int16], index: int) -> None:
    """Let a frame of a plain stream fall below the amplitude that is asked for."""
    frame = stream[index * LINK.frame.symbols :][: LINK.frame.symbols]
    frame[:] = frame.astype(np.int32) * 3 // 10


def unpack_metered(beats: list[int]) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Symbols, int16, shape (n, 2), and the section of each, uint8, shape (n,)."""
    word_bits = 32 * N
    words = b"".join((beat & ((1 << word_bits) - 1)).to_bytes(word_bits // 8, "little") for beat in beats)
    sections = [beat >> word_bits + SECTION_BITS * lane & 3 for beat in beats for lane in range(N)]
    return np.frombuffer(words, "<i2").reshape(-1, 2).astype(np.int16), np.array(sections, np.uint8)


class Bench(SkinBench):
    """The core's own ways on top of the skin's. A beat is a frame here: the symbols have no end."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        dut.events.value = 0

    async def load(self, settings: Settings = LINK.settings) -> None:
        """Write the settings, and begin anew."""
        for register, values in synchroniser_writes(settings):
            await self.write(register, **values)
        while await self.read("control", "apply"):
            pass

    def send_symbols(self, symbols: NDArray[np.int16]) -> None:
        """Queue whole beats."""
        for beat in symbols.astype("<i2").reshape(-1, 2 * N):
            self.source.send_nowait(AxiStreamFrame(beat.tobytes()))

    def watch_metered(self) -> list[int]:
        """What a listener sees, beat by beat, from now on: the list grows."""
        beats: list[int] = []

        async def listen() -> None:
            while True:
                await RisingEdge(self.dut.aclk)
                if (seen := int(self.dut.metered.value)) & 1:
                    beats.append(seen >> 1)

        cocotb.start_soon(listen())
        return beats

    async def receive_packets(self, count: int) -> list[Packet]:
        """So many packets."""
        return [read_packet(await self.receive()) for _ in range(count)]

    async def expect(self, symbols: NDArray[np.int16], *, settings: Settings = LINK.settings) -> tuple[Packet, ...]:
        """A stream after a reset gives the model's packets and commands, and nothing else."""
        expected = FrameSynchroniser(settings).process(symbols)
        metered = self.watch_metered()
        self.send_symbols(symbols)
        for packet in expected.packets:
            np.testing.assert_array_equal(await self.receive(), packet.words())
        commands = [bytes((await self.sinks["retime"].recv()).tdata) for _ in expected.retimes]
        words = np.frombuffer(b"".join(commands), "<u4").reshape(-1, 4)
        np.testing.assert_array_equal(words, command_words(expected.retimes))
        await self.source.wait()
        await ClockCycles(self.dut.aclk, 30)
        assert self.sink.empty()
        assert self.sinks["retime"].empty()
        counts = expected.state.counts
        for name, count in (("good", counts.good), ("marked", counts.marked), ("missing", counts.missing)):
            assert await self.read(f"frames_{name}", "count") == count
        words, sections = unpack_metered(metered)
        # Each symbol once, in order, from the first one on; the last ones have not come out.
        assert len(words) == len(symbols) - N * PARAMETERS["metered_delay"]
        np.testing.assert_array_equal(words, symbols[: len(words)])
        np.testing.assert_array_equal(sections, sections_of(expected.slots, 0, len(words)))
        loop = expected.state.loop
        step = await self.read("clock_low", "word") | await self.read("clock_high", "word") << 32
        assert (step, await self.read("control", "locked")) == (loop.step, loop.locked)
        return expected.packets


@bench_test
@crossed_with_pauses
async def packets_and_commands_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Good frames, one that is missing, one with another number, one that is cut short."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    await bench.load()
    packets = await bench.expect(LINK.stream(np.random.default_rng([2, idle, back_pressure]), 9, snr=SNR))
    assert any(packet.good for packet in packets)
    flags = Flag(await bench.read_word("status") & 0xFFFF)
    assert flags == Flag.UNEXPECTED | Flag.CUT_SHORT | Flag.TIMING
    assert await bench.read("status", "missing")
    assert not await bench.read("status", "retime_lost")


@bench_test
@cocotb.parametrize(
    change=[
        {"header_repetition": 0},
        {"header_eighths": 3},
        {"header_eighths": 4},
        {"header_eighths": 6},
        {"tolerance": 0},
    ]
)
async def other_settings_equal_the_model(dut: Any, change: dict[str, Any]) -> None:
    """Without header; with one of another direction than is sent; and when a frame may not be late."""
    bench = Bench(dut)
    await bench.reset()
    settings = replace(LINK.settings, **change)
    await bench.load(settings)
    await bench.expect(LINK.stream(np.random.default_rng(3), 6, snr=SNR), settings=settings)


@bench_test
async def headers_of_noise_are_read_as_the_model_reads_them(dut: Any) -> None:
    """Each bit is a sum along the reference; of noise it has another sign along one that is an eighth of a turn off."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    stream, rng = plain_stream([1, 2, 3], seed=18), np.random.default_rng(18)
    for begin in range(0, 3 * LINK.frame.symbols, LINK.frame.symbols):
        header = stream[begin + LINK.frame.head - LINK.settings.header : begin + LINK.frame.head]
        header[:] = gaussian(rng, len(header))
    packets = await bench.expect(stream)
    assert all(Flag.UNEXPECTED in packet.flags for packet in packets[1:])


@bench_test
async def weak_preambles_equal_the_model(dut: Any) -> None:
    """Found, but below the amplitude that is asked for."""
    bench = Bench(dut)
    await bench.reset()
    timing = LINK.settings.timing
    settings = replace(LINK.settings, timing=replace(timing, weak=timing.weak * 26 // 10))
    await bench.load(settings)
    packets = await bench.expect(plain_stream([1, 2, 3], seed=4), settings=settings)
    assert all(Flag.WEAK in packet.flags for packet in packets)


@bench_test
async def a_frame_that_is_near_by_chance_does_not_make_the_clock_known(dut: Any) -> None:
    """The second one is within `wide`, the third one is not; fourth and sixth are; the fifth is too weak to tell."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    stream = plain_stream([1, 2, 3, 4, 5, 6], seed=15, late={3: 0.2})
    make_faint(stream, 4)
    packets = await bench.expect(stream)
    assert [packet.good for packet in packets] == [False] * 5 + [True]


@bench_test
async def apply_forgets_a_frame_that_was_near(dut: Any) -> None:
    """Two frames in a row must come behind it, though the first of the new settings is too weak to tell."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    bench.send_symbols(plain_stream([1, 2], seed=16))
    assert [packet.good for packet in await bench.receive_packets(2)] == [False, False]
    await bench.load()
    stream = plain_stream([3, 4, 5], seed=17)
    make_faint(stream, 0)
    expected = FrameSynchroniser(LINK.settings).process(stream).packets
    assert [packet.flags for packet in expected] == [Flag.WEAK | Flag.TIMING, Flag.TIMING, Flag(0)]
    bench.send_symbols(stream)
    assert [packet.flags for packet in await bench.receive_packets(3)] == [packet.flags for packet in expected]


@bench_test
async def the_stream_never_waits(dut: Any) -> None:
    """A beat each clock, or each other one where the detector's adders are shared, whatever is found in it."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    taken = bench.watch("s_axis")
    stream = plain_stream([1, 2, 3], seed=5)
    await bench.expect(stream)
    assert taken == list(range(taken[0], taken[0] + CLOCKS * len(stream) // N, CLOCKS))


@bench_test
async def events_mark_the_frames_that_were_in_the_chain(dut: Any) -> None:
    """Each event marks for as long as its symbols may be before the cutter, and no longer; so listeners are told."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    frames = 6 + 2 * REACH * N // LINK.frame.symbols
    taken, metered = bench.watch("s_axis"), bench.watch_metered()
    bench.send_symbols(plain_stream(list(range(frames)), seed=6))
    period = LINK.frame.symbols // N
    event_at = 3 * period + period // 2
    while len(taken) < event_at:
        await ClockCycles(dut.aclk, 1)
    dut.events.value = (1 << len(EVENTS)) - 1
    await ClockCycles(dut.aclk, 1)
    dut.events.value = 0
    packets = await bench.receive_packets(frames)
    every = Flag(sum(EVENTS))
    marked = [packet.frame for packet in packets if packet.flags & every]
    assert all(packets[number].flags & every == every for number in marked)
    assert marked == list(range(marked[0], marked[-1] + 1))
    # From the frame that is in the cutter to the last one that begins there before the reach is over.
    begin = np.array([(number * LINK.frame.symbols + 64) // N + DELAY for number in range(frames)])
    end = begin + (LINK.frame.head - 64 + LINK.frame.payload) // N
    slack = SIZES.rows
    certain = np.flatnonzero((begin + slack < event_at + REACH) & (end - slack > event_at))
    possible = np.flatnonzero((begin - slack < event_at + REACH) & (end + slack > event_at))
    assert set(certain.tolist()) <= set(marked) <= set(possible.tolist())
    assert len(certain) >= 1
    assert packets[-1].good
    told = np.array([beat >> (32 + SECTION_BITS) * N for beat in metered])
    touched = np.flatnonzero(told)
    assert set(told[touched].tolist()) == {(1 << len(EVENTS)) - 1}
    # One more than the reach: a beat that begins in one row ends in the next.
    np.testing.assert_array_equal(touched, touched[0] + np.arange(REACH + 1))
    assert abs(int(touched[0]) - (event_at - DELAY)) <= 4


@bench_test
async def nothing_is_looked_for_before_settings_or_without_run(dut: Any) -> None:
    """Symbols pass; no packet, and none that is missing."""
    bench = Bench(dut)
    await bench.reset()
    await bench.write("control", run=1)
    bench.send_symbols(plain_stream([1, 2], seed=7))
    await bench.source.wait()
    assert not await bench.read("control", "loaded")
    await bench.load()
    await bench.write("control", run=0)
    bench.send_symbols(plain_stream([1, 2], seed=7))
    await bench.source.wait()
    assert bench.sink.empty()
    assert bench.sinks["retime"].empty()
    assert await bench.read("frames_missing", "count") == 0


@bench_test
@cocotb.parametrize(
    change=[
        {"payload": {"length": 0}},
        {"payload": {"length": 100 * N}},
        {"period": {"length": 400 * N}},
        {"vacuum": {"length": 145 * N}},
        {"calibration": {"length": 105 * N}},
        *NOT_WHOLE,
    ]
)
async def settings_that_do_not_go_together_are_refused(dut: Any, change: dict[str, dict[str, int]]) -> None:
    """The flag says so, and the frames go on with those from before."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    for register, values in change.items():
        await bench.write(register, **values)
    await bench.write("threshold", magnitude=1)
    await bench.write("control", run=1, apply=1)
    while await bench.read("control", "apply"):
        pass
    assert await bench.read("status", "settings_refused")
    await bench.expect(plain_stream([1, 2], seed=8))


@bench_test
async def apply_waits_for_the_frame_and_begins_anew(dut: Any) -> None:
    """The frame under way is handed on whole; the next one is of the new settings, its clock unknown."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    taken = bench.watch("s_axis")
    stream = plain_stream([1, 2, 3, 4, 5, 6], seed=9)
    bench.send_symbols(stream)
    while len(taken) < (2 * LINK.frame.symbols + LINK.frame.head) // N + DELAY:
        await ClockCycles(dut.aclk, 1)
    assert await bench.read("control", "active")
    await bench.write("payload", length=LINK.frame.payload - 2 * N)
    await bench.write("control", run=1, apply=1)
    assert await bench.read("control", "apply")
    packets = await bench.receive_packets(6)
    lengths = [len(packet.symbols) for packet in packets]
    before = lengths.count(LINK.frame.payload)
    assert before >= 3
    assert lengths == [LINK.frame.payload] * before + [LINK.frame.payload - 2 * N] * (6 - before)
    unknown = (0, 1, before, before + 1)
    assert [Flag.TIMING in packet.flags for packet in packets] == [number in unknown for number in range(6)]


@bench_test
async def a_command_that_nobody_takes_is_lost_and_says_so(dut: Any) -> None:
    """Two wait; the third is lost. Packets do not wait for them."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    bench.hold_output("retime")
    stream = plain_stream([1, 2], seed=10)
    bench.send_symbols(stream)
    await bench.receive_packets(2)
    assert not await bench.read("status", "retime_lost")
    bench.send_symbols(plain_stream([3, 4], seed=11))
    await bench.receive_packets(2)
    assert await bench.read("status", "retime_lost")


@bench_test
async def chips_that_cannot_be_stored_are_refused(dut: Any) -> None:
    """Beyond the preamble, or under way; those that were stored stay."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    await bench.write("chip", index=SIZES.preamble - 1, **{key: 0 for key in ("negative_i", "negative_q")})
    assert not await bench.read("status", "chip_refused")
    await bench.load()
    await bench.write("chip", index=SIZES.preamble, negative_i=1, negative_q=1, detector=1)
    assert await bench.read("status", "chip_refused")
    taken = bench.watch("s_axis")
    bench.send_symbols(plain_stream([1, 2], seed=12))
    while len(taken) < (LINK.frame.head + 100) // N + DELAY:
        await ClockCycles(dut.aclk, 1)
    await bench.write("status", chip_refused=1)
    await bench.write("chip", index=5, negative_i=1, negative_q=1, detector=1)
    assert await bench.read("status", "chip_refused")
    expected = FrameSynchroniser(LINK.settings).process(plain_stream([1, 2], seed=12))
    for packet in expected.packets:
        np.testing.assert_array_equal(await bench.receive(), packet.words())


@bench_test
async def a_reset_in_a_frame_forgets_it(dut: Any) -> None:
    """No trailer of the old frame; the stream begins anew."""
    bench = Bench(dut)
    await bench.reset()
    await bench.load()
    taken = bench.watch("s_axis")
    bench.send_symbols(plain_stream([1, 2], seed=13))
    while len(taken) < (LINK.frame.head + 100) // N + DELAY:
        await ClockCycles(dut.aclk, 1)
    await bench.reset()
    await bench.load()
    await bench.expect(plain_stream([8, 9], seed=14))


@bench_test
async def registers_are_as_their_table_says(dut: Any) -> None:
    """Every register and hole; and what was built."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    built = [await bench.read("capabilities", name) for name in ("symbols_per_clock", "preamble", "detector_chips")]
    assert built == [N, SIZES.preamble, SIZES.detector_chips]
