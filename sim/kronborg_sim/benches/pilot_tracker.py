"""Bench of the pilot tracker in its skin: every command and figure against the model.

The pilots are what the mixer would give if it obeyed the model (``pilot_hops``). Parameters: hops_per_clock, halvings,
shared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamFrame
from numpy.typing import NDArray

from kronborg_hdl.compensation.pilot_tracker.model import HOPS, Kind, PilotTracker, Settings, Tracked, TrackerState
from kronborg_hdl.compensation.pilot_tracker.registers import REGISTERS
from kronborg_hdl.dsp.nco import PHASE_BITS

from ..pilot_hops import Scene, play
from .runner import parameters
from .skin_bench import SkinBench

PARAMETERS = parameters()
HOPS_PER_CLOCK, HALVINGS = PARAMETERS["hops_per_clock"], PARAMETERS["halvings"]
CLOCKS = 2 if PARAMETERS["shared"] else 1
"""Of a beat at least."""

STEP = 2.0 ** -(7 + HALVINGS)
"""Turns a sample; four trials are as wide as half of a sub-block's main lobe."""
NEAR, FAR = 1.3 * STEP, -2.6 * STEP
SETTINGS = Settings(
    halvings=HALVINGS,
    threshold=5000,
    start=round(-3 * STEP * 2**PHASE_BITS),
    step=round(STEP * 2**PHASE_BITS),
    trials=7,
    neighbourhood=3,
    block_log2=6,
    patience=1,
)
SEARCH = (2 * SETTINGS.trials + 3) * HOPS << SETTINGS.slot_log2
BLOCK = HOPS << SETTINGS.block_log2
FIELDS = {
    "search": ("trials", "neighbourhood", "ambiguity"),
    "follow": ("slot_log2", "block_log2", "gain", "patience"),
}
COUNTERS = ("slips", "losses", "missing", "ambiguous")

