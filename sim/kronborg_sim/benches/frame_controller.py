"""Bench of the frame controller in its skin: every frame against the model.

Parameters: symbols_per_clock, preamble_capacity, minimum_head (two beats or more), latency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time
from numpy.typing import NDArray

from kronborg_hdl.modulation.frame_controller.model import LENGTH_BITS, NUMBER_BITS, FrameLimits, FrameSettings, Section
from kronborg_hdl.modulation.frame_controller.registers import REGISTERS

from .runner import parameters
from .skin_bench import CLOCK_NS, SkinBench

PARAMETERS = parameters()
N, LATENCY = PARAMETERS["symbols_per_clock"], PARAMETERS["latency"]
LIMITS = FrameLimits(N, PARAMETERS["preamble_capacity"], PARAMETERS["minimum_head"])
LEAST = -(-LIMITS.minimum_head // N)
"""Beats of the shortest head."""

bench_test = cocotb.test(timeout_time=400, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


@dataclass(frozen=True)
class Sent:
    """A frame that came out.

    Attributes:
        number: of its first beat.
        starved: for each beat of the payload, whether the source had nothing.
    """

    number: int
    starved: NDArray[np.bool_]


def random_words(rng: np.random.Generator, count: int) -> NDArray[np.int16]:
    """Words of full scale."""
    return rng.integers(-(2**15), 2**15, (count, 2)).astype(np.int16)


def random_settings(rng: np.random.Generator, **beats: int) -> FrameSettings:
    """Any words; of each section so many beats, those not named none. `header` is beats of each bit."""

    def pair() -> tuple[int, int]:
        i, q = rng.choice([-(2**15), 2**15 - 1, int(rng.integers(-(2**15), 2**15))], 2)
        return int(i), int(q)

    return FrameSettings(
        LIMITS,
        guard=N * beats.get("guard", 0),
        preamble=random_words(rng, N * beats.get("preamble", 0)),
        header_repetition=N * beats.get("header", 0),
        header_symbol=pair(),
        payload=N * beats.get("payload", 0),
        vacuum=N * beats.get("vacuum", 0),
        calibration=N * beats.get("calibration", 0),
        calibration_symbol=pair(),
    )


def ordinary_settings(rng: np.random.Generator) -> FrameSettings:
    """A frame with every section."""
    return random_settings(rng, guard=LEAST, preamble=5, header=1, payload=30, vacuum=4, calibration=3)


def settings_of_all_shapes(rng: np.random.Generator) -> list[FrameSettings]:
    """Frames that lack one section or another, down to the head alone, and the fullest preamble."""
    capacity = LIMITS.preamble_capacity // N
    return [
        ordinary_settings(rng),
        random_settings(rng, guard=LEAST, payload=1),
        random_settings(rng, guard=LEAST),
        random_settings(rng, preamble=capacity, payload=7, calibration=1),
        random_settings(rng, header=2, preamble=1, vacuum=1),
        random_settings(rng, guard=LEAST, payload=3, vacuum=1),
        random_settings(rng, header=1, payload=12),
    ]


class Bench(SkinBench):
    """The core's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        self.symbols = np.zeros((0, 2), np.int16)
        self.taken = 0

    def feed(self, symbols: NDArray[np.int16]) -> None:
        """Give symbols to the source; where its own frames end means nothing."""
        self.symbols = np.concatenate([self.symbols, symbols])
        whole = len(symbols) // (3 * N) * (3 * N)
        for part in (symbols[:whole], symbols[whole:]):
            if len(part):
                self.send(part)

    async def write_preamble(self, words: NDArray[np.int16]) -> None:
        """Fill the preamble's memory from its beginning."""
        await self.write("preamble_index", symbol=0)
        for i, q in words.tolist():
            await self.write("preamble_symbol", i=i, q=q)

    async def write_lengths(self, lengths: dict[Section, int]) -> None:
        """Write all lengths; the header's is its repetition."""
        for section, length in lengths.items():
            field = "repetition" if section is Section.HEADER else "length"
            await self.write(section.value, **{field: length})

    async def write_settings(self, settings: FrameSettings) -> None:
        """Write all settings but the preamble's words; they are not yet in use."""
        await self.write_lengths(settings.lengths | {Section.HEADER: settings.header_repetition})
        for name in ("header_symbol", "calibration_symbol"):
            i, q = getattr(settings, name)
            await self.write(name, i=i, q=q)

    async def applied(self) -> None:
        """Until the last apply has been done, or refused."""
        for _ in range(400):
            if not await self.read("control", "apply"):
                return
        raise AssertionError("apply is never done")

    async def load(self, settings: FrameSettings) -> None:
        """Write all settings and put them to use; no frame is under way."""
        await self.write_preamble(settings.preamble)
        await self.write_settings(settings)
        await self.write("control", apply=1)
        await self.applied()
        assert await self.read("status", "settings_refused") == 0
        assert await self.read("control", "loaded") == 1

    async def run(self, on: bool) -> None:
        """Frames follow each other, or the one under way is the last."""
        await self.write("control", run=int(on))

    async def expect(self, settings: FrameSettings) -> Sent:
        """The next frame is the model's, with the next symbols of the source in it."""
        words, user = await self.receive_with_user()
        recorded, starved = (np.array([beat >> bit & 1 for beat in user], np.bool_) for bit in (0, 1))
        numbers = [beat >> 2 for beat in user]
        assert set(numbers) == {numbers[0]}, "the number changed within a frame"
        assert not (starved & ~recorded).any(), "a beat that is not the source's is starved"
        hungry = starved[recorded]
        payload = np.zeros((N * len(hungry), 2), np.int16)
        fed = N * np.count_nonzero(~hungry)
        payload[np.repeat(~hungry, N)] = self.symbols[self.taken : self.taken + fed]
        self.taken += fed
        wanted, record = settings.frame(numbers[0], payload)
        np.testing.assert_array_equal(words, wanted)
        np.testing.assert_array_equal(np.repeat(recorded, N), record)
        return Sent(numbers[0], hungry)

    async def stop_and_expect(self, settings: FrameSettings) -> list[Sent]:
        """Let the frame under way be the last; all that still come are the model's."""
        await self.run(False)
        while await self.read("control", "active") or int(self.dut.m_axis_tvalid.value):
            await ClockCycles(self.dut.aclk, 8)
        self.drain_output()
        await ClockCycles(self.dut.aclk, 8)
        assert self.sink.idle(), "a frame was begun and not ended"
        self.release_output()
        return [await self.expect(settings) for _ in range(self.sink.count())]


