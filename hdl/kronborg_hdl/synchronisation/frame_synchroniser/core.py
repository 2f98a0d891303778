"""The frame synchroniser in Amaranth."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.bank import register_port
from ...axi.stream import RETIME, SkidBuffer, complex_words, endless_words, gated_words, passing
from ...dsp.arithmetic import event_counter, negate_where
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from .cutter import LENGTHS, PLACE_BITS, REFERENCE, FrameCutter
from .detector import MAGNITUDE_BITS, FrameDetector
from .gate import SLOTS, SectionGate
from .measurer import PreambleMeasurer
from .model import LENGTH_BITS, NUMBER_BITS
from .packet import EVENTS, Flag
from .registers import COUNTER_BITS, REGISTERS
from .sizes import CHAIN_BEATS, PAUSE_BEATS, SOLVE_BEATS, WINDOW_BEATS, Sizes
from .solver import TIMING, TimingSolver


class FrameSynchroniser(wiring.Component):
    """Find frames by their preamble, measure and number them, cut their payload out, and hold the sampling phase.

    Structure: a 1-bit correlator (``detector``) looks at chips scattered over the whole preamble while the stream waits
    in block RAM. When a peak is decided the preamble is about to leave that memory; from then on symbols are shifted so
    that header and payload are whole beats. All chips are correlated (``measurer``), the timing is solved (``solver``),
    the header is decoded along the measured phase, and the payload is handed on with a trailer (``cutter``).

    Formats: symbols Q1.15; chips by the signs of their rails; sums exact. What is rounded is said in ``timing``. See
    ``packet`` for what is written, ``model`` for all of it bit by bit.

    The static phase is not taken off the payload: it is in the trailer's R(0).

    Power meter: ``metered`` shows the same symbols, each once and in order, :attr:`metered_delay` beats later, with the
    section that each is of: payload as far as it is handed on, vacuum and calibration (``gate``), of marked frames too.
    So what is measured of the three has passed the same chain. Of each beat it says which events touched it.

    Bad frames: the trailer says the reasons (``packet.Flag``). ``events`` mark each frame of which a symbol may have
    been in the chain: those that pass the cutter within :attr:`reach` beats after the event. A preamble that comes more
    than the tolerance after its time is counted as missing; the search never stops.

    Sizes: false alarms by ``correlation.false_alarm_threshold``. With a chip's power 16 times the payload's, a payload
    of SNR 0.36 is found with 256 chips, whatever the sampling phase; one of SNR 0.03 needs 512 chips, and a sampling
    phase that is within a quarter of a symbol.

    Throughput: one beat per clock, always: it is never this core that pauses. If it is shared, one in two clocks.
    Latency: :attr:`delay` beats; what was found comes out only as more beats go in.

    Resources: no multiplier; ``32 N`` bits of block RAM for each of :attr:`depth` beats; the detector's counts of ones.

    Args:
        symbols_per_clock: N, 1, 2, 4 or 8.
        preamble: chips, 64 N to 4095.
        detector_chips: those that the detector looks at.
        chain: beats that the chain before this core holds at most.
        shared: the detector counts the real part in one clock and the imaginary one in another, with one adder tree;
            before a beat is taken it has been there for a clock.

    Members:
        i: N symbols per clock, without end.
        o: packets; ``last`` ends one.
        retime: commands for the resampler. One that is not taken before the next but one is lost.
        metered: the symbols with their sections, for listeners: ``axi.stream.passing(gated_words(N))``.
        events: what happens in the chain, in the order of ``packet.EVENTS``; each clock in which one is high counts.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: see ``sizes.Sizes``.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(
        self,
        *,
        symbols_per_clock: int,
        preamble: int = 2039,
        detector_chips: int = 256,
        chain: int = CHAIN_BEATS,
        shared: bool = False,
    ) -> None:
        self.sizes = Sizes(symbols_per_clock, preamble, detector_chips)
        self.detector = FrameDetector(self.sizes, shared=shared)
        self.measurer = PreambleMeasurer(self.sizes)
        # Until the reference stands: the sums, R(0) turned, its direction.
        self.header_wait = self.measurer.delay + 2
        self.cutter = FrameCutter(self.sizes, age=self.delay)
        self.gate = SectionGate(self.sizes, age=self.delay + 1)
        self.reach = self.delay + chain
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(symbols_per_clock, SAMPLE))),
                "o": Out(stream.Signature(complex_words(symbols_per_clock))),
                "retime": Out(stream.Signature(RETIME)),
                "metered": Out(passing(gated_words(symbols_per_clock))),
                "events": In(len(EVENTS)),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def depth(self) -> int:
        """Beats that wait in the memory: when the oldest is a preamble's first row, its peak has just been decided."""
        return WINDOW_BEATS + self.detector.delay + 1 + self.sizes.rows

    @property
    def delay(self) -> int:
        """Beats from a symbol to the cutter."""
        return self.depth + 1 + self.header_wait

    @property
    def metered_delay(self) -> int:
        """Beats that go in before the first one is metered."""
        return self.delay + 2

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port, n = self.port, self.sizes.symbols_per_clock
        m.submodules.detector = detector = self.detector
        m.submodules.measurer = measurer = self.measurer
        m.submodules.solver = solver = TimingSolver()
        m.submodules.cutter = cutter = self.cutter
        m.submodules.gate = gate = self.gate
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # All registers move when a beat comes in, and only then: the stream has no end that would need flushing.
        step = Signal()
        pipeline = Pipeline(m, step)
        comes = self.i.valid & skid.i.ready
        if detector.shared:
            # Known a clock before: what moves lies all over a device. Both stay until the step.
            m.d.sync += step.eq(comes & ~step)
            m.d.comb += self.i.ready.eq(step)
        else:
            m.d.comb += step.eq(comes), self.i.ready.eq(skid.i.ready)
        m.d.comb += [
            detector.step.eq(step),
            measurer.step.eq(step),
            cutter.step.eq(step),
            detector.words.eq(self.i.payload.words),
            skid.i.valid.eq(step & cutter.valid),
            skid.i.payload.eq(cutter.beat),
            port.capabilities.symbols_per_clock.eq(n),
            port.capabilities.preamble.eq(self.sizes.preamble),
            port.capabilities.detector_chips.eq(self.sizes.detector_chips),
        ]
        lengths, slots, timing, eighths, tail, restart = self._take_settings(m)
        self._store_chips(m)

        # A peak in a beat's last lane ends with the beat; its rows come one later.
        ends_beat = detector.lane == n - 1
        before = pipeline.register(detector.found & ends_beat, reset=True)
        begin = pipeline.register((detector.found & ~ends_beat) | before, reset=True)
        offset = Signal(range(n))
        with m.If(step & (before | (detector.found & ~ends_beat))):
            m.d.sync += offset.eq(detector.lane + 1)
        row, older = self._align(m, pipeline, offset)
        events = self._linger(m, step)
        first = pipeline.register(begin, reset=True)
        m.d.comb += measurer.row.eq(row), measurer.first.eq(first)
        waits = [pipeline.history(row[1 + lane], self.header_wait)[-1] for lane in range(n)]
        m.d.comb += [
            cutter.words.eq(Cat(*waits)),
            cutter.begin.eq(pipeline.history(first, self.header_wait, reset=True)[-1]),
            cutter.offset.eq(offset),
            cutter.magnitude.eq(detector.magnitude),
            cutter.reference.eq(self._reference(m, pipeline, measurer.correlation, eighths)),
            cutter.events.eq(events),
            cutter.lengths.eq(lengths),
            cutter.restart.eq(restart),
            solver.start.eq(step & measurer.done),
            solver.correlation.eq(measurer.correlation),
            solver.slant.eq(measurer.slant),
            solver.distance.eq(cutter.distance),
            solver.expected.eq(cutter.expected),
            solver.settings.eq(timing),
            solver.restart.eq(restart),
            cutter.solved.eq(solver.done),
            cutter.timing.phase.eq(solver.phase),
            cutter.timing.weak.eq(solver.weak),
            cutter.timing.locked.eq(solver.locked),
            cutter.timing.ahead.eq(solver.ahead),
            cutter.timing.correlation.eq(measurer.correlation),
            port.control.locked.eq(solver.locked),
            port.phase.late.eq(solver.phase),
            Cat(port.clock_low.word, port.clock_high.word).eq(solver.step),
        ]
        m.d.comb += [
            gate.step.eq(step),
            Value.cast(gate.words).eq(pipeline.history(older, self.header_wait)[-1]),
            gate.offset.eq(pipeline.history(offset, 1 + self.header_wait)[-1]),
            gate.begin.eq(cutter.begin),
            gate.pays.eq(cutter.pays),
            gate.ends.eq(cutter.ends),
            gate.slots.eq(slots),
            gate.touched.eq(events),
            gate.restart.eq(restart),
            self.metered.eq(gate.o),
        ]
        begins = Cat(detector.busy, before, begin, pipeline.history(first, self.header_wait, reset=True)).any()
        m.d.comb += port.control.active.eq(begins | cutter.active | solver.busy | solver.done)
        self._command(m, solver, cutter, tail)
        self._count(m, cutter)
        return m

    def _take_settings(self, m: Module) -> tuple[Signal, Signal, Signal, Signal, Signal, Signal]:
        """Take all settings when no frame is under way, or refuse them.

        Returns those of cutter, gate and solver, the header's direction, symbols from a preamble's end to a command's
        place, and a pulse behind which they stand.
        """
        port, sizes, detector = self.port, self.sizes, self.detector
        n = sizes.symbols_per_clock
        shift = exact_log2(n)
        lengths, slots, timing = Signal(LENGTHS), Signal(SLOTS), Signal(TIMING)
        eighths, tail, restart = Signal(3), Signal(PLACE_BITS), Signal()
        threshold, loaded = Signal(MAGNITUDE_BITS), Signal()
        # The verdict takes a clock for sums, one for those of sums, and one for comparisons.
        pending, ready = Signal(), Signal(3)
        header = port.header.repetition << exact_log2(NUMBER_BITS)
        long, behind, whole = Signal(LENGTH_BITS + 1), Signal(LENGTH_BITS + 2), Signal()
        with_pause, with_slots = Signal(LENGTH_BITS + 2), Signal(LENGTH_BITS + 3)
        refused = Signal()
        m.d.sync += [
            long.eq(header + port.payload.length),
            behind.eq(port.vacuum.length + port.calibration.length + sizes.preamble),
            whole.eq(port.payload.length.any() & ~rest(port, shift).any()),
            with_pause.eq(long + (sizes.preamble + PAUSE_BEATS * n)),
            with_slots.eq(long + behind),
        ]
        enough = long >= SOLVE_BEATS * n
        fits = (port.period.length >= with_pause) & (port.period.length >= with_slots)
        m.d.sync += refused.eq(~(whole & enough & fits))
        m.d.comb += port.control.apply.busy.eq(pending), port.control.loaded.eq(loaded)
        m.d.comb += detector.threshold.eq(threshold), detector.run.eq(loaded & port.control.run & ~pending)
        m.d.comb += detector.restart.eq(restart)
        m.d.sync += restart.eq(0), ready.eq(Cat(pending, ready))
        with m.If(port.control.apply.start):
            m.d.sync += pending.eq(1), ready.eq(0)
        with m.Elif(pending & ready.all() & ~port.control.active):
            m.d.sync += pending.eq(0)
            m.d.comb += port.status.settings_refused.eq(refused)
            with m.If(~refused):
                m.d.sync += [
                    loaded.eq(1),
                    restart.eq(1),
                    threshold.eq(port.threshold.magnitude),
                    eighths.eq(port.header.eighths),
                    tail.eq(long + port.retime_after.symbols),
                    lengths.repetition.eq(port.header.repetition),
                    lengths.header.eq(header),
                    lengths.payload.eq(port.payload.length),
                    lengths.period.eq(port.period.length),
                    lengths.tolerance.eq(port.tolerance.symbols),
                    slots.vacuum.eq(port.vacuum.length),
                    slots.calibration.eq(port.calibration.length),
                    slots.margin.eq(port.margin.symbols),
                    timing.slope.eq(port.slope.symbols),
                    timing.weak.eq(port.weak.amplitude),
                    timing.wide.eq(port.wide.phase),
                    timing.step.eq(Cat(port.step_low.word, port.step_high.word)),
                ]
                for name in ("acquire", "track"):
                    for gain in ("phase", "drift", "frequency"):
                        m.d.sync += timing[name][gain].eq(getattr(port, f"{name}_{gain}").gain)
        return lengths, slots, timing, eighths, tail, restart

    def _store_chips(self, m: Module) -> None:
        """The signs of a chip, for the measurer and, where it looks at them, for the detector."""
        port, chip = self.port, self.port.chip
        store = Signal()
        signs = Cat(chip.negative_i, chip.negative_q)
        m.d.comb += [
            store.eq(chip.written & (chip.index < self.sizes.preamble) & ~port.control.active),
            port.status.chip_refused.eq(chip.written & ~store),
            self.measurer.store.eq(store),
            self.measurer.index.eq(chip.index),
            self.measurer.chip.eq(signs),
            self.detector.store.eq(store & chip.detector),
            self.detector.chip.eq(signs),
        ]

    def _align(self, m: Module, pipeline: Pipeline, offset: Signal) -> tuple[Signal, Signal]:
        """Let beats wait, and shift them.

        Returns rows, with the symbol before and the one behind each, and the beat that is each one's older half.
        """
        n = self.sizes.symbols_per_clock
        words = Value.cast(self.i.payload.words)
        m.submodules.waiting = memory = Memory(
            shape=len(words), depth=self.depth, init=[], attrs={"ram_style": "block"}
        )
        write, read = memory.write_port(), memory.read_port()
        place, next_place = Signal(range(self.depth)), Signal(range(self.depth))
        m.d.comb += [
            next_place.eq(Mux(place == self.depth - 1, 0, place + 1)),
            write.addr.eq(place),
            write.data.eq(words),
            write.en.eq(pipeline.advance),
            read.addr.eq(next_place),
            read.en.eq(pipeline.advance),
        ]
        with m.If(pipeline.advance):
            m.d.sync += place.eq(next_place)
        previous = pipeline.register(read.data)
        last = pipeline.register(previous)
        bits = 2 * SAMPLE.width
        line = Cat(last[-bits:], previous, read.data)
        row = Signal(endless_words(n + 2, SAMPLE)["words"].shape, reset_less=True)
        with m.If(pipeline.advance):
            m.d.sync += Value.cast(row).eq(line >> Cat(Const(0, exact_log2(bits)), offset) if n > 1 else line)
        return row, last

    def _reference(self, m: Module, pipeline: Pipeline, correlation: Value, eighths: Signal) -> Value:
        """``model.reference``, two steps after R(0): turned by the odd eighth, and what is nearest by the quarters."""
        odd, quarters = eighths[0], pipeline.register(eighths[1:])
        turned = [
            pipeline.register(correlation.i - Mux(odd, correlation.q, 0)),
            pipeline.register(correlation.q + Mux(odd, correlation.i, 0)),
        ]
        nearest = []
        sizes = [negate_where(value[-1], value) for value in turned]
        for value, size, other in zip(turned, sizes, reversed(sizes), strict=True):
            sign = Mux(value < 0, Const(-1, signed(2)), Const(1, signed(2)))
            nearest.append(Mux((size << 1) < other, 0, sign))
        i, q = nearest
        # Zero is on no side: whichever way it is turned, its signs are those of zero.
        quarters = Mux(Cat(turned).any(), quarters, 0)
        result = Signal(REFERENCE)
        for rail, choices in (("i", (i, -q, -i, q)), ("q", (q, i, -q, -i))):
            m.d.comb += result[rail].eq(pipeline.register(Array(choices)[quarters], signed(2)))
        return result

    def _linger(self, m: Module, step: Signal) -> Value:
        """Each event for `reach` beats: until the symbols that were in the chain have passed the cutter."""
        lingering = []
        for number in range(len(EVENTS)):
            left = Signal(range(self.reach + 1), name=f"event_{number}")
            with m.If(self.events[number]):
                m.d.sync += left.eq(self.reach)
            with m.Elif(step & left.any()):
                m.d.sync += left.eq(left - 1)
            lingering.append(left.any())
        return Cat(*lingering)

    def _command(self, m: Module, solver: TimingSolver, cutter: FrameCutter, tail: Signal) -> None:
        """Hand the command to the resampler."""
        m.submodules.retimes = skid = SkidBuffer(self.retime.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.retime))
        place, offered = Signal(PLACE_BITS), Signal()
        m.d.sync += place.eq((cutter.end + tail) << 1), offered.eq(solver.done & ~solver.weak)
        m.d.comb += [
            skid.i.valid.eq(offered),
            skid.i.payload.words.at.eq(place),
            skid.i.payload.words.jump.eq(solver.jump),
            skid.i.payload.words.step.eq(solver.step),
            self.port.status.retime_lost.eq(offered & ~skid.i.ready),
        ]

    def _count(self, m: Module, cutter: FrameCutter) -> None:
        """Counters and sticky flags; a frame counts when its trailer is made."""
        port, clear = self.port, self.port.control.clear_counters.start
        good, marked = cutter.handed & ~cutter.flags.any(), cutter.handed & cutter.flags.any()
        for register, increment in (
            (port.frames_good, good),
            (port.frames_marked, marked),
            (port.frames_missing, cutter.missing),
        ):
            m.d.comb += register.count.eq(event_counter(m, COUNTER_BITS, increment, clear))
        m.d.comb += port.status.missing.eq(cutter.missing)
        for number, flag in enumerate(Flag):
            m.d.comb += getattr(port.status, str(flag.name).lower()).eq(cutter.handed & cutter.flags[number])


def rest(port: wiring.PureInterface, shift: int) -> Value:
    """What the parts of a frame are more than whole beats."""
    lengths = (port.header.repetition, port.payload.length, port.vacuum.length, port.calibration.length)
    return Cat(length[:shift] for length in (*lengths, port.margin.symbols))
