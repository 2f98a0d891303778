"""Bench of the symbol record in its skin: what passes, what is recorded, and which frames are marked.

Parameters: symbols_per_clock, depth, latency.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from numpy.typing import NDArray

from kronborg_hdl.modulation.symbol_record.model import MAGIC, Flag, packet, read_packet
from kronborg_hdl.modulation.symbol_record.registers import REGISTERS

from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
N, DEPTH, LATENCY = PARAMETERS["symbols_per_clock"], PARAMETERS["depth"], PARAMETERS["latency"]
EVENTS = (Flag.ENTROPY, Flag.SATURATED, Flag.GAP)
"""In the order of the input ``flags``."""

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


@dataclass(frozen=True)
class Frame:
    """One frame for the core.

    Attributes:
        number: of it.
        words: int16, shape (n, 2).
        recorded: for each beat, whether its symbols are.
        starved: for each beat, whether it is marked as starved.
    """

    number: int
    words: NDArray[np.int16]
    recorded: NDArray[np.bool_]
    starved: NDArray[np.bool_]

    @property
    def user(self) -> list[int]:
        """TUSER of each beat."""
        marks = zip(self.recorded.tolist(), self.starved.tolist(), strict=True)
        return [recorded | starved << 1 | self.number << 2 for recorded, starved in marks]

    @property
    def symbols(self) -> NDArray[np.int16]:
        """What is recorded of it."""
        return self.words[np.repeat(self.recorded, N)]


def make_frame(rng: np.random.Generator, head: int, payload: int, trail: int = 0, starved: int = 0) -> Frame:
    """So many beats before the payload, of it and behind it; some of the payload starved."""
    beats = head + payload + trail
    recorded = np.zeros(beats, np.bool_)
    recorded[head : head + payload] = True
    hungry = np.zeros(beats, np.bool_)
    hungry[head + rng.permutation(payload)[:starved]] = True
    words = rng.integers(-(2**15), 2**15, (N * beats, 2)).astype(np.int16)
    return Frame(int(rng.integers(0, 2**32)), words, recorded, hungry)


def frames_of_all_shapes(rng: np.random.Generator) -> list[Frame]:
    """Of one beat and of more than the FIFO holds, with a head and without, recorded in part, all, or not at all."""
    shapes = [(3, 10, 2), (0, 1, 0), (1, 0, 0), (0, 5, 0), (0, 0, 1), (4, DEPTH + 9, 1), (2, 1, 0), (0, 1, 3)]
    frames = [make_frame(rng, *shape) for shape in shapes]
    frames += [make_frame(rng, 2, 6, 1, starved) for starved in (1, 6, 0)]
    scattered = make_frame(rng, 12, 0)
    recorded = rng.integers(0, 2, 12).astype(np.bool_)
    return [*frames, Frame(scattered.number, scattered.words, recorded, scattered.starved)]


class Bench(SkinBench):
    """The core, the chain behind it, and an account of its own of which frames are open when something happens.

    Args:
        chain: clocks from a frame's last beat at ``o`` to ``left``, 1 or more; drawn at random below 30 if None.
    """

    def __init__(self, dut: Any, *, seed: int = 1, chain: int | None = None, **options: Any) -> None:
        super().__init__(dut, REGISTERS, seed=seed, **options)
        dut.flags.value = 0
        dut.left.value = 0
        self.events = random.Random(seed)
        self.chain = chain
        self.open: deque[Flag] = deque()
        self.closed: deque[Flag] = deque()
        self.entering = False
        self.leaving: deque[int] = deque()
        self.hold_left = False
        cocotb.start_soon(self._carry_frames())
        cocotb.start_soon(self._watch_frames())

    async def reset(self) -> None:
        """Reset the core, and forget all frames."""
        await super().reset()
        self.open.clear()
        self.closed.clear()
        self.leaving.clear()
        self.entering = False

    async def _carry_frames(self) -> None:
        """The chain: ``left`` some clocks after a frame's last beat."""
        dut, clock = self.dut, 0
        while True:
            await RisingEdge(dut.aclk)
            clock += 1
            if int(dut.m_axis_tvalid.value) and int(dut.m_axis_tready.value) and int(dut.m_axis_tlast.value):
                # Frames leave in their order.
                after = self.events.randrange(1, 30) if self.chain is None else self.chain
                self.leaving.append(max(clock + after, self.leaving[-1] + 1 if self.leaving else 0))
            due = bool(self.leaving) and clock + 1 >= self.leaving[0] and not self.hold_left
            if due:
                self.leaving.popleft()
            dut.left.value = int(due)

    async def _watch_frames(self) -> None:
        """Frames that are open, and what happens to each: clock for clock."""
        dut = self.dut
        while True:
            await RisingEdge(dut.aclk)
            if not int(dut.aresetn.value):
                continue
            happened = Flag(int(dut.flags.value) << 1)
            accepted = int(dut.s_axis_tvalid.value) and int(dut.s_axis_tready.value)
            if accepted and not self.entering:
                self.open.append(Flag(0))
            for place in range(len(self.open)):
                self.open[place] |= happened
            if accepted:
                if int(dut.s_axis_tuser.value) & 2:
                    self.open[-1] |= Flag.STARVED
                self.entering = not int(dut.s_axis_tlast.value)
            if int(dut.left.value) and len(self.open) > self.entering:
                self.closed.append(self.open.popleft())

    def send_frame(self, frame: Frame) -> None:
        """Queue a frame."""
        self.send(frame.words, user=frame.user)

    async def expect_beats(self, frame: Frame) -> None:
        """What passes is the frame, whole."""
        np.testing.assert_array_equal(await self.receive(), frame.words)

    async def expect_packet(self, frame: Frame) -> Flag:
        """What is recorded is the model's, with the flags of this bench's account. Returns them."""
        words = await self.receive("record")
        flags = self.closed.popleft()
        np.testing.assert_array_equal(words, packet(frame.number, frame.symbols, flags, symbols_per_clock=N))
        read = read_packet(words, symbols_per_clock=N)
        assert read.may_become_key == (flags == 0)
        return flags

    async def nothing_more_comes_out(self) -> None:
        """The core and both sinks are empty."""
        for name in ("o", "record"):
            self.drain_output(name)
        await ClockCycles(self.dut.aclk, DEPTH + 40)
        for name in ("o", "record"):
            assert self.sinks[name].empty(), f"{name}: more came out than went in"
            assert self.sinks[name].idle(), f"{name}: a frame was begun and not ended"

    async def let_it_happen(self, flag: Flag, clocks: int = 1) -> None:
        """An event, so many clocks long."""
        self.dut.flags.value = flag >> 1
        await ClockCycles(self.dut.aclk, clocks)
        self.dut.flags.value = 0

    async def happen_at_random(self, chance: float) -> None:
        """Events without end."""
        while True:
            await RisingEdge(self.dut.aclk)
            self.dut.flags.value = sum(flag >> 1 for flag in EVENTS if self.events.random() < chance)