@bench_test
@crossed_with_pauses
async def frames_of_all_shapes_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Words, ends, numbers and marks of every frame; what was starved is counted, and only an idle source starves."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    number, starved = 0, 0
    for settings in settings_of_all_shapes(rng):
        await bench.load(settings)
        # One beat more than they take: without it no frame begins.
        bench.feed(random_words(rng, 3 * settings.payload + N))
        await bench.run(True)
        frames = [await bench.expect(settings) for _ in range(3)]
        assert idle or not any(frame.starved.any() for frame in frames), "the source had symbols"
        frames += await bench.stop_and_expect(settings)
        assert [frame.number for frame in frames] == list(range(number, number + len(frames)))
        number += len(frames)
        starved += sum(N * np.count_nonzero(frame.starved) for frame in frames)
    assert await bench.read("frames", "next") == number
    assert await bench.read("starved_symbols", "count") == starved
    assert await bench.read("status", "starved") == (starved > 0)
    assert idle <= (starved > 0), "this bench starves nothing"


@bench_test
async def one_beat_is_given_every_clock(dut: Any) -> None:
    """From the first frame's first beat to the third one's last, and the first comes after the latency."""
    rng = np.random.default_rng(2)
    bench = Bench(dut)
    await bench.reset()
    settings = ordinary_settings(rng)
    await bench.load(settings)
    bench.feed(random_words(rng, 3 * settings.payload + N))
    given_at = bench.watch("m_axis")
    await bench.run(True)
    await RisingEdge(dut.active)  # the clock after run
    began_at = round(get_sim_time("ns") / CLOCK_NS)
    for _ in range(3):
        await bench.expect(settings)
    beats = 3 * settings.symbols // N
    assert given_at[:beats] == list(range(began_at + LATENCY, began_at + LATENCY + beats))


