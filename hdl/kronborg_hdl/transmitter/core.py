"""The transmitter: all parts from entropy to converter samples, behind one register map."""

from __future__ import annotations

from fractions import Fraction

from amaranth import Cat, Module, Mux, ResetInserter, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..axi.bank import register_port
from ..axi.stream import complex_words
from ..dsp.arithmetic import event_counter
from ..modulation.alphabet.core import AlphabetSource
from ..modulation.entropy.chacha20.core import ROUNDS_PER_CLOCK
from ..modulation.entropy.chacha20.model import ROUNDS
from ..modulation.entropy.core import BLOCK_BITS, Entropy
from ..modulation.frame_controller.core import FrameController
from ..modulation.gaussian.core import GaussianSource
from ..modulation.gaussian.tables import WORD_BITS
from ..modulation.interpolating_shaper.core import InterpolatingShaper
from ..modulation.interpolating_shaper.model import HALF_BANDS
from ..modulation.predistortion.core import Predistortion
from ..modulation.pulse_shaper.core import PulseShaper
from ..modulation.shift_and_pilots.core import ShiftAndPilots
from ..modulation.symbol_record.core import SymbolRecord
from ..modulation.symbol_record.model import trailer_beats
from .registers import Symbols, transmitter_pages

COUNTER_BITS = 32