@bench_test
@crossed_with_pauses
async def packets_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words, ends, trailers, flags and counters, with events at any time; what passes is what came in."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, seed=1 + 2 * idle + back_pressure, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    frames = [frame for _ in range(2) for frame in frames_of_all_shapes(rng)]
    for frame in frames:
        bench.send_frame(frame)
    happening = cocotb.start_soon(bench.happen_at_random(0.004))
    flags = []
    for frame in frames:
        await bench.expect_beats(frame)
        flags.append(await bench.expect_packet(frame))
    happening.cancel()
    dut.flags.value = 0
    await bench.nothing_more_comes_out()
    seen = Flag(0)
    for flag in flags:
        seen |= flag
    good = flags.count(Flag(0))
    assert 0 < good < len(flags), "these frames are all of one kind"
    assert await bench.read("frames_good", "count") == good
    assert await bench.read("frames_marked", "count") == len(flags) - good
    assert await bench.read("recorded_low", "count") == sum(len(frame.symbols) for frame in frames)
    assert await bench.read("recorded_high", "count") == 0
    assert Flag(await bench.read_word("status") & (1 << len(Flag)) - 1) == seen
    await bench.write("control", clear_counters=1)
    for name in ("frames_good", "frames_marked", "recorded_low"):
        assert await bench.read(name, "count") == 0


@bench_test
async def one_beat_passes_every_clock(dut: Any) -> None:
    """Frames that have left in time: nothing waits, recorded or not, from frame to frame either."""
    rng = np.random.default_rng(2)
    bench = Bench(dut, chain=5)
    await bench.reset()
    frames = [make_frame(rng, 14, 40, 3) for _ in range(3)]
    taken_at, given_at = bench.watch("s_axis"), bench.watch("m_axis")
    for frame in frames:
        bench.send_frame(frame)
    for frame in frames:
        await bench.expect_beats(frame)
        assert await bench.expect_packet(frame) == 0
    assert taken_at == list(range(taken_at[0], taken_at[0] + 3 * 57)), "the core paused"
    assert given_at == [at + LATENCY for at in taken_at]
    assert await bench.read_word("status") == 0
    assert await bench.read("frames_good", "count") == 3


