"""The power meter in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from ...axi.bank import register_port
from ...axi.marks import EVENT_BITS
from ...axi.stream import gated_words, passing
from ...dsp.arithmetic import event_counter, word_shape
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from .model import COUNT_BITS, GATE_BITS, SUM_BITS, Section
from .registers import COUNTER_BITS, DEFAULT_GATE, REGISTERS, SUMS

SYMBOLS_PER_CLOCK = (1, 2, 4, 8)
RAILS = ("i", "q")


class PowerMeter(wiring.Component):
    """Exact sums of symbols, of their squares, and their count, over chosen sections of frames or the whole stream.

    Mathematics: the model has it. Vacuum, calibration and payload are measured on one stream, so behind the same chain.

    Structure: it listens, and no stream waits for it. What is not chosen becomes zero; products; sums of a beat's
    lanes; accumulators. Whether a beat is a measurement's last is known a clock before its sums are.

    Formats: symbols Q1.15; sums of 64 bits, exact: the longest measurement at full scale needs 62. Nothing is rounded.

    Double-buffered: a complete measurement's figures stand in the registers, all of one measurement, until the host
    releases them, while the next one is under way. One that is then complete before the host has released them is
    lost: it is counted and sets STATUS.lost. CONTROL.touched says of the figures that stand what happened to their
    symbols in the chain: what they are worth then is the host's to judge.

    Settings: CONTROL.apply takes gate and sections, and begins a measurement with the next beat; figures that stood are
    released. After reset all is measured, with the gate's reset value.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks from a beat to its figures.

    Resources: 2 multipliers of 16 x 16 bits for each symbol per clock.

    Args:
        symbols_per_clock: N, 1, 2, 4 or 8.

    Members:
        symbols: what passes on the stream, ``axi.stream.passing(gated_words(N))``.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of symbols per clock.
    """

    registers = REGISTERS

    def __init__(self, *, symbols_per_clock: int) -> None:
        if symbols_per_clock not in SYMBOLS_PER_CLOCK:
            raise ValueError(f"{symbols_per_clock} symbols per clock: must be one of 1, 2, 4, 8")
        self.symbols_per_clock = symbols_per_clock
        super().__init__({"symbols": In(passing(gated_words(symbols_per_clock))), "port": In(register_port(REGISTERS))})

    @property
    def multipliers(self) -> int:
        """Multipliers of 16 x 16 bits."""
        return len(RAILS) * self.symbols_per_clock

    @property
    def _counts(self) -> int:
        """Clocks from a beat's acceptance to its count."""
        # Beat; choice; product; lanes.
        return 3 + (self.symbols_per_clock - 1).bit_length()

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to the figures of the measurement that it completes."""
        # Verdict; sum.
        return self._counts + 2

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port, n = self.port, self.symbols_per_clock
        pipeline = Pipeline(m, Const(1))
        # A measurement begins behind all beats that were chosen by the settings before.
        start = port.control.apply.start
        begins = pipeline.history(start, self.latency, reset=True)
        mask, spare = Signal(len(Section), init=(1 << len(Section)) - 1), Signal(GATE_BITS)
        with m.If(start):
            # What may come before the last symbol; a gate of 0 is 1.
            m.d.sync += spare.eq(port.gate.symbols - port.gate.symbols.any())
            m.d.sync += mask.eq(Cat(getattr(port.sections, section.name.lower()) for section in Section))

        taken = pipeline.register(self.symbols.taken, reset=True)
        beat = data.View(gated_words(n), pipeline.register(self.symbols.payload))
        chosen = [taken & mask.bit_select(section, 1) for section in beat.sections]
        terms: dict[str, list[Value]] = {name: [] for name in SUMS}
        for lane, word in enumerate(beat.words):
            for rail in RAILS:
                value = pipeline.register(Mux(chosen[lane], word[rail], 0), word_shape(SAMPLE))
                terms[f"sum_{rail}"].append(pipeline.register(value))
                terms[f"square_{rail}"].append(pipeline.register(value * value))
        touch = pipeline.history(Mux(Cat(chosen).any(), beat.touched, 0), self._counts - 1, reset=True)[-1]
        counts: list[Value] = [pipeline.history(each, 2, reset=True)[-1] for each in chosen]
        while len(counts) > 1:
            counts = _pairwise(pipeline, counts, reset=True)
            terms = {name: _pairwise(pipeline, values) for name, values in terms.items()}
        sums = {name: values[0] for name, values in terms.items()}
        self._accumulate(m, pipeline, begins, self._ends(m, begins, spare, counts[0]), counts[0], touch, sums)
        m.d.comb += [
            port.capabilities.symbols_per_clock.eq(n),
            port.control.apply.busy.eq(Cat(begins[1:]).any()),
            port.control.release.busy.eq(0),
        ]
        return m

    def _ends(self, m: Module, begins: list[Value], spare: Value, count: Value) -> Value:
        """Whether a beat is its measurement's last. The next one has to know: it is a subtraction's sign, no more."""
        gate, left = (Signal(GATE_BITS, name=name, init=DEFAULT_GATE - 1) for name in ("gate", "left"))
        less = Signal(signed(GATE_BITS + 1))
        ends = less[-1]
        m.d.comb += less.eq(left - count)
        m.d.sync += left.eq(Mux(ends, gate, less))
        with m.If(begins[self._counts - 1]):
            m.d.sync += gate.eq(spare), left.eq(spare)
        return ends

    def _accumulate(
        self,
        m: Module,
        pipeline: Pipeline,
        begins: list[Value],
        ends: Value,
        count: Value,
        touch: Value,
        terms: dict[str, Value],
    ) -> None:
        """Add a beat to the measurement, and hand that on with its last one."""
        port = self.port
        last = pipeline.register(ends, reset=True)
        begin = begins[self._counts + 1]
        first = begin | pipeline.register(last, reset=True)
        complete, stands, lost = Signal(), Signal(), Signal()
        m.d.comb += [
            stands.eq(complete & ~port.control.release.start & ~begin),
            lost.eq(last & stands),
            port.control.complete.eq(complete),
        ]
        m.d.sync += complete.eq(last | stands)
        symbols, touched = Signal(COUNT_BITS), Signal(EVENT_BITS)
        more_symbols, more_touched = Signal(COUNT_BITS), Signal(EVENT_BITS)
        m.d.comb += [
            more_symbols.eq(Mux(first, 0, symbols) + pipeline.register(count, reset=True)),
            more_touched.eq(Mux(first, 0, touched) | pipeline.register(touch, reset=True)),
        ]
        m.d.sync += symbols.eq(more_symbols), touched.eq(more_touched)
        with m.If(last & ~stands):
            m.d.sync += port.count.symbols.eq(more_symbols), port.control.touched.eq(more_touched)
        for name, term in terms.items():
            running, figure = (Signal(signed(SUM_BITS), name=f"{name}_{which}") for which in ("running", "figure"))
            more = (Mux(first, 0, running) + pipeline.register(term))[:SUM_BITS].as_signed()
            m.d.sync += running.eq(more)
            with m.If(last & ~stands):
                m.d.sync += figure.eq(more)
            m.d.comb += Cat(getattr(port, f"{name}_low").word, getattr(port, f"{name}_high").word).eq(figure)
        clear = port.control.clear_counters.start
        m.d.comb += [
            port.measurements.count.eq(event_counter(m, COUNTER_BITS, last, clear)),
            port.lost.count.eq(event_counter(m, COUNTER_BITS, lost, clear)),
            port.status.measured.eq(last),
            port.status.lost.eq(lost),
        ]


def _pairwise(pipeline: Pipeline, values: list[Value], *, reset: bool = False) -> list[Value]:
    """Sums of two each, a step later."""
    return [pipeline.register(a + b, reset=reset) for a, b in zip(values[::2], values[1::2], strict=True)]
