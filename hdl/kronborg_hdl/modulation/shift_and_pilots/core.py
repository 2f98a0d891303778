"""The single-sideband shift and the pilot tones in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words
from ...dsp.arithmetic import event_counter, multiply_in_logic, saturate
from ...dsp.formats import SAMPLE
from ...dsp.oscillator import Oscillator
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_lanes
from .model import HALF, PILOTS
from .registers import REGISTERS

COUNTER_BITS = 32
MULTIPLIED_PILOTS = 1
"""Pilots whose amplitude takes multipliers where these are scarce; that of the others takes adders."""
QUARTER_AMPLITUDE = 4
"""Bits of an amplitude that adders multiply at a time: more of them would be the longest path."""


class ShiftAndPilots(wiring.Component):
    """Shift complex samples in frequency and add up to two tones.

    Mathematics, for sample n of a frame, with e the oscillators' words (full scale 32767)::

        y[n] = saturate( round(x[n] e_shift[n] / 2**15) + sum over pilots of round(amplitude e_pilot[n] / 2**15) )

    Every oscillator starts a frame anew: the shift at phase zero, a pilot at its own phase.

    Structure: three oscillators (``dsp.oscillator``), a complex multiplication, a real one per pilot and rail, one sum.
    The complex product takes three real ones: with u = cos (i + q), it is u - q (cos + sin) and u + i (sin - cos),
    exact in integers. Of the pilots the first one has multipliers; the other's products are made of adders, as are the
    oscillators' small ones, so that a device with few multipliers can have eight lanes. Where multipliers are left over
    (`spare`) all products take them, and look-up tables are what is saved.

    Formats: samples Q1.15, amplitudes 15 bits without sign, increments and phases 2**-32 turns. Products are exact;
    each term is rounded once, to nearest with ties towards plus infinity. A sum that does not fit 16 bits saturates,
    sets STATUS.saturated and is counted.

    Spurs: the oscillators' are below -98 dBc. Words of 16 bits add those of rounding, which depend on the amplitude: of
    a pilot of 8192 or more, a quarter of full scale, they are below -85 dBc, and 6 dB higher for each halving of it.

    Frames: ``last`` comes out with the beat that it came in with. Registers take effect together, by CONTROL.apply,
    between two frames. After reset no sample is taken before the first apply.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks.

    Resources per lane: 3 multipliers of 17 x 17 bits for the shift and 2 of 16 x 16 for the first pilot; three RAMB18.
    With `spare` 2 more for the second pilot, and 2 of 9 x 7 for each oscillator.

    Args:
        lanes: samples per clock, one of ``dsp.rates.LANES``.
        spare: there are multipliers for all products.

    Members:
        i: LANES samples per clock, and ``last``.
        o: the same.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of lanes.
    """

    registers = REGISTERS

    def __init__(self, *, lanes: int, spare: bool = False) -> None:
        check_lanes(lanes)
        self.lanes = lanes
        self.spare = spare
        super().__init__(
            {
                "i": In(stream.Signature(complex_words(lanes))),
                "o": Out(stream.Signature(complex_words(lanes))),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to the same beat at ``o`` when nothing pauses."""
        # Oscillator; sums of its rails; products; rounding; sum; saturation; skid buffer.
        return Oscillator.LATENCY + 5 + 1

    @property
    def multipliers(self) -> int:
        """Multipliers of up to 17 x 17 bits."""
        oscillators = Oscillator.PRODUCTS * (1 + PILOTS) if self.spare else 0
        return self.lanes * (3 + 2 * self._multiplied + oscillators)

    @property
    def _multiplied(self) -> int:
        """Pilots whose amplitude takes multipliers."""
        return PILOTS if self.spare else MULTIPLIED_PILOTS

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        accept, load = self._accept_beats(m, pipeline)
        shift, pilots = self._oscillators(m, pipeline, accept, load)
        sums = self._sums(pipeline, shift, pilots)
        self._saturate(m, pipeline, accept, sums, skid.i)
        return m

    def _accept_beats(self, m: Module, pipeline: Pipeline) -> tuple[Value, Value]:
        """Take beats, and change settings between frames. Returns whether a beat is taken, and whether they change."""
        port, last = self.port, self.i.payload.last
        accept, load = Signal(), Signal()
        first, pending, loaded = Signal(init=1), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(pipeline.advance & loaded),
            accept.eq(self.i.valid & self.i.ready),
            load.eq(pending & Mux(accept, last, first)),
            port.control.loaded.eq(loaded),
            port.control.apply.busy.eq(pending),
            port.capabilities.lanes.eq(self.lanes),
            port.capabilities.pilots.eq(PILOTS),
        ]
        with m.If(accept):
            m.d.sync += first.eq(last)
        with m.If(port.control.apply.start):
            m.d.sync += pending.eq(1)
        with m.If(load):
            m.d.sync += pending.eq(0), loaded.eq(1)
        return accept, load

    def _oscillators(
        self, m: Module, pipeline: Pipeline, accept: Value, load: Value
    ) -> tuple[data.View, list[tuple[data.View, Value]]]:
        """The phasors of the shift, and phasors and amplitude of each pilot."""

        def phasors(name: str, word: Value, phase: Value | int) -> data.View:
            m.submodules[name] = oscillator = Oscillator(lanes=self.lanes, spare=self.spare)
            m.d.comb += [
                oscillator.word.eq(word),
                oscillator.phase.eq(phase),
                oscillator.load.eq(load),
                oscillator.accept.eq(accept),
                oscillator.last.eq(self.i.payload.last),
                oscillator.advance.eq(pipeline.advance),
            ]
            return oscillator.o

        pilots = []
        for number in range(PILOTS):
            increment, phase, written = (
                getattr(self.port, f"pilot_{number}_{name}").word for name in ("increment", "phase", "amplitude")
            )
            amplitude = Signal.like(written, name=f"amplitude_{number}")
            with m.If(load):
                m.d.sync += amplitude.eq(written)
            # A frame's amplitude goes with its samples: the next frame's may already be in the register.
            amplitude = pipeline.history(amplitude, Oscillator.LATENCY + (number < self._multiplied))[-1]
            pilots.append((phasors(f"pilot_{number}", increment, phase), amplitude))
        return phasors("shift", self.port.shift_increment.word, 0), pilots

    def _sums(self, pipeline: Pipeline, shift: data.View, pilots: list[tuple[data.View, Value]]) -> list[Value]:
        """Shifted sample and pilots, not yet saturated: I, then Q, of each lane."""
        sums = []
        for lane, word in enumerate(self.i.payload.words):
            i, q = (pipeline.history(rail, Oscillator.LATENCY)[-1] for rail in (word.i, word.q))
            cosine, sine = shift[lane].cosine, shift[lane].sine
            both = pipeline.register(pipeline.register(i + q) * pipeline.register(cosine))
            from_q = pipeline.register(pipeline.register(q) * pipeline.register(cosine + sine))
            from_i = pipeline.register(pipeline.register(i) * pipeline.register(sine - cosine))
            shifted = (both - from_q, both + from_i)
            for total, tone in zip(shifted, ("cosine", "sine"), strict=True):
                terms = [pipeline.register((total + HALF) >> SAMPLE.fraction, signed(17))]
                for number, (pilot, amplitude) in enumerate(pilots):
                    rail = pilot[lane][tone]
                    if number < self._multiplied:
                        product: Value = pipeline.register(pipeline.register(rail) * amplitude)
                    else:
                        product = _product_of_adders(pipeline, rail, amplitude)
                    terms.append(pipeline.register((product + HALF) >> SAMPLE.fraction, signed(16)))
                sums.append(pipeline.register(sum(terms), signed(18)))
        return sums

    def _saturate(self, m: Module, pipeline: Pipeline, accept: Value, sums: list[Value], o: stream.Interface) -> None:
        """Saturate, count words that did not fit, and hand beats to the output stream.

        `o` is ready whenever the pipeline advances.
        """
        words = Signal(complex_words(self.lanes)["words"].shape, reset_less=True)
        clipped, overflows = zip(*(saturate(total, SAMPLE) for total in sums), strict=True)
        with m.If(pipeline.advance):
            m.d.sync += Value.cast(words).eq(Cat(clipped))
        before = self.latency - 2  # the step that saturates, and the skid buffer
        *_, valid, valid_out = pipeline.history(accept, before + 1, reset=True)
        saturated = Signal(range(len(overflows) + 1))
        with m.If(pipeline.advance & valid):
            m.d.comb += saturated.eq(sum(overflows))
        count = event_counter(m, COUNTER_BITS, saturated, self.port.control.clear_counters.start)
        m.d.comb += [
            self.port.status.saturated.eq(saturated.any()),
            self.port.saturations.count.eq(count),
            o.valid.eq(valid_out),
            o.payload.words.eq(words),
            o.payload.last.eq(pipeline.history(self.i.payload.last, before + 1)[-1]),
        ]


def _product_of_adders(pipeline: Pipeline, rail: Value, amplitude: Value) -> Value:
    """The exact product of a word and an amplitude, two steps later."""
    quarters = [
        pipeline.register(multiply_in_logic(rail, Cat(amplitude[place : place + QUARTER_AMPLITUDE], 0).as_signed()))
        for place in range(0, len(amplitude), QUARTER_AMPLITUDE)
    ]
    pairs = zip(quarters[::2], quarters[1::2], strict=True)
    low, high = (pipeline.register(below + (above << QUARTER_AMPLITUDE)) for below, above in pairs)
    return low + (high << (2 * QUARTER_AMPLITUDE))
