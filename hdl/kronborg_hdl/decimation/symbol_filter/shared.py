"""The symbol filter with few multipliers, where a symbol has several clocks."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, endless_words
from ...dsp.arithmetic import drop_bits, event_counter, round_last_bit, saturate, word_shape
from ...dsp.formats import BASEBAND, SAMPLE
from ...dsp.pipeline import Pipeline
from .core import COUNTER_BITS, RAILS, SUM_BITS, settings_in_use
from .model import DISTINCT_TAPS, REACH, SAMPLES_PER_SYMBOL, TAP
from .registers import REGISTERS

LINE = 2 * REACH + 1
"""Samples that a symbol needs."""


class SharedSymbolFilter(wiring.Component):
    """The symbol filter of one sample per clock at most, each of whose multipliers has several taps.

    Mathematics, formats, rounding, registers and words are those of ``SymbolFilter``; the words of a stream are the
    same.

    Structure: the samples of a symbol stand in a line for P clocks. In each of them every multiplier has the pair of
    samples of one tap; the products of a clock are summed in a tree, and those sums from clock to clock. The odd sample
    behind a symbol waits beside the line for the next even one, so that the line moves once a symbol.

    Reset: zeros lie before the first sample, which is number 0.

    Throughput: a symbol, and so two samples, in P clocks. A stream that is to be taken without waiting has pauses of
    its own: at LANES samples a clock and M samples a symbol, P = M / LANES.

    Resources: 2 ceil(33 / P) multipliers of 19 x 18 bits (18 for P = 4); for each a choice among P pairs and P taps.

    Args:
        clocks_per_symbol: P, 2 or more.

    Members:
        i: samples.
        o: symbols.
        saturated: a pulse: words were clipped.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: fewer clocks.
    """

    registers = REGISTERS
    words_per_clock = 1
    symbols_per_clock = 1

    def __init__(self, *, clocks_per_symbol: int) -> None:
        if clocks_per_symbol < SAMPLES_PER_SYMBOL:
            raise ValueError(f"{clocks_per_symbol} clocks per symbol: two samples take two")
        self.clocks_per_symbol = clocks_per_symbol
        self._multipliers = -(-DISTINCT_TAPS // clocks_per_symbol)
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(1, BASEBAND))),
                "o": Out(stream.Signature(endless_words(1, SAMPLE))),
                "saturated": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def multipliers(self) -> int:
        """Multipliers of 19 x 18 bits."""
        return len(RAILS) * self._multipliers

    @property
    def _steps(self) -> int:
        """Steps from the line to the symbol: all clocks; choice, pair, product, tree, sum; shifter and rounding."""
        return self.clocks_per_symbol + 3 + (self._multipliers - 1).bit_length() + 2

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        lines, begins = self._take(m, pipeline)
        flags = pipeline.history(begins, self._steps, reset=True)
        taps, shift = settings_in_use(m, port)
        chosen, paired = (flags[step : step + self.clocks_per_symbol] for step in (0, 1))
        weights = [pipeline.register(_choose(paired, self._of(taps, place), TAP.width)) for place in self._places]
        overflows = []
        for rail, line in lines.items():
            total = self._sum(m, pipeline, rail, line, weights, chosen, flags)
            dropped = pipeline.register(drop_bits(total, shift))
            word, overflow = saturate(round_last_bit(dropped), SAMPLE)
            m.d.comb += skid.i.payload.words[0][rail].eq(pipeline.register(word))
            overflows.append(pipeline.register(overflow))
        clipped = Signal(range(len(overflows) + 1))
        with m.If(flags[-1] & pipeline.advance):
            m.d.comb += clipped.eq(sum(overflows))
        m.d.comb += [
            skid.i.valid.eq(flags[-1]),
            port.capabilities.words_per_clock.eq(1),
            port.capabilities.reach.eq(REACH),
            port.control.apply.busy.eq(0),
            self.saturated.eq(clipped.any()),
            port.status.saturated.eq(self.saturated),
            port.saturations.count.eq(event_counter(m, COUNTER_BITS, clipped, port.control.clear_counters.start)),
        ]
        return m

    def _take(self, m: Module, pipeline: Pipeline) -> tuple[dict[str, list[Value]], Value]:
        """The line of each rail, the latest sample first, and whether a symbol's first clock is now.

        The line holds what came in before; a symbol begins with its last sample, an even one.
        """
        odd, busy = Signal(), Signal(range(self.clocks_per_symbol))
        begins, ready = Signal(), Signal()
        # Symbols are complete when the samples ahead of symbol 0 are there, and one more for each.
        ahead = Signal(range(REACH // SAMPLES_PER_SYMBOL + 1))
        m.d.comb += [
            ready.eq(pipeline.advance & (odd | (busy == 0))),
            self.i.ready.eq(ready),
        ]
        accept = self.i.valid & ready
        even = accept & ~odd
        with m.If(accept):
            m.d.sync += odd.eq(~odd)
        full = ahead == REACH // SAMPLES_PER_SYMBOL
        with m.If(even & ~full):
            m.d.sync += ahead.eq(ahead + 1)
        with m.If(pipeline.advance):
            m.d.sync += begins.eq(even & full)
            with m.If(even):
                m.d.sync += busy.eq(self.clocks_per_symbol - 1)
            with m.Elif(busy != 0):
                m.d.sync += busy.eq(busy - 1)
        lines: dict[str, list[Value]] = {}
        for rail in RAILS:
            sample = self.i.payload.words[0][rail]
            line = [Signal(word_shape(BASEBAND), name=f"line_{rail}_{place}") for place in range(LINE)]
            waiting = Signal(word_shape(BASEBAND), name=f"odd_{rail}")
            with m.If(accept & odd):
                m.d.sync += waiting.eq(sample)
            with m.If(even):
                m.d.sync += Cat(line).eq(Cat(sample, waiting, line[:-SAMPLES_PER_SYMBOL]))
            lines[rail] = list(line)
        return lines, begins

    @property
    def _places(self) -> list[list[int | None]]:
        """Of each multiplier the tap that it has in each clock, if it has one."""
        clocks = range(self.clocks_per_symbol)
        taps = [[multiplier * len(clocks) + clock for clock in clocks] for multiplier in range(self._multipliers)]
        return [[tap if tap < DISTINCT_TAPS else None for tap in row] for row in taps]

    @staticmethod
    def _of(words: Sequence[Value], places: Sequence[int | None]) -> list[Value | None]:
        return [None if place is None else words[place] for place in places]

    def _sum(
        self,
        m: Module,
        pipeline: Pipeline,
        rail: str,
        line: list[Value],
        weights: list[Signal],
        chosen: Sequence[Value],
        flags: Sequence[Value],
    ) -> Value:
        """A symbol's sum of products of one rail, two steps before its word."""
        terms: list[Value] = []
        for places, weight in zip(self._places, weights, strict=True):
            ahead = [None if k is None else line[REACH - k] for k in places]
            back = [None if not k else line[REACH + k] for k in places]
            pair = [pipeline.register(_choose(chosen, side, BASEBAND.width)) for side in (ahead, back)]
            terms.append(pipeline.register(pipeline.register(pair[0] + pair[1]) * weight))
        steps = 0
        while len(terms) > 1:
            pairs = [terms[n : n + 2] for n in range(0, len(terms), 2)]
            terms = [pipeline.register(sum(pair[1:], pair[0]), signed(SUM_BITS)) for pair in pairs]
            steps += 1
        total = Signal(signed(SUM_BITS), name=f"total_{rail}", reset_less=True)
        with m.If(pipeline.advance):
            m.d.sync += total.eq(Mux(flags[3 + steps], 0, total) + terms[0])
        return total


def _choose(flags: Sequence[Value], words: Sequence[Value | None], bits: int) -> Value:
    """The word whose flag is up; zero where there is none."""
    chosen: Value = Const(0, bits)
    for flag, word in zip(flags, words, strict=True):
        if word is not None:
            chosen = chosen | (word.as_unsigned() & flag.replicate(bits))
    return chosen.as_signed()
