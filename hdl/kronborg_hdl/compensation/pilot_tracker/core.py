"""The pilot tracker in Amaranth: it cuts pilots into periods; ``measure`` and ``decide`` do the rest."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import CLOCK, RETUNE, SkidBuffer, endless_words
from ..mixer.model import HALVINGS, PILOTS
from ..phase_smoother.core import HOPS_PER_CLOCK
from ..phase_smoother.model import PHASOR
from .decide import NUMBER_BITS, PERIOD, SETTINGS, Decide, settings_as_written
from .measure import Measure
from .model import BLOCK_LOG2, MAGNITUDE_BITS, Kind
from .registers import REGISTERS


class PilotTracker(wiring.Component):
    """Find the lasers' beat by itself, follow it, and say whether the pilots are there.

    Mathematics: the model has it in full. Pilots are summed over 16 hops; a CORDIC gives magnitude and angle; slots are
    trials of a search, blocks measure the beat by the slope of the angle. Each gives a command to the mixer for the
    period after next, by number of hop, and each good block of two pilots a figure of the clocks.

    Structure: both pilots share one CORDIC, whose stages have several iterations each where few hops come in a clock,
    and the adders behind it. Decisions are made once a period, in a dozen clocks, by a machine of as many states.

    Formats: hop sums of 20 bits, exact sums of 24, magnitudes of 25 with the CORDIC's gain, angles of 18 bits a turn,
    beats of 32 bits with 8 more in the estimate. Rounding is to nearest with ties towards plus infinity, but within the
    CORDIC (see there). Nothing saturates but the clock's figure and the counters.

    Reset: nothing is commanded until CONTROL.apply; hops are counted from reset on, as the mixer counts them. An apply
    waits until a sub-block, and a decision, are complete. Commands from before it may be for hops far ahead, beyond
    those of the new search: with ``restarted`` they are of no interest, and whoever keeps them has to forget them.

    Throughput: a beat per clock, or in two if it is shared; the pilots wait besides only when a command is due and the
    one before was not taken.

    Latency: from a period's last hop to the command 51 or 52 steps, 37 or 38 with 4 hops per clock or more. A period
    lies between the two, of 256 hops at least: with 8 hops per clock that is too short, and wants 512.

    Resources: no multiplier, no block RAM; 3300 registers or more, most of them the CORDIC's and the slopes'.

    Args:
        hops_per_clock: H, 1, 2, 4 or 8.
        halvings: half-band stages D: a hop is 2 << D converter samples.
        shared: behind a beat the core takes none for a clock, and the CORDIC's stages have twice as many iterations.

    Members:
        i: for each hop pilot 0, then pilot 1.
        retune: commands to the mixer.
        clock: figures of the clocks, see ``model.Clock``.
        locked: the lock is held.
        weak: a pulse: a sub-block of a pilot was weaker than half the threshold, or than half of that pilot's mean in
            the last block, while the lock was held.
        slipped: a pulse: a pilot's phase made a step that may have been a slip, while the lock was held.
        restarted: a pulse: settings were taken, and the search begins; commands so far are of no interest.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of hops per clock or of stages.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, hops_per_clock: int, halvings: int, shared: bool = False) -> None:
        if hops_per_clock not in HOPS_PER_CLOCK:
            raise ValueError(f"{hops_per_clock} hops per clock: must be one of {', '.join(map(str, HOPS_PER_CLOCK))}")
        if halvings not in HALVINGS:
            raise ValueError(f"{halvings} half-band stages: must be one of {', '.join(map(str, HALVINGS))}")
        self.hops_per_clock = hops_per_clock
        self.halvings = halvings
        self.shared = shared
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(PILOTS * hops_per_clock, PHASOR))),
                "retune": Out(stream.Signature(RETUNE)),
                "clock": Out(stream.Signature(CLOCK)),
                "locked": Out(1),
                "weak": Out(1),
                "slipped": Out(1),
                "restarted": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid_retune = skid_retune = SkidBuffer(RETUNE)
        m.submodules.skid_clock = skid_clock = SkidBuffer(CLOCK)
        m.submodules.measure = measure = Measure(hops_per_clock=self.hops_per_clock, shared=self.shared)
        m.submodules.decide = decide = Decide(halvings=self.halvings)
        wiring.connect(m, skid_retune.o, wiring.flipped(self.retune))
        wiring.connect(m, skid_clock.o, wiring.flipped(self.clock))
        wiring.connect(m, decide.retune, skid_retune.i)
        wiring.connect(m, decide.clock, skid_clock.i)

        # Settings as written are taken with the restart.
        settings = Signal(SETTINGS)
        pending, running = Signal(), Signal()
        restart = self._periods(m, measure, decide, settings, pending, running)
        with m.If(port.control.apply.start):
            m.d.sync += pending.eq(1)
        m.d.sync += self.restarted.eq(restart)
        with m.If(restart):
            m.d.sync += pending.eq(0), running.eq(1), settings.eq(settings_as_written(port))
        # Both are told at once: at the block's end frames may have left.
        halves = [Mux(mean > settings.threshold, mean, settings.threshold) >> 1 for mean in decide.magnitudes]
        limits = [Signal(MAGNITUDE_BITS, name=f"limit_{pilot}") for pilot in range(PILOTS)]
        m.d.sync += (limit.eq(half) for limit, half in zip(limits, halves, strict=True))
        least = Mux(measure.second, limits[1], limits[0])
        counts = measure.coming & (~measure.second | settings.two_pilots)
        slips = measure.slip & (~measure.slip_second | settings.two_pilots)
        m.d.sync += self.weak.eq(decide.locked & counts & (measure.magnitude < least))
        m.d.sync += self.slipped.eq(decide.locked & slips)
        # A clock later than it has to: what moves lies all over a device.
        holds = Signal()
        m.d.sync += holds.eq(decide.waits)
        # The step before had a beat.
        behind = Signal()
        if self.shared:
            with m.If(~holds):
                m.d.sync += behind.eq(measure.valid)
        m.d.comb += [
            measure.words.eq(self.i.payload.words),
            measure.valid.eq(self.i.valid & ~behind),
            measure.advance.eq(~holds),
            self.i.ready.eq(~holds & ~behind),
            decide.settings.eq(settings),
            decide.measured.eq(measure.measured),
            decide.done.eq(measure.done),
            decide.clear_counters.eq(port.control.clear_counters.start),
            self.locked.eq(decide.locked),
            port.control.apply.busy.eq(pending),
            port.capabilities.hops_per_clock.eq(self.hops_per_clock),
            port.capabilities.hop.eq(2 << self.halvings),
            port.state.locked.eq(decide.locked),
            port.beat.word.eq(decide.beat),
            port.magnitude_0.word.eq(decide.magnitudes[0]),
            port.magnitude_1.word.eq(decide.magnitudes[1]),
            port.clock.rate.eq(decide.rate),
            port.best.word.eq(decide.best),
            port.second.word.eq(decide.second),
        ]
        for name in ("lost", "slip", "missing", "ambiguous"):
            m.d.comb += getattr(port.status, name).eq(getattr(decide.status, name))
        for name in ("slips", "losses", "missing", "ambiguous"):
            m.d.comb += getattr(port, name).count.eq(getattr(decide.counts, name))
        return m

    def _periods(
        self, m: Module, measure: Measure, decide: Decide, settings: data.View, pending: Value, running: Value
    ) -> Value:
        """Cut the sub-blocks into periods, and hand each that ended to `decide`. Returns when a restart is made."""
        now, following = Signal(PERIOD), Signal(PERIOD)
        number, first = Signal(NUMBER_BITS), Signal(NUMBER_BITS)
        index = Signal(BLOCK_LOG2[1])
        between, under_way, restart, ends = Signal(), Signal(), Signal(), Signal()
        log2 = Mux(now.long, settings.block_log2, settings.slot_log2)
        # Both are late: a clock behind the period, and behind the index. A sub-block takes two clocks at least, and a
        # period's first one is never its last.
        length = Signal(range((1 << BLOCK_LOG2[1]) + 1))
        m.d.sync += length.eq(1 << log2), ends.eq(running & (index + 1 == length))
        m.d.comb += [
            measure.ends.eq(ends),
            measure.halves.eq(index >= length >> 1),
            measure.restart.eq(restart),
            restart.eq(pending & ~under_way & Mux(measure.boundary, ~ends, ~measure.coming & ~between)),
            decide.now.eq(now),
            decide.begins.eq(first + length),
            decide.restart.eq(restart),
            self.port.state.kind.eq(now.kind),
        ]
        with m.If(measure.coming):
            m.d.sync += between.eq(~measure.second)
        with m.If(measure.boundary):
            m.d.sync += number.eq(number + 1), index.eq(index + 1)
            with m.If(ends):
                m.d.sync += [
                    index.eq(0),
                    first.eq(number + 1),
                    now.eq(following),
                    decide.ended.eq(now),
                    decide.ended_first.eq(first),
                    under_way.eq(1),
                ]
        with m.If(decide.launch):
            m.d.sync += following.eq(decide.period)
        with m.If(decide.abandon):
            m.d.sync += now.kind.eq(Kind.IDLE)
        with m.If(decide.finished):
            m.d.sync += under_way.eq(0)
        with m.If(restart):
            m.d.sync += index.eq(0), first.eq(number + measure.boundary), now.eq(0), following.eq(0)
        return restart
