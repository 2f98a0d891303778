"""The half-band decimator in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, endless_words
from ...dsp.arithmetic import event_counter, saturate
from ...dsp.constant_sum import constant_sum, sum_steps
from ...dsp.formats import BASEBAND
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_lanes
from .model import HalfBand
from .registers import REGISTERS

COUNTER_BITS = 32
RAILS = ("i", "q")


class HalfBandDecimator(wiring.Component):
    """Halve the sample rate, with adders only.

    Mathematics: the model has it. Output n needs samples up to 2 n + 1; it comes when that one has come.

    Structure: samples with odd numbers stand in one delay line, those with even numbers in another that leads to the
    middle tap. Each output has an adder for each pair that shares a tap, and a tree of adders for the digits of the
    taps (``dsp.constant_sum``); the constant of rounding is added to the middle sample. If `shared`, Q follows I in
    the delay lines, so that one set of adders has I in one clock and Q in the next.

    Formats: Q1.17 in and out. One rounding, to nearest with ties towards plus infinity; a word that does not fit
    saturates, sets STATUS.saturated and is counted.

    What it adds as stage j behind the mixer, for shot noise of s words a sample at the converter: rounding,
    2**j / (96 s**2) SNU, 0.004 mSNU for s = 100 and j = 2, to be divided by eta T / 2 at the channel's input (half of
    it for complex samples); what folds onto the pass band from a pilot P times as strong as the signal, V_A P g with g
    the model's ``stop_band_db``, 4e-3 mSNU at V_A = 4, P = 100 and -80 dB; and the pass band's ripple, V_A g.

    Reset: zeros lie before the first sample, and the first sample is number 0.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks.

    Resources: no multiplier. For each output per clock and rail one adder a tap, and one less than there are digits;
    for both rails together if `shared`.

    Args:
        words_per_clock: samples per clock that go in, 1, 2, 4, 8 or 16.
        half_band: the filter, ``model.NARROW`` or ``model.WIDE``.
        shared: the rails go through one set of adders in turn; for one sample per clock.

    Members:
        i: samples.
        o: half as many per clock; of one a clock, one every second.
        saturated: a pulse: words were clipped.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of samples per clock, or more than one if `shared`.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, words_per_clock: int, half_band: HalfBand, shared: bool = False) -> None:
        check_lanes(words_per_clock)
        if shared and words_per_clock > 1:
            raise ValueError(f"{words_per_clock} samples per clock: rails go in turn with one alone")
        self.words_per_clock = words_per_clock
        self.half_band = half_band
        self.shared = shared
        self.outputs = max(1, words_per_clock // 2)
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(words_per_clock, BASEBAND))),
                "o": Out(stream.Signature(endless_words(self.outputs, BASEBAND))),
                "saturated": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from the acceptance of an output's last sample to the output at ``o`` when nothing pauses."""
        # Pairs; sum; saturation; skid buffer. Q comes a clock after I.
        return 1 + sum_steps((1, *self.half_band.taps)) + 1 + 1 + self.shared

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full. Delay lines move with
        # samples.
        pipeline = Pipeline(m, skid.i.ready)
        accept = self.i.valid & pipeline.advance
        emit, evens, odds = self._rails_in_turn(m, pipeline, accept) if self.shared else self._delay_lines(m, accept)
        valid = pipeline.history(emit, self.latency - 1, reset=True)
        overflows = []
        for output in range(self.outputs):
            made = [self._output(pipeline, evens[rail], odds[rail], output) for rail in evens]
            if self.shared:
                made.insert(0, tuple(pipeline.register(value) for value in made[0]))
            for rail, (word, overflow) in zip(RAILS, made, strict=True):
                overflows.append(overflow)
                m.d.comb += skid.i.payload.words[output][rail].eq(word)
        saturations = Signal(range(len(overflows) + 1))
        with m.If(valid[-1] & pipeline.advance):
            m.d.comb += saturations.eq(sum(overflows))
        clear = port.control.clear_counters.start
        m.d.comb += [
            self.i.ready.eq(pipeline.advance),
            skid.i.valid.eq(valid[-1]),
            self.saturated.eq(Cat(overflows).any() & valid[-1] & pipeline.advance),
            port.status.saturated.eq(self.saturated),
            port.saturations.count.eq(event_counter(m, COUNTER_BITS, saturations, clear)),
            port.capabilities.words_per_clock.eq(self.words_per_clock),
            port.capabilities.taps.eq(len(self.half_band.taps)),
        ]
        return m

    def _delay_lines(self, m: Module, accept: Value) -> tuple[Value, dict[str, list[Value]], dict[str, list[Value]]]:
        """Whether there is a beat of outputs; and of each rail the samples, even and odd, the latest first."""
        reach = len(self.half_band.taps)
        beats = -(-(2 * reach - 1) // self.outputs)
        evens: dict[str, list[Value]] = {}
        odds: dict[str, list[Value]] = {}
        if self.words_per_clock == 1:
            is_odd = Signal()
            with m.If(accept):
                m.d.sync += is_odd.eq(~is_odd)
            even_line, odd_line = Pipeline(m, accept & ~is_odd), Pipeline(m, accept & is_odd)
            for rail in RAILS:
                word = self.i.payload.words[0][rail]
                evens[rail] = even_line.history(word, reach, reset=True)[1:]
                odds[rail] = odd_line.history(word, beats, reset=True)
            return accept & is_odd, evens, odds
        line = Pipeline(m, accept)
        for rail in RAILS:
            words = [word[rail] for word in self.i.payload.words][::-1]
            for lines, own in ((odds, words[0::2]), (evens, words[1::2])):
                histories = [line.history(word, beats, reset=True) for word in own]
                lines[rail] = [history[beat] for beat in range(beats + 1) for history in histories]
        return accept, evens, odds

    def _rails_in_turn(
        self, m: Module, pipeline: Pipeline, accept: Value
    ) -> tuple[Value, dict[str, list[Value]], dict[str, list[Value]]]:
        """As :meth:`_delay_lines`, of I when an output has come, and of Q a step later."""
        reach = len(self.half_band.taps)
        (word,) = self.i.payload.words
        is_odd = Signal()
        with m.If(accept):
            m.d.sync += is_odd.eq(~is_odd)
        emit = accept & is_odd
        # Q of an even sample goes in with the odd one that follows, Q of that in the step behind it.
        kept = Pipeline(m, accept).register(word.q)
        second = pipeline.history(emit, 1, reset=True)[-1]
        even_line, odd_line = Pipeline(m, accept), Pipeline(m, emit | (second & pipeline.advance))
        evens = even_line.history(Mux(is_odd, kept, word.i).as_signed(), 2 * reach, reset=True)[1:]
        odds = odd_line.history(Mux(is_odd, word.i, kept).as_signed(), 4 * reach - 2, reset=True)
        return emit, {"in_turn": evens[::2]}, {"in_turn": odds[::2]}

    def _output(self, pipeline: Pipeline, evens: list[Value], odds: list[Value], output: int) -> tuple[Value, Value]:
        """One rail's word of an output of the beat, and whether it was clipped, `latency` - 1 steps later."""
        taps, fraction = self.half_band.taps, self.half_band.fraction
        reach, latest = len(taps), self.outputs - 1 - output
        # Half a unit of the output is one unit of the middle tap's.
        bound = 1 << (BASEBAND.width - 1)
        words = [(pipeline.register(evens[latest + reach - 1] + 1), bound, 1 << (fraction - 1))]
        for k, tap in enumerate(taps):
            pair = odds[latest + reach - 1 - k] + odds[latest + reach + k]
            words.append((pipeline.register(pair), 2 * bound, tap))
        total = constant_sum(pipeline, words)
        clipped, overflow = saturate(total >> fraction, BASEBAND)
        return pipeline.register(clipped), pipeline.register(overflow)
