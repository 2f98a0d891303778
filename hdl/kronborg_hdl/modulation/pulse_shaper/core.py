"""The pulse shaper in Amaranth."""

from __future__ import annotations

from dataclasses import dataclass, fields

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words
from ...dsp.arithmetic import drop_bits, event_counter, round_last_bit, saturate
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_filter
from .registers import REGISTERS

COUNTER_BITS = 32
RAILS = ("i", "q")


@dataclass(frozen=True)
class Token:
    """What travels beside an output beat.

    Attributes:
        valid: there is a beat.
        last: it is its frame's last.
        shift: bits to drop from this frame's sums.
    """

    valid: Value
    last: Value
    shift: Value

    def delayed(self, pipeline: Pipeline, steps: int) -> Token:
        """The token some steps later."""
        return Token(*(pipeline.history(getattr(self, field.name), steps, reset=True)[-1] for field in fields(self)))


@dataclass(frozen=True)
class FrameBeats:
    """What :func:`sequence_beats` says of the output beat that begins its way in this clock.

    Attributes:
        token: of it.
        begins: it begins a symbol.
        phase: its number among the beats of a symbol.
        symbols: those that begin, zero in the tail.
        load: new settings are to be used from the next beat on.
        pending: they were asked for and wait.
    """

    token: Token
    begins: Value
    phase: Value
    symbols: list[dict[str, Value]]
    load: Value
    pending: Value


def sequence_beats(
    m: Module, pipeline: Pipeline, core: wiring.Component, *, clocks_per_symbol: int, tail: int, flush: bool = False
) -> FrameBeats:
    """Take symbols, flush the tail with zeros, and change settings between frames.

    Args:
        m: module of the core.
        pipeline: that it feeds.
        core: with a stream ``i`` of symbols and a ``port`` with CONTROL.apply, CONTROL.loaded and SHIFT.
        clocks_per_symbol: beats of output for each beat of symbols.
        tail: beats of zero symbols behind a frame.
        flush: they come after a reset too, of whose output nothing is valid.
    """
    port, i = core.port, core.i
    starts, active, begins, complete, ends, boundary = (
        Signal(name=name) for name in ("starts", "active", "begins", "complete", "ends", "boundary")
    )
    phase = Signal(range(clocks_per_symbol))
    # Within a frame: its last symbol was taken, and so many beats of zeros follow the one under way.
    closing, closes = Signal(init=flush), Signal()
    left, follow = Signal(range(tail + 1), init=tail if flush else 0), Signal(range(tail + 1))
    first = Signal(init=1)
    pending, loaded, load = Signal(), Signal(), Signal()
    shift = Signal.like(port.shift.amount, init=0)

    m.d.comb += [
        starts.eq(phase == 0),
        i.ready.eq(pipeline.advance & loaded & starts & ~closing),
        begins.eq(starts & (closing | (i.valid & loaded))),
        active.eq(pipeline.advance & (begins | ~starts)),
        complete.eq(phase == clocks_per_symbol - 1),
        closes.eq(closing | (starts & i.payload.last)),
        follow.eq(Mux(starts, Mux(closing, left - 1, tail), left)),
        ends.eq(complete & closes & (follow == 0)),
        boundary.eq(Mux(active, ends, first)),
        load.eq(pending & boundary),
        port.control.loaded.eq(loaded),
    ]
    with m.If(active):
        m.d.sync += [
            phase.eq(Mux(complete, 0, phase + 1)),
            closing.eq(closes & ~ends),
            left.eq(follow),
            first.eq(ends),
        ]
    with m.If(port.control.apply.start):
        m.d.sync += pending.eq(1)
    with m.If(load):
        m.d.sync += pending.eq(0), loaded.eq(1), shift.eq(port.shift.amount)
    valid: Value = active
    if flush:
        flushing = Signal(init=1)
        with m.If(active & ends):
            m.d.sync += flushing.eq(0)
        valid = active & ~flushing
    symbols = [{rail: Mux(closing, 0, word[rail]) for rail in RAILS} for word in i.payload.words]
    return FrameBeats(Token(valid=valid, last=ends, shift=shift), begins, phase, symbols, load, pending)


