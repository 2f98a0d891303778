"""The resampler in Amaranth: data path and registers; ``orders`` says what is computed when."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Module, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...axi.bank import register_port
from ...axi.stream import RETIME, SkidBuffer, endless_words
from ...dsp.arithmetic import event_counter, saturate, word_shape
from ...dsp.formats import BASEBAND
from ...dsp.pipeline import Pipeline
from ...dsp.rates import check_lanes
from .kernel import KERNELS, TAP, TAPS
from .model import FRACTION
from .orders import Orders
from .registers import REGISTERS

COUNTER_BITS = 32
RAILS = ("i", "q")
ROM_PORTS = 8
"""Most read ports of one memory. Whatever their number, two share a block RAM; but from ten on Yosys' search for a
mapping takes three times the memory for each further one, 3 GB for twelve."""
SUM_BITS = BASEBAND.width + TAP.width + (TAPS - 1).bit_length()


class Resampler(wiring.Component):
    """Two samples a symbol at the symbols' own places: a delay by any 128th of a sample, and a step that commands set.

    Mathematics: the model has it. Output k needs the five samples behind its position.

    Structure: ``orders`` computes positions ahead of the samples; an order says how many beats must have come, where in
    the window of the last samples each output's ten stand, and their phase. The window moves by a beat; a multiplexer
    picks the samples, a memory of all kernels gives the taps, and products are summed down a chain that a DSP slice's
    cascade carries.

    Formats: samples and taps Q1.17; exact sums, one rounding, to nearest with ties towards plus infinity. What does not
    fit saturates, sets STATUS.saturated and is counted.

    What it adds at V_A = 4, behind half-bands and before the symbol filter: images and phases to the nearest 128th of a
    sample 0.015 mSNU, 0.04 at the worst phase (tests/hdl/decimation/test_timing_chain.py); rounding 1 / (12 s**2) SNU
    for shot noise of s words.

    Commands: `retime` changes position and step from an output on, see the model; one acts in a beat of outputs. They
    come in order. One that is late acts at once, sets STATUS.late and is counted; so is one whose step is refused.

    Reset: zeros lie before the first sample, which is position 0. No sample is taken before the first apply.

    Throughput: a beat in and a beat out per clock. A step below one gives more outputs than samples: samples then wait
    in a FIFO of `depth` beats. When it is full `i` waits, which sets STATUS.waited and is counted: a converter cannot.
    A command that comes 16 beats before it acts, or earlier, takes no time; one that comes later, a few clocks.

    Latency: :attr:`latency` clocks from the beat with an output's last sample.

    Resources: 20 multipliers of 18 x 18 bits for each sample per clock, and a memory of 512 x 180 bits for two.

    Args:
        words_per_clock: samples per clock W, 1, 2, 4, 8 or 16.
        depth: beats that can wait: 2**17 symbols at 100 ppm gain 26 samples on two a symbol.

    Members:
        i: samples.
        o: samples at two a symbol, the even ones at the symbols' centres.
        retime: commands, see ``axi.stream.RETIME``.
        saturated: a pulse: words were clipped.
        late: a pulse: a command was late.
        waited: a beat cannot be taken.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: no such number of samples per clock.
    """

    registers = REGISTERS

    def __init__(self, *, words_per_clock: int, depth: int = 64) -> None:
        check_lanes(words_per_clock)
        self.words_per_clock = words_per_clock
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(endless_words(words_per_clock, BASEBAND))),
                "o": Out(stream.Signature(endless_words(words_per_clock, BASEBAND))),
                "retime": In(stream.Signature(RETIME)),
                "saturated": Out(1),
                "late": Out(1),
                "waited": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )

    @property
    def multipliers(self) -> int:
        """Multipliers of 18 x 18 bits."""
        return len(RAILS) * TAPS * self.words_per_clock

    @property
    def latency(self) -> int:
        """Clocks from the acceptance of an output's last sample to the output at ``o`` when nothing waits."""
        # FIFO, in which a word stands for two clocks; window; `_steps`; skid buffer.
        return 2 + 1 + self._steps + 1

    @property
    def _steps(self) -> int:
        """Steps from an order's window to its words: samples picked; product; a sum for each tap; saturation."""
        return 1 + 1 + TAPS + 1

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port = self.port
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # The pipeline moves as a whole, or pauses as a whole when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        m.submodules.waiting = waiting = SyncFIFOBuffered(width=len(Value.cast(self.i.payload)), depth=self.depth)
        m.submodules.orders = orders = Orders(words_per_clock=self.words_per_clock)
        loaded, kernel = Signal(), Signal(2)
        with m.If(port.control.apply.start):
            m.d.sync += loaded.eq(1), kernel.eq(port.kernel.number)
        m.d.comb += [
            orders.run.eq(loaded),
            orders.load.eq(port.control.apply.start),
            orders.step.eq(port.step_high.word << FRACTION | port.step_low.word),
            orders.retime.payload.eq(self.retime.payload),
            orders.retime.valid.eq(self.retime.valid),
            self.retime.ready.eq(orders.retime.ready),
            waiting.w_data.eq(self.i.payload),
            waiting.w_en.eq(self.i.valid & loaded),
            self.i.ready.eq(waiting.w_rdy & loaded),
            self.waited.eq(self.i.valid & ~self.i.ready),
            self.late.eq(orders.late),
            port.control.loaded.eq(loaded),
            port.control.apply.busy.eq(0),
            port.capabilities.words_per_clock.eq(self.words_per_clock),
            port.capabilities.depth.eq(self.depth),
            port.output.number.eq(orders.number),
        ]
        m.submodules.ahead = ahead = SkidBuffer(orders.o.payload.shape())
        wiring.connect(m, orders.o, ahead.i)
        # The order at hand, and beats that it still needs: how many, whether none, whether one.
        order, there = Signal.like(orders.o.payload), Signal()
        owed, none, one = Signal.like(orders.o.payload.beats), Signal(), Signal()
        take, go = Signal(), Signal()
        m.d.comb += [
            go.eq(pipeline.advance & there & (none | (one & waiting.r_rdy))),
            take.eq(pipeline.advance & there & ~none & waiting.r_rdy),
            ahead.o.ready.eq(go | ~there),
            waiting.r_en.eq(take),
        ]
        with m.If(go | ~there):
            beats = ahead.o.payload.beats
            m.d.sync += there.eq(ahead.o.valid), order.eq(ahead.o.payload)
            m.d.sync += owed.eq(beats), none.eq(beats == 0), one.eq(beats == 1)
        with m.Elif(take):
            m.d.sync += owed.eq(owed - 1), none.eq(one), one.eq(owed == 2)

        beat = data.View(self.i.payload.shape(), waiting.r_data).words
        line = Pipeline(m, take)
        depth = -(-(max(orders.places) + TAPS) // self.words_per_clock)
        windows: dict[str, list[Value]] = {}
        for rail in RAILS:
            histories = [line.history(word[rail], depth, reset=True)[1:] for word in list(beat)[::-1]]
            windows[rail] = [history[at] for at in range(depth) for history in histories]
        taps = self._taps(m, pipeline, order.phases, kernel)
        valid = pipeline.history(go, self._steps + 1, reset=True)[-1]
        overflows = []
        for lane in range(self.words_per_clock):
            place = pipeline.register(order.places[str(lane)])
            for rail in RAILS:
                word, overflow = self._output(pipeline, windows[rail], place, orders.places[lane], taps[lane])
                m.d.comb += skid.i.payload.words[lane][rail].eq(word)
                overflows.append(overflow)
        m.d.comb += skid.i.valid.eq(valid)
        clipped = Signal(range(len(overflows) + 1))
        with m.If(valid & pipeline.advance):
            m.d.comb += clipped.eq(sum(overflows))
        m.d.comb += self.saturated.eq(clipped.any())
        clear = port.control.clear_counters.start
        for flag, counter, event in (
            ("saturated", port.saturations, clipped),
            ("late", port.late_commands, orders.late),
            ("refused", port.refused_commands, orders.refused),
            ("waited", port.waits, self.waited),
        ):
            m.d.comb += getattr(port.status, flag).eq(event.any())
            m.d.comb += counter.count.eq(event_counter(m, COUNTER_BITS, event, clear))
        return m

    def _taps(self, m: Module, pipeline: Pipeline, phases: data.View, kernel: Value) -> list[list[Value]]:
        """Taps of each lane, two steps after its phase."""
        row = data.ArrayLayout(word_shape(TAP), TAPS)
        # Two numbers for the last one: no word is undefined.
        rows = [taps for each in (*KERNELS, KERNELS[-1]) for taps in each.table.tolist()]
        taps = []
        for lane, phase in enumerate(phases):
            if lane % ROM_PORTS == 0:
                kernels = Memory(
                    shape=row, depth=len(rows), init=rows, attrs={"ram_style": "block", "rom_style": "block"}
                )
                m.submodules[f"kernels_{lane}" if lane else "kernels"] = kernels
            read = kernels.read_port()
            m.d.comb += read.addr.eq(Cat(phase, kernel)), read.en.eq(pipeline.advance)
            taps.append([pipeline.register(tap) for tap in read.data])
        return taps

    def _output(
        self, pipeline: Pipeline, window: list[Value], place: Value, furthest: int, taps: list[Value]
    ) -> tuple[Value, Value]:
        """A lane's word of one rail, and whether it was clipped, `_steps` steps after its window."""
        total: Value = Const(1 << (TAP.fraction - 1), signed(SUM_BITS))
        for k in range(TAPS):
            # Tap 0 weighs the oldest sample; place 0 is that of the latest in the window.
            choices = Array(window[at + TAPS - 1 - k] for at in range(furthest + 1))
            sample = pipeline.register(choices[place])
            late = pipeline.history(sample, k)[-1] * pipeline.history(taps[k], k)[-1]
            total = pipeline.register(total + pipeline.register(late), signed(SUM_BITS))
        word, overflow = saturate(total >> TAP.fraction, BASEBAND)
        return pipeline.register(word), pipeline.register(overflow)
