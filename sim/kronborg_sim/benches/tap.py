"""Bench of the tap beside two streams, in a skin: pictures against what passed.

Parameters: words, depth.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time
from numpy.typing import NDArray

from kronborg_hdl.dsp.formats import BASEBAND
from kronborg_hdl.receiver.tap.model import Place, packet_beat_bytes, unpack
from kronborg_hdl.receiver.tap.registers import REGISTERS

from .runner import parameters
from .skin_bench import CLOCK_NS, SkinBench

PARAMETERS = parameters()
WORDS, DEPTH = PARAMETERS["words"], PARAMETERS["depth"]
NARROW, BROAD = Place("narrow", WORDS, 16, True), Place("broad", WORDS, 32, True)
PLACES = (NARROW, BROAD)
BEAT_BYTES = packet_beat_bytes(PLACES)

bench_test = cocotb.test(timeout_time=200, timeout_unit="us")  # a core that stops must not stop the bench
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


class Bench(SkinBench):
    """The tap's own ways on top of the skin's."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)
        dut.trigger.value = 0
        self.rng = np.random.default_rng(1)

    def send_both(self, beats: int) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
        """Queue random beats on both streams."""
        narrow = self.rng.integers(-(2**15), 2**15, (beats * WORDS, 2)).astype(np.int16)
        wide = self.rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (beats * WORDS, 2)).astype(np.int32)
        self.send_beats(narrow)
        self.send_beats(wide, "wide")
        return narrow, wide

    async def capture(self, place: int, length: int, mask: int = 0) -> None:
        """Order a picture; without a trigger it runs when this returns."""
        await self.write("place", number=place)
        await self.write("length", beats=length)
        await self.write("trigger", mask=mask)
        await self.write("control", capture=1)
        await ClockCycles(self.dut.aclk, 4)

    async def picture(self, place: int) -> NDArray[Any]:
        """The words of the next picture."""
        frame = await self.sinks["picture"].recv(compact=False)
        return unpack(np.frombuffer(bytes(frame.tdata), np.uint8), PLACES[place], BEAT_BYTES)

    async def expect_streams(self, narrow: NDArray[np.int16], wide: NDArray[np.int32]) -> None:
        """Both streams came through whole."""
        np.testing.assert_array_equal(await self.receive_beats(len(narrow) // WORDS, np.int16), narrow)
        np.testing.assert_array_equal(await self.receive_beats(len(wide) // WORDS, np.int32, "wide_out"), wide)


@bench_test
@crossed_with_pauses
async def pictures_are_the_beats_that_passed(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Of either place, shorter than the FIFO so that none is lost: sign-extended, narrow beats followed by zeros."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    for place, length in ((0, DEPTH), (1, 9), (0, 1), (1, 0), (200, 3)):
        await bench.capture(place, length)
        assert await bench.read("control", "capture") == 1
        sent = bench.send_both(3 * DEPTH)
        beats = max(1, length)
        picture = await bench.picture(min(place, 1))
        np.testing.assert_array_equal(picture, sent[min(place, 1)][: beats * WORDS])
        await bench.expect_streams(*sent)
        assert await bench.read("control", "capture") == 0
        assert await bench.read("taken", "beats") == beats
        assert await bench.read("lost", "beats") == 0
    assert await bench.read_word("status") == 0


@bench_test
async def memory_that_does_not_take_a_picture_costs_beats_and_holds_no_stream(dut: Any) -> None:
    """They are counted; the packet has its length all the same."""
    bench = Bench(dut)
    await bench.reset()
    bench.hold_output("picture")
    await bench.capture(0, DEPTH + 8)
    passed = bench.watch("s_axis")
    sent = bench.send_both(4 * DEPTH)
    await bench.expect_streams(*sent)
    assert passed == list(range(passed[0], passed[0] + 4 * DEPTH)), "the stream waited for the tap"
    stored = await bench.read("taken", "beats")
    lost = await bench.read("lost", "beats")
    assert stored + lost == 4 * DEPTH
    assert lost > 0
    assert await bench.read("status", "lost") == 1
    assert await bench.read("control", "capture") == 1
    bench.release_output("picture")
    await ClockCycles(dut.aclk, 2 * DEPTH)
    more = bench.send_both(DEPTH)
    picture = await bench.picture(0)
    wanted = np.concatenate([sent[0][: stored * WORDS], more[0][: (DEPTH + 8 - stored) * WORDS]])
    np.testing.assert_array_equal(picture, wanted)
    await bench.expect_streams(*more)
    await bench.capture(0, 1)
    assert await bench.read("lost", "beats") == 0, "a new picture does not begin at zero"


@bench_test
async def a_picture_begins_with_the_beat_of_its_trigger(dut: Any) -> None:
    """Triggers that are masked out do not begin it."""
    bench = Bench(dut)
    await bench.reset()
    await bench.capture(0, 6, mask=0b100)
    clocks = bench.watch("s_axis")
    sent = bench.send_both(60)
    fired = 0
    for clock in range(40):
        await RisingEdge(dut.aclk)
        dut.trigger.value = 0b100 if clock == 25 else 0b011 if clock == 12 else 0
        if clock == 25:
            fired = round(get_sim_time("ns") / CLOCK_NS) + 1  # the clock that its rising edge ends
    picture = await bench.picture(0)
    begin = next(beat for beat, clock in enumerate(clocks) if clock >= fired)
    assert begin > 10
    np.testing.assert_array_equal(picture, sent[0][begin * WORDS : (begin + 6) * WORDS])
    await bench.expect_streams(*sent)


@bench_test
async def an_aborted_picture_ends_at_once_or_with_its_next_beat(dut: Any) -> None:
    """Of one that still waits for its trigger there is no packet; one that runs gets its end."""
    bench = Bench(dut)
    await bench.reset()
    await bench.capture(1, 5, mask=1)
    await bench.write("control", abort=1)
    assert await bench.read("control", "capture") == 0
    sent = bench.send_both(4)
    await bench.expect_streams(*sent)
    assert bench.sinks["picture"].empty()
    await bench.capture(1, 50)
    first = bench.send_both(4)
    await bench.expect_streams(*first)
    await bench.write("control", abort=1)
    second = bench.send_both(4)
    await bench.expect_streams(*second)
    np.testing.assert_array_equal(await bench.picture(1), np.concatenate([first[1], second[1][:WORDS]]))
    assert await bench.read("control", "capture") == 0


@bench_test
async def a_reset_forgets_a_picture(dut: Any) -> None:
    """What waited for memory does not come out."""
    bench = Bench(dut)
    await bench.reset()
    bench.hold_output("picture")
    await bench.capture(0, 10)
    bench.send_both(20)
    await ClockCycles(dut.aclk, 40)
    await bench.reset()
    bench.release_output("picture")
    await ClockCycles(dut.aclk, 20)
    assert bench.sinks["picture"].empty()
    assert await bench.read("control", "capture") == 0


@bench_test
async def registers_are_as_the_table_says(dut: Any) -> None:
    """Walks the map; then what this instance says of itself."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "places") == len(PLACES)
    assert await bench.read("capabilities", "beat_bytes") == BEAT_BYTES
    assert await bench.read("capabilities", "depth") == DEPTH
