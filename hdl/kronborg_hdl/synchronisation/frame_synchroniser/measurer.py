"""The measurer in Amaranth: a whole preamble times the signs of its chips, and the differences of its neighbours."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.stream import endless_words
from ...dsp.arithmetic import negate_where
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from .sizes import Sizes

SUM_BITS = 32
CORRELATION = data.StructLayout({"i": signed(SUM_BITS), "q": signed(SUM_BITS)})


def times_conjugate(pipeline: Pipeline, word: tuple[Value, Value], chip: Value) -> tuple[Value, Value]:
    """A complex word times the conjugate of a chip of one sign for each rail, in two steps; the chip comes after one.

    Bit 0 of the chip: I is negative, bit 1: Q is.
    """
    total = pipeline.register(word[0] + word[1])
    difference = pipeline.register(word[0] - word[1])
    negative_i, negative_q = chip[0], chip[1]
    unequal = negative_i ^ negative_q
    larger, other = Mux(unequal, difference, total), Mux(unequal, total, difference)
    real = pipeline.register(negate_where(negative_i, larger))
    imaginary = pipeline.register(negate_where(~negative_q, other))
    return real, imaginary


class PreambleMeasurer(wiring.Component):
    """R(0) and R(1) - R(-1), see ``correlation.measure``.

    Rows of N symbols come in order; the preamble's last chip is the last of the last row, and the first row is filled
    up with chips that do not count. Products are sums: no multiplier.

    Everything but the chips' memory moves with `step`. :attr:`delay` steps after the last row the sums stand.

    Members:
        step: a row comes in.
        row: its N symbols with the one before and the one behind it.
        first: it is a preamble's first row.
        store, index, chip: write the signs of a chip, bit 0 of I, bit 1 of Q.
        done: the sums stand, for one step; they stay until the next preamble's first row has passed the pipeline.
        correlation: R(0).
        slant: R(1) - R(-1).
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        n = sizes.symbols_per_clock
        super().__init__(
            {
                "step": In(1),
                "row": In(endless_words(n + 2, SAMPLE)["words"].shape),
                "first": In(1),
                "store": In(1),
                "index": In(range(sizes.preamble)),
                "chip": In(2),
                "done": Out(1),
                "correlation": Out(CORRELATION),
                "slant": Out(CORRELATION),
            }
        )

    @property
    def delay(self) -> int:
        """Steps from the preamble's last row to its sums."""
        # Difference; sum and difference of rails; sign; lanes; accumulator.
        return 3 + exact_log2(self.sizes.symbols_per_clock) + 1

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.step)
        sizes, n = self.sizes, self.sizes.symbols_per_clock
        counter, now = Signal(range(sizes.rows + 1)), Signal(range(sizes.rows + 1))
        m.d.comb += now.eq(Mux(self.first, sizes.rows, counter))  # rows that are still to come, this one among them
        with m.If(self.step):
            m.d.sync += counter.eq(Mux(now.any(), now - 1, 0))
        chips = self._chips(m, now)

        # The chip stands one step after its row; it is wanted two steps after it.
        begins = pipeline.history(self.first, self.delay - 1, reset=True)
        active = pipeline.history(now.any(), self.delay - 1, reset=True)
        last = pipeline.history(now == 1, self.delay, reset=True)
        padding = sizes.rows * n - sizes.preamble
        products: list[list[tuple[Value, Value]]] = [[], []]
        for lane in range(n):
            before, symbol, after = (self.row[lane + offset] for offset in range(3))
            centre = tuple(pipeline.register(symbol[rail]) for rail in ("i", "q"))
            slope = tuple(pipeline.register(after[rail] - before[rail]) for rail in ("i", "q"))
            chip = pipeline.register(chips[lane])
            for kind, word in enumerate((centre, slope)):
                product = times_conjugate(pipeline, (word[0], word[1]), chip)
                if lane < padding:
                    product = tuple(Mux(begins[3], 0, rail) for rail in product)
                products[kind].append((product[0], product[1]))
        for kind, result in enumerate((self.correlation, self.slant)):
            for rail, name in enumerate(("i", "q")):
                values: list[Value] = [product[rail] for product in products[kind]]
                while len(values) > 1:
                    values = [pipeline.register(a + b) for a, b in zip(values[::2], values[1::2], strict=True)]
                total = result[name]
                with m.If(self.step & active[-1]):
                    m.d.sync += total.eq(Mux(begins[-1], 0, total) + values[0])
        m.d.comb += self.done.eq(last[-1])
        return m

    def _chips(self, m: Module, to_come: Value) -> list[Value]:
        """The memory of chips; what each lane reads stands a step after the row."""
        sizes, n = self.sizes, self.sizes.symbols_per_clock
        bits = exact_log2(n)
        m.submodules.chips = memory = Memory(shape=data.ArrayLayout(2, n), depth=sizes.rows, init=[])
        write, read = memory.write_port(granularity=1), memory.read_port()
        place = Signal(range(sizes.rows * n))
        m.d.comb += [
            place.eq(self.index + (sizes.rows * n - sizes.preamble)),
            write.addr.eq(place[bits:]),
            read.addr.eq(sizes.rows - to_come),
            read.en.eq(self.step),
        ]
        for lane in range(n):
            m.d.comb += write.data[lane].eq(self.chip), write.en[lane].eq(self.store & (place[:bits] == lane))
        return [Value.cast(read.data[lane]) for lane in range(n)]
