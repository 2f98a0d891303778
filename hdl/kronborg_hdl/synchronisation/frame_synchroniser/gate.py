"""The gate in Amaranth: which section of its frame each symbol belongs to, beside the symbols as they came."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...axi.marks import EVENT_BITS, SECTION_BITS
from ...axi.stream import endless_words, gated_words, passing
from ...decimation.power_meter.model import Section
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from .model import LENGTH_BITS, MARGIN_BITS
from .sizes import Sizes

SLOTS = data.StructLayout({"vacuum": LENGTH_BITS, "calibration": LENGTH_BITS, "margin": MARGIN_BITS})
"""Settings of the gate, in symbols."""


class SectionGate(wiring.Component):
    """Follow the rows behind a payload, and say of each symbol of the stream where it lies: ``model.Slot``.

    Rows are counted, as the cutter counts them; vacuum begins with the row behind the payload's last one. A beat of the
    stream has symbols of two rows: those before the frame's offset are of the row before.

    Everything moves with `step`. Latency two steps.

    Args:
        sizes: of the core.
        age: rows that come before the one of which the stream's first beat is the older half.

    Members:
        step: a row comes in.
        words: the beat that is the row's older half.
        offset: the place in it of the row's first symbol.
        begin: the row is a preamble's first.
        pays: it is of a payload.
        ends: it is a payload's last.
        touched: events that mark it.
        slots: settings.
        restart: forget the frame.
        o: the stream's symbols, each once and in order, with their sections.
    """

    def __init__(self, sizes: Sizes, *, age: int) -> None:
        self.sizes = sizes
        self.age = age
        n = sizes.symbols_per_clock
        super().__init__(
            {
                "step": In(1),
                "words": In(endless_words(n, SAMPLE)["words"].shape),
                "offset": In(range(n)),
                "begin": In(1),
                "pays": In(1),
                "ends": In(1),
                "touched": In(EVENT_BITS),
                "slots": In(SLOTS),
                "restart": In(1),
                "o": Out(passing(gated_words(n))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.step)
        n = self.sizes.symbols_per_clock
        section = pipeline.register(self._follow_rows(m), reset=True)
        before = pipeline.register(section, reset=True)
        offset = pipeline.register(self.offset)
        offset_before = pipeline.register(offset)
        for lane in range(n):
            # A beat's last symbol is of the row that begins in it, or is that row.
            own: Value = section
            if lane < n - 1:
                own = Mux(offset_before > lane, before, Mux(offset <= lane, section, Section.OTHER))
            m.d.comb += self.o.payload.sections[lane].eq(pipeline.register(own, unsigned(SECTION_BITS)))
        # Symbols of a beat may be of the row before.
        touched = pipeline.register(self.touched, reset=True)
        either = touched | pipeline.register(touched, reset=True)
        m.d.comb += self.o.payload.touched.eq(pipeline.register(either, reset=True))
        words = pipeline.history(Value.cast(self.words), 2)[-1]
        m.d.comb += Value.cast(self.o.payload.words).eq(words)
        # What the memory of the stream held before its first beat is not of it.
        come = Signal(range(self.age + 2))
        with m.If(self.step & (come != self.age + 1)):
            m.d.sync += come.eq(come + 1)
        m.d.sync += self.o.taken.eq(self.step & (come == self.age + 1))
        return m

    def _follow_rows(self, m: Module) -> Value:
        """The section of this row."""
        shift = exact_log2(self.sizes.symbols_per_clock)
        slot, place, left = Signal(Section), Signal(LENGTH_BITS), Signal(LENGTH_BITS)
        rows = {
            section: getattr(self.slots, section.name.lower()) >> shift
            for section in (Section.VACUUM, Section.CALIBRATION)
        }
        margin = self.slots.margin >> shift
        open_ = ~self.begin & (slot != Section.OTHER)
        ends_vacuum = open_ & (slot == Section.VACUUM) & ~left.any()
        with m.If(self.step):
            m.d.sync += place.eq(place + 1), left.eq(left - 1)
            with m.If(self.begin | (open_ & ~left.any())):
                m.d.sync += slot.eq(Section.OTHER)
            for section, enters in (
                (Section.CALIBRATION, self.ends | ends_vacuum),
                (Section.VACUUM, self.ends),
            ):
                # The later one of two assignments counts: after a payload, vacuum if there is one.
                with m.If(enters & rows[section].any()):
                    m.d.sync += slot.eq(section), place.eq(0), left.eq(rows[section] - 1)
        with m.If(self.restart):
            m.d.sync += slot.eq(Section.OTHER)
        within = open_ & (place >= margin) & (left >= margin)
        return Mux(self.pays, Section.PAYLOAD, Mux(within, slot, Section.OTHER))
