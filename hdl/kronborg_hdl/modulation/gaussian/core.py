"""The Gaussian source in Amaranth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words, unsigned_words
from ...dsp.arithmetic import event_counter, multiply_in_logic, saturate
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from . import tables
from .model import (
    AMPLITUDE_DROP,
    COSINE_DROP,
    DEFAULT_DEVIATION,
    MAXIMUM_DEVIATION,
    MINIMUM_DEVIATION,
    MULTIPLIERS_PER_SYMBOL,
    PRODUCT_DROP,
)
from .registers import REGISTERS
from .tables import (
    AMPLITUDE_BITS,
    ANGLE_BITS,
    ANGLE_ROW_BITS,
    ARGUMENT_BITS,
    COSINE_FRACTION,
    FINE_BITS,
    LINE_BITS,
    OCTANT_BITS,
    QUARTER_BITS,
    RADIUS_BITS,
    RADIUS_ROW_BITS,
    WORD_BITS,
)

MAXIMUM_SYMBOLS_PER_CLOCK = 16
COUNTER_BITS = 32

RADIUS_ROW = data.StructLayout(
    {"constant": unsigned(RADIUS_ROW_BITS[0]), "slope": signed(RADIUS_ROW_BITS[1]), "curve": signed(RADIUS_ROW_BITS[2])}
)
_LINE = data.StructLayout({"constant": signed(ANGLE_ROW_BITS[0]), "slope": signed(ANGLE_ROW_BITS[1])})
ANGLE_ROW = data.StructLayout({"cosine": _LINE, "sine": _LINE})

# Steps from a word of bits to its amplitude, from an angle to cosine and sine, and on. The angle waits for the radius.
NORMALISE_STEPS, RADIUS_STEPS, AMPLITUDE_STEPS = 3, 6, 2
OCTANT_STEPS = 6
PRODUCT_STEPS = 3
WAIT_STEPS = NORMALISE_STEPS + RADIUS_STEPS + AMPLITUDE_STEPS - OCTANT_STEPS


class GaussianSource(wiring.Component):
    """Turn uniform bits into complex Gaussian symbols, one for each word of 64 bits.

    Mathematics (Box & Muller 1958), for bits 63:16 as the number k and bits 15:0 as the number t::

        u = (k + 1/2) 2**-48,   theta = 2 pi (t + 1/2) 2**-16,   I + i Q = deviation sqrt(-2 ln u) exp(i theta)

    rounded to 16 bits and saturated. The largest radius is 8.24 standard deviations. With the default deviation of
    4096 words full scale is 8 standard deviations: one quadrature in 8e14 lies beyond, is clipped, sets
    STATUS.saturated and is counted. 3975 words leave room for all.

    Structure: radius and angle are polynomials of two and one degrees from one block RAM each, see ``tables``; the
    scale multiplies the radius, so that it costs one multiplier for both rails.

    Formats: radius unsigned Q4.19, amplitude unsigned 16.8 words, cosine and sine signed Q1.17. Every product is
    exact, every rounding to nearest. A symbol is never further than 0.83 words from the transform in real numbers, 0.75
    with the default deviation (``accuracy.error_bound_words`` has the proof), and the error's variance, rounding
    included, is below 0.09 word**2: 2e-5 mSNU at V_A = 4. What was emitted is recorded as it is, so even this is a
    deviation from the Gaussian and no noise.

    Entropy: the symbols are as secret and as random as the bits; this core adds nothing.

    Scale: a deviation that would clip within 6 standard deviations, or one below 64 words, is refused: no bits are
    taken while it stands in the register, and STATUS.scale_refused is set.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks.

    Resources per symbol per clock: 5 multipliers (the two products of 11 x 5 bits are made of adders); 2 block RAMs
    of 36 Kib. Lee et al. 2006 need 12 multipliers and 3 block RAMs of 18 Kib for a tail of 8.2 and no scale.

    Args:
        symbols_per_clock: complex symbols per clock, 1 to 16.
        checked: a scale out of range is refused, a clock after it was written. Otherwise whoever drives the port gives
            none, and the register of scale and verdict is gone.

    Members:
        i: words of uniform bits, and ``last``.
        o: symbols, and the ``last`` that came with their bits.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: the number of symbols per clock is out of range.
    """

    registers = REGISTERS

    def __init__(self, *, symbols_per_clock: int, checked: bool = True) -> None:
        if not 1 <= symbols_per_clock <= MAXIMUM_SYMBOLS_PER_CLOCK:
            raise ValueError(f"{symbols_per_clock} symbols per clock: must be 1 to {MAXIMUM_SYMBOLS_PER_CLOCK}")
        self.symbols_per_clock = symbols_per_clock
        self.checked = checked
        super().__init__(
            {
                "i": In(stream.Signature(unsigned_words(symbols_per_clock, WORD_BITS))),
                "o": Out(stream.Signature(complex_words(symbols_per_clock))),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to its symbols at ``o`` when nothing pauses."""
        return NORMALISE_STEPS + RADIUS_STEPS + AMPLITUDE_STEPS + PRODUCT_STEPS + 1  # the skid buffer

    @property
    def multipliers(self) -> int:
        """Multipliers of up to 25 x 18 bits."""
        return MULTIPLIERS_PER_SYMBOL * self.symbols_per_clock

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)

        deviation, scale_valid = port.scale.deviation, Signal(init=1)
        if self.checked:
            # A register, of both: on the way to what takes the bits the comparisons would be long.
            deviation = Signal.like(port.scale.deviation, init=DEFAULT_DEVIATION)
            m.d.sync += deviation.eq(port.scale.deviation), scale_valid.eq(in_range(port.scale.deviation))
        m.d.comb += [
            port.control.scale_valid.eq(scale_valid),
            port.status.scale_refused.eq(~scale_valid),
            port.capabilities.symbols_per_clock.eq(self.symbols_per_clock),
            self.i.ready.eq(pipeline.advance & scale_valid),
        ]
        scale = pipeline.history(deviation, NORMALISE_STEPS + RADIUS_STEPS)[-1]

        overflows = []
        for n in range(self.symbols_per_clock):
            words, clipped = self._symbol(m, pipeline, n, self.i.payload.words[n], scale)
            m.d.comb += skid.i.payload.words[n].i.eq(words[0]), skid.i.payload.words[n].q.eq(words[1])
            overflows += clipped

        valid = pipeline.history(self.i.valid & self.i.ready, self.latency - 1, reset=True)[-1]
        m.d.comb += [
            skid.i.valid.eq(valid),
            skid.i.payload.last.eq(pipeline.history(self.i.payload.last, self.latency - 1)[-1]),
        ]
        saturated = Signal(range(len(overflows) + 1))
        with m.If(pipeline.advance & valid):
            m.d.comb += saturated.eq(sum(overflows))
        count = event_counter(m, COUNTER_BITS, saturated, port.control.clear_counters.start)
        m.d.comb += port.status.saturated.eq(saturated.any()), port.saturations.count.eq(count)
        return m

    def _symbol(
        self, m: Module, pipeline: Pipeline, n: int, bits: Value, scale: Value
    ) -> tuple[list[Value], list[Value]]:
        """Symbol `n` of a beat: I and Q, and whether either was clipped."""
        amplitude = self._amplitude(pipeline, self._radius(m, pipeline, n, bits[ANGLE_BITS:]), scale)
        angle = pipeline.history(bits[:ANGLE_BITS], WAIT_STEPS)[-1]
        octant, functions = self._octant_functions(m, pipeline, n, angle)
        # Cosines are negative in octants 2 to 5, sines in 4 to 7; the functions are negated once already.
        negative = pipeline.history(Cat(octant[1] ^ octant[2], octant[2]), PRODUCT_STEPS - 1)[-1]
        words, overflows = [], []
        for rail, function in enumerate(functions):
            product = pipeline.register(amplitude * function)
            rounded = pipeline.register(_add_and_round(product, Const(0, 1), PRODUCT_DROP))
            word, overflow = saturate(Mux(negative[rail], rounded, -rounded), SAMPLE)
            words.append(pipeline.register(word))
            overflows.append(pipeline.register(overflow))
        return words, overflows

    def _radius(self, m: Module, pipeline: Pipeline, n: int, k: Value) -> Value:
        """The radius in 2**-19 standard deviations, `NORMALISE_STEPS` + `RADIUS_STEPS` later."""
        side: Value = k[-1]
        rest = Cat(1, k[:-1] ^ side.replicate(RADIUS_BITS - 1))
        wanted = 1 + QUARTER_BITS + ARGUMENT_BITS  # the leading one, and what follows it
        leading_zeros: list[Value] = []
        # The leading one moves to the top in steps that halve. Bits that no later step can bring up are left behind.
        for pair in ((32, 16), (8, 4), (2, 1)):
            for step in pair:
                empty = ~rest[-step:].any()
                moved = Mux(empty, rest << step, rest)[: len(rest)]
                rest = moved[-min(len(rest), wanted + step - 1) :]
                leading_zeros.insert(0, empty)
            rest = pipeline.register(rest)
            side, *leading_zeros = (pipeline.register(bit) for bit in (side, *leading_zeros))
        mantissa = rest[:-1]
        address = Cat(mantissa[ARGUMENT_BITS:], ~Cat(leading_zeros), side)

        init = [dict(zip(("constant", "slope", "curve"), row, strict=True)) for row in tables.RADIUS.tolist()]
        row = _read_table(m, pipeline, f"radius_{n}", RADIUS_ROW, init, address)
        arguments = pipeline.history(_centred(mantissa[:ARGUMENT_BITS]), 4)
        curved = pipeline.register(row.curve * arguments[2].as_signed())
        slope = pipeline.register(row.slope)
        slope = pipeline.register(_add_and_round(curved, slope, ARGUMENT_BITS), signed(RADIUS_ROW_BITS[1]))
        sloped = pipeline.register(slope * arguments[4].as_signed())
        constant = pipeline.history(row.constant, 3)[-1]
        return pipeline.register(_add_and_round(sloped, constant, ARGUMENT_BITS), unsigned(RADIUS_ROW_BITS[0]))

    def _amplitude(self, pipeline: Pipeline, radius: Value, scale: Value) -> Value:
        """Radius times scale in 2**-8 words, `AMPLITUDE_STEPS` later."""
        product = pipeline.register(radius * scale)
        return pipeline.register(_add_and_round(product, Const(0, 1), AMPLITUDE_DROP), unsigned(AMPLITUDE_BITS))

    def _octant_functions(self, m: Module, pipeline: Pipeline, n: int, t: Value) -> tuple[Value, list[Value]]:
        """The octant, and cosine and sine but for their signs, turned over already; `OCTANT_STEPS` later."""
        within = pipeline.register(t[:-OCTANT_BITS] ^ t[-OCTANT_BITS].replicate(LINE_BITS + FINE_BITS))
        octants = pipeline.history(t[-OCTANT_BITS:], OCTANT_STEPS)
        init = [
            {"cosine": {"constant": c, "slope": c_slope}, "sine": {"constant": s, "slope": s_slope}}
            for c, c_slope, s, s_slope in tables.ANGLE.tolist()
        ]
        row = _read_table(m, pipeline, f"angle_{n}", ANGLE_ROW, init, within[FINE_BITS:])
        # 2 f - 15: centred, with a one below.
        fine = pipeline.history(Cat(1, _centred(within[:FINE_BITS])), 2)[-1].as_signed()
        functions = []
        for line in (row.cosine, row.sine):
            sloped = pipeline.register(multiply_in_logic(line.slope, fine))
            constant = pipeline.register(line.constant + (1 << (COSINE_DROP - 1)))
            functions.append(pipeline.register((constant + sloped) >> COSINE_DROP, signed(COSINE_FRACTION + 1)))
        near, far = functions
        swap = octants[-2][0] ^ octants[-2][1]
        # A register behind the choice: a multiplier has its own at its inputs, and no look-up table stands before it.
        turned = [pipeline.register(Mux(swap, *pair)) for pair in ((far, near), (near, far))]
        return octants[-1], turned


