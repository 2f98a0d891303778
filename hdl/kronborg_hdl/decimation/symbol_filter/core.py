"""The symbol filter in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, endless_words
from ...dsp.arithmetic import drop_bits, event_counter, round_last_bit, saturate, word_shape
from ...dsp.formats import BASEBAND, SAMPLE
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_lanes
from .model import DISTINCT_TAPS, REACH, SAMPLES_PER_SYMBOL, TAP
from .registers import REGISTERS

COUNTER_BITS = 32
RAILS = ("i", "q")
SUM_BITS = BASEBAND.width + TAP.width + (2 * REACH).bit_length()
"""65 products of two words of 18 bits."""


class SymbolFilter(wiring.Component):
    """The matched filter at two samples a symbol: 65 symmetric taps about each even sample.

    Mathematics: the model has it. Symbol s needs samples up to 2 s + 32.

    Structure: even and odd samples stand in a delay line each. The two samples that share a tap are added, and the
    products are summed down a chain that a DSP slice's cascade carries, the outermost tap first: each tap takes its
    samples from further down the delay lines than the tap before it, by what has come in meanwhile. So nothing is
    delayed but the samples themselves.

    Formats: samples and taps Q1.17, symbols Q1.15. Products and sums are exact in 43 bits; one rounding, to nearest
    with ties towards plus infinity. What then does not fit saturates, sets STATUS.saturated and is counted.

    What it adds: its rounding, 1 / 12 word**2 a rail; for shot noise of s words a symbol 1 / (12 s**2) SNU, 0.008 mSNU
    for s = 100, to be divided by eta T / 2 at the channel's input.

    Reset: zeros are pushed through the delay lines, for :attr:`flush` clocks in which no sample is taken. The first
    sample after that is number 0, an even one, and zeros lie before it.

    Throughput: one beat per clock, always. All registers move when a symbol's samples are complete, and only then: a
    beat comes out when :attr:`latency` more beats have gone in (of one sample a clock, twice as many).

    Resources: 66 multipliers of 19 x 18 bits for each symbol per clock.

    Args:
        words_per_clock: samples per clock, 1, 2, 4, 8 or 16.

    Members:
        i: samples.
        o: symbols, one for every two samples; of one sample a clock, one every second clock.
        saturated: a pulse: words were clipped.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of samples per clock.
    """

    registers = REGISTERS

    def __init__(self, *, words_per_clock: int) -> None:
        check_lanes(words_per_clock)
        self.words_per_clock = words_per_clock
        self.symbols_per_clock = max(1, words_per_clock // SAMPLES_PER_SYMBOL)
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(words_per_clock, BASEBAND))),
                "o": Out(stream.Signature(endless_words(self.symbols_per_clock, SAMPLE))),
                "saturated": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def multipliers(self) -> int:
        """Multipliers of 19 x 18 bits."""
        return len(RAILS) * DISTINCT_TAPS * self.symbols_per_clock

    @property
    def latency(self) -> int:
        """Beats, of two samples at least, that go in before the first comes out."""
        # Samples ahead; pair and product; a sum for each tap; shifter; rounding.
        return REACH // SAMPLES_PER_SYMBOL // self.symbols_per_clock + 2 + DISTINCT_TAPS + 2

    @property
    def flush(self) -> int:
        """Clocks after a reset in which no sample is taken; and beats that the delay lines hold."""
        n = self.symbols_per_clock
        furthest = max(self._place(k, self._delay(k), 0, side) for k in range(DISTINCT_TAPS) for side in (-1, 1))
        return furthest // n

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # Whether it flushes is in the enable of all registers here, and so a register and no comparison.
        flushing, flushed = Signal(init=1), Signal(range(self.flush))
        with m.If(flushing):
            m.d.sync += flushed.eq(flushed + 1), flushing.eq(flushed != self.flush - 1)
        accept = Signal()
        m.d.comb += [
            self.i.ready.eq(skid.i.ready & ~flushing),
            accept.eq(self.i.valid & self.i.ready),
            port.capabilities.words_per_clock.eq(self.words_per_clock),
            port.capabilities.reach.eq(REACH),
            port.control.apply.busy.eq(0),
        ]
        beat, complete = self._beat(m, accept)
        step = flushing | complete
        pipeline = Pipeline(m, step)
        # Beats that came in since reset.
        age = Signal(range(self.latency + 1))
        with m.If(complete & (age != self.latency)):
            m.d.sync += age.eq(age + 1)
        valid = complete & (age == self.latency)
        m.d.comb += skid.i.valid.eq(valid)

        taps, shift = settings_in_use(m, port)
        # In step with the pairs, so that both factors' registers may lie within the multiplier.
        weights = [pipeline.register(tap) for tap in taps]
        overflows = []
        for rail in RAILS:
            words = [Mux(flushing, 0, word[rail]) for word in beat]
            lines = [self._line(pipeline, words[parity::SAMPLES_PER_SYMBOL]) for parity in (0, 1)]
            for symbol in range(self.symbols_per_clock):
                total = self._sum(pipeline, lines, symbol, weights)
                dropped = pipeline.register(drop_bits(total, shift))
                word, overflow = saturate(round_last_bit(dropped), SAMPLE)
                m.d.comb += skid.i.payload.words[symbol][rail].eq(pipeline.register(word))
                overflows.append(pipeline.register(overflow))
        clipped = Signal(range(len(overflows) + 1))
        with m.If(valid):
            m.d.comb += clipped.eq(sum(overflows))
        m.d.comb += [
            self.saturated.eq(clipped.any()),
            port.status.saturated.eq(self.saturated),
            port.saturations.count.eq(event_counter(m, COUNTER_BITS, clipped, port.control.clear_counters.start)),
        ]
        return m

    def _beat(self, m: Module, accept: Value) -> tuple[list[dict[str, Value]], Value]:
        """Samples of whole symbols, and whether they are there."""
        words: list[dict[str, Value]] = [{rail: word[rail] for rail in RAILS} for word in self.i.payload.words]
        if self.words_per_clock > 1:
            return words, accept
        is_odd = Signal()
        even = {rail: Signal(word_shape(BASEBAND), name=f"even_{rail}") for rail in RAILS}
        with m.If(accept):
            m.d.sync += is_odd.eq(~is_odd)
            m.d.sync += (even[rail].eq(words[0][rail]) for rail in RAILS)
        return [dict(even), words[0]], accept & is_odd

    @staticmethod
    def _delay(k: int) -> int:
        """Beats for which the samples of tap k wait for the sum of the taps before it."""
        return REACH - k

    def _place(self, k: int, delay: int, symbol: int, side: int) -> int:
        """Place in the line of its parity of the sample that lies `side * k` samples behind the symbol.

        Place 0 is the latest of the line. It is the one that a beat's last symbol reaches ahead to, or the odd one
        behind that.
        """
        n = self.symbols_per_clock
        latest = n - 1 - symbol + REACH // 2 + delay * n
        return latest - (side * k) // SAMPLES_PER_SYMBOL

    def _line(self, pipeline: Pipeline, words: list[Value]) -> list[Value]:
        """All samples of a parity, the latest first."""
        histories = [pipeline.history(word, self.flush) for word in words[::-1]]
        return [history[beat] for beat in range(self.flush + 1) for history in histories]

    def _sum(self, pipeline: Pipeline, lines: list[list[Value]], symbol: int, weights: list[Signal]) -> Value:
        """A symbol's sum of products of one rail, `DISTINCT_TAPS` + 2 steps after its last sample has come."""
        total: Value = Const(0, signed(SUM_BITS))
        for k in reversed(range(DISTINCT_TAPS)):
            line, delay = lines[k % SAMPLES_PER_SYMBOL], self._delay(k)
            ahead, back = (line[self._place(k, delay, symbol, side)] for side in (1, -1))
            pair = pipeline.register(ahead + back if k else ahead)
            total = pipeline.register(total + pipeline.register(pair * weights[k]), signed(SUM_BITS))
        return total


def settings_in_use(m: Module, port: wiring.PureInterface) -> tuple[list[Value], Value]:
    """Taps and shift in use, from the registers of ``registers.py``."""
    written = [Signal(word_shape(TAP), name=f"written_{k}") for k in range(DISTINCT_TAPS)]
    taps = [Signal(word_shape(TAP), name=f"tap_{k}") for k in range(DISTINCT_TAPS)]
    shift = Signal.like(port.shift.amount)
    for k, tap in enumerate(written):
        with m.If(port.tap.written & (port.tap.index == k)):
            m.d.sync += tap.eq(port.tap.value)
    m.d.comb += port.status.tap_refused.eq(port.tap.written & (port.tap.index >= DISTINCT_TAPS))
    with m.If(port.control.apply.start):
        m.d.sync += shift.eq(port.shift.amount), Cat(taps).eq(Cat(written))
    return list(taps), shift
