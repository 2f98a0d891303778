"""The phase smoother in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, endless_words
from ...dsp.arithmetic import word_shape
from ...dsp.pipeline import Pipeline
from .model import PHASOR, REACH, STAGES, WEIGHT_BITS, WEIGHT_FRACTION
from .registers import REGISTERS, WEIGHTS_PER_REGISTER

HOPS_PER_CLOCK = (1, 2, 4, 8)
STAGE_STEPS = 3
"""Difference; products; sum."""
RAILS = ("i", "q")
LONG = 32
"""Beats of a delay that lies in block RAM, where this is wanted."""


class PhaseSmoother(wiring.Component):
    """Smooth the pilot's phasors without delay: each estimate sees 255 hops ahead and as many back.

    Mathematics: eight stages of three taps, as the model says. Output k belongs to input k; it comes when the hops that
    it looks ahead to have come. Who needs samples beside their phasors keeps the samples and joins the two in order.

    Structure: a stage keeps ``2 * 2**i`` hops in shift registers, or from 32 beats on in block RAM. There is no
    feedback, so that any number of hops per clock needs no more than as many adders. A weight has five bits: products
    are sums of shifted words in logic.

    Formats: phasors of 20 bits. A stage rounds once, to nearest with ties towards plus infinity; since weights are
    positive and sum to one, no word is ever larger than the largest of the input: nothing saturates. Rounding adds a
    variance of at most 8 / 12 word**2 to a rail, 4e-6 rad**2 for a pilot of 400 words a hop, 0.017 mSNU at V_A = 4.

    Reset: phasors from before it have no part in those after it. Nothing comes out for the first :attr:`latency` beats.

    Throughput: one beat per clock, always.

    Resources for each hop per clock: no multiplier; 16 weighted sums; 20 Kib in shift registers, in all, or 2.5 Kib of
    it with `memories`.

    Args:
        hops_per_clock: phasors per clock, 1, 2, 4 or 8.
        memories: long delays lie in block RAM, for devices that are full of look-up tables.

    Members:
        i: phasors.
        o: smoothed phasors.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of hops per clock.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, hops_per_clock: int, memories: bool = False) -> None:
        if hops_per_clock not in HOPS_PER_CLOCK:
            raise ValueError(f"{hops_per_clock} hops per clock: must be one of {', '.join(map(str, HOPS_PER_CLOCK))}")
        self.hops_per_clock = hops_per_clock
        self.memories = memories
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(hops_per_clock, PHASOR))),
                "o": Out(stream.Signature(endless_words(hops_per_clock, PHASOR))),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def latency(self) -> int:
        """Beats that go in before the first comes out."""
        return sum(self._ahead(stage) + STAGE_STEPS for stage in range(STAGES))

    def _ahead(self, stage: int) -> int:
        """Beats that a stage looks ahead."""
        return max(1, (1 << stage) // self.hops_per_clock)

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # All registers move when a beat comes in, and only then: the stream has no end that would need flushing.
        step = Signal()
        pipeline = Pipeline(m, step)
        m.d.comb += [
            self.i.ready.eq(skid.i.ready),
            step.eq(self.i.valid & skid.i.ready),
            port.capabilities.hops_per_clock.eq(self.hops_per_clock),
            port.capabilities.stages.eq(STAGES),
        ]
        m.d.comb += port.control.apply.busy.eq(0)

        # Beats that came in since reset; what lies before the first of them is zero.
        age = Signal(range(self.latency + REACH))
        with m.If(step & (age != self.latency + REACH - 1)):
            m.d.sync += age.eq(age + 1)

        words: list[dict[str, Value]] = [{rail: word[rail] for rail in RAILS} for word in self.i.payload.words]
        before = 0  # beats that went in before this stage's first
        for stage in range(STAGES):
            weight = Signal(WEIGHT_BITS, name=f"weight_{stage}")
            register = getattr(port, f"weights_{stage // WEIGHTS_PER_REGISTER}")
            with m.If(port.control.apply.start):
                m.d.sync += weight.eq(getattr(register, f"stage_{stage}"))
            words = self._stage(m, pipeline, words, stage, weight, age, before)
            before += self._ahead(stage) + STAGE_STEPS
        for place, word in enumerate(words):
            m.d.comb += (skid.i.payload.words[place][rail].eq(word[rail]) for rail in RAILS)
        m.d.comb += skid.i.valid.eq(self.i.valid & (age >= before))
        return m

    def _stage(
        self,
        m: Module,
        pipeline: Pipeline,
        words: list[dict[str, Value]],
        stage: int,
        weight: Value,
        age: Value,
        before: int,
    ) -> list[dict[str, Value]]:
        """A beat of one stage, `STAGE_STEPS` beats after the last one that it looks ahead to.

        Its input's first beat came when `age` was `before`.
        """
        ahead, count, distance = self._ahead(stage), self.hops_per_clock, 1 << stage
        has_centre, has_past = age >= before + ahead, age >= before + 2 * ahead
        smoothed: list[dict[str, Value]] = [{} for _ in words]
        for rail in RAILS:
            late = [word[rail] for word in words]
            centre = self._delayed(m, pipeline, late, ahead, f"centre_{stage}_{rail}")
            past = self._delayed(m, pipeline, centre, ahead, f"past_{stage}_{rail}")
            past = [Mux(has_past, word, 0) for word in past]
            # The three beats in a row, when neighbours are within a clock; else three beats of which each has its own.
            row = [*past, *centre, *late] if distance < count else []
            for place in range(count):
                middle = Mux(has_centre, centre[place], 0)
                if row:
                    one, other = row[count + place - distance], row[count + place + distance]
                else:
                    one, other = past[place], late[place]
                difference = pipeline.register(
                    Mux(has_centre, one + other - (middle << 1), 0), signed(PHASOR.width + 2)
                )
                product = _times(pipeline, difference, weight)
                middle = pipeline.history(middle, STAGE_STEPS - 1)[-1]
                rounded = (product + (1 << (WEIGHT_FRACTION - 1))) >> WEIGHT_FRACTION
                smoothed[place][rail] = pipeline.register(middle + rounded, word_shape(PHASOR))
        return smoothed

    def _delayed(self, m: Module, pipeline: Pipeline, words: list[Value], beats: int, name: str) -> list[Value]:
        """Words so many beats later. What comes out before the first of them is not used."""
        if not self.memories or beats < LONG:
            return [pipeline.history(word, beats)[-1] for word in words]
        shape = PHASOR.width * len(words)
        m.submodules[name] = memory = Memory(shape=shape, depth=beats, init=[], attrs={"ram_style": "block"})
        write, read = memory.write_port(), memory.read_port()
        place, following = Signal(range(beats), name=f"place_{name}"), Signal(range(beats), name=f"following_{name}")
        m.d.comb += [
            following.eq(Mux(place == beats - 1, 0, place + 1)),
            write.addr.eq(place),
            write.data.eq(Cat(*words)),
            write.en.eq(pipeline.advance),
            read.addr.eq(following),
            read.en.eq(pipeline.advance),
        ]
        with m.If(pipeline.advance):
            m.d.sync += place.eq(following)
        return [read.data.word_select(number, PHASOR.width).as_signed() for number in range(len(words))]


def _times(pipeline: Pipeline, word: Value, weight: Value) -> Value:
    """A word times an unsigned weight of `WEIGHT_BITS`, one step later; the last addition is left to the caller's."""
    terms = [Mux(weight[bit], word << bit, 0) for bit in range(WEIGHT_BITS)]
    low = pipeline.register(terms[0] + terms[1] + terms[2])
    high = pipeline.register(terms[3] + terms[4])
    return low + high
