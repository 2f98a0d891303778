"""The solver in Amaranth: a frame's timing from its correlation, bit after bit, once a frame."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...decimation.resampler.model import JUMP_BITS, JUMP_FRACTION
from ...dsp.arithmetic import add_or_subtract, negate_where
from .measurer import CORRELATION, SUM_BITS
from .timing import (
    AMPLITUDE_BITS,
    DISTANCE_BITS,
    FREQUENCY_GAIN_BITS,
    FREQUENCY_GAIN_FRACTION,
    ITERATIONS,
    PHASE_FRACTION,
    PHASE_GAIN_BITS,
    PHASE_GAIN_FRACTION,
    RATIO_FRACTION,
    SLOPE_BITS,
    STEP_BITS,
    WANDER_SHIFT,
    WIDE_BITS,
)

GAINS = data.StructLayout({"phase": PHASE_GAIN_BITS, "drift": PHASE_GAIN_BITS, "frequency": FREQUENCY_GAIN_BITS})
TIMING = data.StructLayout(
    {
        "slope": SLOPE_BITS,
        "weak": AMPLITUDE_BITS,
        "wide": WIDE_BITS,
        "step": STEP_BITS,
        "acquire": GAINS,
        "track": GAINS,
    }
)
"""The settings of the timing, as ``timing.TimingSettings``."""
RATIO_BITS = RATIO_FRACTION + 3
PHASE_BITS = PHASE_FRACTION + 3
ERROR_BITS = PHASE_FRACTION + DISTANCE_BITS + 2
FACTOR_BITS = max(SLOPE_BITS, PHASE_GAIN_BITS + 1, FREQUENCY_GAIN_BITS)
PRODUCT_BITS = ERROR_BITS + FACTOR_BITS


class TimingSolver(wiring.Component):
    """Solve for the sampling phase, and let the loop follow it: ``timing.Loop.follow``.

    Structure: one CORDIC of two vectors, which becomes the divider, and one multiplier that adds a bit a clock. It
    works in clocks, not in beats, and is done in less than ``sizes.SOLVE_BEATS`` of them.

    Members:
        start: a pulse: correlation, slant, distance and expected stand, and stay.
        correlation: R(0).
        slant: R(1) - R(-1).
        distance: symbols by which the frame came later than expected.
        expected: there was an expectation.
        settings: see TIMING.
        restart: take the nominal step, and forget the lock.
        busy: at work.
        done: a pulse: the outputs stand, until the next one.
        phase: by how much the frame was sampled too early, 2**-16 symbols.
        weak: its preamble was.
        locked: the clock is.
        ahead: whole symbols that the frame under way gains and no jump takes off.
        jump, step: of the command.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "correlation": In(CORRELATION),
                "slant": In(CORRELATION),
                "distance": In(signed(DISTANCE_BITS)),
                "expected": In(1),
                "settings": In(TIMING),
                "restart": In(1),
                "busy": Out(1),
                "done": Out(1),
                "phase": Out(signed(PHASE_BITS)),
                "weak": Out(1),
                "locked": Out(1),
                "ahead": Out(signed(DISTANCE_BITS)),
                "jump": Out(signed(JUMP_BITS)),
                "step": Out(STEP_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        settings = self.settings
        x, y, dx, dy = (Signal(signed(SUM_BITS), name=name) for name in ("x", "y", "dx", "dy"))
        xs, ys, dxs, dys = (Signal(signed(SUM_BITS), name=name) for name in ("xs", "ys", "dxs", "dys"))
        index = Signal(range(FACTOR_BITS + 1))
        shifted = Signal()
        ratio, weight = Signal(signed(RATIO_BITS)), Signal(RATIO_FRACTION + 1)
        # The multiplier: adds the multiplicand, which moves up, for each bit of the factor that is one.
        product, multiplicand = Signal(signed(PRODUCT_BITS)), Signal(signed(PRODUCT_BITS))
        factor = Signal(FACTOR_BITS)
        error, within = Signal(signed(ERROR_BITS)), Signal()
        near, tracks = Signal(), Signal()
        gains = Mux(tracks, settings.track, settings.acquire)
        gains = data.View(GAINS, gains)
        stepped = Signal(signed(STEP_BITS + 4))
        m.d.sync += self.done.eq(0)

        def multiply(a: Value, b: Value, shift: int) -> list[Any]:
            """Begin with half of what the last bit of the product, shifted down, is worth: so it is rounded."""
            return [product.eq(1 << (shift - 1)), multiplicand.eq(a), factor.eq(b), index.eq(0)]

        m.d.sync += [xs.eq(x >> index[:4]), ys.eq(y >> index[:4]), dxs.eq(dx >> index[:4]), dys.eq(dy >> index[:4])]
        to_jump = PHASE_FRACTION + PHASE_GAIN_FRACTION - JUMP_FRACTION
        wander = settings.step >> WANDER_SHIFT
        highest, lowest = (Signal(signed(STEP_BITS + 2), name=name) for name in ("highest", "lowest"))
        m.d.sync += highest.eq(settings.step + wander), lowest.eq(settings.step - wander)
        # The divider's numerator is the vector's `dx`, its adder too.
        divides, down = Signal(), y[-1]
        next_dx = add_or_subtract(dx, Mux(divides, xs, dys), Mux(divides, ~dx[-1], down))
        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.sync += index.eq(0), shifted.eq(0), ratio.eq(0), weight.eq(1 << RATIO_FRACTION)
                with m.If(self.start):
                    for end, begin in (
                        (x, self.correlation.i),
                        (y, self.correlation.q),
                        (dx, self.slant.i),
                        (dy, self.slant.q),
                    ):
                        m.d.sync += end.eq(negate_where(self.correlation.i[-1], begin))
                    m.next = "VECTOR"
            with m.State("VECTOR"):
                m.d.sync += shifted.eq(~shifted)
                with m.If(shifted):
                    m.d.sync += [
                        x.eq(add_or_subtract(x, ys, down)),
                        y.eq(add_or_subtract(y, xs, ~down)),
                        dx.eq(next_dx),
                        dy.eq(add_or_subtract(dy, dxs, ~down)),
                        index.eq(index + 1),
                    ]
                    with m.If(index == ITERATIONS - 1):
                        m.d.sync += index.eq(0)
                        m.next = "DIVIDE"
            with m.State("DIVIDE"):
                m.d.sync += shifted.eq(~shifted)
                with m.If(shifted):
                    m.d.sync += [
                        dx.eq(next_dx),
                        ratio.eq(add_or_subtract(ratio, Cat(weight, 0), dx[-1])),
                        index.eq(index + 1),
                        weight.eq(weight >> 1),
                    ]
                    with m.If(index == ITERATIONS - 1):
                        m.next = "RATIO"
            with m.State("RATIO"):
                m.d.sync += self.weak.eq(x < settings.weak), multiply(ratio, settings.slope, RATIO_FRACTION)
                m.next = "PHASE"
            with m.State("PHASE"):
                self._multiply(m, product, multiplicand, factor, index)
                with m.If(index == FACTOR_BITS):
                    m.d.sync += self.phase.eq(product >> RATIO_FRACTION)
                    m.next = "ERROR"
            with m.State("ERROR"):
                whole = Mux(self.expected, self.distance, 0)
                m.d.sync += error.eq(self.phase + (whole << PHASE_FRACTION))
                m.next = "NEAR"
            with m.State("NEAR"):
                wide = Cat(settings.wide, 0).as_signed()
                m.d.sync += within.eq((error < wide) & (error > -wide))
                with m.If(self.weak):
                    m.d.sync += self.ahead.eq(0), self.done.eq(1)
                    m.next = "IDLE"
                with m.Else():
                    m.next = "GAIN"
            with m.State("GAIN"):
                m.d.sync += tracks.eq(within & self.locked), self.ahead.eq(Mux(self.expected, self.distance, 0))
                m.d.sync += near.eq(within & self.expected)
                m.d.sync += self.locked.eq(within & (self.locked | (near & self.expected)))
                m.next = "SUM"
            with m.State("SUM"):
                m.d.sync += multiply(self.phase, gains.phase + Mux(self.expected, gains.drift, 0), to_jump)
                m.next = "JUMP"
            with m.State("JUMP"):
                self._multiply(m, product, multiplicand, factor, index)
                with m.If(index == FACTOR_BITS):
                    jump = product >> to_jump
                    above = jump[JUMP_BITS - 1 :]
                    overflow = above.any() & ~above.all()
                    clipped = Cat((~jump[-1]).replicate(JUMP_BITS - 1), jump[-1])
                    m.d.sync += self.jump.eq(Mux(overflow, clipped, jump[:JUMP_BITS]))
                    m.d.sync += multiply(error, gains.frequency, FREQUENCY_GAIN_FRACTION)
                    m.next = "STEP"
            with m.State("STEP"):
                self._multiply(m, product, multiplicand, factor, index)
                with m.If(index == FACTOR_BITS):
                    drift = Mux(self.expected, product >> FREQUENCY_GAIN_FRACTION, 0)
                    m.d.sync += stepped.eq(self.step + drift)
                    m.next = "CLAMP"
            with m.State("CLAMP"):
                m.d.sync += self.step.eq(
                    Mux(stepped > highest, highest, Mux(stepped < lowest, lowest, stepped))[:STEP_BITS]
                )
                m.d.sync += self.done.eq(1)
                m.next = "IDLE"
        m.d.comb += self.busy.eq(~fsm.ongoing("IDLE")), divides.eq(fsm.ongoing("DIVIDE"))
        with m.If(self.restart):
            m.d.sync += self.step.eq(settings.step), near.eq(0), self.locked.eq(0)
        return m

    def _multiply(self, m: Module, product: Signal, multiplicand: Signal, factor: Signal, index: Signal) -> None:
        """One bit of the factor."""
        m.d.sync += multiplicand.eq(multiplicand << 1), factor.eq(factor >> 1), index.eq(index + 1)
        with m.If(factor[0]):
            m.d.sync += product.eq(product + multiplicand)
