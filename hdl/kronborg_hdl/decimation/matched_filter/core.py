"""The decimating matched filter in Amaranth."""

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
    """What travels beside a beat's words.

    Attributes:
        valid: there is a beat.
        first: it is its frame's first.
        begins: it begins a symbol.
        completes: it is valid and completes a symbol.
        ends: it is valid and ends its frame.
        shift: bits to drop from this frame's sums.
    """

    valid: Value
    first: Value
    begins: Value
    completes: Value
    ends: Value
    shift: Value

    def delayed(self, pipeline: Pipeline, steps: int) -> Token:
        """The token some steps later."""
        return Token(*(pipeline.history(getattr(self, field.name), steps, reset=True)[-1] for field in fields(self)))


class MatchedFilter(wiring.Component):
    """Filter complex samples with loadable real taps and keep one output per symbol.

    Mathematics, for I and Q alike, with M samples a symbol, K symbols of span and L = M K taps::

        y[s] = saturate( round( sum_j h[j] x[s M + M - L + j] / 2**shift ) ),   j = 0 ... L - 1

    Taps are in correlation order (h[0] weighs the oldest sample) and need no symmetry, so that they can hold a
    root-raised cosine with the measured fraction of a sample of delay. A frame ends with ``last``; samples before its
    first are zero, frames do not see each other.

    Structure: polyphase, transposed. Only kept outputs are computed. With P = M / LANES clocks per symbol (or
    N = LANES / M symbols per clock), each of K + N - 1 slots gathers one symbol that is under way. In each clock a slot
    adds the products of all lanes that contribute to it, lane by lane down a chain that a DSP slice's cascade carries:
    lane l works l clocks after lane 0. At the end of a symbol the slots move N places towards the output.

    Formats: samples, taps and symbols Q1.15. Products and sums are exact in 32 + ceil(log2 L) bits; there is one
    rounding, at the end, to nearest with ties towards plus infinity. What then does not fit 16 bits saturates, sets
    STATUS.saturated and is counted.

    Frame ends: ``last`` of a frame comes out with its last complete symbol. With P > 1 a frame can end within a symbol;
    its samples are dropped, counted, and set STATUS.dropped. Therefore a symbol waits, when P > 1, for its successor or
    for the frame's end, as only then its ``last`` is known. A frame without a complete symbol gives no output.

    Taps: two banks. The host fills one while the other works; CONTROL.apply changes over between two frames, the shift
    with it. After reset no sample is taken before the first apply.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks from the beat that completes a symbol to the
    symbol. With P > 1 it counts from the beat that completes the symbol's successor or ends the frame; if the beat that
    ends the frame completes a symbol, that symbol comes one clock after the one before it.

    Gain: as the model says for the taps that the host loads (``model.MatchedFilter.gain``).

    Resources: 2 K LANES multipliers of 16 x 16 bits, all busy in every clock (K = 33, 8 lanes: 528), 2 (K + N - 1)
    accumulators, 32 L N bits of memory for two banks of taps (a row count that is not a power of two is rounded up).

    Source: polyphase decimators, Crochiere & Rabiner, Multirate Digital Signal Processing (1983), chapter 3.

    Args:
        lanes: samples per clock, one of ``dsp.rates.LANES``.
        samples_per_symbol: M, 2 to 16; a multiple or a divisor of `lanes`.
        span: K, symbols.

    Members:
        i: LANES samples per clock, and ``last``.
        o: N = max(1, LANES / M) symbols per clock, and ``last``.
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
        self.accumulator_bits = 2 * SAMPLE.width + (m * span - 1).bit_length()
        super().__init__(
            {
                "i": In(stream.Signature(complex_words(lanes))),
                "o": Out(stream.Signature(complex_words(self.symbols_per_clock))),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to a symbol at ``o`` when nothing pauses; see above for which beat."""
        # Sample and tap; product; a sum per lane; slot; shifter; rounding; skid buffer.
        return 2 + self.lanes + 1 + 2 + 1

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
        token, rows = self._accept_beats(m, pipeline)
        taps = self._tap_memories(m, pipeline, rows)
        token, sums = self._multiply_and_add(pipeline, token, taps)
        token, slots = self._gather_symbols(m, pipeline, token, sums)
        token, words = self._round(m, pipeline, token, slots)
        self._mark_last(m, pipeline, token, words, skid.i)
        return m

    def _accept_beats(self, m: Module, pipeline: Pipeline) -> tuple[Token, list[Value]]:
        """Take beats, and change taps between frames. Returns a beat's token, and the row of taps that each lane reads.

        Lane l reads l clocks after lane 0.
        """
        port, last = self.port, self.i.payload.last
        accept, complete, boundary = Signal(), Signal(), Signal()
        phase = Signal(range(self.clocks_per_symbol))
        first = Signal(init=1)
        pending, loaded, bank = Signal(), Signal(), Signal()
        shift = Signal.like(port.shift.amount, init=0)

        m.d.comb += [
            self.i.ready.eq(pipeline.advance & loaded),
            accept.eq(self.i.valid & self.i.ready),
            complete.eq(phase == self.clocks_per_symbol - 1),
            boundary.eq(Mux(accept, last, first)),
            port.control.loaded.eq(loaded),
            port.capabilities.lanes.eq(self.lanes),
            port.capabilities.samples_per_symbol.eq(self.samples_per_symbol),
            port.capabilities.span.eq(self.span),
        ]
        with m.If(accept):
            m.d.sync += first.eq(last), phase.eq(Mux(complete | last, 0, phase + 1))
        with m.If(port.control.apply.start):
            m.d.sync += pending.eq(1)
        with m.If(pending & boundary):
            m.d.sync += pending.eq(0), loaded.eq(1), bank.eq(~bank), shift.eq(port.shift.amount)
        rows = pipeline.history(Cat(phase, bank), self.lanes - 1, reset=True)
        # The host may write to the old bank when the last lane has left it.
        banks = Cat(row[-1] for row in rows)
        m.d.comb += port.control.apply.busy.eq(pending | (banks.any() & ~banks.all()))

        dropped = Signal(range(self.samples_per_symbol))
        with m.If(accept & last & ~complete):
            m.d.comb += dropped.eq((phase + 1) * self.lanes)
        count = event_counter(m, COUNTER_BITS, dropped, port.control.clear_counters.start)
        m.d.comb += port.status.dropped.eq(dropped.any()), port.dropped_samples.count.eq(count)

        token = Token(
            valid=accept,
            first=first,
            begins=phase == 0,
            completes=accept & complete,
            ends=accept & last,
            shift=shift,
        )
        return token, rows

    def _tap_memories(self, m: Module, pipeline: Pipeline, rows: list[Value]) -> list[data.View]:
        """A memory a lane, a row for each phase of either bank, K taps in a row. Returns what each lane reads.

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
        # All words of a row have the same tap, and are far apart: so there is a register before them. It is early
        # enough, as an apply begun in the very clock of the write lets no lane read the new bank before it is done.
        value, address = Signal(signed(SAMPLE.width), reset_less=True), Signal(phase_bits + 1, reset_less=True)
        m.d.sync += value.eq(tap.value), address.eq(Cat(phase[:phase_bits], ~rows[0][-1]))
        taps = []
        for lane, row in enumerate(rows):
            m.submodules[f"taps_{lane}"] = memory = Memory(
                shape=data.ArrayLayout(signed(SAMPLE.width), self.span),
                depth=2 << phase_bits,
                init=[],
                attrs={"ram_style": "distributed"},
            )
            write, read = memory.write_port(granularity=1), memory.read_port()
            here, enable = store & (position == lane % width), Signal(self.span, name=f"store_{lane}")
            m.d.sync += enable.eq(Cat(here & (tap.symbol == k) for k in range(self.span)))
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
        self, pipeline: Pipeline, token: Token, taps: list[data.View]
    ) -> tuple[Token, list[dict[str, Value]]]:
        """What the lanes of one beat give to each slot: a chain of multiply-adds per slot and rail.

        A beat's symbol r is the k-th of the window that slot ``r + K - 1 - k`` gathers.
        """
        width = min(self.lanes, self.samples_per_symbol)
        sum_shape = signed(2 * SAMPLE.width + exact_log2(self.lanes))
        slots = self.span + self.symbols_per_clock - 1
        sums: list[dict[str, Value]] = [{rail: Const(0, sum_shape) for rail in RAILS} for _ in range(slots)]
        for lane in range(self.lanes):
            word = self.i.payload.words[lane]
            for rail in RAILS:
                sample = pipeline.history(word[rail], lane + 1)[-1]
                for slot in range(slots):
                    k = lane // width + self.span - 1 - slot
                    so_far = sums[slot][rail]
                    if 0 <= k < self.span:
                        so_far = so_far + pipeline.register(sample * taps[lane][k])
                    sums[slot][rail] = pipeline.register(so_far, sum_shape)
        return token.delayed(pipeline, self.lanes + 2), sums

    def _gather_symbols(
        self, m: Module, pipeline: Pipeline, token: Token, sums: list[dict[str, Value]]
    ) -> tuple[Token, list[dict[str, Value]]]:
        """Accumulate each slot over a symbol's phases, and move on at its end. Returns the slots next to the output."""
        n = self.symbols_per_clock
        slots = [{rail: Signal(signed(self.accumulator_bits), reset_less=True) for rail in RAILS} for _ in sums]
        for rail in RAILS:
            for position, slot in enumerate(slots):
                before = slots[position + n][rail] if position + n < len(slots) else Const(0, 1)
                base = Mux(token.first, 0, Mux(token.begins, before, slot[rail]))
                with m.If(pipeline.advance & token.valid):
                    m.d.sync += slot[rail].eq(base + sums[position][rail])
        return token.delayed(pipeline, 1), slots[:n]

    def _round(
        self, m: Module, pipeline: Pipeline, token: Token, slots: list[dict[str, Value]]
    ) -> tuple[Token, data.View]:
        """Shift, round and saturate. Returns the words and counts those that did not fit."""
        words = Signal(complex_words(self.symbols_per_clock)["words"].shape, reset_less=True)
        overflows = []
        for position, slot in enumerate(slots):
            for rail in RAILS:
                shifted = pipeline.register(drop_bits(slot[rail], token.shift))
                word, overflow = saturate(round_last_bit(shifted), SAMPLE)
                overflows.append(pipeline.register(overflow))
                with m.If(pipeline.advance):
                    m.d.sync += words[position][rail].eq(word)
        token = token.delayed(pipeline, 2)
        saturated = Signal(range(len(overflows) + 1))
        with m.If(pipeline.advance & token.completes):
            m.d.comb += saturated.eq(sum(overflows))
        count = event_counter(m, COUNTER_BITS, saturated, self.port.control.clear_counters.start)
        m.d.comb += self.port.status.saturated.eq(saturated.any()), self.port.saturations.count.eq(count)
        return token, words

    def _mark_last(self, m: Module, pipeline: Pipeline, token: Token, words: data.View, o: stream.Interface) -> None:
        """Hand symbols to the output stream with the frame's ``last``; `o` is ready whenever the pipeline advances."""
        if self.clocks_per_symbol == 1:  # every beat completes symbols: the last beat has the last ones
            m.d.comb += o.valid.eq(token.completes), o.payload.words.eq(words), o.payload.last.eq(token.ends)
            return
        waiting, final = Signal(), Signal()
        held = Signal.like(words, reset_less=True)
        m.d.comb += [
            o.valid.eq(waiting & (final | token.completes | token.ends)),
            o.payload.words.eq(held),
            o.payload.last.eq(final | (token.ends & ~token.completes)),
        ]
        with m.If(pipeline.advance):
            with m.If(token.completes):
                m.d.sync += waiting.eq(1), final.eq(token.ends), held.eq(words)
            with m.Elif(o.valid):
                m.d.sync += waiting.eq(0), final.eq(0)
