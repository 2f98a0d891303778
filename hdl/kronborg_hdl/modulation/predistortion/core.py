"""The pre-distortion in Amaranth."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words
from ...dsp.arithmetic import event_counter, multiply_in_logic, saturate
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_lanes
from .model import (
    FILTER_DROP,
    HALF_TAPS,
    IMPULSE,
    OFFSET_BITS,
    ROW_BITS,
    ROWS,
    SLOPE,
    TABLE_DROP,
    TABLE_WORD,
    TAP,
    TAPS,
)
from .registers import REGISTERS

COUNTER_BITS = 32
RAILS = ("i", "q")

ROW = data.StructLayout({"constant": signed(TABLE_WORD.width), "slope": signed(SLOPE.width)})
LARGEST_DRIVE = -TABLE_WORD.minimum + (-SLOPE.minimum << (OFFSET_BITS - 1) >> TABLE_DROP)
"""Of a table's output, in either sign: a line may leave the range of its constants."""
DRIVE_BITS = 1 + LARGEST_DRIVE.bit_length()
SUM_BITS = 1 + (TAPS * LARGEST_DRIVE * -TAP.minimum + (1 << (FILTER_DROP - 1))).bit_length()
"""Width of the filter's sum, what rounds it included."""
TABLE_STEPS = 4


@dataclass(frozen=True)
class RowWriter:
    """What writes rows into the tables' memories, and which of their banks is in use.

    Attributes:
        address: bank above row.
        row: a ROW.
        enable: for each rail.
        bank: that beats are read from.
        partial: some rows of new tables are written and some not.
        ready: there is a table.
    """

    address: Value
    row: data.View
    enable: list[Value]
    bank: Value
    partial: Value
    ready: Value


@dataclass(frozen=True)
class Token:
    """What travels beside a beat.

    Attributes:
        valid: there is a beat.
        last: it is its frame's last.
    """

    valid: Value
    last: Value

    def delayed(self, pipeline: Pipeline, steps: int) -> Token:
        """The token some steps later."""
        return Token(*(pipeline.history(part, steps, reset=True)[-1] for part in (self.valid, self.last)))