@bench_test
@cocotb.parametrize(idle=[False, True])
async def a_beat_that_cannot_be_recorded_is_not_sent(dut: Any, idle: bool) -> None:
    """Memory takes nothing: as many beats pass as fit the FIFO, and the frame waits. Then all of it comes."""
    rng = np.random.default_rng(3)
    bench = Bench(dut, idle=idle)
    await bench.reset()
    frame, following = make_frame(rng, 2, DEPTH + 20, 1), make_frame(rng, 1, 3)
    given_at = bench.watch("m_axis")
    bench.hold_output("record")
    bench.send_frame(frame)
    bench.send_frame(following)
    await ClockCycles(dut.aclk, 4 * DEPTH + 40)
    assert len(given_at) == 2 + DEPTH, "what passed is not what was recorded"
    assert await bench.read("recorded_low", "count") == N * DEPTH
    assert await bench.read("status", "held") == 1
    bench.release_output("record")
    for each in (frame, following):
        await bench.expect_beats(each)
        assert await bench.expect_packet(each) == 0
    await bench.nothing_more_comes_out()


@bench_test
async def a_beat_that_cannot_be_sent_is_not_recorded(dut: Any) -> None:
    """The chain takes nothing: what fits the output stream's two places is recorded, and nothing else."""
    rng = np.random.default_rng(4)
    bench = Bench(dut)
    await bench.reset()
    frame = make_frame(rng, 0, 12, 0)
    recorded_at = bench.watch("m_axis_record")
    bench.hold_output()
    bench.send_frame(frame)
    await ClockCycles(dut.aclk, 60)
    assert len(recorded_at) == 2
    assert await bench.read("recorded_low", "count") == 2 * N
    assert await bench.read("status", "held") == 0, "it was the chain that waited"
    bench.release_output()
    await bench.expect_beats(frame)
    assert await bench.expect_packet(frame) == 0


@bench_test
async def a_trailer_waits_until_its_frame_has_left(dut: Any) -> None:
    """Meanwhile the next frame's head passes, but neither its symbols nor, if it has none, its end."""
    rng = np.random.default_rng(5)
    bench = Bench(dut, chain=1)
    await bench.reset()
    given_at, recorded_at = bench.watch("m_axis"), bench.watch("m_axis_record")
    for following in (make_frame(rng, 3, 5, 1), make_frame(rng, 4, 0)):
        bench.hold_left = True
        first = make_frame(rng, 2, 4, 1)
        given, recorded = len(given_at), len(recorded_at)
        bench.send_frame(first)
        await ClockCycles(dut.aclk, 30)
        assert await bench.read("status", "held") == 0
        bench.send_frame(following)
        await ClockCycles(dut.aclk, 30)
        assert len(given_at) - given == 7 + 3
        assert len(recorded_at) - recorded == 4
        assert await bench.read("status", "held") == 1
        assert bench.sinks["record"].empty(), "the trailer was written"
        bench.hold_left = False
        for frame in (first, following):
            await bench.expect_beats(frame)
            assert await bench.expect_packet(frame) == 0
        await bench.write("status", held=1)
    await bench.nothing_more_comes_out()


@bench_test
async def an_event_marks_the_frames_that_are_open(dut: Any) -> None:
    """Before a frame it marks none, within it that one, when the next has begun both, and none when it has left."""
    rng = np.random.default_rng(6)
    bench = Bench(dut)
    await bench.reset()
    taken_at = bench.watch("s_axis")
    for flag in EVENTS:
        for moment in ("before", "within", "between", "both", "after"):
            bench.hold_left = True
            begun = len(taken_at)
            first, second = make_frame(rng, 3, 4, 2), make_frame(rng, 3, 4, 0)
            if moment == "before":
                await bench.let_it_happen(flag)
            bench.send_frame(first)
            while moment == "within" and len(taken_at) - begun < 5:
                await RisingEdge(dut.aclk)
            if moment == "within":
                await bench.let_it_happen(flag)
            while len(taken_at) - begun < 9:
                await RisingEdge(dut.aclk)
            if moment == "between":
                await bench.let_it_happen(flag)
            bench.send_frame(second)
            while len(taken_at) - begun < 12:
                await RisingEdge(dut.aclk)
            if moment == "both":
                await bench.let_it_happen(flag)
            bench.hold_left = False
            for frame in (first, second):
                await bench.expect_beats(frame)
                marked = {"before": (), "within": (first,), "between": (first,), "both": (first, second), "after": ()}
                assert await bench.expect_packet(frame) == (flag if frame in marked[moment] else 0), moment
            if moment == "after":
                await bench.let_it_happen(flag, 5)
        assert await bench.read("status", str(flag.name).lower()) == 1
        await bench.write("status", **{str(flag.name).lower(): 1})
        assert await bench.read_word("status") & (1 << len(Flag)) - 1 == 0
    assert await bench.read("frames_marked", "count") == len(EVENTS) * 4
    assert await bench.read("frames_good", "count") == len(EVENTS) * 6


