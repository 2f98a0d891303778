"""The symbol filter with few multipliers, where a symbol has several clocks."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, endless_words
from ...dsp.arithmetic import drop_bits, event_counter, round_last_bit, saturate, word_shape
from ...dsp.formats import BASEBAND, SAMPLE
from ...dsp.pipeline import Pipeline
from .core import COUNTER_BITS, RAILS, SUM_BITS
from .model import DISTINCT_TAPS, REACH, SAMPLES_PER_SYMBOL, TAP
from .registers import REGISTERS

CLOCKS = (2, 4, 8, 16, 32)
"""Per symbol: powers of two, so that rings of samples have as many places as bits can count."""
WORD = data.StructLayout({rail: word_shape(BASEBAND) for rail in RAILS})
IN_BLOCKS = {"ram_style": "block", "no_rw_check": 1}
"""Attributes of memories. Nothing that is used is read in the clock in which its place is written: without a word of
that Yosys adds registers and choices, as many as a block RAM has outputs, for what was there before."""
NO_BANK = 2
"""Of the taps: it is never written, so all in it are zero."""


class SharedSymbolFilter(wiring.Component):
    """The symbol filter of one sample per clock at most, each of whose multipliers has several taps.

    Mathematics, formats, rounding, registers and words are those of ``SymbolFilter``; the words of a stream are the
    same.

    Structure: 32 / P multipliers of each rail have P pairs of samples each, one in each of a symbol's P clocks, and one
    more has the sample that the symbol lies on. The products of a clock are summed in a tree, and those sums from clock
    to clock. Samples lie in a line of small memories, each with both rails of the samples that one multiplier has on
    one side: what it reads for its products goes on to the next memory, so that all of a side have one address. Taps
    lie in memories as well, in two banks: one that is used and one that is written.

    Reset: zeros lie before the first sample, which is number 0; taps are zero until the first apply.

    Throughput: a symbol, and so two samples, in P clocks. A stream that is to be taken without waiting has pauses of
    its own: at LANES samples a clock and M samples a symbol, P = M / LANES.

    Resources: 2 (32 / P + 1) multipliers of 19 x 18 bits (18 for P = 4); for the samples 64 / P block RAMs of 36 bits,
    of which few words are used (16), for the taps one for every two multipliers of a rail (5).

    Args:
        clocks_per_symbol: P, a power of two from 2 to 32.

    Members:
        i: samples.
        o: symbols.
        saturated: a pulse: words were clipped.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of clocks.
    """

    registers = REGISTERS
    words_per_clock = 1
    symbols_per_clock = 1

    def __init__(self, *, clocks_per_symbol: int) -> None:
        if clocks_per_symbol not in CLOCKS:
            raise ValueError(f"{clocks_per_symbol} clocks per symbol: must be one of {', '.join(map(str, CLOCKS))}")
        self.clocks_per_symbol = clocks_per_symbol
        self._pairs = REACH // clocks_per_symbol
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(1, BASEBAND))),
                "o": Out(stream.Signature(endless_words(1, SAMPLE))),
                "saturated": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def _multipliers(self) -> int:
        """Of a rail: those of pairs, and the last one for the sample that the symbol lies on."""
        return self._pairs + 1

    @property
    def multipliers(self) -> int:
        """Multipliers of 19 x 18 bits."""
        return len(RAILS) * self._multipliers

    @property
    def _steps(self) -> int:
        """Steps from the line to the symbol: all clocks; memory, pair (2), product, tree, sum; shifter and rounding."""
        return self.clocks_per_symbol + 4 + (self._multipliers - 1).bit_length() + 2

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        operands, clock, begins = self._take(m, pipeline)
        flags = pipeline.history(begins, self._steps, reset=True)
        # The register before a multiplier becomes part of it: another one is between it and the memory.
        weights = [pipeline.history(tap, 2)[-1] for tap in self._taps(m, pipeline, clock)]
        shift = Signal.like(port.shift.amount)
        with m.If(port.control.apply.start):
            m.d.sync += shift.eq(port.shift.amount)
        overflows = []
        for rail in RAILS:
            total = self._sum(m, pipeline, rail, operands[rail], weights, flags)
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

    def _take(self, m: Module, pipeline: Pipeline) -> tuple[dict[str, list[Value]], Value, Value]:
        """What each rail's multipliers are given, the clock of its symbol two steps before, and whether one begins.

        A symbol begins with its last sample, an even one.
        """
        clocks = self.clocks_per_symbol
        odd, ready, begins = Signal(), Signal(), Signal()
        # The line moves once before the first sample, and so to the first symbol by all that lie before it.
        left, moving = Signal(range(clocks), init=clocks - 1), Signal(init=1)
        symbol = Signal(range(clocks))
        # Symbols are complete when the samples ahead of symbol 0 are there, and one more for each.
        ahead = Signal(range(REACH // SAMPLES_PER_SYMBOL + 1))
        m.d.comb += [
            ready.eq(pipeline.advance & (odd | (left == 0))),
            self.i.ready.eq(ready),
        ]
        accept = self.i.valid & ready
        even = accept & ~odd
        with m.If(accept):
            m.d.sync += odd.eq(~odd)
        full = ahead == REACH // SAMPLES_PER_SYMBOL
        with m.If(even):
            m.d.sync += symbol.eq(symbol + 1)
            with m.If(~full):
                m.d.sync += ahead.eq(ahead + 1)
        with m.If(pipeline.advance):
            m.d.sync += begins.eq(even & full)
            with m.If(even):
                m.d.sync += left.eq(clocks - 1), moving.eq(1)
            with m.Elif(left != 0):
                m.d.sync += left.eq(left - 1)
            with m.Else():
                m.d.sync += moving.eq(0)
        clock = ~left
        return self._line(m, pipeline, symbol, clock, moving, full, accept, odd), clock, begins

    def _line(
        self,
        m: Module,
        pipeline: Pipeline,
        symbol: Value,
        clock: Value,
        moving: Value,
        full: Value,
        accept: Value,
        odd: Value,
    ) -> dict[str, list[Value]]:
        """What each rail's multipliers are given: of a clock's pairs the sums, and the sample on the symbol.

        In clock c of symbol s multiplier g has samples 2 s + k and 2 s - k, k = g P + 1 + c. The memory ahead has the
        former in place 2 s + c, that back the latter in place 2 s - c + P - 2, each of a ring of 2 P. A sample's place
        in the next memory is P further then, for it is the sample P further: that is so in each side, and from the last
        memory ahead to the first one back. A symbol's first two clocks ahead and last two back read what the next
        memory needs for the next symbol; what the others pass on lies there already, or is written again in time. No
        place is read in the clock in which it is written, but one in the first memory back when no symbol has come,
        which nobody uses.
        """
        clocks = self.clocks_per_symbol
        at_ahead, at_back = Signal(range(2 * clocks)), Signal(range(2 * clocks))
        m.d.comb += at_ahead.eq((symbol << 1) + clock), at_back.eq((symbol << 1) - clock + clocks - 2)
        to_ahead, to_back = pipeline.register(at_ahead ^ clocks), pipeline.register(at_back ^ clocks)
        moved = pipeline.register(moving, reset=True) & pipeline.advance
        # The second clock of the last symbol before number 0 passes on sample 0; what was before it is zero.
        known = pipeline.history(full, 2, reset=True)[-1]
        ahead: list[data.View[data.StructLayout]] = []
        back: list[data.View[data.StructLayout]] = []
        for number in range(self._pairs):
            if ahead:
                into = to_ahead, ahead[0].as_value(), moved
            else:
                # A sample is one of the last two of the symbol that comes next.
                into = Cat(~odd, symbol) ^ clocks, self.i.payload.words[0].as_value(), accept
            ahead.insert(0, _memory(m, pipeline, f"ahead_{self._pairs - 1 - number}", 2 * clocks, into, at_ahead))
        for number in range(self._pairs):
            if back:
                into = to_back, back[-1].as_value(), moved
            else:
                into = to_ahead, Mux(known, ahead[0].as_value(), 0), moved
            back.append(_memory(m, pipeline, f"back_{number}", 2 * clocks, into, at_back))
        # What the first memory ahead passes on in a symbol's second clock is the sample that the next symbol lies on.
        middle = Signal(WORD, reset_less=True)
        second = pipeline.register(moving & (clock == 1), reset=True)
        with m.If(second & pipeline.advance):
            m.d.sync += middle.eq(ahead[0])
        return {
            rail: [
                pipeline.register(operand)
                for operand in (
                    *(pipeline.register(one[rail] + other[rail]) for one, other in zip(ahead, back, strict=True)),
                    middle[rail],
                )
            ]
            for rail in RAILS
        }

    def _taps(self, m: Module, pipeline: Pipeline, clock: Value) -> list[Value]:
        """The tap of each multiplier, a step after the clock that it is for. The last one has its tap in clock 0."""
        port, tap = self.port, self.port.tap
        clocks = self.clocks_per_symbol
        bank, spare = Signal(2, init=NO_BANK), Signal(2)
        store, on_symbol = Signal(), Signal()
        number = Signal(range(REACH))  # of the tap among those of pairs
        m.d.comb += [
            spare.eq(bank == 0),
            store.eq(tap.written & (tap.index < DISTINCT_TAPS)),
            port.status.tap_refused.eq(tap.written & ~store),
            on_symbol.eq(tap.index == 0),
            number.eq(tap.index - 1),
        ]
        with m.If(port.control.apply.start):
            m.d.sync += bank.eq(spare)
        m.submodules.taps = memory = Memory(
            shape=data.ArrayLayout(word_shape(TAP), self._multipliers),
            depth=(NO_BANK + 1) * clocks,
            init=[],
            attrs=IN_BLOCKS,
        )
        write, read = memory.write_port(granularity=1), memory.read_port(domain="comb")
        of_clock, pair = number[: exact_log2(clocks)], number[exact_log2(clocks) :]
        m.d.comb += [
            write.addr.eq(Cat(Mux(on_symbol, 0, of_clock), spare)),
            read.addr.eq(Cat(clock, bank)),
        ]
        for multiplier in range(self._multipliers):
            here = on_symbol if multiplier == self._pairs else ~on_symbol & (pair == multiplier)
            m.d.comb += write.data[multiplier].eq(tap.value), write.en[multiplier].eq(store & here)
        return list(pipeline.register(read.data, memory.shape))

    def _sum(
        self,
        m: Module,
        pipeline: Pipeline,
        rail: str,
        operands: list[Value],
        weights: list[Signal],
        flags: list[Value],
    ) -> Value:
        """A symbol's sum of products of one rail, two steps before its word."""
        terms: list[Value] = [
            pipeline.register(operand * weight) for operand, weight in zip(operands, weights, strict=True)
        ]
        steps = 0
        while len(terms) > 1:
            pairs = [terms[n : n + 2] for n in range(0, len(terms), 2)]
            terms = [pipeline.register(sum(pair[1:], pair[0]), signed(SUM_BITS)) for pair in pairs]
            steps += 1
        total = Signal(signed(SUM_BITS), name=f"total_{rail}", reset_less=True)
        with m.If(pipeline.advance):
            m.d.sync += total.eq(Mux(flags[4 + steps], 0, total) + terms[0])
        return total


def _memory(
    m: Module, pipeline: Pipeline, name: str, depth: int, into: tuple[Value, Value, Value], at: Value
) -> data.View[data.StructLayout]:
    """What was in a place of a block RAM a step ago.

    Args:
        m, pipeline: of the core.
        name: of the memory.
        depth: its words.
        into: where what is written, and whether.
        at: where it is read.
    """
    m.submodules[name] = memory = Memory(shape=WORD, depth=depth, init=[], attrs=IN_BLOCKS)
    write, read = memory.write_port(), memory.read_port(domain="comb")
    place, word, enable = into
    m.d.comb += [
        write.addr.eq(place),
        Value.cast(write.data).eq(word),
        write.en.eq(enable),
        read.addr.eq(at),
    ]
    return pipeline.register(read.data, WORD)
