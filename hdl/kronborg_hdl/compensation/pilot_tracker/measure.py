"""What is measured of a period of the pilots, in Amaranth: from hops to slopes, means and minima."""

from __future__ import annotations

from amaranth import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.hdl import ShapeLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.stream import endless_words
from ...dsp.cordic import ANGLE_BITS
from ...dsp.pipeline import Pipeline
from ...dsp.vectoring import Vectoring
from ..mixer.model import PILOTS
from ..phase_smoother.model import PHASOR
from .model import BLOCK_LOG2, HOPS, MAGNITUDE_BITS, SLIP_STEP, SUM_BITS

RAILS = ("i", "q")
LONGEST = BLOCK_LOG2[1]
PATH_BITS = ANGLE_BITS + LONGEST
"""A step is half a turn at most, and there are fewer than 2**LONGEST of them."""
SLOPE_BITS = ANGLE_BITS + 2 * (LONGEST - 1) + 1
"""(B / 2)**2 steps; half of that before the second half begins."""
TOTAL_BITS = MAGNITUDE_BITS + LONGEST

OF_A_PILOT = data.StructLayout(
    {
        "slope": signed(SLOPE_BITS),
        "total": unsigned(TOTAL_BITS),
        "least": unsigned(MAGNITUDE_BITS),
        "slips": unsigned(LONGEST + 1),
    }
)
"""Slope times (B / 2)**2; sum and minimum of the magnitudes; steps that were slips."""


