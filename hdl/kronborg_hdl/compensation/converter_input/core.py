"""The converter's input in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.hdl import ValueLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, endless_words
from ...dsp.arithmetic import drop_bits, event_counter, round_last_bit, saturate, word_shape
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_lanes
from .model import BLOCK, BLOCK_BITS, COEFFICIENT_FRACTION, MEAN_FRACTION, UNITY
from .registers import REGISTERS

COUNTER_BITS = 32
RAILS = ("i", "q")
MEAN_BITS = SAMPLE.width + MEAN_FRACTION


class ConverterInput(wiring.Component):
    """Make the converter's words fit for the receiver: over-range told, offset removed, I and Q made alike.

    Mathematics: the model has it. Offsets follow the mean block by block: within 4096 samples they are constant.

    Structure: the offset of a block is settled while the block before it passes; nothing waits for it. Q is a sum of
    two products.

    Formats: words Q1.15 in and out; gain and skew have 14 fraction bits, a mean 16 more than a word. A word that does
    not fit saturates, sets STATUS.saturated and is counted. Rounding, to nearest with ties towards plus infinity, is of
    Q alone: 1 / (24 s**2) SNU for shot noise of s words a rail, 0.004 mSNU for 100, if gain or skew are in use; see the
    model.

    Over-range: raw words at a threshold or beyond, as they come, are counted and told by a pulse.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks.

    Resources per lane: none of multipliers for real samples, for complex ones two of 16 x 16 bits.

    Args:
        lanes: samples per clock L, one of ``dsp.rates.LANES``.
        complex_input: samples have I and Q.

    Members:
        i: L samples per clock, real or complex.
        o: the same.
        over_range: a pulse: raw words were at a threshold or beyond.
        saturated: a pulse: words were clipped.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of lanes.
    """

    registers = REGISTERS

    def __init__(self, *, lanes: int, complex_input: bool = False) -> None:
        check_lanes(lanes)
        self.lanes = lanes
        self.complex_input = complex_input
        real = data.StructLayout({"words": data.ArrayLayout(word_shape(SAMPLE), lanes)})
        words = endless_words(lanes, SAMPLE) if complex_input else real
        super().__init__(
            {
                "i": In(stream.Signature(words)),
                "o": Out(stream.Signature(words)),
                "over_range": Out(1),
                "saturated": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to the same beat at ``o`` when nothing pauses."""
        # Difference; saturation; of complex samples products, rounding, saturation; skid buffer.
        return 2 + 3 * self.complex_input + 1

    @property
    def multipliers(self) -> int:
        """Multipliers of 16 x 16 bits."""
        return 2 * self.lanes * self.complex_input

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        accept = self.i.valid & pipeline.advance
        valid = pipeline.history(accept, self.latency - 1, reset=True)
        m.d.comb += [
            self.i.ready.eq(pipeline.advance),
            skid.i.valid.eq(valid[-1]),
            port.capabilities.lanes.eq(self.lanes),
            port.capabilities.complex_input.eq(int(self.complex_input)),
            port.control.apply.busy.eq(0),
            port.control.load_offset.busy.eq(0),
        ]
        samples = self.i.payload.words
        rails = [[word[rail] for word in samples] for rail in RAILS] if self.complex_input else [list(samples)]
        self._watch(m, pipeline, valid[1] & pipeline.advance, [word for rail in rails for word in rail])

        beat = Signal(range(BLOCK // self.lanes))
        last = beat == BLOCK // self.lanes - 1
        with m.If(accept):
            m.d.sync += beat.eq(beat + 1)  # their number is a power of two: the last one is followed by the first
        edges = (accept, beat == 0, last)
        words, overflows = [], []
        for name, rail in zip(RAILS, rails, strict=False):
            offset = self._track(m, pipeline, name, rail, edges)
            clipped, overflow = zip(*(saturate(pipeline.register(word - offset), SAMPLE) for word in rail), strict=True)
            words.append([pipeline.register(word) for word in clipped])
            overflows.append([pipeline.register(flag) for flag in overflow])
        out = self._balance(m, pipeline, words, overflows) if self.complex_input else words
        for lane, word in enumerate(skid.i.payload.words):
            targets = [word[rail] for rail in RAILS] if self.complex_input else [word]
            m.d.comb += (target.eq(rail[lane]) for target, rail in zip(targets, out, strict=True))
        self._count(m, valid[-1] & pipeline.advance, [flag for rail in overflows for flag in rail])
        return m

    def _setting(self, m: Module, field: ValueLike, reset: int = 0) -> Signal:
        """A field as it was at the last apply."""
        kept = Signal(Value.cast(field).shape(), init=reset)
        with m.If(self.port.control.apply.start):
            m.d.sync += kept.eq(field)
        return kept

    def _watch(self, m: Module, pipeline: Pipeline, valid: Value, raw: list[Value]) -> None:
        """Count raw words that are over-range; `valid` is for the flags, a step after the words."""
        field = REGISTERS["threshold"]
        upper = self._setting(m, self.port.threshold.upper, field["upper"].reset)
        lower = self._setting(m, self.port.threshold.lower, field["lower"].reset)
        flags = [pipeline.register((word >= upper) | (word <= lower)) for word in raw]
        count = Mux(valid, sum(flags), 0)
        clear = self.port.control.clear_counters.start
        m.d.sync += self.over_range.eq(Cat(flags).any() & valid)
        m.d.comb += [
            self.port.status.over_range.eq(self.over_range),
            self.port.over_ranges.count.eq(event_counter(m, COUNTER_BITS, count, clear)),
        ]

    def _track(
        self, m: Module, pipeline: Pipeline, rail: str, raw: list[Value], edges: tuple[Value, Value, Value]
    ) -> Value:
        """The offset of a rail for the beat at the input.

        `edges` says of that beat whether it is accepted, begins a block, and ends one.
        """
        port = self.port
        accept, _, last = edges
        sums, steps = raw, 0
        while len(sums) > 1:
            sums = [pipeline.register(a + b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
            steps += 1
        valid, begins, ends = (pipeline.history(flag, steps, reset=True)[-1] for flag in edges)
        total = Signal(signed(SAMPLE.width + BLOCK_BITS), name=f"sum_{rail}")
        complete = Signal(3, name=f"complete_{rail}")  # the block's sum stands; difference; shifted
        with m.If(pipeline.advance & valid):
            m.d.sync += total.eq(sums[0] + Mux(begins, 0, total))
        m.d.sync += complete.eq(Cat(pipeline.advance & valid & ends, complete))

        averaging, hold = self._setting(m, port.tracking.averaging), self._setting(m, port.tracking.hold, 1)
        mean = Signal(signed(MEAN_BITS), name=f"mean_{rail}")
        offset = Signal(word_shape(SAMPLE), name=f"offset_{rail}")
        difference, shifted = Signal(signed(MEAN_BITS + 1)), Signal(signed(MEAN_BITS + 2))
        m.d.sync += [
            difference.eq((total << (MEAN_FRACTION - BLOCK_BITS)) - mean),
            shifted.eq(drop_bits(difference, averaging)),
        ]
        with m.If(complete[2] & ~hold):
            m.d.sync += mean.eq(mean + round_last_bit(shifted))
        with m.If(accept & last):
            m.d.sync += offset.eq((mean + (1 << (MEAN_FRACTION - 1))) >> MEAN_FRACTION)
        with m.If(port.control.load_offset.start):
            own = getattr(port.offset, rail)
            m.d.sync += mean.eq(own << MEAN_FRACTION), offset.eq(own)
        m.d.comb += getattr(port, f"mean_{rail}").word.eq(mean)
        return offset

    def _balance(
        self, m: Module, pipeline: Pipeline, words: list[list[Value]], overflows: list[list[Value]]
    ) -> list[list[Value]]:
        """Both rails with gain and skew in Q, three steps later; the flags of what did not fit are moved on as well."""
        # Settings go with the samples: those under way keep theirs.
        gain = pipeline.history(self._setting(m, self.port.gain.word, UNITY), 2)[-1]
        skew = pipeline.history(self._setting(m, self.port.skew.word), 2)[-1]
        half = 1 << (COEFFICIENT_FRACTION - 1)
        out: list[list[Value]] = [[], []]
        flags: list[list[Value]] = [[], []]
        for i, q, *flag in zip(*words, *overflows, strict=True):
            products = pipeline.register(q * gain), pipeline.register(i * skew)
            total = pipeline.register((products[0] + products[1] + half) >> COEFFICIENT_FRACTION)
            clipped, overflow = saturate(total, SAMPLE)
            out[0].append(pipeline.history(i, 3)[-1])
            out[1].append(pipeline.register(clipped))
            flags[0].append(pipeline.history(flag[0] + flag[1], 3)[-1])
            flags[1].append(pipeline.register(overflow))
        overflows[:] = flags
        return out

    def _count(self, m: Module, valid: Value, overflows: list[Value]) -> None:
        """Count words that did not fit."""
        count = Signal(unsigned(6))
        m.d.comb += count.eq(Mux(valid, sum(overflows), 0))
        clear = self.port.control.clear_counters.start
        m.d.sync += self.saturated.eq(count.any())
        m.d.comb += [
            self.port.status.saturated.eq(self.saturated),
            self.port.saturations.count.eq(event_counter(m, COUNTER_BITS, count, clear)),
        ]