@bench_test
async def a_frame_that_has_left_is_not_marked_while_its_trailer_waits(dut: Any) -> None:
    """For memory that has no room: what happens then is no longer the frame's."""
    rng = np.random.default_rng(10)
    bench = Bench(dut, chain=3)
    await bench.reset()
    for _ in range(2):
        frame = make_frame(rng, 2, DEPTH, 1)
        bench.hold_output("record")
        bench.send_frame(frame)
        await bench.expect_beats(frame)
        await ClockCycles(dut.aclk, 10)
        assert bench.closed, "the frame has not left"
        for flag in EVENTS:
            await bench.let_it_happen(flag)
        bench.release_output("record")
        assert await bench.expect_packet(frame) == 0
    assert await bench.read("frames_good", "count") == 2


@bench_test
async def a_starved_beat_marks_its_frame_alone(dut: Any) -> None:
    """Whether or not another one is about to leave; and only while it is valid."""
    rng = np.random.default_rng(7)
    bench = Bench(dut, chain=3)
    await bench.reset()
    frames = [make_frame(rng, 1, 6, 1, starved) for starved in (0, 1, 0, 6, 0)]
    for frame in frames:
        bench.send_frame(frame)
    for frame in frames:
        await bench.expect_beats(frame)
        assert await bench.expect_packet(frame) == (Flag.STARVED if frame.starved.any() else 0)
    assert await bench.read("status", "starved") == 1
    assert await bench.read("frames_marked", "count") == 2
    # What a stream that is not valid leaves on its wires.
    dut.s_axis_tuser.value = 3
    dut.s_axis_tlast.value = 1
    await ClockCycles(dut.aclk, 10)
    bench.send_frame(frames[0])
    await bench.expect_beats(frames[0])
    assert await bench.expect_packet(frames[0]) == 0


@bench_test
async def left_without_a_frame_means_nothing(dut: Any) -> None:
    """Before the first frame, within one, and after the last."""
    rng = np.random.default_rng(8)
    bench = Bench(dut, chain=20)
    await bench.reset()
    taken_at = bench.watch("s_axis")

    async def pulse() -> None:
        dut.left.value = 1
        await ClockCycles(dut.aclk, 1)
        dut.left.value = 0

    for _ in range(2):
        await pulse()
        frame = make_frame(rng, 6, 20, 3)
        begun = len(taken_at)
        bench.send_frame(frame)
        while len(taken_at) - begun < 10:
            await RisingEdge(dut.aclk)
        await pulse()
        await bench.expect_beats(frame)
        assert bench.sinks["record"].empty(), "the trailer came before its frame had left"
        assert await bench.expect_packet(frame) == 0
    await bench.nothing_more_comes_out()


@bench_test
@crossed_with_pauses
async def a_reset_leaves_nothing_behind(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Within a frame, while one leaves, while a trailer waits: the next frame's packet is its own."""
    rng = np.random.default_rng(9)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    for clocks, hold in ((5, ""), (14, ""), (40, ""), (40, "left"), (60, "record"), (9, "o")):
        await bench.reset()
        bench.hold_left = hold == "left"
        if hold in bench.sinks:
            bench.hold_output(hold)
        bench.dut.flags.value = 7
        for frame in (make_frame(rng, 2, DEPTH - 2, 1, 2), make_frame(rng, 2, 9, 1)):
            bench.send_frame(frame)
        await ClockCycles(dut.aclk, clocks)
        bench.dut.flags.value = 0
        await bench.reset()
        bench.hold_left = False
        for name in ("o", "record"):
            bench.release_output(name)
        assert await bench.read_word("status") == 0
        frame = make_frame(rng, 2, 9, 1)
        bench.send_frame(frame)
        await bench.expect_beats(frame)
        assert await bench.expect_packet(frame) == 0
        assert await bench.read("frames_good", "count") == 1
        assert await bench.read("frames_marked", "count") == 0
        assert await bench.read("recorded_low", "count") == 9 * N
        await bench.nothing_more_comes_out()
        for name in ("o", "record"):
            bench.release_output(name)


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "symbols_per_clock") == N
    assert await bench.read("capabilities", "depth") == DEPTH
    assert await bench.read("id", "word") == MAGIC
    await bench.walk_registers()
