"""The rotator in Amaranth."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, endless_words
from ...dsp.arithmetic import event_counter, saturate, word_shape
from ...dsp.formats import BASEBAND, SAMPLE
from ...dsp.pipeline import Pipeline
from ...dsp.rates import LANES, check_lanes
from ..phase_smoother.core import RAILS
from .model import MOST_DELAY, REACH, SAMPLES_PER_HOP
from .registers import COUNTER_BITS, DEPTH_BITS, REGISTERS

SAMPLES_PER_CLOCK = LANES
STEPS = 7
"""History; delay; phasors between hops; products; sum; rounding and saturation; and the skid buffer."""


class Rotator(wiring.Component):
    """Take the pilot's phase off the signal: each sample times the conjugate of the pilot's unit phasor.

    Mathematics: ``y[n] = saturate(round(z[n] conj(v[n - 2 delay]) / 2**15))``, where v lies on straight lines between
    the hops' phasors; the model has it in full.

    Structure: samples wait in a FIFO. Whenever a beat of phasors comes, one of samples goes, but for the first
    ``REACH`` hops of phasors: so the phasors of all delays are in a history of ``2 * REACH`` hops, and the register
    chooses, with each hop's phasor those before and behind it. At one sample per clock two beats of samples are a hop.

    Formats: samples Q1.17 in and out, phasors Q1.15, those between hops rounded once to that. A sum of two products has
    34 bits; it is rounded once, to nearest with ties towards plus infinity, and saturates: that takes samples longer
    than full scale, since a unit phasor is no longer than one and a rounding. Clipped words are counted. The rounding
    is 1 / 12 word**2 a rail; see ``BASEBAND`` for what that is as noise.

    Reset: what waits is forgotten, and phasors from before it are zeros.

    Throughput: a beat per clock when both streams have one. Latency: :attr:`latency` clocks from a beat of phasors to
    the samples that it lets go.

    Resources for each sample per clock: four multipliers of 18 x 16 bits; ``depth`` words of 36 bits of block RAM.

    Args:
        samples_per_clock: W, 1, 2, 4, 8 or 16.
        depth: beats that wait; None for 512, twice as many at one sample per clock. The smoother looks 255 hops ahead,
            and 300 are in it and the unit phasor together; fewer beats stop a source that gives samples and pilots at
            once.

    Members:
        i: samples.
        phasors: unit phasors, W / 2 per clock, or one for two beats of samples.
        o: rotated samples.
        saturated: a word was clipped, a pulse: it is not of the beat that stands at ``o``, but of one a few clocks off.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of samples per clock, or a depth out of range.
    """

    registers = REGISTERS
    latency = STEPS
    """Clocks from a beat of phasors to its samples at ``o`` when nothing pauses and the samples are there."""

    def __init__(self, *, samples_per_clock: int, depth: int | None = None) -> None:
        check_lanes(samples_per_clock)
        depth = depth if depth is not None else 1024 if samples_per_clock == 1 else 512
        if not 2 <= depth < 1 << DEPTH_BITS:
            raise ValueError(f"a FIFO of {depth} beats: must be 2 to {(1 << DEPTH_BITS) - 1}")
        self.samples_per_clock = samples_per_clock
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(samples_per_clock, BASEBAND))),
                "phasors": In(stream.Signature(endless_words(self.hops_per_clock, SAMPLE))),
                "o": Out(stream.Signature(endless_words(samples_per_clock, BASEBAND))),
                "saturated": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def hops_per_clock(self) -> int:
        """Phasors of a beat."""
        return max(1, self.samples_per_clock // SAMPLES_PER_HOP)

    @property
    def multipliers(self) -> int:
        """Multipliers of 18 x 16 bits."""
        return 4 * self.samples_per_clock

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=len(Value.cast(self.i.payload)), depth=self.depth)
        pipeline = Pipeline(m, skid.i.ready)
        waiting = data.View(self.i.payload.shape(), fifo.r_data)

        # A beat of samples goes with a beat of phasors; the first phasors go alone, so that all that a delay may ask
        # for have come. With two beats to a hop the second one needs no phasor.
        ahead = REACH // self.hops_per_clock
        primed = Signal(range(ahead + 1))
        second = Signal()
        alone, with_phasor, go = Signal(), Signal(), Signal()
        m.d.comb += [
            alone.eq(self.phasors.valid & (primed != ahead)),
            with_phasor.eq(self.phasors.valid & (primed == ahead) & fifo.r_rdy & ~second),
            go.eq(with_phasor | (fifo.r_rdy & second)),
            self.phasors.ready.eq(pipeline.advance & (alone | with_phasor)),
            fifo.r_en.eq(pipeline.advance & go),
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            skid.i.valid.eq(pipeline.history(go, STEPS - 1, reset=True)[-1]),
            port.capabilities.samples_per_clock.eq(self.samples_per_clock),
            port.capabilities.depth.eq(self.depth),
            port.control.apply.busy.eq(0),
            port.control.clear_counters.busy.eq(0),
        ]
        with m.If(self.phasors.ready & alone):
            m.d.sync += primed.eq(primed + 1)
        if self.samples_per_clock < SAMPLES_PER_HOP:
            with m.If(fifo.r_en):
                m.d.sync += second.eq(~second)

        chosen = self._choose_phasors(m, pipeline, alone | with_phasor)
        noise = Signal()
        with m.If(port.control.apply.start):
            m.d.sync += noise.eq(port.mode.noise)
        later = pipeline.history(second, 2)[-1]
        overflows: list[Value] = []
        for place in range(self.samples_per_clock):
            hop = 1 + place // SAMPLES_PER_HOP
            before, own, behind = chosen[hop - 1 : hop + 2]
            if self.samples_per_clock < SAMPLES_PER_HOP:
                other = {rail: Mux(later, behind[rail], before[rail]) for rail in RAILS}
            else:
                other = behind if place % SAMPLES_PER_HOP else before
            between = {}
            for rail, still in zip(RAILS, (SAMPLE.maximum, 0), strict=True):
                # Three times a word as a sum: a product would take a multiplier.
                middle = ((own[rail] << 1) + own[rail] + other[rail] + 2) >> 2
                between[rail] = pipeline.register(Mux(noise, still, middle), word_shape(SAMPLE))
            word = waiting.words[place]
            z = {rail: pipeline.history(word[rail], 3)[-1] for rail in RAILS}
            turned, over = self._turn(pipeline, z, between)
            overflows += over
            m.d.comb += (skid.i.payload.words[place][rail].eq(turned[rail]) for rail in RAILS)
        self._count(m, overflows, pipeline.advance & skid.i.valid)
        return m

    def _choose_phasors(self, m: Module, pipeline: Pipeline, comes: Value) -> list[data.View]:
        """The phasors of the hop before a beat of samples, of its own hops and of the next one, two steps later."""
        count = self.hops_per_clock
        shape = self.phasors.payload.words.shape().elem_shape
        # The newest hop first. A beat of samples is REACH hops behind the newest of phasors.
        history = [Signal(shape, name=f"hop_{age}") for age in range(count + 2 * REACH)]
        newest = [self.phasors.payload.words[count - 1 - age] for age in range(count)]
        with m.If(pipeline.advance & comes):
            m.d.sync += [later.eq(word) for later, word in zip(history, [*newest, *history], strict=False)]
        delay = Signal(range(2 * MOST_DELAY + 1), init=MOST_DELAY)
        written = self.port.delay.hops
        with m.If(self.port.control.apply.start):
            m.d.sync += delay.eq(Mux(written < -MOST_DELAY, -MOST_DELAY, written) + MOST_DELAY)
        chosen = []
        for place in range(-1, count + 1):
            row = history[count - place :][: 2 * MOST_DELAY + 1]
            phasor = Signal(shape, name=f"phasor_{place + 1}")
            with m.Switch(delay):
                for age, word in enumerate(row[:-1]):
                    with m.Case(age):
                        m.d.comb += phasor.eq(word)
                with m.Default():
                    m.d.comb += phasor.eq(row[-1])
            chosen.append(data.View(shape, pipeline.register(Value.cast(phasor))))
        return chosen

    @staticmethod
    def _turn(pipeline: Pipeline, z: dict[str, Value], u: dict[str, Signal]) -> tuple[dict[str, Value], list[Value]]:
        """A sample times the conjugate of a phasor, three steps later, and whether each rail was clipped."""
        products = {one + other: pipeline.register(z[one] * u[other]) for one in RAILS for other in RAILS}
        sums = {
            "i": pipeline.register(products["ii"] + products["qq"]),
            "q": pipeline.register(products["qi"] - products["iq"]),
        }
        turned, overflows = {}, []
        for rail, total in sums.items():
            rounded = (total + (1 << (SAMPLE.fraction - 1))) >> SAMPLE.fraction
            word, overflow = saturate(rounded, BASEBAND)
            turned[rail] = pipeline.register(word, word_shape(BASEBAND))
            overflows.append(pipeline.register(overflow))
        return turned, overflows

    def _count(self, m: Module, overflows: list[Value], counts: Value) -> None:
        """Counter, sticky flag and wire of what was clipped."""
        clipped = Signal(range(len(overflows) + 1))
        m.d.sync += clipped.eq(Mux(counts, sum(overflows), 0))
        count = event_counter(m, COUNTER_BITS, clipped, self.port.control.clear_counters.start)
        m.d.comb += [
            self.saturated.eq(clipped.any()),
            self.port.status.saturated.eq(clipped.any()),
            self.port.saturations.count.eq(count),
        ]
