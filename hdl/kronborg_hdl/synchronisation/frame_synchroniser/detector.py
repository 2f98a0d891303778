"""The detector in Amaranth: a 1-bit correlator over scattered chips, and what picks its peak."""

from __future__ import annotations

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...axi.stream import endless_words
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from .sizes import WINDOW_BEATS, Sizes

MAGNITUDE_BITS = 16


def count_ones(pipeline: Pipeline, bits: list[Value]) -> tuple[Value, int]:
    """How many of the bits are one, and after how many steps: an adder tree of threes."""
    values, steps = bits, 0
    while len(values) > 1:
        groups = [values[at : at + 3] for at in range(0, len(values), 3)]
        values = [pipeline.register(sum(group[1:], group[0])) for group in groups]
        steps += 1
    return values[0], steps


class FrameDetector(wiring.Component):
    """Find the end of the preamble.

    Mathematics: see ``correlation.Detector``. Each symbol of a beat has a correlator of its own; all of them look at
    the same history of signs, which needs no reset: nothing is looked for before it is full.

    Everything moves with `step`. :attr:`delay` steps after a beat its magnitude is looked at.

    Resources for each symbol per clock: two counts of twice the detector's chips, one if it is shared. No multiplier.

    Args:
        sizes: of the synchroniser.
        shared: the real part of a beat is counted in the clock behind its step, the imaginary one in the clock of the
            next step.

    Members:
        step: a beat comes in; shared, not in the clock behind another.
        words: of it.
        store, chip: shift in the signs of the detector's next chip, bit 0 of I, bit 1 of Q.
        run: preambles are looked for.
        threshold: magnitude that is one.
        restart: forget what was found.
        busy: a peak is about to be decided.
        found: with the next step a peak counts, see ``core``; high for one step.
        lane: of it.
        magnitude: of it.
    """

    def __init__(self, sizes: Sizes, *, shared: bool = False) -> None:
        self.sizes = sizes
        self.shared = shared
        n = sizes.symbols_per_clock
        super().__init__(
            {
                "step": In(1),
                "words": In(endless_words(n, SAMPLE)["words"].shape),
                "store": In(1),
                "chip": In(2),
                "run": In(1),
                "threshold": In(MAGNITUDE_BITS),
                "restart": In(1),
                "busy": Out(1),
                "found": Out(1),
                "lane": Out(range(n)),
                "magnitude": Out(MAGNITUDE_BITS),
            }
        )

    @property
    def delay(self) -> int:
        """Steps from a beat to its magnitude."""
        threes, values = 0, 2 * self.sizes.detector_chips
        while values > 1:
            values, threes = -(-values // 3), threes + 1
        # Difference; absolute values. Shared, they begin behind the beat's own step, and two of them are a step's.
        rails = threes + 2
        rails = 1 + -(-rails // 2) if self.shared else rails
        # Larger and smaller; sum; the best lane.
        return rails + 2 + (self.sizes.symbols_per_clock - 1).bit_length()

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.step)
        sizes, n = self.sizes, self.sizes.symbols_per_clock
        template = Signal(2 * sizes.detector_chips)
        with m.If(self.store):
            m.d.sync += template.eq(Cat(template[2:], self.chip))

        # Signs of the beats that came, this one first: bit m of a lane's rail is m beats old. Shared, this one is that
        # of the last step: they stay from the clock behind it to the clock of the next one.
        history: list[list[Value]] = []
        for lane in range(n):
            rails: list[Value] = []
            for rail in ("i", "q"):
                past = Signal(sizes.rows + self.shared, reset_less=True, name=f"signs_{rail}_{lane}")
                now = Cat(self.words[lane][rail][-1], past)
                with m.If(self.step):
                    m.d.sync += past.eq(now)
                rails.append(past if self.shared else now)
            history.append(rails)
        behind = Signal()
        m.d.sync += behind.eq(self.step)
        magnitudes = [self._correlate(m, pipeline, behind, template, history, lane) for lane in range(n)]
        best, lane = self._best(pipeline, magnitudes)

        age = Signal(range(sizes.rows + 2))
        with m.If(self.step & (age != sizes.rows + 1)):
            m.d.sync += age.eq(age + 1)
        full = pipeline.history(age == sizes.rows + 1, self.delay, reset=True)[-1]
        self._pick(m, best, lane, full & self.run)
        return m

    def _correlate(
        self, m: Module, pipeline: Pipeline, behind: Value, template: Value, history: list[list[Value]], lane: int
    ) -> Value:
        """The magnitude for the preamble whose last chip this lane has. `behind`: the clock before was a step."""
        sizes, n = self.sizes, self.sizes.symbols_per_clock
        same: list[Value] = []  # bits of the real part that are one where the product is -1
        cross: list[Value] = []  # of the imaginary part that are one where it is +1
        for number, place in enumerate(sizes.places):
            age, where = divmod(int(place) - (sizes.preamble - 1) + lane, n)
            sign_i, sign_q = (rail[-age] for rail in history[where])
            chip_i, chip_q = template[2 * number], template[2 * number + 1]
            same += [chip_i ^ sign_i, chip_q ^ sign_q]
            cross += [chip_q ^ sign_i, ~(chip_i ^ sign_q)]
        if self.shared:
            clocks = Pipeline(m, self.step | behind)
            other, moves = self._rail(clocks, [Mux(behind, a, b) for a, b in zip(same, cross, strict=True)])
            # Both are there in a step if the imaginary part comes with the clock behind one.
            one = clocks.register(other)
            if moves % 2:
                one, other = clocks.register(one), one
        else:
            (one, _), (other, _) = self._rail(pipeline, same), self._rail(pipeline, cross)
        greater = one > other
        larger, smaller = pipeline.register(Mux(greater, one, other)), pipeline.register(Mux(greater, other, one))
        # Twice eight, and twice three.
        return pipeline.register((larger << 4) + (smaller << 2) + (smaller << 1), MAGNITUDE_BITS)

    def _rail(self, pipeline: Pipeline, bits: list[Value]) -> tuple[Value, int]:
        """Half of a rail from its bits, but for its sign, and after how many steps."""
        count, steps = count_ones(pipeline, bits)
        half = pipeline.register(count - self.sizes.detector_chips, signed(len(count) + 1))
        return pipeline.register(Mux(half < 0, -half, half)[: len(count)]), steps + 2

    def _best(self, pipeline: Pipeline, magnitudes: list[Value]) -> tuple[Value, Value]:
        """The largest magnitude of a beat, and its lane: the first of equals."""
        entries: list[tuple[Value, Value]] = [(magnitude, Const(0, 0)) for magnitude in magnitudes]
        level = 0
        while len(entries) > 1:
            pairs = []
            for (one, one_lane), (other, other_lane) in zip(entries[::2], entries[1::2], strict=True):
                later = other > one
                place = Cat(Mux(later, other_lane, one_lane)[:level], later)
                pairs.append((pipeline.register(Mux(later, other, one)), pipeline.register(place)))
            entries = pairs
            level += 1
        return entries[0]

    def _pick(self, m: Module, magnitude: Value, lane: Value, looks: Value) -> None:
        """Hold the best since the threshold was reached, until enough beats were no better."""
        active = Signal()
        best, best_lane = Signal(MAGNITUDE_BITS), Signal.like(self.lane)
        age = Signal(range(WINDOW_BEATS + 1))
        blind = Signal(range(self.sizes.hold + 1))
        better, decided = Signal(), Signal()
        m.d.comb += [
            better.eq(looks & ~blind.any() & (magnitude >= self.threshold) & (~active | (magnitude > best))),
            decided.eq(active & ~better & (age == WINDOW_BEATS)),
            self.busy.eq(active | self.found),
        ]
        with m.If(self.step):
            m.d.sync += age.eq(age + 1), self.found.eq(decided)
            with m.If(blind.any()):
                m.d.sync += blind.eq(blind - 1)
            with m.If(better):
                m.d.sync += active.eq(1), best.eq(magnitude), best_lane.eq(lane), age.eq(1)
            with m.Elif(decided):
                m.d.sync += active.eq(0), blind.eq(self.sizes.hold), self.lane.eq(best_lane), self.magnitude.eq(best)
        with m.If(self.restart):
            m.d.sync += active.eq(0), blind.eq(0)