class Measure(wiring.Component):
    """Sub-block sums, a CORDIC that both pilots share, and what a period adds up.

    The pilots come one after the other from the CORDIC, in neighbouring steps. What is kept of each goes round in two
    registers, so that one adder serves both: at any time the older register is that of the pilot that comes.

    Args:
        hops_per_clock: H.
        shared: a beat comes in every other step at most.

    Members:
        words: a beat of hops, pilot 0 and pilot 1 in turn.
        valid: there is one, in a step.
        advance: everything moves.
        ends: the sub-block whose angle of pilot 1 comes now, `boundary`, is its period's last.
        halves: it is in its period's second half.
        boundary: a sub-block's pilot 1 comes out of the CORDIC, in a step; `ends` and `halves` are read.
        restart: forget the period; in force while it is high.
        measured: of each pilot, in the clock of `done`.
        done: a period is complete, a pulse in a step.
        magnitude: of a sub-block's pilot.
        coming: `magnitude` is valid, in a step; of pilot 0, then of pilot 1.
        second: it is that of pilot 1.
        slip: a pilot's step was a slip, a pulse in a step, three steps after its magnitude.
        slip_second: it was of pilot 1.
    """

    def __init__(self, *, hops_per_clock: int, shared: bool = False) -> None:
        self.hops_per_clock = hops_per_clock
        # As many iterations a stage as the steps from sub-block to sub-block leave room for. Two would save half of the
        # adders, which is less than the shifters that they need.
        room = HOPS // hops_per_clock * (2 if shared else 1) // PILOTS
        self.vectoring = Vectoring(width=SUM_BITS, fold=room if room > 2 else 1)
        super().__init__(
            {
                "words": In(endless_words(PILOTS * hops_per_clock, PHASOR)["words"].shape),
                "valid": In(1),
                "advance": In(1),
                "ends": In(1),
                "halves": In(1),
                "restart": In(1),
                "boundary": Out(1),
                "measured": Out(data.ArrayLayout(OF_A_PILOT, PILOTS)),
                "done": Out(1),
                "magnitude": Out(MAGNITUDE_BITS),
                "coming": Out(1),
                "second": Out(1),
                "slip": Out(1),
                "slip_second": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.advance)
        m.submodules.vectoring = vectoring = self.vectoring
        sums, complete = self._sums(m, pipeline)
        # Pilot 1 waits for a step.
        again = pipeline.register(complete, reset=True)
        waits = [pipeline.register(word) for word in sums[1]]
        m.d.comb += [
            vectoring.begins.eq(complete),
            vectoring.x.eq(Mux(again, waits[0], sums[0][0])),
            vectoring.y.eq(Mux(again, waits[1], sums[0][1])),
            vectoring.advance.eq(self.advance),
        ]
        second = pipeline.register(vectoring.ends, reset=True)
        comes = vectoring.ends | second
        m.d.comb += [
            self.magnitude.eq(vectoring.magnitude),
            self.coming.eq(comes & self.advance),
            self.second.eq(second),
            self.boundary.eq(comes & second & self.advance),
        ]
        self._add_up(m, pipeline, vectoring, comes, second)
        return m

    def _sums(self, m: Module, pipeline: Pipeline) -> tuple[list[list[Value]], Value]:
        """Of each pilot I and Q summed over a sub-block, and whether they are complete."""
        steps = exact_log2(self.hops_per_clock)
        beats = HOPS // self.hops_per_clock
        beat = Signal(range(beats))
        with m.If(self.valid & self.advance):
            m.d.sync += beat.eq(beat + 1)  # their number is a power of two
        first, last = beat == 0, beat == beats - 1
        valid = pipeline.history(self.valid, steps, reset=True)[-1]
        first = pipeline.history(first, steps)[-1]
        complete = pipeline.history(self.valid & last, steps + 1, reset=True)[-1]
        sums: list[list[Value]] = []
        for pilot in range(PILOTS):
            rails: list[Value] = []
            for rail in RAILS:
                words: list[Value] = [self.words[PILOTS * hop + pilot][rail] for hop in range(self.hops_per_clock)]
                while len(words) > 1:
                    words = [pipeline.register(a + b) for a, b in zip(words[::2], words[1::2], strict=True)]
                total = Signal(signed(SUM_BITS), name=f"sum_{pilot}_{rail}", reset_less=True)
                with m.If(pipeline.advance & valid):
                    m.d.sync += total.eq(words[0] + Mux(first, 0, total))
                rails.append(total)
            sums.append(rails)
        return sums, complete

    def _add_up(self, m: Module, pipeline: Pipeline, vectoring: Vectoring, comes: Value, second: Value) -> None:
        """The period so far, of both pilots; an item is a pilot's sub-block."""
        # Whether an item is the first of its pilot in the period: both of the sub-block behind one that ended it.
        first = Signal(init=1)
        with m.If(self.restart):
            m.d.sync += first.eq(1)
        with m.Elif(self.boundary):
            m.d.sync += first.eq(self.ends)

        def going_round(valid: Value, shape: ShapeLike, name: str) -> tuple[Signal, Signal, Signal]:
            """What was kept for the pilot that comes, what is to be kept now, and what is kept for the other pilot."""
            old, new, other = (Signal(shape, name=f"{name}_{which}") for which in ("old", "new", "other"))
            with m.If(self.advance & valid):
                m.d.sync += old.eq(other), other.eq(new)
            return old, new, other

        # Step of the angle.
        angle, next_angle, _ = going_round(comes, signed(ANGLE_BITS), "angle")
        m.d.comb += next_angle.eq(vectoring.angle)
        step = pipeline.register((vectoring.angle - angle)[:ANGLE_BITS].as_signed())
        lengths = pipeline.history(vectoring.magnitude, 3)
        valids = pipeline.history(comes, 3, reset=True)
        firsts = pipeline.history(first, 3)
        halves = pipeline.history(self.halves, 2)
        dones = pipeline.history(comes & second & self.ends, 4, reset=True)

        # Path, sum and minimum; slips.
        path, next_path, _ = going_round(valids[1], signed(PATH_BITS), "path")
        total, next_total, total_other = going_round(valids[1], unsigned(TOTAL_BITS), "total")
        least, next_least, least_other = going_round(valids[1], unsigned(MAGNITUDE_BITS), "least")
        m.d.comb += [
            next_path.eq(Mux(firsts[1], 0, path + step)),
            next_total.eq(lengths[1] + Mux(firsts[1], 0, total)),
            next_least.eq(Mux(firsts[1] | (lengths[1] < least), lengths[1], least)),
        ]
        walked = pipeline.register(next_path)
        slip = pipeline.register((step > SLIP_STEP) | (step < -SLIP_STEP))
        m.d.comb += [
            self.slip.eq(slip & valids[2] & self.advance),
            self.slip_second.eq(pipeline.history(second, 2)[-1]),
        ]

        # Slope, and the number of slips.
        slope, next_slope, slope_other = going_round(valids[2], signed(SLOPE_BITS), "slope")
        slips, next_slips, slips_other = going_round(valids[2], unsigned(LONGEST + 1), "slips")
        before = Mux(firsts[2], 0, slope)
        m.d.comb += [
            next_slope.eq(Mux(halves[2], before + walked, before - walked)),
            next_slips.eq(slip + Mux(firsts[2], Const(0, 1), slips)),
        ]
        # A step after pilot 1 of the last sub-block went round, pilot 0 is in the older register. The next period may
        # already be there: what was measured is put aside.
        for pilot, round_of in enumerate(((total, least), (total_other, least_other))):
            with m.If(self.advance & dones[2]):
                m.d.sync += self.measured[pilot].total.eq(round_of[0]), self.measured[pilot].least.eq(round_of[1])
        for pilot, round_of in enumerate(((slope, slips), (slope_other, slips_other))):
            with m.If(self.advance & dones[3]):
                m.d.sync += self.measured[pilot].slope.eq(round_of[0]), self.measured[pilot].slips.eq(round_of[1])
        m.d.comb += self.done.eq(dones[4] & self.advance)
