"""The interpolating shaper in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words
from ...dsp.arithmetic import event_counter, word_shape
from ...dsp.formats import BASEBAND, SAMPLE
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_filter
from ..pulse_shaper.core import FrameBeats, sequence_beats
from .model import HALF_BANDS, check_samples_per_symbol, tail_symbols
from .registers import REGISTERS
from .stages import (
    IN_BLOCKS,
    can_share,
    half_band_steps,
    interpolate,
    pulse,
    pulse_steps,
    shared_multipliers,
    shared_place,
    shared_pulse,
    shared_pulse_steps,
)

COUNTER_BITS = 32


class InterpolatingShaper(wiring.Component):
    """Interpolate complex symbols with a symmetric pulse: 2, 4, 8 or 16 samples a symbol.

    Mathematics: the model has it. A pulse with loadable taps at two samples a symbol, then a half-band interpolator for
    each doubling: its taps are fixed, and half of its samples are those that it was given.

    Structure: symbols stand in a delay line; the two that share a tap are added, multiplied and summed in a tree. Each
    half-band has a delay line as well, an adder for each pair that shares a tap, and a tree of adders for the digits of
    its taps. Delay lines move when there is a beat for them, all else in every clock. With P = M / LANES clocks per
    symbol (or N = LANES / M symbols per clock) what is slower than a sample per clock gives its two samples in turn.

    Formats: symbols, taps and samples Q1.15, between the stages Q1.17. Products and sums are exact; each stage rounds
    once, to nearest with ties towards plus infinity. What then does not fit saturates, sets STATUS.saturated and is
    counted, in every stage.

    Accuracy, for a roll-off of 0.2 and K = 33: intersymbol interference 0.011 mSNU at V_A = 4 behind a matched filter,
    images of the half-bands below -80 dB of the signal. Its own rounding adds 1 / 12 word**2 a sample, and a sixteenth
    of that for each stage before.

    Frames: after the beat with ``last`` the tail of the pulses is flushed by :attr:`tail` zero symbols; meanwhile no
    symbol is taken. A frame of n symbols gives (n + tail) M samples, and ``last`` comes with the last of them. Frames
    do not see each other.

    Taps: those written and those in use; CONTROL.apply changes over between two frames, the shift with it. Before each
    apply all are written. After reset no symbol is taken before the first apply.

    Throughput: one beat of LANES samples per clock, always, tails included, if there is a beat of symbols every P
    clocks. Latency: :attr:`latency` clocks from a beat of symbols to the first beat of a frame with as many before it.

    Resources: 2 K N multipliers of 17 x 16 bits (K = 33, 8 lanes, M = 8: 66, where ``pulse_shaper`` takes 528). With
    `shared`, P times fewer (K = 33, 2 lanes, M = 8: 18), and for each two of them two block RAMs of 32 bits for symbols
    and half a one for taps, of which few words are used (23).

    Source: Crochiere & Rabiner, Multirate Digital Signal Processing (1983), chapters 3 and 5.

    Args:
        lanes: samples per clock, one of ``dsp.rates.LANES``.
        samples_per_symbol: M, 2, 4, 8 or 16.
        span: K, the number of taps.
        shared: a multiplier has several products of a symbol, where it has several clocks (P > 1) and K is not too
            small (``stages.can_share``). Reset then flushes the line by as many zero symbols as there are in a tail,
            before the first apply is done. I and Q go through a half-band's adders in turn, where its samples have
            several clocks.

    Members:
        i: N = max(1, LANES / M) symbols per beat, and ``last``.
        o: LANES samples per clock, and ``last``.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: lanes, samples per symbol and span do not go together.
    """

    registers = REGISTERS

    def __init__(self, *, lanes: int, samples_per_symbol: int, span: int, shared: bool = False) -> None:
        check_samples_per_symbol(samples_per_symbol)
        check_filter(lanes, samples_per_symbol, span)
        self.lanes = lanes
        self.samples_per_symbol = samples_per_symbol
        self.span = span
        self.symbols_per_clock = max(1, lanes // samples_per_symbol)
        self.clocks_per_symbol = max(1, samples_per_symbol // lanes)
        self.shared = shared and can_share(span, self.clocks_per_symbol)
        self.half_bands = HALF_BANDS[samples_per_symbol]
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
        return tail_symbols(self.samples_per_symbol, self.span)

    @property
    def _pulse_steps(self) -> int:
        """Steps from symbols to the words of the pulse."""
        if self.shared:
            return shared_pulse_steps(self.span, self.clocks_per_symbol)
        return pulse_steps(self.span)

    @property
    def _steps(self) -> int:
        """Steps from symbols to samples."""
        return self._pulse_steps + sum(
            half_band_steps(half_band, shared=self._is_shared(number))
            for number, half_band in enumerate(self.half_bands)
        )

    def _is_shared(self, number: int) -> bool:
        """Whether I and Q share a half-band's adders: its samples have several clocks."""
        return self.shared and self.clocks_per_symbol >> (1 + number) > 1

    @property
    def latency(self) -> int:
        """Clocks from the acceptance of a beat of symbols to its place at ``o`` when nothing pauses."""
        return self._steps + 1  # the skid buffer

    @property
    def multipliers(self) -> int:
        """Multipliers of 17 x 16 bits."""
        if self.shared:
            return 2 * shared_multipliers(self.span, self.clocks_per_symbol)
        return 2 * self.span * self.symbols_per_clock

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        tail = self.tail // self.symbols_per_clock
        beats = sequence_beats(
            m, pipeline, self, clocks_per_symbol=self.clocks_per_symbol, tail=tail, flush=self.shared
        )
        period = self.clocks_per_symbol
        clock = pipeline.register(beats.phase) if self.shared else None
        taps = self._taps(m, pipeline, beats) if clock is None else self._shared_taps(m, pipeline, beats, clock)
        shift = beats.token.delayed(pipeline, self._pulse_steps - 2).shift
        to = BASEBAND if self.half_bands else SAMPLE
        line = m, pipeline, beats.symbols, beats.begins
        if clock is None:
            samples = pulse(*line, period, taps, shift, to)
        else:
            samples = shared_pulse(*line, clock, period, self.span, taps, shift, to)
        stages = [samples]
        for number, half_band in enumerate(self.half_bands):
            to = SAMPLE if number == len(self.half_bands) - 1 else BASEBAND
            stages.append(interpolate(m, pipeline, stages[-1], half_band, to, shared=self._is_shared(number)))
        token = beats.token.delayed(pipeline, self._steps)
        for word, sample in zip(skid.i.payload.words, stages[-1].words, strict=True):
            m.d.comb += (word[rail].eq(sample[rail]) for rail in sample)
        m.d.comb += [
            skid.i.valid.eq(token.valid),
            skid.i.payload.last.eq(token.last),
            port.capabilities.lanes.eq(self.lanes),
            port.capabilities.samples_per_symbol.eq(self.samples_per_symbol),
            port.capabilities.span.eq(self.span),
            port.tail.length.eq(self.tail),
        ]
        clipped = Cat(bit & stage.valid & pipeline.advance for stage in stages for bit in stage.clipped)
        count = event_counter(m, COUNTER_BITS, sum(clipped), port.control.clear_counters.start)
        m.d.comb += port.status.saturated.eq(clipped.any()), port.saturations.count.eq(count)
        return m

    def _taps(self, m: Module, pipeline: Pipeline, beats: FrameBeats) -> list[Value]:
        """Taps in use, two steps after the beat whose symbols they weigh."""
        port = self.port
        written = [Signal(word_shape(SAMPLE), name=f"written_{k}") for k in range(self.span)]
        taps = [Signal(word_shape(SAMPLE), name=f"tap_{k}") for k in range(self.span)]
        # Each new set of taps turns it over; the beats that it is for come behind it.
        turn, store = Signal(), Signal()
        with m.If(beats.load):
            m.d.sync += turn.eq(~turn)
        turns = pipeline.history(turn, 2, reset=True)
        with m.If(pipeline.advance & (turns[1] ^ turns[2])):
            m.d.sync += Cat(taps).eq(Cat(written))
        m.d.comb += [
            port.control.apply.busy.eq(beats.pending | (turns[0] ^ turns[2]) | (turns[1] ^ turns[2])),
            store.eq(port.tap.written & (port.tap.index < self.span) & ~port.control.apply.busy),
            port.status.tap_refused.eq(port.tap.written & ~store),
        ]
        for k, tap in enumerate(written):
            with m.If(store & (port.tap.index == k)):
                m.d.sync += tap.eq(port.tap.value)
        return list(taps)

    def _shared_taps(self, m: Module, pipeline: Pipeline, beats: FrameBeats, clock: Value) -> list[Value]:
        """The tap of each shared multiplier, three steps after the clock that it is for: from one of two banks."""
        port, tap = self.port, self.port.tap
        # Bank 0 is never written: in it all taps are zero, until the first apply.
        bank, spare, store = Signal(2), Signal(2), Signal()
        with m.If(beats.load):
            m.d.sync += bank.eq(spare)
        used = pipeline.register(bank, reset=True)
        m.d.comb += [
            spare.eq(Mux(bank == 1, 2, 1)),
            port.control.apply.busy.eq(beats.pending | (used != bank)),
            store.eq(tap.written & (tap.index < self.span) & ~port.control.apply.busy),
            port.status.tap_refused.eq(tap.written & ~store),
        ]
        multipliers = shared_multipliers(self.span, self.clocks_per_symbol)
        m.submodules.taps = memory = Memory(
            shape=data.ArrayLayout(word_shape(SAMPLE), multipliers),
            depth=3 * self.clocks_per_symbol,
            init=[],
            attrs=IN_BLOCKS,
        )
        write, read = memory.write_port(granularity=1), memory.read_port(domain="comb")
        multiplier, place = shared_place(m, self.span, self.clocks_per_symbol, tap.index)
        m.d.comb += write.addr.eq(Cat(place, spare)), read.addr.eq(Cat(clock, used))
        for number in range(multipliers):
            m.d.comb += write.data[number].eq(tap.value), write.en[number].eq(store & (multiplier == number))
        taps = pipeline.register(read.data, memory.shape)
        return [pipeline.history(tap, 2)[-1] for tap in taps]
