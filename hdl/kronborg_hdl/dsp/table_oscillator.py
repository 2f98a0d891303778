"""Oscillator that is a table and nothing else, in Amaranth: the words of ``phasor_table``, several per clock."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from .arithmetic import word_shape
from .formats import SAMPLE
from .nco import PHASE_BITS
from .oscillator import PHASOR
from .phasor_table import ANGLE_BITS, DROPPED_BITS, TABLE, TABLE_BITS
from .pipeline import Pipeline
from .rates import check_lanes

ROW = 4
"""Lanes whose phases are made from one sum, so that no more than one addition is made in a step."""


class TableOscillator(wiring.Component):
    """LANES samples of exp(i theta), or exp(-i theta), per clock from one phase accumulator.

    Mathematics: the phase is zero at the first sample after reset, and each sample's increment is the `word` of its
    beat, modulo 2**32: it may change from beat to beat, and the phase is continuous. Cosine and sine are those of
    ``phasor_table.COSINE`` and ``SINE``, see there for spurs (below -80 dBc) and phase noise.

    Structure: the accumulator steps by LANES words per beat. Every fourth lane's phase is that plus a multiple of four
    words, the three lanes behind it add one, two or three words. A lane has a table of 4096 x 15 bits, read through
    both of its ports and their output registers.

    Resources, for each lane: two RAMB36; no multiplier.

    Latency: :attr:`LATENCY` steps from a beat's ``accept`` to its phasors; a beat per step.

    Args:
        lanes: samples per clock; a power of two.
        conjugate: exp(-i theta).

    Members:
        word: phase increment per sample of the beat that is accepted, 2**-32 turns.
        accept: a beat is accepted in this clock; only when ``advance`` is high.
        advance: the pipeline moves; see ``dsp.pipeline``.
        o: phasors, one per lane.

    Raises:
        ValueError: no such number of lanes.
    """

    LATENCY = 6

    def __init__(self, *, lanes: int, conjugate: bool = False) -> None:
        check_lanes(lanes)
        self.lanes = lanes
        self.conjugate = conjugate
        super().__init__(
            {
                "word": In(PHASE_BITS),
                "accept": In(1),
                "advance": In(1),
                "o": Out(data.ArrayLayout(PHASOR, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        pipeline = Pipeline(m, self.advance)
        for lane, angle in enumerate(self._angles(m, pipeline)):
            cosine, sine = self._phasor(m, pipeline, lane, angle)
            m.d.comb += self.o[lane].cosine.eq(cosine), self.o[lane].sine.eq(sine)
        return m

    def _angles(self, m: Module, pipeline: Pipeline) -> list[Value]:
        """The angle of each lane's sample, three steps after its beat."""
        accumulator = Signal(PHASE_BITS)
        with m.If(self.accept):
            m.d.sync += accumulator.eq(accumulator + (self.word << exact_log2(self.lanes)))
        start, word = pipeline.register(accumulator), pipeline.register(self.word)
        triple = pipeline.register(self.word + (self.word << 1), PHASE_BITS)
        words = [0, word, word << 1, triple]
        rows = [pipeline.register(start + (words[row] << 2), PHASE_BITS) for row in range(-(-self.lanes // ROW))]
        words = [0, *(pipeline.register(multiple, PHASE_BITS) for multiple in words[1:])]
        phases = [(rows[lane // ROW] + words[lane % ROW])[:PHASE_BITS] for lane in range(self.lanes)]
        return [pipeline.register(phase[DROPPED_BITS:]) for phase in phases]

    def _phasor(self, m: Module, pipeline: Pipeline, lane: int, angle: Value) -> tuple[Value, Value]:
        """Cosine and sine of an angle, three steps later."""
        step, odd, half = angle[: ANGLE_BITS - 2], angle[-2], angle[-1]
        # One memory a lane: a table of two ports is a block RAM to every synthesiser, one of many ports is not.
        m.submodules[f"table_{lane}"] = table = Memory(
            shape=unsigned(TABLE_BITS), depth=len(TABLE), init=TABLE.tolist(), attrs={"ram_style": "block"}
        )
        # Quadrants 0 to 3, with b the table backwards: (b, t), (-t, b), (-b, -t), (t, -b).
        backwards = odd.replicate(len(step))
        words = []
        for address, negative in ((~step ^ backwards, odd ^ half), (step ^ backwards, half ^ int(self.conjugate))):
            read = table.read_port()
            m.d.comb += read.addr.eq(address), read.en.eq(pipeline.advance)
            word = pipeline.register(read.data)  # the block RAM's own output register
            sign = pipeline.history(negative, 2)[-1]
            words.append(pipeline.register(Mux(sign, -word, word), word_shape(SAMPLE)))
        return words[0], words[1]
