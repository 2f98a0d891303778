"""Magnitude and angle of pairs of complex words in Amaranth: the same as ``cordic.polar``."""

from __future__ import annotations

from amaranth import Array, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .arithmetic import add_or_subtract, negate_where
from .cordic import ANGLE_BITS, GUARD_BITS, ITERATIONS, STEPS, magnitude_bits
from .pipeline import Pipeline

Word = tuple[Value, Value, Value]
"""x, y and the angle so far."""


class Vectoring(wiring.Component):
    """Volder's CORDIC in vectoring mode; the numpy half has mathematics, rounding and error.

    Structure: words come in pairs, one in a step and the other in the next. ITERATIONS / F stages of an adder each for
    x, y and the angle. With F = 1 there is a stage for each iteration, which takes a step. With more a stage has F
    iterations of two steps, shift and sum: while one word of the pair is shifted the other one is summed.

    Latency: :attr:`latency` steps.

    Throughput: a pair in 2 F steps.

    Resources: no multiplier; of each stage three adders, and with F > 1 two shifters among F places.

    Args:
        width: bits of the words.
        fold: F, a power of two up to ITERATIONS.

    Members:
        begins: the first word of a pair is here; the second comes with the next step, the next pair 2 F steps later at
            the earliest.
        x, y: a complex word.
        advance: the pipeline moves; see ``dsp.pipeline``.
        ends: magnitude and angle are those of a pair's first word; with the next step, of its second.
        magnitude: ``cordic.GAIN`` times its magnitude.
        angle: in 2**-ANGLE_BITS turns.

    Raises:
        ValueError: no such number of iterations a stage.
    """

    def __init__(self, *, width: int, fold: int = 1) -> None:
        if fold < 1 or ITERATIONS % fold:
            raise ValueError(f"{fold} iterations a stage: must divide {ITERATIONS}")
        self.width = width
        self.fold = fold
        super().__init__(
            {
                "begins": In(1),
                "x": In(signed(width)),
                "y": In(signed(width)),
                "advance": In(1),
                "ends": Out(1),
                "magnitude": Out(magnitude_bits(width)),
                "angle": Out(signed(ANGLE_BITS)),
            }
        )

    @property
    def latency(self) -> int:
        """Steps from a word to its magnitude and angle: the right half-plane; iterations; rounding."""
        return 1 + ITERATIONS * min(self.fold, 2) + 1

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.advance)
        # x is never negative but for a guard bit, and no longer than the magnitude; y is no longer than it.
        wide = signed(magnitude_bits(self.width) + 1 + GUARD_BITS)
        turns = signed(ANGLE_BITS + GUARD_BITS)
        left = self.x < 0
        word: Word = (
            pipeline.register(negate_where(left, self.x) << GUARD_BITS, wide),
            pipeline.register(negate_where(left, self.y) << GUARD_BITS, wide),
            # Half a turn is its own negative.
            pipeline.register(Mux(left, -1 << (ANGLE_BITS + GUARD_BITS - 1), 0), turns),
        )
        # It tells a stage one step ahead.
        begins: Value = self.begins
        for first in range(0, ITERATIONS, self.fold):
            if self.fold == 1:
                word, begins = self._iterate(pipeline, word, first), pipeline.register(begins, reset=True)
            else:
                word, begins = self._fold(m, pipeline, word, begins, first)
        x, _, z = word
        half = 1 << (GUARD_BITS - 1)
        m.d.comb += [
            self.ends.eq(pipeline.history(begins, 2, reset=True)[-1]),
            self.magnitude.eq(pipeline.register((x + half) >> GUARD_BITS, unsigned(len(self.magnitude)))),
            self.angle.eq(pipeline.register((z + half) >> GUARD_BITS, signed(ANGLE_BITS))),
        ]
        return m

    @staticmethod
    def _iterate(pipeline: Pipeline, word: Word, i: int) -> Word:
        """Iteration i, in a step."""
        x, y, z = _turn(word, word[0] >> i, word[1] >> i, word[1][-1], _towards(word[1][-1], STEPS[i]))
        return pipeline.register(x), pipeline.register(y), pipeline.register(z)

    def _fold(self, m: Module, pipeline: Pipeline, word: Word, begins: Value, first: int) -> tuple[Word, Value]:
        """Iterations `first` and on, one after the other, and `begins` for what follows."""
        steps = 2 * self.fold
        # Of the pair that is here; it stays behind the last one.
        step = Signal(range(steps + 1), init=steps)
        with m.If(pipeline.advance):
            with m.If(begins):
                m.d.sync += step.eq(0)
            with m.Elif(step != steps):
                m.d.sync += step.eq(step + 1)
        enters, number = step[1:] == 0, step[1:-1]
        summed: Word = tuple(Signal(part.shape(), reset_less=True) for part in word)
        x, y, z = (Mux(enters, new, old) for new, old in zip(word, summed, strict=True))
        angle = Array(STEPS[first : first + self.fold])[number]
        shifted = ((x >> first) >> number, (y >> first) >> number, y[-1], _towards(y[-1], angle))
        held = tuple(pipeline.register(part) for part in (x, y, z))
        turned = _turn(held, *(pipeline.register(part) for part in shifted))
        with m.If(pipeline.advance):
            m.d.sync += (part.eq(new) for part, new in zip(summed, turned, strict=True))
        return summed, step == steps - 1


def _towards(down: Value, angle: Value | int) -> Value:
    """What an iteration adds to the angle."""
    return Mux(down, -angle, angle)


def _turn(word: Word, by_x: Value, by_y: Value, down: Value, by: Value) -> Word:
    """An iteration, from what is added. Each part is known to hold its sum."""
    x, y, z = word
    return add_or_subtract(x, by_y, down), add_or_subtract(y, by_x, ~down), (z + by)[: len(z)].as_signed()