@bench_test
async def no_frame_begins_before_there_are_symbols_and_settings(dut: Any) -> None:
    """Run alone does nothing, nor does it with settings; a frame that began then goes on without the source."""
    rng = np.random.default_rng(3)
    bench = Bench(dut)
    await bench.reset()
    await bench.run(True)
    bench.feed(random_words(rng, N))
    await ClockCycles(dut.aclk, 40)
    assert int(dut.active.value) == 0, "a frame began without settings"
    await bench.reset()
    bench.symbols = bench.symbols[:0]
    settings = ordinary_settings(rng)
    await bench.load(settings)
    await bench.run(True)
    await ClockCycles(dut.aclk, 40)
    assert int(dut.active.value) == 0, "a frame began without symbols"
    assert bench.sink.empty()
    assert bench.sink.idle()
    bench.feed(random_words(rng, N))
    assert (await bench.expect(settings)).starved.tolist() == [False] + [True] * (settings.payload // N - 1)


@bench_test
@cocotb.parametrize(back_pressure=[False, True])
async def a_source_that_stops_in_a_payload_is_replaced_by_zeros(dut: Any, back_pressure: bool) -> None:
    """From the beat on that it lacks; the frame keeps its length, and the next one begins when there are symbols."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, back_pressure=back_pressure)
    await bench.reset()
    settings = ordinary_settings(rng)
    beats = settings.payload // N
    await bench.load(settings)
    bench.feed(random_words(rng, N * (beats + 11)))
    await bench.run(True)
    assert not (await bench.expect(settings)).starved.any()
    assert await bench.read("status", "starved") == 0
    assert (await bench.expect(settings)).starved.tolist() == [False] * 11 + [True] * (beats - 11)
    await ClockCycles(dut.aclk, 20)
    assert await bench.read("control", "active") == 0
    assert await bench.read("starved_symbols", "count") == N * (beats - 11)
    assert await bench.read("status", "starved") == 1
    await bench.write("status", starved=1)
    await bench.write("control", clear_counters=1, run=1)
    assert await bench.read("starved_symbols", "count") == 0
    bench.feed(random_words(rng, settings.payload))
    assert not (await bench.expect(settings)).starved.any()
    assert await bench.read_word("status") == 0


@bench_test
@crossed_with_pauses
async def a_frame_ends_whole_when_run_goes_low(dut: Any, idle: bool, back_pressure: bool) -> None:
    """At whatever place of the frame; no other frame follows, until run is high again."""
    rng = np.random.default_rng(5)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    settings = ordinary_settings(rng)
    await bench.load(settings)
    bench.feed(random_words(rng, 20 * settings.payload))
    number = 0
    for clocks in (0, 3, 17, 40, 60, 71):
        await bench.run(True)
        await ClockCycles(dut.aclk, clocks)
        frames = await bench.stop_and_expect(settings)
        assert 1 <= len(frames) <= 3
        assert [frame.number for frame in frames] == list(range(number, number + len(frames)))
        number += len(frames)


@bench_test
@crossed_with_pauses
async def new_settings_take_effect_between_frames(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Ordered within a frame, they wait for its end; the next one, on its heels, has all of them."""
    rng = np.random.default_rng(6)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    capacity = LIMITS.preamble_capacity // N
    old = random_settings(rng, guard=LEAST, preamble=capacity, header=1, payload=30, calibration=4)
    new = random_settings(rng, guard=1, header=2, payload=20, vacuum=1, calibration=2)
    await bench.load(old)
    bench.feed(random_words(rng, old.payload + 2 * new.payload + N))
    given_at = bench.watch("m_axis")
    bench.hold_output()
    await bench.run(True)
    await ClockCycles(dut.aclk, 10)
    await bench.write_settings(new)
    await bench.write("control", apply=1, run=1)
    await ClockCycles(dut.aclk, 40)
    assert await bench.read("control", "apply") == 1, "settings changed within a frame"
    bench.release_output()
    assert (await bench.expect(old)).number == 0
    assert (await bench.expect(new)).number == 1
    assert (await bench.expect(new)).number == 2
    assert await bench.read("control", "apply") == 0
    assert await bench.read("status", "settings_refused") == 0
    if not idle and not back_pressure:
        beats = (old.symbols + 2 * new.symbols) // N
        assert given_at[beats - 1] - given_at[0] == beats - 1, "there is a gap between two frames"


def refused_settings() -> list[dict[Section, int]]:
    """One thing wrong in each; the header's length is its repetition."""
    good = {
        Section.GUARD: N * LEAST,
        Section.PREAMBLE: N,
        Section.HEADER: N,
        Section.PAYLOAD: 8 * N,
        Section.VACUUM: N,
        Section.CALIBRATION: N,
    }
    bad = [
        good | {Section.PREAMBLE: LIMITS.preamble_capacity + N},
        good | {Section.PREAMBLE: 1 << 27},
        good | {Section.GUARD: N * (LEAST - 2), Section.HEADER: 0},
        good | {Section.GUARD: 0, Section.PREAMBLE: 0, Section.HEADER: 0},
        dict.fromkeys(Section, 0),
    ]
    if N > 1:
        bad += [good | {section: good[section] + rest} for section in Section for rest in {1, N // 2, N - 1}]
    return bad


@bench_test
async def bad_settings_are_refused_and_the_old_ones_stay(dut: Any) -> None:
    """Each kind, before there are any and when there are: nothing of them is used, and the model refuses them too."""
    rng = np.random.default_rng(7)
    bench = Bench(dut)
    await bench.reset()
    settings = ordinary_settings(rng)
    for loaded in (False, True):
        if loaded:
            await bench.load(settings)
        for lengths in refused_settings():
            assert model_refuses(lengths)
            await bench.write_lengths(lengths)
            await bench.write("calibration_symbol", i=1, q=2)
            await bench.write("control", apply=1)
            await bench.applied()
            assert await bench.read("status", "settings_refused") == 1, f"{lengths} was taken"
            await bench.write("status", settings_refused=1)
            assert await bench.read("control", "loaded") == loaded
    bench.feed(random_words(rng, settings.payload))
    await bench.run(True)
    await bench.expect(settings)


def model_refuses(lengths: dict[Section, int]) -> bool:
    """Whether the model does not make settings of these lengths."""
    try:
        FrameSettings(
            LIMITS,
            guard=lengths[Section.GUARD],
            preamble=np.broadcast_to(np.int16(0), (lengths[Section.PREAMBLE], 2)),
            header_repetition=lengths[Section.HEADER],
            header_symbol=(0, 0),
            payload=lengths[Section.PAYLOAD],
            vacuum=lengths[Section.VACUUM],
            calibration=lengths[Section.CALIBRATION],
        )
    except ValueError:
        return True
    return False


@bench_test
async def core_and_model_refuse_the_same(dut: Any) -> None:
    """Random lengths around every bound, and the largest that registers hold."""
    rng = np.random.default_rng(8)
    bench = Bench(dut)
    await bench.reset()
    verdicts = []
    for case in range(60):
        edges = {section: [0, N * int(rng.integers(0, LEAST + 1))] for section in Section}
        edges[Section.PREAMBLE] += [LIMITS.preamble_capacity, LIMITS.preamble_capacity + N]
        if case % 2:
            for section, values in edges.items():
                top = 1 << REGISTERS[section.value].fields[0].width
                values += [top - N, top // 2]
        lengths = {section: int(rng.choice(values)) for section, values in edges.items()}
        if case % 5 == 0:
            lengths[list(Section)[case % 6]] += int(rng.integers(0, N))
        await bench.write_lengths(lengths)
        await bench.write("control", apply=1)
        await bench.applied()
        verdicts.append(model_refuses(lengths))
        assert await bench.read("status", "settings_refused") == verdicts[-1], f"{lengths}"
        await bench.write("status", settings_refused=1)
    assert 10 < sum(verdicts) < 50, "these lengths lie on one side of the bounds"
    # Places where a frame's sections end that narrower sums would take for zero: the head's, and the whole frame's.
    top = 1 << LENGTH_BITS
    lengths = {section: top - 32 * N for section in Section}
    lengths |= {Section.PREAMBLE: 0, Section.HEADER: N}
    for lengths[Section.HEADER] in (N, 4 * N):
        await bench.write_lengths(lengths)
        await bench.write("control", apply=1)
        await bench.applied()
        assert not model_refuses(lengths)
        assert await bench.read("status", "settings_refused") == 0, f"{lengths}"
    assert sum(lengths.values()) - lengths[Section.HEADER] + NUMBER_BITS * lengths[Section.HEADER] == 4 * top


@bench_test
async def a_setting_written_while_apply_waits_ends_it(dut: Any) -> None:
    """The verdict was on other values. The frames go on with the old ones; the next apply takes the new ones."""
    rng = np.random.default_rng(9)
    bench = Bench(dut)
    await bench.reset()
    settings, other = ordinary_settings(rng), random_settings(rng, guard=LEAST, payload=9)
    await bench.load(settings)
    bench.feed(random_words(rng, 12 * settings.payload))
    bench.hold_output()
    await bench.run(True)
    await ClockCycles(dut.aclk, 20)
    for name, values in (
        *((section.value, {REGISTERS[section.value].fields[0].name: 1}) for section in Section),
        ("header_symbol", {"i": 1}),
        ("calibration_symbol", {"q": 1}),
    ):
        await bench.write_settings(other)
        await bench.write("control", apply=1, run=1)
        assert await bench.read("control", "apply") == 1
        assert await bench.read("status", "settings_refused") == 0
        await bench.write(name, **values)
        assert await bench.read("control", "apply") == 0, name
        assert await bench.read("status", "settings_refused") == 1, name
        await bench.write("status", settings_refused=1)
    bench.release_output()
    assert await bench.stop_and_expect(settings)
    await bench.load(other)
    await bench.run(True)
    await bench.expect(other)


@bench_test
@crossed_with_pauses
async def a_reset_within_a_frame_leaves_nothing_behind(dut: Any, idle: bool, back_pressure: bool) -> None:
    """At any place of it. After it the core waits for settings, and its first frame is number 0, from its beginning."""
    rng = np.random.default_rng(10)
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    old = ordinary_settings(rng)
    for clocks in (4, 10, 21, 37, 52):
        await bench.reset()
        await bench.load(old)
        bench.feed(random_words(rng, 3 * old.payload))
        await bench.write("next_frame", number=2**31)
        await bench.run(True)
        await ClockCycles(dut.aclk, clocks)
        await bench.reset()
        bench.symbols, bench.taken = bench.symbols[:0], 0
        assert await bench.read_word("status") == 0
        for name in ("run", "loaded", "active"):
            assert await bench.read("control", name) == 0
        assert await bench.read("frames", "next") == 0
        settings = ordinary_settings(rng)
        bench.feed(random_words(rng, settings.payload + N))
        await bench.run(True)
        await ClockCycles(dut.aclk, 20)
        assert bench.sink.empty()
        assert bench.sink.idle(), "a frame began with the old settings"
        await bench.run(False)
        await bench.load(settings)
        await bench.run(True)
        assert (await bench.expect(settings)).number == 0


@bench_test
async def frames_are_numbered_as_the_host_says(dut: Any) -> None:
    """A write within a frame numbers the next one; after the largest number comes zero."""
    rng = np.random.default_rng(11)
    bench = Bench(dut)
    await bench.reset()
    settings = ordinary_settings(rng)
    await bench.load(settings)
    bench.feed(random_words(rng, 6 * settings.payload))
    await bench.write("next_frame", number=7)
    assert await bench.read("frames", "next") == 7
    bench.hold_output()
    await bench.run(True)
    await ClockCycles(dut.aclk, 10)
    assert await bench.read("frames", "next") == 8
    await bench.write("next_frame", number=2**NUMBER_BITS - 2)
    bench.release_output()
    numbers = [(await bench.expect(settings)).number for _ in range(4)]
    assert numbers == [7, 2**NUMBER_BITS - 2, 2**NUMBER_BITS - 1, 0]


@bench_test
async def the_preamble_is_written_when_it_is_not_used_and_within_its_memory(dut: Any) -> None:
    """Symbols go one after the other from the index on; others are refused and change nothing."""
    rng = np.random.default_rng(12)
    bench = Bench(dut)
    await bench.reset()
    capacity = LIMITS.preamble_capacity
    settings = random_settings(rng, preamble=capacity // N, guard=LEAST, payload=4, vacuum=2)
    await bench.load(settings)
    # Beyond the end, and for as long as there may be frames.
    await bench.write("preamble_symbol", i=1, q=1)
    assert await bench.read("status", "preamble_refused") == 1
    bench.feed(random_words(rng, 6 * settings.payload))
    bench.hold_output()
    for run in (True, False):
        await bench.run(run)
        await bench.write("status", preamble_refused=1)
        assert await bench.read("status", "preamble_refused") == 0
        await bench.write("preamble_index", symbol=0)
        await bench.write("preamble_symbol", i=1, q=1)
        assert await bench.read("control", "active") == 1
        assert await bench.read("status", "preamble_refused") == 1
    await bench.write("status", preamble_refused=1)
    bench.release_output()
    await bench.stop_and_expect(settings)
    # Some symbols in the middle, from any place within a beat.
    changed = settings.preamble.copy()
    for index, count in ((N + 1, 3), (capacity - 1, 1), (0, 1)):
        changed[index : index + count] = random_words(rng, count)
        await bench.write("preamble_index", symbol=index)
        for i, q in changed[index : index + count].tolist():
            await bench.write("preamble_symbol", i=i, q=q)
    assert await bench.read("status", "preamble_refused") == 0
    settings.preamble[:] = changed
    await bench.run(True)
    await bench.expect(settings)


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.read("capabilities", "symbols_per_clock") == N
    assert await bench.read("capabilities", "preamble_capacity") == LIMITS.preamble_capacity
    assert await bench.read("head", "minimum") == LIMITS.minimum_head
    await bench.walk_registers()
