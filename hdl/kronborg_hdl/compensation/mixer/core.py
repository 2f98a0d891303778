"""The mixer in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.bank import register_port
from ...axi.stream import RETUNE, SkidBuffer, endless_words
from ...dsp.arithmetic import event_counter, saturate, word_shape
from ...dsp.formats import BASEBAND, SAMPLE, Format
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_lanes
from ...dsp.table_oscillator import TableOscillator
from ..phase_smoother.model import PHASOR
from .model import HALVINGS, HOP_BITS, OSCILLATORS, PILOT_DROP, PILOTS, SIGNAL_DROP
from .registers import OFFSETS, REGISTERS

COUNTER_BITS = 32
COMMANDS = 4
"""Commands that wait for their hop; more of them wait at the port."""
RAILS = ("i", "q")
_WORD_STEPS = 2
"""From a beat to its increments: the beat's frequency is chosen; the offset is added."""


class Mixer(wiring.Component):
    """Bring the signal and both pilots to baseband, with oscillators that follow the lasers' beat.

    Mathematics: the model has it in full. Each of three oscillators runs at the beat plus its own offset; the signal
    comes out sample by sample, each pilot summed over the samples of a hop.

    Structure: three oscillators without multipliers (``dsp.table_oscillator``), a product of sample and phasor for each
    lane and rail, a tree of adders for each pilot. The increments travel with the samples: a command acts on the sample
    that it names, whatever pauses.

    Formats: samples Q1.15, signal Q1.17, pilots Q5.15. Products are exact and rounded once, to nearest with ties
    towards plus infinity. Products of complex samples that do not fit saturate, set STATUS.saturated and are counted.
    What rounding adds to the signal: 1 / (96 s**2) SNU for shot noise of s words, 0.001 mSNU for 100; see the model.

    Commands: `retune` says from which hop on the beat is another. They come in order; one acts in a clock. Phases are
    continuous. One that is late acts with the next hop and sets STATUS.late. What CONTROL.apply brings is in use from
    the next hop on; a command for the same hop is newer. With ``forget`` commands that wait, or are taken in that
    clock, do nothing: one for a hop far ahead would keep all that come behind it.

    Reset: phases are zero, hops are counted from zero. Before the first apply, beat and offsets are zero: samples pass.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks for the signal.

    Resources per lane: six multipliers of 16 x 16 bits, twelve if the input is complex, and six RAMB36.

    Args:
        lanes: samples per clock L, one of ``dsp.rates.LANES``.
        halvings: half-band stages D behind it, 0 to 3; a hop is 2 << D samples.
        complex_input: samples have I and Q.

    Members:
        i: L samples per clock, real or complex.
        o: the signal.
        pilots: for each hop pilot 0, then pilot 1; ``hops_per_clock`` hops, as often as they are complete.
        retune: commands, see ``axi.stream.RETUNE``.
        forget: a pulse: commands that came so far do nothing; the beat stays.
        saturated: a pulse: words were clipped.
        late: a pulse: a command was late.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of lanes or stages.
    """

    registers = REGISTERS

    def __init__(self, *, lanes: int, halvings: int, complex_input: bool = False) -> None:
        check_lanes(lanes)
        if halvings not in HALVINGS:
            raise ValueError(f"{halvings} half-band stages: must be one of {', '.join(map(str, HALVINGS))}")
        self.lanes = lanes
        self.halvings = halvings
        self.complex_input = complex_input
        self.hop = 2 << halvings
        self.hops_per_clock = max(1, lanes // self.hop)
        self.beats_per_hop = max(1, self.hop // lanes)
        real = data.StructLayout({"words": data.ArrayLayout(word_shape(SAMPLE), lanes)})
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(lanes, SAMPLE) if complex_input else real)),
                "o": Out(stream.Signature(endless_words(lanes, BASEBAND))),
                "pilots": Out(stream.Signature(endless_words(PILOTS * self.hops_per_clock, PHASOR))),
                "retune": In(stream.Signature(RETUNE)),
                "forget": In(1),
                "saturated": Out(1),
                "late": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def _steps(self) -> int:
        """Steps from a beat to its mixed words: product and rounding, and for complex samples a sum."""
        return _WORD_STEPS + TableOscillator.LATENCY + 2 + self.complex_input

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to the same beat at ``o`` when nothing pauses."""
        return self._steps + 1

    @property
    def pilot_latency(self) -> int:
        """Clocks from the acceptance of a hop's last beat to the hop at ``pilots`` when nothing pauses."""
        return self._steps + exact_log2(min(self.lanes, self.hop)) + (self.beats_per_hop > 1) + 1

    @property
    def multipliers(self) -> int:
        """Multipliers of 16 x 16 bits."""
        return self.lanes * OSCILLATORS * (4 if self.complex_input else 2)

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        m.submodules.skid_pilots = skid_pilots = SkidBuffer(self.pilots.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        wiring.connect(m, skid_pilots.o, wiring.flipped(self.pilots))
        # The pipeline moves as a whole, or pauses as a whole when either skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready & skid_pilots.i.ready)
        accept = self.i.valid & pipeline.advance
        m.d.comb += [
            self.i.ready.eq(pipeline.advance),
            port.capabilities.lanes.eq(self.lanes),
            port.capabilities.hop.eq(self.hop),
            port.capabilities.complex_input.eq(int(self.complex_input)),
        ]
        begins, ends, words = self._increments(m, pipeline, accept)
        valid = pipeline.history(accept, self._steps, reset=True)
        mixed = [
            self._mix(m, pipeline, name, word, valid[_WORD_STEPS], BASEBAND if name == "signal" else SAMPLE)
            for name, word in zip(OFFSETS, words, strict=True)
        ]
        for out, (word, _) in zip(skid.i.payload.words, mixed[0], strict=True):
            m.d.comb += (out[rail].eq(word[rail]) for rail in RAILS)
        m.d.comb += skid.i.valid.eq(valid[-1] & pipeline.advance)
        begins, ends = (pipeline.history(edge, self._steps)[-1] for edge in (begins, ends))
        for pilot, lanes in enumerate(mixed[1:]):
            complete = self._sum_hops(
                m, pipeline, pilot, [word for word, _ in lanes], (valid[-1], begins, ends), skid_pilots.i
            )
        m.d.comb += skid_pilots.i.valid.eq(complete & pipeline.advance)
        self._count(m, valid[-1] & pipeline.advance, [overflow for lanes in mixed for _, overflow in lanes])
        return m

    def _increments(self, m: Module, pipeline: Pipeline, accept: Value) -> tuple[Value, Value, list[Value]]:
        """Whether a beat begins and ends a hop, and, `_WORD_STEPS` later, its increment of each oscillator."""
        port = self.port
        commands = SyncFIFOBuffered(width=len(Value.cast(self.retune.payload)), depth=COMMANDS)
        m.submodules.commands = ResetInserter(self.forget)(commands)
        command = data.View(RETUNE, commands.r_data).words
        m.d.comb += [
            commands.w_data.eq(self.retune.payload),
            commands.w_en.eq(self.retune.valid),
            self.retune.ready.eq(commands.w_rdy),
        ]
        number, beats = Signal(HOP_BITS), Signal(range(self.beats_per_hop))
        begins, ends = beats == 0, beats == self.beats_per_hop - 1
        with m.If(accept):
            m.d.sync += beats.eq(beats + 1)  # their number is a power of two: the last one is followed by the first
            with m.If(ends):
                m.d.sync += number.eq(number + self.hops_per_clock)
        past = (number - command.at)[:HOP_BITS]
        act, late, pending = Signal(), Signal(), Signal()
        m.d.comb += [
            act.eq(accept & begins & commands.r_rdy & ~past[-1] & ~self.forget),
            late.eq(act & past[exact_log2(self.hops_per_clock) :].any()),
            commands.r_en.eq(act),
            port.control.apply.busy.eq(pending),
            port.status.late.eq(self.late),
            port.hop.number.eq(number),
        ]
        m.d.sync += self.late.eq(late)
        clear = port.control.clear_counters.start
        m.d.comb += port.late_commands.count.eq(event_counter(m, COUNTER_BITS, late, clear))

        beat = Signal.like(port.beat.word)
        offsets = [Signal.like(port.beat.word, name=f"{name}_offset") for name in OFFSETS]
        now = pipeline.register(Mux(act, command.beat, beat))
        words = [pipeline.register((now + pipeline.register(offset))[: len(now)]) for offset in offsets]
        m.d.comb += port.beat_now.word.eq(beat)
        with m.If(act):
            m.d.sync += beat.eq(command.beat)
        with m.If(port.control.apply.start):
            m.d.sync += pending.eq(1)
        with m.If(pending & Mux(accept, ends, begins)):
            m.d.sync += pending.eq(0), beat.eq(port.beat.word)
            m.d.sync += (
                offset.eq(getattr(port, f"{name}_offset").word) for name, offset in zip(OFFSETS, offsets, strict=True)
            )
        return begins, ends, words

    def _mix(
        self, m: Module, pipeline: Pipeline, name: str, word: Value, valid: Value, to: Format
    ) -> list[tuple[dict[str, Value], Value]]:
        """Of each lane the rounded product with exp(-i theta), and how many of its rails did not fit."""
        m.submodules[name] = oscillator = TableOscillator(lanes=self.lanes, conjugate=True)
        m.d.comb += [
            oscillator.word.eq(word),
            oscillator.accept.eq(valid & pipeline.advance),
            oscillator.advance.eq(pipeline.advance),
        ]
        drop = SIGNAL_DROP if to is BASEBAND else PILOT_DROP
        half = 1 << (drop - 1)
        mixed: list[tuple[dict[str, Value], Value]] = []
        for sample, phasor in zip(self.i.payload.words, oscillator.o, strict=True):
            rails = [sample.i, sample.q] if self.complex_input else [sample]
            i, *q = (pipeline.history(rail, _WORD_STEPS + TableOscillator.LATENCY)[-1] for rail in rails)
            products = [pipeline.register(i * phasor.cosine), pipeline.register(i * phasor.sine)]
            if not q:
                # The largest product is 2**30 - 2**15: it fits.
                rounded = (pipeline.register((product + half) >> drop, word_shape(to)) for product in products)
                mixed.append((dict(zip(RAILS, rounded, strict=True)), Value.cast(0)))
                continue
            others = [pipeline.register(q[0] * phasor.sine), pipeline.register(q[0] * phasor.cosine)]
            sums = (products[0] - others[0], products[1] + others[1])
            clipped, overflows = zip(
                *(saturate(pipeline.register((total + half) >> drop), to) for total in sums), strict=True
            )
            overflow = pipeline.register(overflows[0] + overflows[1])
            mixed.append((dict(zip(RAILS, map(pipeline.register, clipped), strict=True)), overflow))
        return mixed

    def _sum_hops(
        self,
        m: Module,
        pipeline: Pipeline,
        pilot: int,
        lanes: list[dict[str, Value]],
        beat: tuple[Value, Value, Value],
        o: stream.Interface,
    ) -> Value:
        """Sum a pilot's words over each hop, into the payload of `o`. Returns whether hops are complete.

        `beat` says of the words whether they are valid, begin a hop, and end one.
        """
        count = min(self.lanes, self.hop)
        steps = exact_log2(count)
        valid, begins, ends = (pipeline.history(flag, steps, reset=True)[-1] for flag in beat)
        complete = pipeline.register(valid & ends, reset=True) if self.beats_per_hop > 1 else valid
        for hop in range(self.hops_per_clock):
            for rail in RAILS:
                sums = [word[rail] for word in lanes[hop * count : (hop + 1) * count]]
                while len(sums) > 1:
                    sums = [pipeline.register(a + b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
                total = sums[0]
                if self.beats_per_hop > 1:
                    total = Signal(word_shape(PHASOR), name=f"pilot_{pilot}_{rail}")
                    with m.If(pipeline.advance & valid):
                        m.d.sync += total.eq(sums[0] + Mux(begins, 0, total))
                m.d.comb += o.payload.words[PILOTS * hop + pilot][rail].eq(total)
        return complete

    def _count(self, m: Module, valid: Value, overflows: list[Value]) -> None:
        """Count words that did not fit; lane by lane first, so that no clock adds up more than a few."""
        clear = self.port.control.clear_counters.start
        counts = []
        for lane in range(self.lanes):
            count = Signal(range(2 * OSCILLATORS + 1), name=f"overflows_{lane}")
            m.d.sync += count.eq(Mux(valid, sum(overflows[lane :: self.lanes]), 0))
            counts.append(count)
        total = sum(counts)
        m.d.comb += [
            self.saturated.eq(Cat(counts).any()),
            self.port.status.saturated.eq(self.saturated),
            self.port.saturations.count.eq(event_counter(m, COUNTER_BITS, total, clear)),
        ]
