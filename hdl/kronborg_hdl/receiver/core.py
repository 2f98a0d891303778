"""The receiver: all parts from converter samples to packets of symbols, behind one register map."""

from __future__ import annotations

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from ..axi.bank import register_port
from ..axi.stream import Fork, endless_words
from ..compensation.converter_input.core import ConverterInput
from ..compensation.mixer.core import Mixer
from ..compensation.phase_smoother.core import PhaseSmoother
from ..compensation.pilot_tracker.core import PilotTracker
from ..compensation.rotator.core import Rotator
from ..compensation.unit_phasor.core import UnitPhasor
from ..decimation.half_band.core import HalfBandDecimator
from ..decimation.power_meter.core import PowerMeter
from ..decimation.resampler.core import Resampler
from ..decimation.symbol_filter.core import SymbolFilter
from ..decimation.symbol_filter.model import SAMPLES_PER_SYMBOL
from ..decimation.symbol_filter.shared import SharedSymbolFilter
from ..dsp.arithmetic import event_counter
from ..dsp.formats import BASEBAND
from ..synchronisation.frame_synchroniser.core import FrameSynchroniser
from ..synchronisation.frame_synchroniser.packet import EVENTS
from .model import alignment, half_bands
from .registers import COUNTER_BITS, receiver_pages
from .tap.core import Tap

SETTLED = (
    "converter_input",
    "mixer",
    "pilot_tracker",
    "phase_smoother",
    "rotator",
    "resampler",
    "symbol_filter",
)
"""Parts whose settings change what the words are. The synchroniser takes its own between two frames alone."""


class OneSampleLate(wiring.Component):
    """Delay a stream by one sample, with a zero in front. No latency: the beats are others.

    Args:
        words_per_clock: samples per clock.

    Members:
        i: samples.
        o: the same, one later.
    """

    def __init__(self, *, words_per_clock: int) -> None:
        signature = stream.Signature(endless_words(words_per_clock, BASEBAND))
        super().__init__({"i": In(signature), "o": Out(signature)})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        *earlier, latest = self.i.payload.words
        before = Signal.like(latest)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += before.eq(latest)
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready),
            *(word.eq(late) for word, late in zip(self.o.payload.words, [before, *earlier], strict=True)),
        ]
        return m