class PulseShaper(wiring.Component):
    """Interpolate complex symbols with loadable real taps: M samples a symbol.

    Mathematics, for I and Q alike, with M samples a symbol, K symbols of span, and zeros before and after a frame::

        y[n M + j] = saturate( round( sum_k h[j + k M] a[n - k] / 2**shift ) ),   k = 0 ... K - 1,  j = 0 ... M - 1

    Structure: polyphase, systolic. Interpolation puts M - 1 zeros behind each symbol and filters with M K taps; of
    these only K meet a symbol, and only those are multiplied. With P = M / LANES clocks per symbol (or N = LANES / M
    symbols per clock) a chain per lane and rail adds K products, one after the other, as a DSP slice's cascade does:
    place k works k clocks after place 0. Two registers for each place and symbol carry the symbols along: they pass
    a place one clock later than the sum does, and one symbol later when the next one begins.

    Formats: symbols, taps and samples Q1.15. Products and sums are exact in 32 + ceil(log2 K) bits; there is one
    rounding, at the end, to nearest with ties towards plus infinity. What then does not fit 16 bits saturates, sets
    STATUS.saturated and is counted.

    Frames: after the beat with ``last`` the tail of the pulses is flushed by K - 1 zero symbols; meanwhile no symbol is
    taken. A frame of n symbols gives (n + K - 1) M samples, and ``last`` comes with the last of them. Frames do not see
    each other.

    Taps: two banks. The host fills one while the other works; CONTROL.apply changes over between two frames, the shift
    with it. After reset no symbol is taken before the first apply.

    Throughput: one beat of LANES samples per clock, always, tails included, if there is a beat of symbols every P
    clocks. Latency: :attr:`latency` clocks from a beat of symbols to the first beat that it has a part in.

    Resources: 2 K LANES multipliers of 16 x 16 bits, all busy in every clock (K = 33, 8 lanes: 528), and
    32 K min(M, LANES) P bits of memory for two banks of taps (P is rounded up to a power of two).

    Source: polyphase interpolators, Crochiere & Rabiner, Multirate Digital Signal Processing (1983), chapter 3.

    Args:
        lanes: samples per clock, one of ``dsp.rates.LANES``.
        samples_per_symbol: M, 2 to 16; a multiple or a divisor of `lanes`.
        span: K, symbols; K - 1 is a multiple of N, so that the tail is whole beats.

    Members:
        i: N = max(1, LANES / M) symbols per beat, and ``last``.
        o: LANES samples per clock, and ``last``.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: lanes, samples per symbol and span do not go together.
    """

    registers = REGISTERS

    def __init__(self, *, lanes: int, samples_per_symbol: int, span: int) -> None:
        m = samples_per_symbol
        check_filter(lanes, m, span)
        self.lanes = lanes
        self.samples_per_symbol = m
        self.span = span
        self.symbols_per_clock = max(1, lanes // m)
        self.clocks_per_symbol = max(1, m // lanes)
        self.accumulator_bits = 2 * SAMPLE.width + (span - 1).bit_length()
        if (span - 1) % self.symbols_per_clock:
            raise ValueError(
                f"a span of {span} symbols: with {self.symbols_per_clock} symbols per clock it must be one more than a "
                f"multiple of {self.symbols_per_clock}; append zero taps"
            )
        super().__init__(
            {
                "i": In(stream.Signature(complex_words(self.symbols_per_clock))),
                "o": Out(stream.Signature(complex_words(lanes))),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def tail(self) -> int:
        """Symbols by which a frame becomes longer; whole beats."""
        return self.span - 1

    @property
    def latency(self) -> int:
        """Clocks from the acceptance of a beat of symbols to its first samples at ``o`` when nothing pauses."""
        # Symbol and tap; the multiplier's registers of both; product; a sum per place; shifter; rounding; skid buffer.
        return 3 + self.span + 2 + 1

    @property
    def multipliers(self) -> int:
        """Multipliers of 16 x 16 bits."""
        return 2 * self.span * self.lanes

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        tail = self.tail // self.symbols_per_clock
        beats = sequence_beats(m, pipeline, self, clocks_per_symbol=self.clocks_per_symbol, tail=tail)
        taps = self._tap_memories(m, pipeline, self._rows(m, pipeline, beats))
        sums = self._multiply_and_add(m, pipeline, beats.begins, beats.symbols, taps)
        self._round(m, pipeline, beats.token.delayed(pipeline, self.span + 3), sums, skid.i)
        return m

    def _rows(self, m: Module, pipeline: Pipeline, beats: FrameBeats) -> list[Value]:
        """The row of taps that each place reads, place k reading k clocks after place 0: phase, and bank above it."""
        port, bank = self.port, Signal()
        with m.If(beats.load):
            m.d.sync += bank.eq(~bank)
        rows = pipeline.history(Cat(beats.phase, bank), self.span - 1, reset=True)
        # The host may write to the old bank when the last place has left it.
        banks = Cat(row[-1] for row in rows)
        m.d.comb += [
            port.control.apply.busy.eq(beats.pending | (banks.any() & ~banks.all())),
            port.capabilities.lanes.eq(self.lanes),
            port.capabilities.samples_per_symbol.eq(self.samples_per_symbol),
            port.capabilities.span.eq(self.span),
        ]
        return rows

    def _tap_memories(self, m: Module, pipeline: Pipeline, rows: list[Value]) -> list[data.View]:
        """A memory a place, a row for each phase of either bank, in it a tap for each lane. Returns what places read.

        Lane l stands at sample ``phase * lanes + l`` of a symbol or, with several symbols per clock, at ``l % M``.
        """
        port, tap = self.port, self.port.tap
        store = Signal()
        m.d.comb += [
            store.eq(tap.written & (tap.sample < self.samples_per_symbol) & ~port.control.apply.busy),
            port.status.tap_refused.eq(tap.written & ~(store & (tap.symbol < self.span))),
        ]
        width = min(self.lanes, self.samples_per_symbol)  # a power of two
        position, phase = tap.sample[: exact_log2(width)], tap.sample[exact_log2(width) :]
        phase_bits = len(rows[0]) - 1
        # All places have the same words, and are far apart: so there is a register before them. It is early enough, as
        # an apply begun in the very clock of the write lets no place read the new bank before it is done.
        value, address = Signal(signed(SAMPLE.width), reset_less=True), Signal(phase_bits + 1, reset_less=True)
        m.d.sync += value.eq(tap.value), address.eq(Cat(phase[:phase_bits], ~rows[0][-1]))
        taps = []
        for place, row in enumerate(rows):
            m.submodules[f"taps_{place}"] = memory = Memory(
                shape=data.ArrayLayout(signed(SAMPLE.width), width),
                depth=2 << phase_bits,
                init=[],
                attrs={"ram_style": "distributed"},
            )
            write, read = memory.write_port(granularity=1), memory.read_port()
            enable = Signal(width, name=f"store_{place}")
            m.d.sync += enable.eq(Cat(store & (position == n) & (tap.symbol == place) for n in range(width)))
            m.d.comb += [
                *(word.eq(value) for word in write.data),
                write.en.eq(enable),
                write.addr.eq(address),
                read.addr.eq(row),
                read.en.eq(pipeline.advance),
            ]
            taps.append(read.data)
        return taps

    def _multiply_and_add(
        self, m: Module, pipeline: Pipeline, begins: Value, symbols: list[dict[str, Value]], taps: list[data.View]
    ) -> list[dict[str, Value]]:
        """The sum of each lane and rail, a chain of K multiply-adds.

        Place k of lane l weighs the symbol k before the lane's own, which is number ``l // M`` of its beat. Going from
        one place to the next, each of a beat's symbols moves up by one; the first one's is the beat before's last.
        """
        width = min(self.lanes, self.samples_per_symbol)
        sums: list[dict[str, Value]] = [{rail: Const(0, signed(1)) for rail in RAILS} for _ in range(self.lanes)]
        for place in range(self.span):
            weighed, before = [], {}
            for number, symbol in enumerate(symbols):
                # Reset, unlike other words: a frame's flushed tail leaves zeros here, and so must a reset within it.
                now = {rail: Signal(signed(SAMPLE.width), name=f"symbol_{place}_{number}_{rail}") for rail in RAILS}
                with m.If(pipeline.advance & begins):
                    m.d.sync += (now[rail].eq(symbol[rail]) for rail in RAILS)
                weighed.append(now)
            for rail in RAILS:
                before[rail] = Signal(signed(SAMPLE.width), name=f"before_{place}_{rail}", reset_less=True)
                with m.If(pipeline.advance & begins):
                    m.d.sync += before[rail].eq(weighed[-1][rail])
            # A multiplier's own registers, which are not reset.
            factors = [{rail: pipeline.register(symbol[rail]) for rail in RAILS} for symbol in weighed]
            weights = [pipeline.register(tap) for tap in taps[place]]
            for lane, so_far in enumerate(sums):
                for rail in RAILS:
                    product = pipeline.register(factors[lane // width][rail] * weights[lane % width])
                    shape = signed(2 * SAMPLE.width + place.bit_length())
                    so_far[rail] = pipeline.register(so_far[rail] + product, shape)
            symbols = [before, *weighed[:-1]]
            begins = pipeline.register(begins, reset=True)
        return sums

    def _round(
        self, m: Module, pipeline: Pipeline, token: Token, sums: list[dict[str, Value]], o: stream.Interface
    ) -> None:
        """Shift, round and saturate, count words that did not fit, and hand beats to the output stream.

        `o` is ready whenever the pipeline advances.
        """
        words = Signal(complex_words(self.lanes)["words"].shape, reset_less=True)
        overflows = []
        for lane, total in enumerate(sums):
            for rail in RAILS:
                shifted = pipeline.register(drop_bits(total[rail], token.shift))
                word, overflow = saturate(round_last_bit(shifted), SAMPLE)
                overflows.append(pipeline.register(overflow))
                with m.If(pipeline.advance):
                    m.d.sync += words[lane][rail].eq(word)
        token = token.delayed(pipeline, 2)
        saturated = Signal(range(len(overflows) + 1))
        with m.If(pipeline.advance & token.valid):
            m.d.comb += saturated.eq(sum(overflows))
        count = event_counter(m, COUNTER_BITS, saturated, self.port.control.clear_counters.start)
        m.d.comb += self.port.status.saturated.eq(saturated.any()), self.port.saturations.count.eq(count)
        m.d.comb += o.valid.eq(token.valid), o.payload.words.eq(words), o.payload.last.eq(token.last)
