"""The frame controller in Amaranth."""

from __future__ import annotations

from dataclasses import dataclass, fields

from amaranth import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from ...axi.bank import register_port
from ...axi.stream import SkidBuffer, complex_words
from ...dsp.arithmetic import event_counter, saturate
from ...dsp.formats import SAMPLE
from ...dsp.pipeline import Pipeline
from .model import LENGTH_BITS, NUMBER_BITS, REPETITION_BITS, FrameLimits, Section
from .registers import REGISTERS

COUNTER_BITS = 32
CHECK_CLOCKS = len(Section) + 1
"""From settings that stand on the registers to the verdict on them: a sum a clock, then the comparison."""


def frame_words(symbols_per_clock: int) -> data.StructLayout:
    """Payload of a frame's stream.

    ``words`` and ``last`` as in ``axi.stream.complex_words``; ``recorded``: these symbols belong to the record;
    ``starved``: they are zeros because the source had none; ``frame``: the number of the frame that the beat is of.
    """
    words = complex_words(symbols_per_clock)
    return data.StructLayout(
        {"words": words["words"].shape, "last": 1, "recorded": 1, "starved": 1, "frame": NUMBER_BITS}
    )


@dataclass(frozen=True)
class Beat:
    """What is known of a beat before its words are.

    Attributes:
        valid: there is a beat; everything else counts only then.
        last: it is its frame's last.
        frame: the number of its frame.
        preamble, header, payload, calibration: the section that it is of; none of these: zeros.
    """

    valid: Value
    last: Value
    frame: Value
    preamble: Value
    header: Value
    payload: Value
    calibration: Value

    def later(self, pipeline: Pipeline) -> Beat:
        """The beat one step later."""
        return Beat(*(pipeline.register(getattr(self, field.name), reset=True) for field in fields(self)))