class Narrow(wiring.Component):
    """Cut each payload into equal parts and give them one after the other, the lowest first.

    No latency and no storage: ``i`` is taken with its last part.

    Args:
        bits: width of `i`.
        parts: how many.

    Members:
        i: stream of ``bits``.
        o: stream of ``bits // parts``.
    """

    def __init__(self, *, bits: int, parts: int) -> None:
        self.parts = parts
        super().__init__(
            {"i": In(stream.Signature(unsigned(bits))), "o": Out(stream.Signature(unsigned(bits // parts)))}
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        part = Signal(range(self.parts))
        last = part == self.parts - 1
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.o.payload.eq(self.i.payload.word_select(part, len(self.o.payload))),
            self.i.ready.eq(self.o.ready & last),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += part.eq(Mux(last, 0, part + 1))
        return m


class Transmitter(wiring.Component):
    """Random symbols as converter samples, and a record of those that were emitted.

    Structure::

        i > Entropy > GaussianSource / AlphabetSource > FrameController > SymbolRecord > PulseShaper > ShiftAndPilots
                                                                               |               > Predistortion > o
                                                                               `> record

    Each part has its own page of registers, see ``registers.transmitter_pages``; what a part computes is said there.
    This core adds what lies between them.

    Entropy: ChaCha20 is built with the fewest rounds per clock that give 64 bits a symbol. What was made of entropy
    that is then given up, by a failed health test or a write to ``entropy.source``, is thrown away: words and symbols
    that have not entered a frame. So no frame begins with symbols of what was given up, and none after a failure. A
    new key of the same source changes within a frame, and needs no mark.

    Shaper: an ``InterpolatingShaper`` for 2, 4, 8 or 16 samples a symbol, with few multipliers; for other figures the
    general ``PulseShaper``, whose multipliers no half-band can save. Both are on the page ``pulse_shaper``.

    Source: ``source.select`` chooses it. The frame under way ends whole with the old one; the next begins when the new
    one has a symbol. Words that the old one still held are thrown away.

    Frames that are no key: the record's flags say ``starved`` (a payload symbol was missing), ``entropy`` (a health
    test failed, or ``entropy.source`` was written), ``saturated`` (a word behind the record was clipped: what was
    emitted is not what was recorded) and ``gap`` (the converter was ready within a frame and there was no sample). A
    clipped word of the Gaussian source is none of these: it was emitted, and recorded, as it is.

    Minimum head: the frame controller refuses frames whose guard, preamble and header are shorter than
    :attr:`minimum_head`. A frame's trailer is then written before the next one's payload comes, and they do not wait
    for each other.

    Throughput: LANES samples per clock without a gap, within frames and from frame to frame, as long as entropy
    suffices, the converter is ready, and the memory takes the record. Latency: :attr:`latency` clocks from a beat of
    symbols in the frame controller's output to its first samples.

    Args:
        lanes: samples per clock, one of ``dsp.rates.LANES``.
        samples_per_symbol: M, 2 to 16; a multiple or a divisor of `lanes`.
        span: K of the pulse shaper, symbols.
        sample_bits: width of the entropy stream's samples.
        predistortion: build it; without it the frames of a converter that needs none cost less.
        preamble_capacity: of the frame controller, symbols.
        shared: the interpolating shaper's multipliers are shared where a symbol has several clocks; those that this
            leaves over are the oscillators' and the second pilot's.

    Members:
        i: the stream of a quantum random number generator, 64 bits per clock.
        o: LANES complex samples per clock to the converter; ``last`` ends a frame.
        record: to memory, one packet a frame.
        port: all registers.

    Raises:
        ValueError: what a part cannot be built for.
    """

    def __init__(
        self,
        *,
        lanes: int,
        samples_per_symbol: int,
        span: int,
        sample_bits: int = 8,
        predistortion: bool = True,
        preamble_capacity: int = 4096,
        shared: bool = False,
    ) -> None:
        size = {"lanes": lanes, "samples_per_symbol": samples_per_symbol, "span": span}
        self.pulse_shaper: PulseShaper | InterpolatingShaper = (
            InterpolatingShaper(**size, shared=shared) if samples_per_symbol in HALF_BANDS else PulseShaper(**size)
        )
        n = self.pulse_shaper.symbols_per_clock
        bits_per_clock = Fraction(WORD_BITS * n, self.pulse_shaper.clocks_per_symbol)
        rounds = next(r for r in ROUNDS_PER_CLOCK if Fraction(BLOCK_BITS * r, ROUNDS) >= bits_per_clock)
        self.entropy = Entropy(rounds_per_clock=rounds, sample_bits=sample_bits)
        self.gaussian = GaussianSource(symbols_per_clock=n)
        self.alphabet = AlphabetSource(symbols_per_clock=n)
        self.shift_and_pilots = ShiftAndPilots(lanes=lanes, spare=shared and self.pulse_shaper.clocks_per_symbol > 1)
        self.predistortion = Predistortion(lanes=lanes) if predistortion else None
        self.symbol_record = SymbolRecord(symbols_per_clock=n)
        self.frame_controller = FrameController(
            symbols_per_clock=n, preamble_capacity=preamble_capacity, minimum_head=self.minimum_head
        )
        self.registers = transmitter_pages(shaper=self.pulse_shaper.registers, predistortion=predistortion)
        super().__init__(
            {
                "i": In(stream.Signature(self.entropy.i.payload.shape())),
                "o": Out(stream.Signature(complex_words(lanes))),
                "record": Out(stream.Signature(self.symbol_record.record.payload.shape())),
                "port": In(register_port(self.registers)),
            }
        )

    @property
    def _sample_parts(self) -> list[PulseShaper | InterpolatingShaper | ShiftAndPilots | Predistortion]:
        """What samples pass, in order."""
        parts = (self.pulse_shaper, self.shift_and_pilots, self.predistortion)
        return [part for part in parts if part is not None]

    @property
    def latency(self) -> int:
        """Clocks from a beat of symbols at the frame controller's output to its first samples when nothing pauses."""
        return self.symbol_record.latency + sum(part.latency for part in self._sample_parts)

    @property
    def minimum_head(self) -> int:
        """Shortest head of a frame, symbols.

        When a frame's last sample leaves, the next frame has filled at most all places on the way: of symbols the two
        of the record's skid buffer, of samples those of each part, whose own skid buffer holds two where its latency
        counts one. The trailer is written in the clocks after that.
        """
        n = self.pulse_shaper.symbols_per_clock
        places = sum(part.latency + 1 for part in self._sample_parts)
        samples = places + trailer_beats(n) + 1
        return n * (2 + -(-samples // self.pulse_shaper.clocks_per_symbol))

    @property
    def multipliers(self) -> int:
        """Multipliers of up to 25 x 18 bits."""
        parts = (self.gaussian, *self._sample_parts)
        return sum(part.multipliers for part in parts)

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        for name, _ in self.registers.pages[1:]:
            part = getattr(self, name)
            m.submodules[name] = part
            connect(m, flipped(getattr(self.port, name)), part.port)
        self._make_symbols(m)
        self._send(m)
        m.d.comb += [
            self.port.transmitter.capabilities.lanes.eq(self.pulse_shaper.lanes),
            self.port.transmitter.capabilities.samples_per_symbol.eq(self.pulse_shaper.samples_per_symbol),
            self.port.transmitter.capabilities.span.eq(self.pulse_shaper.span),
        ]
        return m

    def _make_symbols(self, m: Module) -> None:
        """From the stream to the frame controller: entropy, and the source in use."""
        own, entropy, frames = self.port.transmitter, self.entropy, self.frame_controller
        discarding = Signal()
        m.submodules.narrow = narrow = ResetInserter(discarding)(
            Narrow(bits=entropy.word_bits, parts=entropy.word_bits // (WORD_BITS * self.gaussian.symbols_per_clock))
        )
        connect(m, flipped(self.i), entropy.i)
        m.d.comb += [
            narrow.i.payload.eq(entropy.o.payload.words),
            narrow.i.valid.eq(entropy.o.valid),
            entropy.o.ready.eq(narrow.i.ready | discarding),
        ]

        # The source changes when no frame is under way; until then no other frame may begin.
        selected, active = own.source.select, own.source.active
        switching, switch = Signal(), Signal()
        m.d.comb += [
            switching.eq(selected != active),
            switch.eq(switching & ~frames.active),
            frames.port.control.run.eq(self.port.frame_controller.control.run & ~switching),
            own.control.switching.eq(switching),
        ]
        in_use = Signal.like(active)
        m.d.comb += active.eq(in_use)
        with m.If(switch):
            m.d.sync += in_use.eq(selected)

        # What was made of entropy that is given up: after so many clocks no source holds any of it.
        clocks = max(self.gaussian.latency, self.alphabet.latency) + 1
        left = Signal(range(clocks + 1))
        m.d.comb += discarding.eq(self._given_up | left.any())
        with m.If(self._given_up | switch):
            m.d.sync += left.eq(clocks)
        with m.Elif(left.any()):
            m.d.sync += left.eq(left - 1)
        m.d.comb += own.control.discarding.eq(discarding)

        for number, source in ((Symbols.GAUSSIAN, self.gaussian), (Symbols.ALPHABET, self.alphabet)):
            m.d.comb += [
                Value.cast(source.i.payload.words).eq(narrow.o.payload),
                source.i.valid.eq(narrow.o.valid & (in_use == number) & ~discarding),
                source.o.ready.eq((frames.i.ready & (in_use == number)) | discarding),
            ]
            with m.If(in_use == number):
                m.d.comb += [
                    narrow.o.ready.eq(source.i.ready),
                    frames.i.payload.eq(source.o.payload),
                    frames.i.valid.eq(source.o.valid & ~discarding),
                ]

    @property
    def _given_up(self) -> Value:
        """Entropy must not be used any more: a health test failed, or the host begins anew.

        A pause of entropy is none of it: if a symbol is missing, the frame controller knows.
        """
        return self.entropy.port.control.stopped | self.entropy.port.source.written

    def _send(self, m: Module) -> None:
        """From the frame controller to the converter: record, samples, and what marks a frame."""
        own, record, o = self.port.transmitter, self.symbol_record, self.o
        connect(m, self.frame_controller.o, record.i)
        connect(m, record.record, flipped(self.record))
        source = record.o
        for part in self._sample_parts:
            connect(m, source, part.i)
            source = part.o
        connect(m, source, flipped(o))

        within, gap, left = Signal(), Signal(), Signal()
        m.d.comb += [
            left.eq(o.valid & o.ready & o.payload.last),
            gap.eq(within & o.ready & ~o.valid),
            own.status.gap.eq(gap),
            record.left.eq(left),
            record.flags.entropy.eq(self._given_up),
            record.flags.gap.eq(gap),
            record.flags.saturated.eq(Cat(part.port.status.saturated for part in self._sample_parts).any()),
        ]
        with m.If(o.valid & o.ready):
            m.d.sync += within.eq(~o.payload.last)
        clear = own.control.clear_counters.start
        m.d.comb += [
            own.frames.count.eq(event_counter(m, COUNTER_BITS, left, clear)),
            own.gaps.count.eq(event_counter(m, COUNTER_BITS, gap, clear)),
        ]
