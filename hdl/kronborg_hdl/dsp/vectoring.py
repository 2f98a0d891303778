"""Magnitude and angle of complex words in Amaranth: the same as ``cordic.polar``, a word per clock."""

from __future__ import annotations

from amaranth import Module, Mux, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .cordic import ANGLE_BITS, GUARD_BITS, ITERATIONS, STEPS, magnitude_bits
from .pipeline import Pipeline


class Vectoring(wiring.Component):
    """Volder's CORDIC in vectoring mode, an iteration a step; the numpy half has mathematics, rounding and error.

    Latency: :attr:`LATENCY` steps; a word per step.

    Resources: 16 times three adders, of the word and its guard bits and of the angle; no multiplier.

    Args:
        width: bits of the words.

    Members:
        x, y: a complex word.
        advance: the pipeline moves; see ``dsp.pipeline``.
        magnitude: ``cordic.GAIN`` times its magnitude.
        angle: in 2**-ANGLE_BITS turns.
    """

    LATENCY = 1 + ITERATIONS + 1
    """The right half-plane; iterations; rounding."""

    def __init__(self, *, width: int) -> None:
        self.width = width
        super().__init__(
            {
                "x": In(signed(width)),
                "y": In(signed(width)),
                "advance": In(1),
                "magnitude": Out(magnitude_bits(width)),
                "angle": Out(signed(ANGLE_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.advance)
        # x is never negative but for a guard bit, and no longer than the magnitude; y is no longer than it.
        wide = signed(magnitude_bits(self.width) + 1 + GUARD_BITS)
        turns = signed(ANGLE_BITS + GUARD_BITS)
        left = self.x < 0
        x = pipeline.register(Mux(left, -self.x, self.x) << GUARD_BITS, wide)
        y = pipeline.register(Mux(left, -self.y, self.y) << GUARD_BITS, wide)
        # Half a turn is its own negative.
        z = pipeline.register(Mux(left, -1 << (ANGLE_BITS + GUARD_BITS - 1), 0), turns)
        for i, step in enumerate(STEPS):
            down = y < 0
            x, y, z = (
                pipeline.register(Mux(down, x - (y >> i), x + (y >> i)), wide),
                pipeline.register(Mux(down, y + (x >> i), y - (x >> i)), wide),
                pipeline.register(Mux(down, z - step, z + step), turns),
            )
        half = 1 << (GUARD_BITS - 1)
        m.d.comb += [
            self.magnitude.eq(pipeline.register((x + half) >> GUARD_BITS, unsigned(len(self.magnitude)))),
            self.angle.eq(pipeline.register((z + half) >> GUARD_BITS, signed(ANGLE_BITS))),
        ]
        return m