# A core that stops must not stop the bench.
bench_test = cocotb.test(timeout_time=3200 * CLOCKS // HOPS_PER_CLOCK, timeout_unit="us")
crossed_with_pauses = cocotb.parametrize(idle=[False, True], back_pressure=[False, True])


class Bench(SkinBench):
    """The core's own ways on top of the skin's. A beat is a frame here: the streams have no end."""

    def __init__(self, dut: Any, **options: Any) -> None:
        super().__init__(dut, REGISTERS, **options)

    async def apply(self, settings: Settings) -> None:
        """Write all settings, put them to use, and wait until they are."""
        await self.write("mode", two_pilots=int(settings.two_pilots))
        for name in ("threshold", "start", "step"):
            await self.write(name, word=getattr(settings, name))
        for register, names in FIELDS.items():
            await self.write(register, **{name: getattr(settings, name) for name in names})
        await self.write("control", apply=1)
        while await self.read("control", "apply"):
            pass

    def send_pilots(self, pilots: NDArray[np.int32]) -> None:
        """Queue whole beats."""
        for beat in pilots.transpose(1, 0, 2).astype("<i4").reshape(-1, HOPS_PER_CLOCK * 4):
            self.source.send_nowait(AxiStreamFrame(beat.tobytes()))

    async def receive_pairs(self, name: str, count: int) -> list[tuple[int, int]]:
        """So many beats of two words of 32 bits."""
        frames = [bytes((await self.sinks[name].recv()).tdata) for _ in range(count)]
        return [tuple(np.frombuffer(frame, "<u4").tolist()) for frame in frames]

    async def expect(
        self, tracker: PilotTracker, pilots: NDArray[np.int32], state: TrackerState | None = None
    ) -> Tracked:
        """What comes of pilots is what the model says, and nothing more; so are the registers behind them."""
        tracked = tracker.process(pilots, state)
        self.send_pilots(pilots)
        retunes = await self.receive_pairs("retune", len(tracked.retunes))
        assert retunes == [(retune.at, retune.beat) for retune in tracked.retunes]
        clocks = await self.receive_pairs("clock", len(tracked.clocks))
        assert clocks == [(clock.at, clock.rate % 2**32) for clock in tracked.clocks]
        await self.source.wait()
        for name in ("retune", "clock"):
            self.drain_output(name)
        await ClockCycles(self.dut.aclk, 60)
        assert self.sinks["retune"].empty(), "a command too many"
        assert self.sinks["clock"].empty(), "a figure too many"
        after = tracked.state
        assert await self.read("state", "kind") == after.now.kind
        assert await self.read("state", "locked") == int(self.dut.locked.value) == after.locked
        assert await self.read("beat", "word") % 2**PHASE_BITS == after.estimate >> 8
        assert await self.read("clock", "rate") == after.clock
        assert await self.read("best", "word") == after.best
        for pilot, magnitude in enumerate(after.magnitudes):
            assert await self.read(f"magnitude_{pilot}", "word") == magnitude
        for name in COUNTERS:
            assert await self.read(name, "count") == getattr(after, name), name
        return tracked


def watch_pulses(signal: Any) -> tuple[list[int], Any]:
    """What a signal is in each clock from now on: the list grows; and the task that does it."""
    pulses: list[int] = []

    async def watch() -> None:
        while True:
            await RisingEdge(cocotb.top.aclk)
            pulses.append(int(signal.value))

    return pulses, cocotb.start_soon(watch())


def pilots_of(settings: Settings, *scenes: Scene, seed: int = 1) -> NDArray[np.int32]:
    """What the mixer gives."""
    return play(PilotTracker(settings), scenes, np.random.default_rng(seed))


@bench_test
@crossed_with_pauses
async def commands_and_figures_equal_the_model(dut: Any, idle: bool, back_pressure: bool) -> None:
    """Found, followed, lost for a moment, and found again elsewhere."""
    bench = Bench(dut, idle=idle, back_pressure=back_pressure)
    await bench.reset()
    await bench.apply(SETTINGS)
    pilots = pilots_of(
        SETTINGS,
        Scene(SEARCH + 6 * BLOCK, NEAR, clock=2e-6),
        Scene(BLOCK, NEAR, amplitude=0),
        Scene(6 * BLOCK, NEAR, walk_rad=0.4),
        Scene(SEARCH + 6 * BLOCK, FAR),
    )
    tracked = await bench.expect(PilotTracker(SETTINGS), pilots)
    assert len(tracked.clocks) > 4
    assert tracked.state.locked
    assert tracked.state.losses >= 1
    assert await bench.read("status", "lost") == 1


@bench_test
@cocotb.parametrize(
    changes=[
        {"two_pilots": False, "gain": 0, "block_log2": 8},
        {"gain": 7, "slot_log2": 5, "trials": 4},
        {"trials": 1, "start": round(STEP * 2**PHASE_BITS), "block_log2": 7},
        {"step": -SETTINGS.step, "start": -SETTINGS.start, "neighbourhood": 5},
    ]
)
async def settings_are_those_of_the_model(dut: Any, changes: dict[str, Any]) -> None:
    """Lengths, gains, one pilot, one trial, downwards."""
    settings = replace(SETTINGS, **changes)
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(settings)
    beat = NEAR if settings.trials != 4 else -1.7 * STEP
    blocks = HOPS << settings.block_log2
    search = (2 * settings.trials + 3) * HOPS << settings.slot_log2
    tracked = await bench.expect(PilotTracker(settings), pilots_of(settings, Scene(search + 4 * blocks, beat)))
    assert tracked.state.locked


@bench_test
async def without_a_pilot_the_search_is_counted_and_goes_on(dut: Any) -> None:
    """Noise alone."""
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(SETTINGS)
    tracked = await bench.expect(PilotTracker(SETTINGS), pilots_of(SETTINGS, Scene(2 * SEARCH, amplitude=0)))
    assert tracked.state.missing == 2
    assert await bench.read("status", "missing") == 1
    await bench.write("control", clear_counters=1)
    assert await bench.read("missing", "count") == 0


@bench_test
async def two_equal_tones_are_refused(dut: Any) -> None:
    """Each pilot has a twin far from it."""
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(SETTINGS)
    tracked = await bench.expect(
        PilotTracker(SETTINGS), pilots_of(SETTINGS, Scene(2 * SEARCH, -2.4 * STEP, twin=5 * STEP))
    )
    assert tracked.state.ambiguous >= 1
    assert not tracked.state.locked
    assert await bench.read("status", "ambiguous") == 1
    assert await bench.read("second", "word") == tracked.state.second


@bench_test
async def words_of_any_size_equal_the_model(dut: Any) -> None:
    """Full scale at random, which no pilot is: sums, magnitudes and angles at their limits."""
    settings = replace(SETTINGS, trials=1, threshold=1, patience=0)
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(settings)
    rng = np.random.default_rng(5)
    signs = rng.choice([-(2**19), 2**19 - 1], (2, 10 * BLOCK // HOPS, 1, 2))
    pilots = np.broadcast_to(signs, (2, 10 * BLOCK // HOPS, HOPS, 2)).reshape(2, -1, 2).astype(np.int32)
    tracked = await bench.expect(PilotTracker(settings), pilots)
    assert tracked.state.slips > 50
    assert await bench.read("status", "slip") == 1


@bench_test
async def a_weak_sub_block_is_told_at_once(dut: Any) -> None:
    """Not only at the end of its block; and only while the lock is held."""
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(SETTINGS)
    pulses, watching = watch_pulses(dut.weak)
    pilots = pilots_of(SETTINGS, Scene(SEARCH + 7 * BLOCK, NEAR))
    tracker = PilotTracker(SETTINGS)
    tracked = await bench.expect(tracker, pilots)
    assert tracked.state.locked
    assert not any(pulses)
    assert not tracked.doubtful
    # The pilot is some ten times the threshold: a third of it is far above half the threshold.
    for count, amplitude, scale in ((3, 0.0, 1.0), (2, None, 0.33), (2, None, 0.66)):
        last = Scene(count * HOPS, NEAR) if amplitude is None else Scene(count * HOPS, amplitude=amplitude)
        pilots = pilots_of(SETTINGS, Scene(SEARCH + 7 * BLOCK, NEAR), last)[:, -count * HOPS :]
        pulses.clear()
        bench.send_pilots(np.rint(pilots * scale).astype(np.int32))
        await bench.source.wait()
        await ClockCycles(dut.aclk, 60)
        assert sum(pulses) == (2 * count if scale < 0.5 or amplitude == 0 else 0), "each sub-block of two pilots"
    watching.cancel()


@bench_test
async def a_slip_is_told_at_once(dut: Any) -> None:
    """When its sub-block has come, each once, of pilots that count; the model names the hops."""
    for two_pilots in (True, False):
        settings = replace(SETTINGS, two_pilots=two_pilots)
        bench = Bench(dut)
        await bench.reset()
        await bench.apply(settings)
        pulses, watching = watch_pulses(dut.slipped)
        pilots = pilots_of(settings, Scene(SEARCH + 7 * BLOCK, NEAR))
        tracked = await bench.expect(PilotTracker(settings), pilots)
        assert tracked.state.locked
        assert not any(pulses)
        # From the middle of a block on half a turn more; later pilot 1 alone.
        more = pilots[:, -BLOCK:].copy()
        place = (7 * HOPS, 11 * HOPS)
        more[:, place[0] :] *= -1
        more[1, place[1] :] *= -1
        bench.send_pilots(more[:, : 20 * HOPS])
        await bench.source.wait()
        await ClockCycles(dut.aclk, 60)
        assert sum(pulses) == (3 if two_pilots else 1)
        rest = PilotTracker(settings).process(more, tracked.state)
        begin = tracked.state.hop
        slips = {(begin + at - HOPS, begin + at + HOPS) for at in place[: 1 + two_pilots]}
        assert set(rest.doubtful) == slips
        watching.cancel()


@bench_test
async def an_apply_begins_a_search_at_a_sub_block(dut: Any) -> None:
    """While the beat is followed; hops go on being counted, and nothing is commanded before the first apply."""
    bench = Bench(dut)
    await bench.reset()
    idle = pilots_of(SETTINGS, Scene(10 * HOPS, amplitude=0))
    bench.send_pilots(idle)
    await bench.source.wait()
    await ClockCycles(dut.aclk, 60)
    assert bench.sinks["retune"].empty()
    restarts, watching = watch_pulses(dut.restarted)
    tracker, state = PilotTracker(SETTINGS), TrackerState(hop=10 * HOPS)
    for _ in range(2):
        await bench.apply(SETTINGS)
        pilots = pilots_of(SETTINGS, Scene(SEARCH + 5 * BLOCK + 3 * HOPS, NEAR))
        state = (await bench.expect(tracker, pilots, tracker.restart(state))).state
        assert state.locked
    assert state.losses == 0
    assert sum(restarts) == 2, "who keeps commands is told"
    watching.cancel()


@bench_test
async def settings_wait_for_apply(dut: Any) -> None:
    """Written in the middle of everything, they change nothing."""
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(SETTINGS)
    await bench.write("threshold", word=2**24)
    await bench.write("search", trials=2)
    await bench.write("follow", slot_log2=9, block_log2=9)
    tracked = await bench.expect(PilotTracker(SETTINGS), pilots_of(SETTINGS, Scene(SEARCH + 5 * BLOCK, NEAR)))
    assert tracked.state.locked


@bench_test
async def settings_beyond_their_range_are_the_nearest_within(dut: Any) -> None:
    """As the registers' sentence says."""
    bench = Bench(dut)
    await bench.reset()
    await bench.write("mode", two_pilots=0)
    await bench.write("threshold", word=0)
    await bench.write("search", trials=0)
    await bench.write("follow", slot_log2=0, block_log2=15)
    await bench.write("control", apply=1)
    settings = Settings(
        HALVINGS, 1, False, trials=1, slot_log2=4, neighbourhood=0, ambiguity=0, block_log2=10, gain=0, patience=0
    )
    tracker = PilotTracker(settings)
    pilots = pilots_of(settings, Scene(5 * HOPS << 4, settings.start / 2**PHASE_BITS))
    bench.send_pilots(pilots)
    expected = tracker.process(pilots).retunes
    retunes = await bench.receive_pairs("retune", len(expected))
    assert retunes == [(retune.at, retune.beat) for retune in expected]


@bench_test
async def a_command_that_is_not_taken_holds_the_pilots(dut: Any) -> None:
    """And none is lost when it is."""
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(SETTINGS)
    pilots = pilots_of(SETTINGS, Scene(SEARCH, NEAR))
    bench.hold_output("retune")
    taken = bench.watch("s_axis")
    bench.send_pilots(pilots)
    await ClockCycles(dut.aclk, SEARCH * CLOCKS // HOPS_PER_CLOCK)
    # A skid buffer holds two; the third one waits.
    assert len(taken) * HOPS_PER_CLOCK < 5 * HOPS << SETTINGS.slot_log2
    bench.drain_output("retune")
    expected = PilotTracker(SETTINGS).process(pilots).retunes
    assert await bench.receive_pairs("retune", len(expected)) == [(retune.at, retune.beat) for retune in expected]


@bench_test
async def a_beat_is_taken_in_every_clock(dut: Any) -> None:
    """Or in every other one, where the CORDIC is shared. Periods, decisions and commands make no gap."""
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(SETTINGS)
    taken = bench.watch("s_axis")
    pilots = pilots_of(SETTINGS, Scene(SEARCH + 3 * BLOCK, NEAR))
    bench.send_pilots(pilots)
    await bench.source.wait()
    assert taken == list(range(taken[0], taken[0] + CLOCKS * pilots.shape[1] // HOPS_PER_CLOCK, CLOCKS))


@bench_test
async def a_reset_forgets_everything(dut: Any) -> None:
    """Lock, beat, hops."""
    bench = Bench(dut)
    await bench.reset()
    await bench.apply(SETTINGS)
    await bench.expect(PilotTracker(SETTINGS), pilots_of(SETTINGS, Scene(SEARCH + 5 * BLOCK, NEAR)))
    bench.send_pilots(pilots_of(SETTINGS, Scene(BLOCK, FAR)))
    await ClockCycles(dut.aclk, 50)
    await bench.reset()
    assert await bench.read("state", "kind") == Kind.IDLE
    await bench.apply(SETTINGS)
    await bench.expect(PilotTracker(SETTINGS), pilots_of(SETTINGS, Scene(SEARCH + 3 * BLOCK, FAR), seed=2))


@bench_test
async def registers_are_as_their_table_says(dut: Any) -> None:
    """Every register and hole; and what was built."""
    bench = Bench(dut)
    await bench.reset()
    await bench.walk_registers()
    assert await bench.read("capabilities", "hops_per_clock") == HOPS_PER_CLOCK
    assert await bench.read("capabilities", "hop") == 2 << HALVINGS