class FrameController(wiring.Component):
    """Put symbols of the source into frames.

    Mathematics: a frame is guard (zeros), preamble (from a memory), header (each of the 32 bits of the frame's number,
    most significant first, a one as the header symbol and a zero as its negative, repeated), payload (symbols of the
    source; only these are recorded), vacuum (zeros) and calibration (a constant symbol).

    Structure: the place in the frame is compared with where each section ends, in beats; an empty section ends where
    it begins and so is never met. Two steps later the section chooses between memory, source and constant.

    Formats: symbols Q1.15. The negative of -32768 is 32767. Nothing else is computed.

    Frames: while CONTROL.run is high a frame begins when the source has a symbol, so that nothing is sent before the
    source is keyed. It ends whole, whatever run does. The next frame follows without a gap. Its number rises by one.

    Starved: a payload beat that is due when the source has none is zeros, marked ``starved`` and counted: the
    converter must not be left without samples.

    Settings: CONTROL.apply takes all of them together, between two frames, or refuses all of them (see
    STATUS.settings_refused); the frames then go on as before. After reset no frame begins before settings are taken.

    Throughput: one beat per clock, always, from frame to frame too. Latency: :attr:`latency` clocks.

    Resources: 32 bits of block RAM for each symbol of the preamble; no multiplier.

    Args:
        symbols_per_clock: N, 1, 2, 4 or 8.
        preamble_capacity: symbols that the preamble's memory holds, a multiple of N.
        minimum_head: shortest guard, preamble and header together, symbols: what the chain behind this core holds, so
            that one frame has left it before the next one's payload enters.

    Members:
        i: N symbols of the source; ``last`` has no meaning.
        o: see :func:`frame_words`.
        active: a frame is under way: its settings and the source are in use.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: see ``model.FrameLimits``.
    """

    registers = REGISTERS
    latency = 4
    """Clocks from CONTROL.run, with the source ready, to a frame's first beat at ``o`` when nothing pauses."""
    multipliers = 0

    def __init__(self, *, symbols_per_clock: int, preamble_capacity: int = 4096, minimum_head: int = 0) -> None:
        self.limits = FrameLimits(symbols_per_clock, preamble_capacity, minimum_head)
        super().__init__(
            {
                "i": In(stream.Signature(complex_words(symbols_per_clock))),
                "o": Out(stream.Signature(frame_words(symbols_per_clock))),
                "active": Out(1),
                "port": In(register_port(REGISTERS)),
            }
        )
        # Sections of full length, and a beat behind the last one.
        self._place_shape = unsigned(LENGTH_BITS + ceil_log2(len(Section)) - exact_log2(symbols_per_clock))
        word = complex_words(1)["words"].shape.elem_shape
        self._settings_shape = data.StructLayout(
            {
                "ends": data.ArrayLayout(self._place_shape, len(Section)),
                "final": self._place_shape,
                "beats_per_bit": REPETITION_BITS - exact_log2(symbols_per_clock),
                "header_symbol": word,
                "calibration_symbol": word,
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        port, limits = self.port, self.limits
        m.submodules.skid = skid = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # All steps move together, or pause together when the skid buffer is full.
        pipeline = Pipeline(m, skid.i.ready)
        boundary = Signal()
        settings, loaded = self._take_settings(m, boundary)
        planned = self._plan_beats(m, pipeline, boundary, settings, loaded)
        placed = planned.later(pipeline)
        chosen = placed.later(pipeline)
        preamble = self._read_preamble(m, pipeline, placed)
        constant = self._constant_word(m, pipeline, placed, settings)
        starved = self._choose_words(m, chosen, preamble, constant, skid.i)
        count = event_counter(
            m, COUNTER_BITS, Mux(starved, limits.symbols_per_clock, 0), port.control.clear_counters.start
        )
        m.d.comb += [
            self.active.eq(planned.valid | placed.valid | chosen.valid),
            port.control.active.eq(self.active),
            port.control.loaded.eq(loaded),
            port.status.starved.eq(starved),
            port.starved_symbols.count.eq(count),
            port.capabilities.symbols_per_clock.eq(limits.symbols_per_clock),
            port.capabilities.preamble_capacity.eq(limits.preamble_capacity),
            port.head.minimum.eq(limits.minimum_head),
        ]
        return m

    def _take_settings(self, m: Module, boundary: Value) -> tuple[data.View, Signal]:
        """Check what is written, and take it at the first frame boundary. Returns what is in use, and if anything is.

        The verdict is on values that have stood still: apply waits for it, and a write in the meantime ends it.
        """
        port, limits = self.port, self.limits
        n = limits.symbols_per_clock
        repetition = port.header.repetition
        lengths = {
            section: repetition << exact_log2(NUMBER_BITS)
            if section is Section.HEADER
            else getattr(port, section.value).length
            for section in Section
        }
        units = (repetition if section is Section.HEADER else length for section, length in lengths.items())
        whole = ~Cat(unit[: exact_log2(n)] for unit in units).any()
        ends = {section: Signal(self._place_shape, name=f"{section.value}_end") for section in Section}
        so_far: Value | int = 0
        for section, end in ends.items():
            m.d.sync += end.eq(so_far + (lengths[section] >> exact_log2(n)))
            so_far = end
        acceptable = Signal()
        m.d.sync += acceptable.eq(
            whole
            & (lengths[Section.PREAMBLE] <= limits.preamble_capacity)
            & (ends[Section.HEADER] >= -(-limits.minimum_head // n))
            & (ends[Section.CALIBRATION] != 0)
        )

        written = Cat(
            getattr(port, name).written
            for name in (*(section.value for section in Section), "header_symbol", "calibration_symbol")
        ).any()
        asked, pending, load, loaded = Signal(CHECK_CLOCKS), Signal(), Signal(), Signal()
        refused = (asked[-1] & ~acceptable) | (written & (asked.any() | pending))
        m.d.comb += [
            load.eq(pending & boundary & ~written),
            port.control.apply.busy.eq(asked.any() | pending),
            port.status.settings_refused.eq(refused),
        ]
        m.d.sync += asked.eq(Mux(written, 0, Cat(port.control.apply.start, asked)))
        with m.If(written | load):
            m.d.sync += pending.eq(0)
        with m.Elif(asked[-1] & acceptable):
            m.d.sync += pending.eq(1)

        settings = Signal(self._settings_shape)
        with m.If(load):
            m.d.sync += [
                loaded.eq(1),
                settings.ends.eq(Cat(ends.values())),
                settings.final.eq(ends[Section.CALIBRATION] - 1),
                settings.beats_per_bit.eq(repetition >> exact_log2(n)),
                settings.header_symbol.eq(Cat(port.header_symbol.i, port.header_symbol.q)),
                settings.calibration_symbol.eq(Cat(port.calibration_symbol.i, port.calibration_symbol.q)),
            ]
        return settings, loaded

    def _plan_beats(self, m: Module, pipeline: Pipeline, boundary: Signal, settings: data.View, loaded: Value) -> Beat:
        """Begin frames, number them, and go through their places. Drives `boundary`: settings may change."""
        port = self.port
        running, begins, last = Signal(), Signal(), Signal()
        place = Signal(self._place_shape)
        frame, following = Signal(NUMBER_BITS), Signal(NUMBER_BITS)
        m.d.comb += [
            last.eq(place == settings.final),
            boundary.eq(~running | (pipeline.advance & last)),
            begins.eq(boundary & port.control.run & loaded & self.i.valid),
            port.frames.next.eq(following),
        ]
        with m.If(boundary):
            m.d.sync += running.eq(begins), place.eq(0)
        with m.Elif(pipeline.advance):
            m.d.sync += place.eq(place + 1)
        with m.If(begins):
            m.d.sync += frame.eq(following), following.eq(following + 1)
        with m.If(port.next_frame.written):
            m.d.sync += following.eq(port.next_frame.number)

        within, before = {}, Const(0)
        for section, end in zip(Section, settings.ends, strict=True):
            before_end = place < end
            within[section.value] = before_end & ~before
            before = before_end
        sections = {name: within[name] for name in ("preamble", "header", "payload", "calibration")}
        return Beat(valid=running, last=last, frame=frame, **sections)

    def _read_preamble(self, m: Module, pipeline: Pipeline, beat: Beat) -> data.View:
        """The preamble's memory: filled by the host, read beat after beat. Returns the words a step later."""
        port, n = self.port, self.limits.symbols_per_clock
        capacity = self.limits.preamble_capacity
        words = complex_words(n)["words"].shape
        m.submodules.preamble = memory = Memory(shape=words, depth=capacity // n, init=[], attrs={"ram_style": "block"})
        write, read = memory.write_port(granularity=1), memory.read_port()
        index = Signal.like(port.preamble_index.symbol)
        store = Signal()
        symbol = Cat(port.preamble_symbol.i, port.preamble_symbol.q)
        m.d.comb += [
            store.eq(port.preamble_symbol.written & ~port.control.run & ~self.active & (index < capacity)),
            port.status.preamble_refused.eq(port.preamble_symbol.written & ~store),
            write.addr.eq(index >> exact_log2(n)),
            Value.cast(write.data).eq(symbol.replicate(n)),
            write.en.eq(store << index[: exact_log2(n)]),
        ]
        with m.If(port.preamble_index.written):
            m.d.sync += index.eq(port.preamble_index.symbol)
        with m.Elif(store):
            m.d.sync += index.eq(index + 1)

        row = Signal.like(read.addr)
        m.d.comb += read.addr.eq(row), read.en.eq(pipeline.advance)
        with m.If(pipeline.advance & beat.valid):
            with m.If(beat.last):
                m.d.sync += row.eq(0)
            with m.Elif(beat.preamble):
                m.d.sync += row.eq(row + 1)
        return read.data

    def _constant_word(self, m: Module, pipeline: Pipeline, beat: Beat, settings: data.View) -> Value:
        """The word that all symbols of a beat are that are neither preamble nor payload, a step later."""
        # The next frame's settings may already be in use where beats are planned.
        settings = data.View(settings.shape(), pipeline.register(Value.cast(settings)))
        bit = Signal(range(NUMBER_BITS))
        sent = Signal(REPETITION_BITS)
        bit_ends = Signal()
        m.d.comb += bit_ends.eq(sent + 1 == settings.beats_per_bit)
        with m.If(pipeline.advance & beat.valid & beat.header):
            m.d.sync += sent.eq(Mux(bit_ends, 0, sent + 1))
            # After the last bit it is at the first one again.
            m.d.sync += bit.eq(bit + bit_ends)
        one = settings.header_symbol
        zero = Cat(saturate(-rail, SAMPLE)[0] for rail in (one.i, one.q))
        number = beat.frame[::-1]
        header = Mux(number.bit_select(bit, 1), Value.cast(one), zero)
        constant = Mux(beat.calibration, Value.cast(settings.calibration_symbol), Mux(beat.header, header, 0))
        return pipeline.register(constant)

    def _choose_words(self, m: Module, beat: Beat, preamble: data.View, constant: Value, o: stream.Interface) -> Value:
        """Take the source's symbols when they are due, and hand beats to the output stream. Returns starved.

        `o` is ready whenever the pipeline advances.
        """
        due, starved = Signal(), Signal()
        words = Value.cast(self.i.payload.words)
        m.d.comb += [
            due.eq(beat.valid & beat.payload),
            self.i.ready.eq(due & o.ready),
            starved.eq(due & o.ready & ~self.i.valid),
            o.valid.eq(beat.valid),
            o.payload.last.eq(beat.last),
            o.payload.recorded.eq(beat.payload),
            o.payload.starved.eq(beat.payload & ~self.i.valid),
            o.payload.frame.eq(beat.frame),
        ]
        # Payload first: what the record is told to be a symbol is one, however the sections lie.
        with m.If(beat.payload):
            m.d.comb += Value.cast(o.payload.words).eq(Mux(self.i.valid, words, 0))
        with m.Elif(beat.preamble):
            m.d.comb += o.payload.words.eq(preamble)
        with m.Else():
            m.d.comb += Value.cast(o.payload.words).eq(constant.replicate(self.limits.symbols_per_clock))
        return starved
