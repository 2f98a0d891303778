"""Numerically controlled oscillator in Amaranth: the same words as ``nco.oscillator``, several per clock."""

from __future__ import annotations

from amaranth import Array, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .arithmetic import multiply_in_logic, word_shape
from .formats import SAMPLE
from .nco import (
    ANGLE_BITS,
    COARSE_BITS,
    DROPPED_BITS,
    FINE_BITS,
    OFFSET,
    OFFSET_BITS,
    PHASE_BITS,
    RAISED_BITS,
    SLOPE_BITS,
    TABLE,
    TABLE_BITS,
)
from .pipeline import Pipeline

PHASOR = data.StructLayout({"cosine": word_shape(SAMPLE), "sine": word_shape(SAMPLE)})


class Oscillator(wiring.Component):
    """LANES samples of exp(i theta) per clock from one phase accumulator.

    Mathematics: sample n of a frame has the phase ``phase + n * word`` modulo 2**32; its cosine and sine are those of
    ``nco.COSINE`` and ``nco.SINE``, see there for the method and for its spurs (below -98 dBc).

    Structure: the accumulator steps by LANES words per beat; each lane adds its own multiple of the word. Those
    multiples are made once, when a word is loaded. A lane has one block RAM of 1024 x 18 bits, read through both of its
    ports and their output registers, and two products of few bits, made of adders where no multipliers are spare.

    Resources, for each lane: one RAMB18; no multiplier, or two of 9 x 7 bits with `spare`.

    Latency: :attr:`LATENCY` steps from a beat's ``accept`` to its phasors; a beat per step.

    Args:
        lanes: samples per clock; a power of two.
        spare: there are multipliers for its products.

    Members:
        word: phase increment per sample, 2**-32 turns; taken by ``load``.
        phase: at a frame's first sample, 2**-32 turns; taken by ``load``.
        load: take both, for all beats after this clock. It must stand between two frames, in which case the beat that
            is accepted in the same clock is the old frame's last.
        accept: a beat is accepted in this clock; only when ``advance`` is high.
        last: with ``accept``: it is its frame's last, the next one starts at ``phase``.
        advance: the pipeline moves; see ``dsp.pipeline``.
        o: phasors, one per lane.
    """

    LATENCY = 6
    PRODUCTS = 2
    """Of each lane."""

    def __init__(self, *, lanes: int, spare: bool = False) -> None:
        self.lanes = lanes
        self.spare = spare
        super().__init__(
            {
                "word": In(PHASE_BITS),
                "phase": In(PHASE_BITS),
                "load": In(1),
                "accept": In(1),
                "last": In(1),
                "advance": In(1),
                "o": Out(data.ArrayLayout(PHASOR, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.advance)
        for lane, phase in enumerate(self._phases(m)):
            angle = pipeline.register(phase[PHASE_BITS - ANGLE_BITS :])
            phasor = self._phasor(m, pipeline, lane, angle)
            m.d.comb += self.o[lane].eq(phasor)
        return m

    def _phases(self, m: Module) -> list[Value]:
        """The phase of each lane's sample."""
        multiples = [Value.cast(0), self.word]
        for n in range(2, self.lanes + 1):  # at most three additions in a row
            total = multiples[n // 2] << 1 if n % 2 == 0 else multiples[n - 1] + self.word
            multiples.append(total[:PHASE_BITS])
        ahead = [Signal(PHASE_BITS, name=f"ahead_{n}") for n in range(self.lanes + 1)]
        start, accumulator = Signal(PHASE_BITS), Signal(PHASE_BITS)
        with m.If(self.load):
            m.d.sync += start.eq(self.phase), accumulator.eq(self.phase)
            m.d.sync += (later.eq(multiple) for later, multiple in zip(ahead, multiples, strict=True))
        with m.Elif(self.accept):
            m.d.sync += accumulator.eq(Mux(self.last, start, accumulator + ahead[self.lanes]))
        return [(accumulator + ahead[lane])[:PHASE_BITS] for lane in range(self.lanes)]

    def _phasor(self, m: Module, pipeline: Pipeline, lane: int, angle: Value) -> Value:
        """Cosine and sine of an angle, five steps later."""
        fine, coarse, quadrant = angle[:FINE_BITS], angle[FINE_BITS : FINE_BITS + COARSE_BITS], angle[-2:]
        m.submodules[f"table_{lane}"] = table = Memory(
            shape=unsigned(TABLE_BITS), depth=len(TABLE), init=TABLE.tolist(), attrs={"ram_style": "block"}
        )
        exact = []
        for address in (~coarse, coarse):
            read = table.read_port()
            m.d.comb += read.addr.eq(address), read.en.eq(pipeline.advance)
            exact.append(pipeline.register(read.data))  # the block RAM's own output register
        cosine, sine = exact
        offsets = Array(OFFSET.tolist())
        offset = pipeline.register(offsets[pipeline.register(fine)], signed(OFFSET_BITS))

        # The middle of the coarse step, and the product that leads from there to the angle.
        half = 1 << (DROPPED_BITS - 1)
        at, by = pipeline.register(cosine), pipeline.register(self._product(sine, offset))
        c = pipeline.register(((at << RAISED_BITS) - by + half) >> DROPPED_BITS, unsigned(SAMPLE.fraction))
        at, by = pipeline.register(sine), pipeline.register(self._product(cosine, offset))
        s = pipeline.register(((at << RAISED_BITS) + by + half) >> DROPPED_BITS, unsigned(SAMPLE.fraction))

        # Quadrants 0 to 3: (c, s), (-s, c), (-c, -s), (s, -c).
        turns = pipeline.history(quadrant, 4)[-1]
        swap, negative_cosine, negative_sine = turns[0], turns[0] ^ turns[1], turns[1]
        x, y = Mux(swap, s, c), Mux(swap, c, s)
        return Cat(
            pipeline.register(Mux(negative_cosine, -x, x), word_shape(SAMPLE)),
            pipeline.register(Mux(negative_sine, -y, y), word_shape(SAMPLE)),
        )

    def _product(self, word: Value, offset: Value) -> Value:
        """What an offset adds, from the upper bits of a table word, which has no sign."""
        upper = Cat(word[TABLE_BITS - SLOPE_BITS :], 0).as_signed()
        return upper * offset if self.spare else multiply_in_logic(upper, offset)