class Predistortion(wiring.Component):
    """Undo the modulator's sine with a table per rail, then the converter's sinc with a symmetric filter.

    Mathematics, for I and Q alike, each with its own table; the model says why in this order::

        u = constant[row] + round(slope[row] offset / 2**10)                    row, offset: x >> 8, x % 256 - 128
        y[n] = saturate( round( (h[0] u[n] + sum_k h[k] (u[n - k] + u[n + k])) / 2**18 ) )      k = 1 ... 4

    Accuracy, with ``model.arcsine_table`` and ``model.inverse_sinc``: a table is within 3/8 of a word of the arcsine,
    y within 1.1 words of the exact filter of it, and the converter's response flat within 0.011 dB up to 0.4 of the
    sample rate.

    Structure: a block RAM per lane and rail has the rows of two tables, the one in use and the one to come. The filter
    adds the two samples that share a tap before it multiplies; its sums run down a chain that a DSP slice's cascade
    carries: place k works k clocks after place 0.

    Formats: samples Q1.15, table words Q1.17, slopes Q2.12, taps Q2.16. A table's line is rounded once to 2**-17, the
    sum once to a word, both to nearest with ties towards plus infinity; all else is exact. A word that does not fit 16
    bits saturates, sets STATUS.saturated and is counted.

    Frames: the filter is centred and sees zeros beyond a frame's ends, so a frame keeps its length and ``last`` its
    place, and frames do not see each other. A sample needs the 4 that follow it: a beat waits for its successors within
    the frame. Behind a frame's end nothing is waited for.

    Settings: after reset the taps are an impulse and the tables are the identity, so words pass unchanged. (The core
    writes that table itself: it takes no sample in the first 256 clocks.) Taps come from their registers, tables are
    written row by row beside those in use; CONTROL.apply puts both to use together, between two frames. Apply within
    the rows changes nothing and sets STATUS.settings_refused.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks.

    Resources per lane: 10 multipliers of 20 x 18 bits; 2 RAMB18. Slopes are multiplied by adders: 14 x 8 bits.

    Args:
        lanes: samples per clock, one of ``dsp.rates.LANES``.

    Members:
        i: LANES samples per clock, and ``last``.
        o: the same.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of lanes.
    """

    registers = REGISTERS

    def __init__(self, *, lanes: int) -> None:
        check_lanes(lanes)
        self.lanes = lanes
        self.reach = -(-HALF_TAPS // lanes)
        """Beats before and behind its own that a sample's filter reaches."""
        super().__init__(
            {
                "i": In(stream.Signature(complex_words(lanes))),
                "o": Out(stream.Signature(complex_words(lanes))),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to the same beat at ``o`` when nothing pauses."""
        # Table; successors; window; pair and tap; product; a sum per place; saturation; skid buffer.
        return TABLE_STEPS + self.reach + 1 + 2 + (HALF_TAPS + 1) + 1 + 1

    @property
    def multipliers(self) -> int:
        """Multipliers of 20 x 18 bits."""
        return 2 * self.lanes * (HALF_TAPS + 1)

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        load, draining = Signal(), Signal()
        writer = self._write_rows(m, load)
        token, bank = self._accept_beats(m, pipeline, writer, load, draining)
        taps = self._tap_banks(m, load, bank)

        drives = [self._drive(m, pipeline, lane, writer) for lane in range(self.lanes)]
        token, reading = token.delayed(pipeline, TABLE_STEPS), pipeline.history(bank, TABLE_STEPS, reset=True)
        window, token, waiting = self._window(m, pipeline, drives, token, reading[-1])
        filtering = pipeline.history(waiting[-1], HALF_TAPS, reset=True)
        sums = self._multiply_and_add(pipeline, window, taps, filtering)
        self._saturate(m, pipeline, token.delayed(pipeline, 2 + HALF_TAPS + 1), sums, skid.i)
        # Taps that a beat under way still needs must not be written over.
        banks = Cat(reading, waiting, filtering)
        m.d.comb += draining.eq(banks.any() & ~banks.all())
        return m

    def _write_rows(self, m: Module, load: Value) -> RowWriter:
        """Write the identity into the first bank after reset, then the host's rows into the bank that is not in use."""
        port = self.port
        filled, written, bank = Signal(range(ROWS + 1)), Signal.like(port.rows.written, init=0), Signal()
        complete, store, fill = Signal(), Signal(), Signal()
        address, row = Signal(ROW_BITS + 1), Signal(ROW)
        m.d.comb += [
            complete.eq(written == len(RAILS) * ROWS),
            store.eq(port.row.written & ~complete & ~port.control.apply.busy),
            fill.eq(~filled[-1] & ~store),
            port.status.row_refused.eq(port.row.written & ~store),
            port.rows.written.eq(written),
        ]
        with m.If(store):
            m.d.comb += [
                address.eq(Cat(written[:ROW_BITS], ~bank)),
                row.constant.eq(port.row.constant),
                row.slope.eq(port.row.slope),
            ]
            m.d.sync += written.eq(written + 1)
        with m.Else():
            middle = Cat(Const(1 << (OFFSET_BITS - 1), OFFSET_BITS), filled[:ROW_BITS]).as_signed()
            m.d.comb += [
                address.eq(filled[:ROW_BITS]),
                row.constant.eq(middle << (TABLE_WORD.fraction - SAMPLE.fraction)),
                row.slope.eq(1 << SLOPE.fraction),
            ]
        with m.If(fill):
            m.d.sync += filled.eq(filled + 1)
        with m.If(load):
            m.d.sync += bank.eq(bank ^ complete), written.eq(0)
        with m.If(port.control.begin_tables.start):
            m.d.sync += written.eq(0)
        enable = [fill | (store & (written[ROW_BITS] == rail)) for rail in range(len(RAILS))]
        partial = written.any() & ~complete
        return RowWriter(address=address, row=row, enable=enable, bank=bank, partial=partial, ready=filled[-1])

    def _accept_beats(
        self, m: Module, pipeline: Pipeline, writer: RowWriter, load: Signal, draining: Value
    ) -> tuple[Token, Value]:
        """Take beats, and say by `load` when settings change: between two frames. Returns a beat and its taps' bank."""
        port, last = self.port, self.i.payload.last
        accept, bank = Signal(), Signal()
        first, pending = Signal(init=1), Signal()
        refused = port.control.apply.start & writer.partial
        m.d.comb += [
            self.i.ready.eq(pipeline.advance & writer.ready),
            accept.eq(self.i.valid & self.i.ready),
            load.eq(pending & ~draining & Mux(accept, last, first)),
            port.control.apply.busy.eq(pending),
            port.status.settings_refused.eq(refused),
            port.capabilities.lanes.eq(self.lanes),
            port.capabilities.taps.eq(TAPS),
            port.capabilities.rows.eq(ROWS),
        ]
        with m.If(accept):
            m.d.sync += first.eq(last)
        with m.If(load):
            m.d.sync += pending.eq(0), bank.eq(~bank)
        with m.If(port.control.apply.start & ~refused):
            m.d.sync += pending.eq(1)
        return Token(valid=accept, last=last), bank

    def _tap_banks(self, m: Module, load: Value, bank: Value) -> list[list[Signal]]:
        """Two sets of taps; a load writes the one that is not in use, and then that is."""
        written = [getattr(self.port, f"tap_{k}").value for k in range(HALF_TAPS + 1)]
        banks = [
            [Signal.like(tap, name=f"tap_{k}_{b}", init=int(IMPULSE[k])) for k, tap in enumerate(written)]
            for b in range(2)
        ]
        for b, taps in enumerate(banks):
            with m.If(load & (bank != b)):
                m.d.sync += (tap.eq(new) for tap, new in zip(taps, written, strict=True))
        return banks

    def _drive(self, m: Module, pipeline: Pipeline, lane: int, writer: RowWriter) -> dict[str, Value]:
        """A lane's sample behind the tables, `TABLE_STEPS` later."""
        drive = {}
        for number, rail in enumerate(RAILS):
            sample = Value.cast(self.i.payload.words[lane][rail])
            m.submodules[f"table_{rail}_{lane}"] = memory = Memory(
                shape=ROW, depth=2 * ROWS, init=[], attrs={"ram_style": "block"}
            )
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [
                write.addr.eq(writer.address),
                write.data.eq(writer.row),
                write.en.eq(writer.enable[number]),
                read.addr.eq(Cat(sample[OFFSET_BITS:], writer.bank)),
                read.en.eq(pipeline.advance),
            ]
            row = data.View(ROW, pipeline.register(Value.cast(read.data)))  # the block RAM's own output register
            # Less half of a segment: the top bit is turned over.
            centred = Cat(sample[: OFFSET_BITS - 1], ~sample[OFFSET_BITS - 1])
            offset = pipeline.history(centred, 2)[-1].as_signed()
            product = pipeline.register(multiply_in_logic(row.slope, offset))
            # The constant, and half of the last bit that stays: one addition.
            constant = Cat(Const(1 << (TABLE_DROP - 1), TABLE_DROP), pipeline.register(row.constant)).as_signed()
            drive[rail] = pipeline.register((constant + product) >> TABLE_DROP, signed(DRIVE_BITS))
        return drive

    def _window(
        self, m: Module, pipeline: Pipeline, drives: list[dict[str, Value]], token: Token, bank: Value
    ) -> tuple[dict[int, dict[str, Value]], Token, list[Value]]:
        """The samples that the filters of one beat see, zeros in place of those of other frames.

        Returns them by their distance from the beat's first sample; the beat's token; and the banks of the beats that
        wait, the last of them that beat's own.
        """
        middle = self.reach
        # A beat stands p steps after it came at place p, and is filtered at the middle. A step is made when one comes,
        # or when the newest has no successor to wait for.
        step = Signal()
        line = Pipeline(m, step)
        follows = line.history(token.valid & ~token.last, 2 * middle, reset=True)
        m.d.comb += step.eq(pipeline.advance & (token.valid | ~follows[1]))
        valid, banks = (line.history(part, middle, reset=True) for part in (token.valid, bank))
        beats = [{rail: line.history(sample[rail], 2 * middle) for rail in RAILS} for sample in drives]

        window = {}
        for distance in range(-HALF_TAPS, self.lanes + HALF_TAPS):
            beat, lane = divmod(distance, self.lanes)
            place = middle - beat
            # Places p < q hold one frame when all from p + 1 to q have a successor in theirs.
            same_frame = Cat(follows[min(place, middle) + 1 : max(place, middle) + 1]).all()
            window[distance] = {rail: pipeline.register(Mux(same_frame, beats[lane][rail][place], 0)) for rail in RAILS}
        token = Token(valid=step & valid[middle], last=~follows[middle]).delayed(pipeline, 1)
        return window, token, [*banks, pipeline.register(banks[middle], reset=True)]

    def _multiply_and_add(
        self, pipeline: Pipeline, window: dict[int, dict[str, Value]], taps: list[list[Signal]], banks: list[Value]
    ) -> list[Value]:
        """The sum of each lane and rail: a chain of places, each of which adds a pair's product to what came so far."""
        delayed = {
            distance: {rail: pipeline.history(sample[rail], HALF_TAPS) for rail in RAILS}
            for distance, sample in window.items()
        }
        half = 1 << (FILTER_DROP - 1)
        sums: dict[tuple[int, str], Value] = {(lane, rail): Const(half) for lane in range(self.lanes) for rail in RAILS}
        for k in range(HALF_TAPS + 1):
            tap = pipeline.register(Mux(banks[k], taps[1][k], taps[0][k]))
            for (lane, rail), so_far in sums.items():
                pair = delayed[lane][rail][k]
                if k:
                    pair = delayed[lane - k][rail][k] + delayed[lane + k][rail][k]
                product = pipeline.register(pipeline.register(pair) * tap)
                sums[lane, rail] = pipeline.register(so_far + product, signed(SUM_BITS))
        return list(sums.values())

    def _saturate(self, m: Module, pipeline: Pipeline, token: Token, sums: list[Value], o: stream.Interface) -> None:
        """Round, saturate, count words that did not fit, and hand beats to the output stream.

        `o` is ready whenever the pipeline advances.
        """
        clipped, overflows = zip(*(saturate(total >> FILTER_DROP, SAMPLE) for total in sums), strict=True)
        words, overflow = pipeline.register(Cat(clipped)), pipeline.register(Cat(overflows))
        valid = pipeline.register(token.valid, reset=True)
        saturated = Signal(range(len(overflows) + 1))
        with m.If(pipeline.advance & valid):
            m.d.comb += saturated.eq(sum(overflow))
        count = event_counter(m, COUNTER_BITS, saturated, self.port.control.clear_counters.start)
        m.d.comb += [
            self.port.status.saturated.eq(saturated.any()),
            self.port.saturations.count.eq(count),
            o.valid.eq(valid),
            Value.cast(o.payload.words).eq(words),
            o.payload.last.eq(pipeline.register(token.last)),
        ]
