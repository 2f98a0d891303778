"""The unit phasor in Amaranth."""

from __future__ import annotations

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, endless_words
from ...dsp.arithmetic import word_shape
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from ..phase_smoother.core import HOPS_PER_CLOCK, RAILS
from ..phase_smoother.model import PHASOR
from .model import (
    FRACTION_BITS,
    LEAST_POWER_BITS,
    MANTISSA_BITS,
    ROOT,
    ROOT_BITS,
    ROOT_FRACTION,
    SEGMENT_BITS,
    SLOPE,
    SLOPE_BITS,
)
from .registers import REGISTERS

LINE = data.StructLayout({"root": unsigned(ROOT_BITS), "slope": unsigned(SLOPE_BITS)})
SHIFT_STEPS = 3
"""By fours; by ones; rounding."""


class UnitPhasor(wiring.Component):
    """Bring phasors to unit length: what is left is the phase, without an arctangent.

    Mathematics: ``p / |p|``, by block floating point, a table of straight lines for the inverse root, and two products;
    the model has it in full.

    Formats: phasors of 20 bits in, Q1.15 of length 32767 out. Every rounding is to nearest, ties towards plus infinity;
    a word beyond 32767 saturates, which can only be the last bit. The phase is right to 4.4e-5 rad; as noise it is
    4e-10 rad**2, 2e-6 mSNU at V_A = 4. A phasor of zero has no phase: it becomes 1 + 0i and sets STATUS.zero.

    Throughput: one beat per clock, always. Latency: :attr:`latency` clocks.

    Resources for each phasor per clock: four multipliers of up to 18 x 18 bits, one of 12 x 8 bits, one RAMB36 or two
    RAMB18 (768 x 25 bits).

    Args:
        hops_per_clock: phasors per clock, 1, 2, 4 or 8.

    Members:
        i: phasors.
        o: unit phasors.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of hops per clock.
    """

    registers = REGISTERS

    def __init__(self, *, hops_per_clock: int) -> None:
        if hops_per_clock not in HOPS_PER_CLOCK:
            raise ValueError(f"{hops_per_clock} hops per clock: must be one of {', '.join(map(str, HOPS_PER_CLOCK))}")
        self.hops_per_clock = hops_per_clock
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(hops_per_clock, PHASOR))),
                "o": Out(stream.Signature(endless_words(hops_per_clock, SAMPLE))),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a beat's acceptance to its phasors at ``o`` when nothing pauses."""
        # Length of the words; shift; squares; sum; table (2); line (2); products; rounding; limits; skid buffer.
        return 1 + SHIFT_STEPS + 1 + 1 + 2 + 2 + 1 + 1 + 1 + 1

    @property
    def multipliers(self) -> int:
        """Multipliers of up to 18 x 18 bits, one of five of them of 12 x 8 bits."""
        return 5 * self.hops_per_clock

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        accept = self.i.valid & pipeline.advance
        m.d.comb += [
            self.i.ready.eq(pipeline.advance),
            port.capabilities.hops_per_clock.eq(self.hops_per_clock),
            skid.i.valid.eq(pipeline.history(accept, self.latency - 1, reset=True)[-1]),
        ]
        zeros = []
        for place, phasor in enumerate(self.i.payload.words):
            zero, unit = self._phasor(m, pipeline, place, phasor)
            zeros.append(zero)
            m.d.comb += (skid.i.payload.words[place][rail].eq(unit[rail]) for rail in RAILS)
        valid = pipeline.history(accept, 1, reset=True)[-1]
        m.d.comb += port.status.zero.eq(Value.cast(sum(zeros)).any() & valid)
        return m

    def _phasor(self, m: Module, pipeline: Pipeline, place: int, phasor: data.View) -> tuple[Value, dict[str, Value]]:
        """Whether the phasor is zero, a step later; and the unit phasor, `latency` - 1 steps later."""
        # The larger of two magnitudes has as many bits as both ORed.
        magnitude = abs(phasor.i) | abs(phasor.q)
        shift = Signal(range(PHASOR.width), name=f"shift_{place}")
        for bit in range(PHASOR.width):
            with m.If(magnitude[bit]):  # the highest one has the last word
                m.d.comb += shift.eq(PHASOR.width - 1 - bit)
        zero = pipeline.register(~magnitude.any())
        shift_steps = pipeline.history(pipeline.register(shift), 1)
        words = {rail: _align(pipeline, pipeline.register(phasor[rail]), shift_steps) for rail in RAILS}

        squares = [pipeline.register(word * word) for word in words.values()]
        power = pipeline.register(squares[0] + squares[1], unsigned(LEAST_POWER_BITS + 4))
        is_long = power[LEAST_POWER_BITS + 2 :].any()
        root = self._inverse_root(m, pipeline, place, Mux(is_long, power >> 2, power)[: LEAST_POWER_BITS + 2])

        # While the root was made: square, sum, and the root's four steps. One more for the product.
        is_long = pipeline.history(is_long, 5)[-1]
        is_zero = pipeline.history(zero, self.latency - 3)[-1]
        unit = {}
        for rail, word in words.items():
            product = pipeline.register(pipeline.history(word, 6)[-1] * root)
            rounded = Mux(is_long, _round(product, ROOT_FRACTION + 1), _round(product, ROOT_FRACTION))
            rounded = pipeline.register(rounded)
            limited = Mux(rounded > SAMPLE.maximum, SAMPLE.maximum, rounded)
            limited = Mux(rounded < -SAMPLE.maximum, -SAMPLE.maximum, limited)
            nothing = SAMPLE.maximum if rail == "i" else 0
            unit[rail] = pipeline.register(Mux(is_zero, nothing, limited), word_shape(SAMPLE))
        return zero, unit

    def _inverse_root(self, m: Module, pipeline: Pipeline, place: int, power: Value) -> Value:
        """The inverse root of a squared length from 2**30 to 2**32, four steps later."""
        low = LEAST_POWER_BITS - SEGMENT_BITS
        m.submodules[f"lines_{place}"] = memory = Memory(
            shape=LINE,
            depth=len(ROOT),
            init=[{"root": root, "slope": slope} for root, slope in zip(ROOT.tolist(), SLOPE.tolist(), strict=True)],
            attrs={"ram_style": "block"},
        )
        read = memory.read_port()
        m.d.comb += [
            read.addr.eq(power[low:] - (1 << SEGMENT_BITS)),
            read.en.eq(pipeline.advance),
        ]
        line = data.View(LINE, pipeline.register(Value.cast(read.data)))
        fraction = pipeline.history(power[low - FRACTION_BITS : low], 2)[-1]
        fall, root = pipeline.register(line.slope * fraction), pipeline.register(line.root)
        return pipeline.register(root - _round(fall, FRACTION_BITS), unsigned(ROOT_BITS))


def _round(word: Value, drop: int) -> Value:
    """The word without its `drop` lowest bits, to nearest, ties towards plus infinity."""
    return (word + (1 << (drop - 1))) >> drop


def _align(pipeline: Pipeline, word: Value, shift: list[Value]) -> Value:
    """The word shifted left to the top of 20 bits, then rounded to the mantissa; `SHIFT_STEPS` later.

    `shift` is the amount now, and one step later.
    """
    wide = signed(PHASOR.width + 1)
    word = pipeline.register(word << Cat(Const(0, 2), shift[0][2:]), wide)
    word = pipeline.register(word << shift[1][:2], wide)
    return pipeline.register(_round(word, PHASOR.width - MANTISSA_BITS), signed(MANTISSA_BITS + 2))