class Receiver(wiring.Component):
    """Converter samples to frames of symbols, with the pilot's phase taken off and the clocks' offset followed.

    Structure::

        i > ConverterInput > Mixer > HalfBandDecimator ... > Rotator > Resampler > SymbolFilter > FrameSynchroniser > o
                               ^ `> PilotTracker, PhaseSmoother > UnitPhasor ^         ^            |      `> PowerMeter
                               `------ retune                                          `-- retime --'

    Each part has its own page of registers, see ``registers.receiver_pages``; what a part computes is said there. This
    core adds what lies between them. Two loops are closed, from the pilots to the mixer and from the frames to the
    resampler. Their commands name the hop or the sample at which they act, so that all words depend on the samples
    alone and on no pause; ``closed_loop.ClosedLoop`` is the model.

    Frames that are no key: the packet's flags say so. Beside the synchroniser's own reasons they are ``OVER_RANGE``,
    ``SATURATED`` (a word was clipped in any part), ``UNLOCKED`` (the pilots were not locked, slipped, or were weak),
    ``LATE`` (a command was, or was lost), ``OVERRUN`` (a beat came that could not be taken), and ``CHANGED`` (settings
    were applied, or samples thrown away). Each marks all frames that were in the chain.

    Samples are thrown away until CONTROL.run, and whenever it is low; hops are counted from the first one that went in.

    Throughput: a beat per clock, always, as long as the memory takes packets: `packet_depth` beats wait for it. Nothing
    in the chain pauses longer than its FIFOs hold, so that a converter never has to.

    Args:
        lanes: samples per clock L, one of ``dsp.rates.LANES``.
        halvings: half-band stages D, 0 to 3; behind them there must be 2 to 4 samples a symbol.
        complex_input: samples have I and Q.
        preamble: chips of the frames' preamble.
        detector_chips: those that the detector looks at.
        packet_depth: beats of packets that can wait for the memory.
        picture_depth: beats of pictures likewise.
        shared: where there is time the symbol filter shares its multipliers, detector and tracker their adders, and
            smoother and half-bands theirs between I and Q. Some then have no clock to spare: for a source that waits.

    Members:
        i: LANES samples per clock, real or complex.
        o: packets, see ``frame_synchroniser.packet``.
        picture: what the tap sees of one of the streams between parts, :attr:`places`.
        port: all registers.

    Raises:
        ValueError: what a part cannot be built for.
    """

    def __init__(
        self,
        *,
        lanes: int,
        halvings: int,
        complex_input: bool = False,
        preamble: int = 2039,
        detector_chips: int = 256,
        packet_depth: int = 512,
        picture_depth: int = 512,
        shared: bool = False,
    ) -> None:
        self.halvings = halvings
        self.packet_depth = packet_depth
        self.converter_input = ConverterInput(lanes=lanes, complex_input=complex_input)
        self.mixer = Mixer(lanes=lanes, halvings=halvings, complex_input=complex_input)
        hops = self.mixer.hops_per_clock
        of_hops = shared and self.mixer.beats_per_hop > 1
        self.pilot_tracker = PilotTracker(hops_per_clock=hops, halvings=halvings, shared=of_hops)
        self.phase_smoother = PhaseSmoother(hops_per_clock=hops, shared=of_hops)
        self.unit_phasor = UnitPhasor(hops_per_clock=hops)
        self.half_bands = [
            HalfBandDecimator(
                words_per_clock=max(1, lanes >> stage), half_band=half_band, shared=shared and lanes >> stage <= 1
            )
            for stage, half_band in enumerate(half_bands(halvings))
        ]
        decimated = max(1, lanes >> halvings)
        self.rotator = Rotator(samples_per_clock=decimated)
        self.resampler = Resampler(words_per_clock=decimated)
        clocks = (SAMPLES_PER_SYMBOL << halvings) // lanes
        of_symbols = shared and clocks > 1
        self.symbol_filter: SymbolFilter | SharedSymbolFilter = (
            SharedSymbolFilter(clocks_per_symbol=clocks) if of_symbols else SymbolFilter(words_per_clock=decimated)
        )
        self.frame_synchroniser = FrameSynchroniser(
            symbols_per_clock=self.symbol_filter.symbols_per_clock,
            preamble=preamble,
            detector_chips=detector_chips,
            shared=of_symbols,
        )
        self.power_meter = PowerMeter(symbols_per_clock=self.symbol_filter.symbols_per_clock)
        streams = self._tapped
        self.places = tuple(streams)
        """Names of the streams that the tap can look at, by number."""
        self.tap = Tap(places={name: of.payload.shape() for name, of in streams.items()}, depth=picture_depth)
        self.registers = receiver_pages(halvings)
        super().__init__(
            {
                "i": In(stream.Signature(self.converter_input.i.payload.shape())),
                "o": Out(stream.Signature(self.frame_synchroniser.o.payload.shape())),
                "picture": Out(stream.Signature(self.tap.o.payload.shape())),
                "port": In(register_port(self.registers)),
            }
        )

    @property
    def _tapped(self) -> dict[str, stream.Interface]:
        """Streams between parts by name, in their order."""
        return {
            "samples": self.converter_input.o,
            "signal": self.mixer.o,
            "pilots": self.mixer.pilots,
            "smoothed": self.phase_smoother.o,
            "phasors": self.unit_phasor.o,
            "decimated": self.rotator.i,
            "rotated": self.rotator.o,
            "resampled": self.resampler.o,
            "symbols": self.symbol_filter.o,
        }

    @property
    def multipliers(self) -> int:
        """Multipliers of up to 25 x 18 bits."""
        parts = (self.converter_input, self.mixer, self.unit_phasor, self.rotator, self.resampler, self.symbol_filter)
        return sum(part.multipliers for part in parts) + self.power_meter.multipliers

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        for name, _ in self.registers.pages[1:]:
            kind, _, stage = name.rpartition("_")
            part = self.half_bands[int(stage)] if kind == "half_band" else getattr(self, name)
            m.submodules[name] = part
            connect(m, flipped(getattr(self.port, name)), part.port)
        self._take(m)
        self._compensate(m)
        self._decimate(m)
        self._hand_on(m)
        own = self.port.receiver
        m.d.comb += [
            own.capabilities.lanes.eq(self.mixer.lanes),
            own.capabilities.halvings.eq(self.halvings),
            own.capabilities.complex_input.eq(int(self.mixer.complex_input)),
        ]
        return m

    def _take(self, m: Module) -> None:
        """From the converter to the mixer, or to nowhere."""
        source, run = self.converter_input.i, self.port.receiver.control.run
        m.d.comb += [
            source.payload.eq(self.i.payload),
            source.valid.eq(self.i.valid & run),
            self.i.ready.eq(source.ready | ~run),
        ]
        connect(m, self.converter_input.o, self.mixer.i)

    def _compensate(self, m: Module) -> None:
        """From the mixer's pilots to its commands, and to the phasors of the rotator."""
        m.submodules.fork = fork = Fork(self.mixer.pilots.payload.shape(), branches=2)
        tracked, smoothed = fork.o
        connect(m, self.mixer.pilots, fork.i)
        connect(m, tracked, self.pilot_tracker.i)
        connect(m, self.pilot_tracker.retune, self.mixer.retune)
        m.d.comb += self.mixer.forget.eq(self.pilot_tracker.restarted)
        # The host reads the clock's figure; there is no other use for the stream here.
        m.d.comb += self.pilot_tracker.clock.ready.eq(1)
        # Of each hop the smoother wants pilot 0 alone.
        m.d.comb += [
            self.phase_smoother.i.valid.eq(smoothed.valid),
            smoothed.ready.eq(self.phase_smoother.i.ready),
            *(word.eq(smoothed.payload.words[2 * hop]) for hop, word in enumerate(self.phase_smoother.i.payload.words)),
        ]
        connect(m, self.phase_smoother.o, self.unit_phasor.i)
        connect(m, self.unit_phasor.o, self.rotator.phasors)

    def _decimate(self, m: Module) -> None:
        """From the mixer's signal to symbols."""
        source = self.mixer.o
        for stage in self.half_bands:
            connect(m, source, stage.i)
            source = stage.o
        if alignment(self.halvings).late:
            m.submodules.late = late = OneSampleLate(words_per_clock=self.rotator.samples_per_clock)
            connect(m, source, late.i)
            source = late.o
        connect(m, source, self.rotator.i)
        connect(m, self.rotator.o, self.resampler.i)
        connect(m, self.resampler.o, self.symbol_filter.i)
        connect(m, self.symbol_filter.o, self.frame_synchroniser.i)
        connect(m, self.frame_synchroniser.retime, self.resampler.retime)

    def _hand_on(self, m: Module) -> None:
        """Packets and pictures to memory, and what marks a frame."""
        own, synchroniser = self.port.receiver, self.frame_synchroniser
        shape = self.o.payload.shape()
        m.d.comb += self.power_meter.symbols.eq(synchroniser.metered)
        m.submodules.packets = packets = SyncFIFOBuffered(width=shape.size, depth=self.packet_depth)
        m.d.comb += [
            packets.w_data.eq(synchroniser.o.payload),
            packets.w_en.eq(synchroniser.o.valid),
            synchroniser.o.ready.eq(packets.w_rdy),
            self.o.payload.eq(packets.r_data),
            self.o.valid.eq(packets.r_rdy),
            packets.r_en.eq(self.o.ready),
        ]
        for name, of in self._tapped.items():
            probe = getattr(self.tap, name)
            m.d.comb += probe.taken.eq(of.valid & of.ready), probe.payload.eq(of.payload)
        connect(m, self.tap.o, flipped(self.picture))

        tracker = self.pilot_tracker
        clipped = [stage.saturated for stage in self.half_bands]
        clipped += [self.converter_input.saturated, self.mixer.saturated, self.rotator.saturated]
        clipped += [self.resampler.saturated, self.symbol_filter.saturated]
        waits, changed = Signal(), Signal()
        m.d.comb += waits.eq(self.i.valid & ~self.i.ready)
        # Settings may wait for their place in the stream: until then, and when they hold. One clock late, all of them.
        commands = [getattr(self.port, page).control for page in SETTLED]
        applied = [Cat(control.apply.start, control.apply.busy) for control in commands]
        applied.append(self.port.converter_input.control.load_offset.start)
        m.d.sync += changed.eq(Cat(applied).any() | (self.i.valid & ~own.control.run))
        lost = self.port.frame_synchroniser.status.retime_lost | self.port.resampler.status.refused
        happens = {
            "over_range": self.converter_input.over_range,
            "saturated": Cat(clipped).any(),
            "unlocked": ~tracker.locked | tracker.weak | tracker.slipped | self.port.unit_phasor.status.zero,
            "late": self.mixer.late | self.resampler.late | lost,
            "overrun": waits & ~own.control.source_waits,
            "changed": changed,
        }
        for bit, flag in enumerate(EVENTS):
            name = str(flag.name).lower()
            m.d.comb += synchroniser.events[bit].eq(happens[name]), getattr(own.status, name).eq(happens[name])
        m.d.comb += own.overruns.count.eq(event_counter(m, COUNTER_BITS, waits, own.control.clear_counters.start))
        # A picture begins a clock after something happens, or after a packet's first beat.
        m.d.sync += self.tap.trigger.eq(Cat(Cat(happens.values()), synchroniser.o.valid))
