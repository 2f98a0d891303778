"""The phase smoother in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
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
"""Steps of a delay that lies in block RAM, where rails go in turn."""


class PhaseSmoother(wiring.Component):
    """Smooth the pilot's phasors without delay: each estimate sees 255 hops ahead and as many back.

    Mathematics: eight stages of three taps, as the model says. Output k belongs to input k; it comes when the hops that
    it looks ahead to have come. Who needs samples beside their phasors keeps the samples and joins the two in order.

    Structure: a stage keeps ``2 * 2**i`` hops in shift registers, or from 32 beats on in block RAM. There is no
    feedback, so that any number of hops per clock needs no more than as many adders. A weight has five bits: products
    are sums of shifted words in logic. If `shared`, one set of adders has I in one clock and Q in the next: a stage is
    then the same filter of the row I, Q, I, Q, ..., in which neighbours are twice as far apart.

    Formats: phasors of 20 bits. A stage rounds once, to nearest with ties towards plus infinity; since weights are
    positive and sum to one, no word is ever larger than the largest of the input: nothing saturates. Rounding adds a
    variance of at most 8 / 12 word**2 to a rail, 4e-6 rad**2 for a pilot of 400 words a hop, 0.017 mSNU at V_A = 4.

    Reset: phasors from before it have no part in those after it. Nothing comes out for the first :attr:`latency` beats.

    Throughput: one beat per clock, always; a beat every two clocks if `shared`.

    Resources for each hop per clock: no multiplier; 16 weighted sums; 20 Kib in shift registers, in all. If `shared`
    half the sums, and all but 1.2 Kib in block RAM: for devices that are full of look-up tables, where a hop has at
    least two clocks.

    Args:
        hops_per_clock: phasors per clock, 1, 2, 4 or 8.
        shared: the rails go through one set of adders in turn, and long delays lie in block RAM; for one hop per clock.

    Members:
        i: phasors.
        o: smoothed phasors.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of hops per clock, or more than one if `shared`.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, hops_per_clock: int, shared: bool = False) -> None:
        if hops_per_clock not in HOPS_PER_CLOCK:
            raise ValueError(f"{hops_per_clock} hops per clock: must be one of {', '.join(map(str, HOPS_PER_CLOCK))}")
        if shared and hops_per_clock > 1:
            raise ValueError(f"{hops_per_clock} hops per clock: rails go in turn with one alone")
        self.hops_per_clock = hops_per_clock
        self.shared = shared
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
        return self._steps // self.clocks_per_beat

    @property
    def clocks_per_beat(self) -> int:
        """Clocks of a beat, of which each is a step when nothing pauses."""
        return 2 if self.shared else 1

    @property
    def _steps(self) -> int:
        """Steps from a word to what the last stage makes of it."""
        return sum(self._ahead(stage) + STAGE_STEPS for stage in range(STAGES))

    def _ahead(self, stage: int) -> int:
        """Steps that a stage looks ahead."""
        return max(1, (1 << stage) // self.hops_per_clock) * self.clocks_per_beat

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # All registers move when a beat comes in, and only then: the stream has no end that would need flushing.
        step = Signal()
        pipeline = Pipeline(m, step)
        apply: Value = port.control.apply.start
        words: list[dict[str, Value]] = [{rail: word[rail] for rail in RAILS} for word in self.i.payload.words]
        gives: Value = self.i.valid
        if self.shared:
            # I of the beat at `i` in one clock, Q in the next, which takes the beat. The skid buffer has room for what
            # goes out with Q if it has with I, for nothing goes to it between.
            first, second, late = Signal(), Signal(), Signal()
            # Weights do not change between I and Q.
            m.d.sync += second.eq(first), late.eq(apply & first)
            m.d.comb += [
                first.eq(self.i.valid & skid.i.ready & ~second),
                step.eq(first | second),
                self.i.ready.eq(second),
            ]
            apply = (apply & ~first) | late
            words = [{"in_turn": Mux(second, words[0]["q"], words[0]["i"])}]
            gives = second
        else:
            m.d.comb += self.i.ready.eq(skid.i.ready), step.eq(self.i.valid & skid.i.ready)
        m.d.comb += [
            port.capabilities.hops_per_clock.eq(self.hops_per_clock),
            port.capabilities.stages.eq(STAGES),
            port.control.apply.busy.eq(0),
        ]

        # Steps since reset; what lies before the first of them is zero.
        age = Signal(range(self._steps + REACH))
        with m.If(step & (age != self._steps + REACH - 1)):
            m.d.sync += age.eq(age + 1)

        before = 0  # steps before this stage's first
        for stage in range(STAGES):
            weight = Signal(WEIGHT_BITS, name=f"weight_{stage}")
            register = getattr(port, f"weights_{stage // WEIGHTS_PER_REGISTER}")
            with m.If(apply):
                m.d.sync += weight.eq(getattr(register, f"stage_{stage}"))
            # Where products of I are made in Q's clock they see the weight that was there in the clock before.
            weighs = pipeline.register(weight) if self.shared and before % 2 == 0 else weight
            words = self._stage(m, pipeline, words, stage, weighs, age, before)
            before += self._ahead(stage) + STAGE_STEPS
        if self.shared:
            word = words[0]["in_turn"]
            words = [{"i": pipeline.register(word), "q": word}]
        for place, word in enumerate(words):
            m.d.comb += (skid.i.payload.words[place][rail].eq(word[rail]) for rail in RAILS)
        m.d.comb += skid.i.valid.eq(gives & (age >= before))
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
        """What a stage makes of its words, `STAGE_STEPS` steps after the last that it looks ahead to.

        Its input's first words came when `age` was `before`.
        """
        ahead, count, distance = self._ahead(stage), self.hops_per_clock, 1 << stage
        has_centre, has_past = age >= before + ahead, age >= before + 2 * ahead
        smoothed: list[dict[str, Value]] = [{} for _ in words]
        for rail in words[0]:
            late = [word[rail] for word in words]
            centre = self._delayed(m, pipeline, late, ahead, f"centre_{stage}_{rail}")
            past = self._delayed(m, pipeline, centre, ahead, f"past_{stage}_{rail}")
            past = [Mux(has_past, word, 0) for word in past]
            # The three beats in a row, when neighbours are within a clock; else three of which each has its own.
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
                if self.shared:
                    # Half a word, which rounds, lies below the middle word's bits and takes no sum of its own.
                    half = Const(1 << (WEIGHT_FRACTION - 1), WEIGHT_FRACTION)
                    middle = Cat(half, pipeline.register(middle)).as_signed()
                    total = _times(pipeline, difference, weight, middle) >> WEIGHT_FRACTION
                else:
                    product = _times(pipeline, difference, weight)
                    middle = pipeline.history(middle, STAGE_STEPS - 1)[-1]
                    total = middle + ((product + (1 << (WEIGHT_FRACTION - 1))) >> WEIGHT_FRACTION)
                smoothed[place][rail] = pipeline.register(total, word_shape(PHASOR))
        return smoothed

    def _delayed(self, m: Module, pipeline: Pipeline, words: list[Value], steps: int, name: str) -> list[Value]:
        """Words so many steps later. What comes out before the first of them is not used."""
        if not self.shared or steps < LONG:
            return [pipeline.history(word, steps)[-1] for word in words]
        shape = PHASOR.width * len(words)
        m.submodules[name] = memory = Memory(shape=shape, depth=steps, init=[], attrs={"ram_style": "block"})
        write, read = memory.write_port(), memory.read_port()
        place, following = Signal(range(steps), name=f"place_{name}"), Signal(range(steps), name=f"following_{name}")
        m.d.comb += [
            following.eq(Mux(place == steps - 1, 0, place + 1)),
            write.addr.eq(place),
            write.data.eq(Cat(*words)),
            write.en.eq(pipeline.advance),
            read.addr.eq(following),
            read.en.eq(pipeline.advance),
        ]
        with m.If(pipeline.advance):
            m.d.sync += place.eq(following)
        return [read.data.word_select(number, PHASOR.width).as_signed() for number in range(len(words))]


def _times(pipeline: Pipeline, word: Value, weight: Value, *more: Value) -> Value:
    """A word times an unsigned weight of `WEIGHT_BITS`, with what is added, one step later.

    The last addition is left to the caller's.
    """
    terms = [Mux(weight[bit], word << bit, 0) for bit in range(WEIGHT_BITS)]
    low = pipeline.register(terms[0] + terms[1] + terms[2])
    high = pipeline.register(sum([terms[4], *more], terms[3]))
    return low + high