def in_range(deviation: Value) -> Value:
    """Whether a deviation is one that the source takes: see its scale."""
    return (deviation >= MINIMUM_DEVIATION) & (deviation <= MAXIMUM_DEVIATION)


def _centred(word: Value) -> Value:
    """An unsigned word less half of its range, signed: its top bit turned over."""
    return Cat(word[:-1], ~word[-1]).as_signed()


def _add_and_round(product: Value, word: Value, drop: int) -> Value:
    """The product without its `drop` lowest bits, to nearest, plus a word: one addition, as a DSP slice does it."""
    addend = Cat(Const(1 << (drop - 1), drop), word)
    return (product + (addend.as_signed() if word.shape().signed else addend)) >> drop


def _read_table(
    m: Module,
    pipeline: Pipeline,
    name: str,
    row: data.StructLayout,
    init: Sequence[Mapping[str, object]],
    address: Value,
) -> data.View:
    """The row at an address, two steps later: a block RAM, and the register at its output."""
    m.submodules[name] = memory = Memory(shape=row, depth=len(init), init=init, attrs={"ram_style": "block"})
    read = memory.read_port()
    m.d.comb += read.addr.eq(address), read.en.eq(pipeline.advance)
    return data.View(row, pipeline.register(Value.cast(read.data)))
