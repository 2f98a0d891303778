"""The source of discrete alphabets in Amaranth."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words, unsigned_words
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from ..gaussian.core import MAXIMUM_SYMBOLS_PER_CLOCK
from .model import ROW_BITS, ROWS, SHARE_BITS, WORD_BITS
from .registers import REGISTERS

ROW = data.StructLayout(
    {"share": unsigned(SHARE_BITS), "own": signed(SAMPLE.width), "other": signed(SAMPLE.width)},
)


class AlphabetSource(wiring.Component):
    """Turn uniform bits into symbols of a discrete alphabet: QPSK, QAM, QAM with shaped probabilities.

    Mathematics: the alias method, as the model says. Bits 31:0 of a word draw I, bits 63:32 draw Q; of either half the
    upper 4 bits choose a row, the lower 28 are compared with its share. Probabilities are multiples of 2**-32.

    Table: one of 16 rows for both rails, in distributed memory, read in the clock in which bits are taken. It is
    written while CONTROL.run is low; a write while it is high is not stored and sets STATUS.row_refused. What was taken
    before run went low still comes out. No bits are taken until all rows were written.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks.

    Resources per symbol per clock: no multiplier, no block RAM; two read ports of 60 bits, two comparisons of 28 bits.

    Args:
        symbols_per_clock: complex symbols per clock, 1 to 16.

    Members:
        i: words of uniform bits, and ``last``.
        o: symbols, and the ``last`` that came with their bits.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: the number of symbols per clock is out of range.
    """

    registers = REGISTERS
    latency = 3
    """Clocks from a beat's acceptance to its symbols when nothing pauses: row; comparison; skid buffer."""
    multipliers = 0

    def __init__(self, *, symbols_per_clock: int) -> None:
        if not 1 <= symbols_per_clock <= MAXIMUM_SYMBOLS_PER_CLOCK:
            raise ValueError(f"{symbols_per_clock} symbols per clock: must be 1 to {MAXIMUM_SYMBOLS_PER_CLOCK}")
        self.symbols_per_clock = symbols_per_clock
        super().__init__(
            {
                "i": In(stream.Signature(unsigned_words(symbols_per_clock, WORD_BITS))),
                "o": Out(stream.Signature(complex_words(symbols_per_clock))),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)

        written, loaded, store = Signal(ROWS), Signal(), Signal()
        m.d.comb += [
            loaded.eq(written.all()),
            store.eq(port.row.written & ~port.control.run),
            port.control.loaded.eq(loaded),
            port.status.row_refused.eq(port.row.written & port.control.run),
            port.capabilities.symbols_per_clock.eq(self.symbols_per_clock),
            self.i.ready.eq(pipeline.advance & port.control.run & loaded),
        ]
        with m.If(store):
            m.d.sync += written.bit_select(port.row.index, 1).eq(1)
        m.submodules.table = table = Memory(shape=ROW, depth=ROWS, init=[], attrs={"ram_style": "distributed"})
        write = table.write_port()
        m.d.comb += [
            write.en.eq(store),
            write.addr.eq(port.row.index),
            write.data.share.eq(port.row.share),
            write.data.own.eq(port.levels.own),
            write.data.other.eq(port.levels.other),
        ]

        half = WORD_BITS // 2
        for n in range(self.symbols_per_clock):
            bits = self.i.payload.words[n]
            m.d.comb += [
                skid.i.payload.words[n].i.eq(self._rail(m, pipeline, table, bits[:half])),
                skid.i.payload.words[n].q.eq(self._rail(m, pipeline, table, bits[half:])),
            ]
        steps = self.latency - 1
        m.d.comb += [
            skid.i.valid.eq(pipeline.history(self.i.valid & self.i.ready, steps, reset=True)[-1]),
            skid.i.payload.last.eq(pipeline.history(self.i.payload.last, steps)[-1]),
        ]
        return m

    def _rail(self, m: Module, pipeline: Pipeline, table: Memory, bits: Value) -> Value:
        """A rail's word, two steps later."""
        read = table.read_port(domain="comb")
        m.d.comb += read.addr.eq(bits[-ROW_BITS:])
        row = data.View(ROW, pipeline.register(Value.cast(read.data)))
        draw = pipeline.register(bits[:SHARE_BITS])
        return pipeline.register(Mux(draw < row.share, row.own, row.other))
