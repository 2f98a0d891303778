"""The fibre emulator in Amaranth."""

from __future__ import annotations

from amaranth import Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words, endless_words
from ...dsp.arithmetic import event_counter, saturate, word_shape
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_lanes
from ...dsp.table_oscillator import TableOscillator
from ...modulation.gaussian.core import GaussianSource, in_range
from ...modulation.gaussian.model import MINIMUM_DEVIATION
from .generator import Generators
from .model import NOISE_FRACTION, OUT_DROP, TURNED, TURNED_DROP, generators
from .registers import COUNTER_BITS, REGISTERS

_WORD_STEPS = 1
"""From a beat to its phase increment."""
_STEPS_BEHIND = 5
"""From a phasor to the sample: products; their sum, rounded; amplitude; noise, rounded; saturation."""


class FibreEmulator(wiring.Component):
    """Loss, the lasers' beat and phase walk, and a detector's noise: the transmitter's samples as a receiver has them.

    Mathematics: the model has it in full. A sample is turned by an oscillator whose increment is the beat plus or
    minus the walk's step, multiplied by the amplitude, and noise is added. A receiver with one converter gets the real
    part. It is a channel's noise and **no key material**: its generators are quick and not secret.

    Structure: an oscillator that is a table (``dsp.table_oscillator``), the Gaussian transform of the transmitter
    (``modulation.gaussian``) on xoshiro256++ (``generator``), one product for the amplitude. A beat is taken when its
    noise is there, which is always but in the first clocks: what comes out depends on samples and settings alone, and
    on no pause.

    Formats: samples Q1.15; turned samples Q2.16; amplitude unsigned Q0.16; noise in half words. Products are exact.
    Two roundings, to nearest with ties towards plus infinity. A sample that does not fit 16 bits saturates, sets
    STATUS.saturated and is counted.

    Frames: ``last`` is dropped, for a converter knows no frames. Samples are neither made up nor dropped: when none
    come, none leave.

    Settings: CONTROL.apply puts them to use for the next beat; phases are continuous. Noise that is already made keeps
    its scale, for :attr:`noise_latency` beats. A write to SEED stops the emulator until the next apply: from there on
    the phase is zero and noise and walk are those of the seed. After reset it is the model's own seed, and no sample is
    taken before the first apply. Nor is any while NOISE is out of range: STATUS.noise_refused.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks.

    Resources: per lane three multipliers (six for I and Q), two RAMB36; per generator, of which there is one for two
    real samples, five multipliers and two RAMB36.

    Args:
        lanes: samples per clock, one of ``dsp.rates.LANES``.
        complex_output: samples that come out have I and Q.

    Members:
        i: LANES complex samples per clock, and ``last``.
        o: LANES samples per clock, real or complex.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of lanes.
    """

    registers = REGISTERS

    def __init__(self, *, lanes: int, complex_output: bool = False) -> None:
        check_lanes(lanes)
        self.lanes = lanes
        self.complex_output = complex_output
        self.generators = Generators(words_per_clock=generators(lanes, complex_output))
        self.gaussian = GaussianSource(symbols_per_clock=self.generators.words_per_clock, checked=False)
        real = data.StructLayout({"words": data.ArrayLayout(word_shape(SAMPLE), lanes)})
        super().__init__(
            {
                "i": In(stream.Signature(complex_words(lanes))),
                "o": Out(stream.Signature(endless_words(lanes, SAMPLE) if complex_output else real)),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def _steps(self) -> int:
        """Steps from a beat's acceptance to its samples."""
        return _WORD_STEPS + TableOscillator.LATENCY + _STEPS_BEHIND

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to the same beat at ``o`` when nothing pauses and noise is there."""
        return self._steps + 1

    @property
    def noise_latency(self) -> int:
        """Clocks from the first apply until noise is there; it is never waited for again."""
        return self.gaussian.latency + 3

    @property
    def multipliers(self) -> int:
        """Multipliers of up to 25 x 18 bits."""
        return self.lanes * (6 if self.complex_output else 3) + self.gaussian.multipliers

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        connect(m, skid.o, flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        loaded, accept, begin = Signal(), Signal(), Signal()
        noise, refused = self._noise(m, accept, loaded, begin)
        m.d.comb += [
            begin.eq(port.seed.written),
            self.i.ready.eq(pipeline.advance & loaded & noise.valid & ~refused),
            accept.eq(self.i.valid & self.i.ready),
            port.control.loaded.eq(loaded),
            port.control.apply.busy.eq(0),
            port.capabilities.lanes.eq(self.lanes),
            port.capabilities.generators.eq(self.generators.words_per_clock),
            port.capabilities.complex_output.eq(int(self.complex_output)),
        ]
        with m.If(port.control.apply.start):
            m.d.sync += loaded.eq(1)
        with m.If(begin):
            m.d.sync += loaded.eq(0)
        valid = pipeline.history(accept, self._steps, reset=True)
        turned = self._turn(m, pipeline, valid[_WORD_STEPS], begin)
        overflows = self._attenuate(m, pipeline, turned, noise.payload.words, skid.i)
        m.d.comb += skid.i.valid.eq(valid[-1])
        self._count(m, valid[-2] & pipeline.advance, overflows)
        return m

    def _noise(self, m: Module, accept: Value, loaded: Value, begin: Value) -> tuple[stream.Interface, Value]:
        """Noise for the beat that is accepted, and whether its scale is refused."""
        port, made = self.port, self.generators
        m.submodules.generators = made
        m.submodules.gaussian = ResetInserter(begin)(self.gaussian)
        gaussian = self.gaussian
        written = port.noise.deviation
        scale, silent, refused = Signal(written.shape(), init=MINIMUM_DEVIATION), Signal(init=1), Signal()
        with m.If(port.control.apply.start):
            # Where there is none its words are made all the same, so that a seed gives the same signs and words.
            m.d.sync += [
                scale.eq(Mux(written == 0, MINIMUM_DEVIATION, written)),
                silent.eq(written == 0),
                refused.eq((written != 0) & ~in_range(written)),
            ]
        m.d.comb += [
            made.seed.eq(port.seed.word),
            made.seed_written.eq(begin),
            made.run.eq(loaded),
            made.advance.eq(accept),
            gaussian.i.payload.eq(made.o.payload),
            gaussian.i.valid.eq(made.o.valid & ~refused),
            made.o.ready.eq(gaussian.i.ready & ~refused),
            gaussian.port.scale.deviation.eq(scale),
            port.status.noise_refused.eq(refused),
            port.status.noise_clipped.eq(gaussian.port.status.saturated),
        ]
        noise = stream.Signature(gaussian.o.payload.shape()).create()
        m.d.comb += [
            noise.valid.eq(gaussian.o.valid),
            gaussian.o.ready.eq(accept),
            Value.cast(noise.payload.words).eq(Mux(silent, 0, Value.cast(gaussian.o.payload.words))),
        ]
        return noise, refused

    def _turn(self, m: Module, pipeline: Pipeline, begun: Value, begin: Value) -> list[list[Value]]:
        """The rails of each lane's turned sample; `begun` says of the step behind the increments that it has a beat."""
        port = self.port
        up, down = Signal.like(port.frequency.word), Signal.like(port.frequency.word)
        with m.If(port.control.apply.start):
            m.d.sync += [
                up.eq(port.frequency.word + port.walk.step),
                down.eq(port.frequency.word - port.walk.step),
            ]
        m.submodules.oscillator = oscillator = ResetInserter(begin)(TableOscillator(lanes=self.lanes))
        m.d.comb += [
            oscillator.word.eq(pipeline.register(Mux(self.generators.sign, up, down))),
            oscillator.accept.eq(begun & pipeline.advance),
            oscillator.advance.eq(pipeline.advance),
        ]
        turned = []
        half = 1 << (TURNED_DROP - 1)
        for sample, phasor in zip(self.i.payload.words, oscillator.o, strict=True):
            i, q = (pipeline.history(rail, _WORD_STEPS + TableOscillator.LATENCY)[-1] for rail in (sample.i, sample.q))
            cosine, sine = phasor.cosine, phasor.sine
            sums = [pipeline.register(i * cosine) - pipeline.register(q * sine)]
            if self.complex_output:
                sums.append(pipeline.register(i * sine) + pipeline.register(q * cosine))
            # At most 2**31 - 2**16: what is left fits.
            turned.append([pipeline.register((total + half) >> TURNED_DROP, word_shape(TURNED)) for total in sums])
        return turned

    def _attenuate(
        self, m: Module, pipeline: Pipeline, turned: list[list[Value]], noise: data.View, o: stream.Interface
    ) -> list[Value]:
        """Amplitude and noise, into the payload of `o`. Returns what did not fit, in the step before the last."""
        port = self.port
        amplitude = Signal.like(port.amplitude.word)
        with m.If(port.control.apply.start):
            m.d.sync += amplitude.eq(port.amplitude.word)
        # A beat's amplitude goes with it, as its noise does.
        before = self._steps - _STEPS_BEHIND + 2
        amplitude = pipeline.history(amplitude, before)[-1]
        rails = [word[rail] for word in noise for rail in ("i", "q")]
        added = iter(pipeline.history(rail, before + 1)[-1] for rail in rails)
        overflows = []
        half = 1 << (OUT_DROP - 1)
        for out, words in zip(o.payload.words, turned, strict=True):
            for rail, word in zip([out.i, out.q] if self.complex_output else [out], words, strict=True):
                product = pipeline.register(word * amplitude)
                total = product + (next(added) << (OUT_DROP - NOISE_FRACTION)) + half
                clipped, overflow = saturate(pipeline.register(total >> OUT_DROP), SAMPLE)
                m.d.comb += rail.eq(pipeline.register(clipped))
                overflows.append(overflow)
        return overflows

    def _count(self, m: Module, valid: Value, overflows: list[Value]) -> None:
        """Count words that did not fit."""
        port = self.port
        saturated = Signal(range(len(overflows) + 1))
        m.d.sync += saturated.eq(Mux(valid, sum(overflows), 0))
        clear = port.control.clear_counters.start
        m.d.comb += [
            port.status.saturated.eq(saturated.any()),
            port.saturations.count.eq(event_counter(m, COUNTER_BITS, saturated, clear)),
        ]
