"""What each core is run with on its RTL, and what its model says must come of it. A new core is one function more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.skin import Core
from kronborg_hdl.compensation.converter_input.core import ConverterInput as ConverterInputCore
from kronborg_hdl.compensation.converter_input.model import ConverterInput, fixed_offset
from kronborg_hdl.compensation.mixer.core import Mixer as MixerCore
from kronborg_hdl.compensation.mixer.model import Mixer, MixerState, Retune
from kronborg_hdl.compensation.mixer.registers import OFFSETS
from kronborg_hdl.compensation.pilot_tracker.core import PilotTracker as PilotTrackerCore
from kronborg_hdl.compensation.pilot_tracker.model import BEAT_FRACTION, PilotTracker, Settings
from kronborg_hdl.compensation.rotator.core import Rotator as RotatorCore
from kronborg_hdl.compensation.rotator.model import REACH, Rotator
from kronborg_hdl.decimation.half_band.core import HalfBandDecimator
from kronborg_hdl.decimation.half_band.model import WIDE
from kronborg_hdl.decimation.matched_filter.core import MatchedFilter as MatchedFilterCore
from kronborg_hdl.decimation.matched_filter.model import MatchedFilter
from kronborg_hdl.decimation.symbol_filter.core import SymbolFilter as SymbolFilterCore
from kronborg_hdl.decimation.symbol_filter.model import DISTINCT_TAPS, SAMPLES_PER_SYMBOL, TAP, SymbolFilter
from kronborg_hdl.decimation.symbol_filter.model import REACH as SYMBOL_REACH
from kronborg_hdl.dsp.formats import BASEBAND
from kronborg_hdl.dsp.nco import PHASE_BITS
from kronborg_hdl.modulation.alphabet.core import AlphabetSource as AlphabetSourceCore
from kronborg_hdl.modulation.alphabet.model import shaped_qam
from kronborg_hdl.modulation.entropy.chacha20.core import ROUNDS_PER_CLOCK
from kronborg_hdl.modulation.entropy.chacha20.model import KEY_WORDS, ROUNDS
from kronborg_hdl.modulation.entropy.core import BLOCK_BITS
from kronborg_hdl.modulation.entropy.core import Entropy as EntropyCore
from kronborg_hdl.modulation.entropy.health.model import (
    START_UP_SAMPLES,
    proportion_cutoff,
    repetition_cutoff,
    window,
)
from kronborg_hdl.modulation.entropy.model import Entropy, pack
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.gaussian.core import GaussianSource as GaussianSourceCore
from kronborg_hdl.modulation.gaussian.model import MAXIMUM_DEVIATION, GaussianSource
from kronborg_hdl.modulation.gaussian.tables import WORD_BITS
from kronborg_hdl.modulation.predistortion.core import Predistortion as PredistortionCore
from kronborg_hdl.modulation.predistortion.model import Predistortion, arcsine_table, inverse_sinc
from kronborg_hdl.modulation.pulse_shaper.core import PulseShaper as PulseShaperCore
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.modulation.shift_and_pilots import model as shift_and_pilots_model
from kronborg_hdl.modulation.shift_and_pilots.core import ShiftAndPilots as ShiftAndPilotsCore
from kronborg_hdl.modulation.symbol_record.model import packet
from kronborg_hdl.receiver.tap.model import pack as pack_picture
from kronborg_hdl.synchronisation.frame_synchroniser.core import FrameSynchroniser as FrameSynchroniserCore
from kronborg_hdl.synchronisation.frame_synchroniser.model import FrameSynchroniser
from kronborg_hdl.transmitter.core import Transmitter as TransmitterCore

from ..benches.received_symbols import command_words, link, register_writes
from ..benches.tapped_streams import TappedStreams
from ..benches.transmitter import TransmitterBench, random_settings
from ..pilot_hops import Scene, play
from .model import RegisterName, RtlModel

Words = NDArray[Any]
Frames = Mapping[str, Sequence[Words]]
"""For each stream by name its frames: TDATA's words, in any shape."""
Counts = Mapping[tuple[RegisterName, str], int]
"""What a field of a register reads."""


@dataclass(frozen=True)
class Size:
    """What can be chosen of a core, as far as it has it.

    Attributes:
        lanes: samples per clock; of a source, symbols per clock.
        samples_per_symbol: M.
        span: K, symbols.
    """

    lanes: int
    samples_per_symbol: int
    span: int


@dataclass(frozen=True)
class Case:
    """A core with settings, and its model with the same.

    Attributes:
        core: to be put in its skin.
        configure: writes the settings, after a reset.
        stimulus: frames for the inputs, made of at least so many symbols.
        response: what must come out for a stimulus, and what the host must read after it.
        rate_of: the stream on which samples per clock are counted.
        samples_per_beat: of that stream.
        samples_per_symbol: that pass there for each symbol.
    """

    core: Core
    configure: Callable[[RtlModel], None]
    stimulus: Callable[[np.random.Generator, int], Frames]
    response: Callable[[Frames], tuple[Frames, Counts]]
    rate_of: str
    samples_per_beat: float
    samples_per_symbol: float = 1


def gaussian(size: Size, rng: np.random.Generator) -> Case:
    """The Gaussian source at its largest scale."""
    source = GaussianSource(MAXIMUM_DEVIATION)

    def process(bits: Words) -> tuple[Words, Counts]:
        symbols = source.process(bits)
        return symbols.words, {("saturations", "count"): symbols.saturated}

    return Case(
        GaussianSourceCore(symbols_per_clock=size.lanes),
        lambda model: model.write("scale", deviation=source.deviation),
        _frames_of(_bits, words_per_beat=size.lanes),
        _frame_by_frame(process),
        rate_of="m_axis",
        samples_per_beat=size.lanes,
    )


def alphabet(size: Size, rng: np.random.Generator) -> Case:
    """Shaped 256-QAM."""
    source = shaped_qam(256, 4096, 0.05)

    def configure(model: RtlModel) -> None:
        for row, (share, own, other) in enumerate(zip(source.share, source.own, source.other, strict=True)):
            model.write("levels", own=int(own), other=int(other))
            model.write("row", share=int(share), index=row)
        model.write("control", run=1)

    return Case(
        AlphabetSourceCore(symbols_per_clock=size.lanes),
        configure,
        _frames_of(_bits, words_per_beat=size.lanes),
        _frame_by_frame(lambda bits: (source.process(bits), {})),
        rate_of="m_axis",
        samples_per_beat=size.lanes,
    )


def entropy(size: Size, rng: np.random.Generator) -> Case:
    """ChaCha20 with keys from the stream, as fast as so many symbols of 64 bits per clock need it."""
    rounds = next((r for r in ROUNDS_PER_CLOCK if BLOCK_BITS * r >= WORD_BITS * size.lanes * ROUNDS), None)
    if rounds is None:
        raise ValueError(f"{size.lanes} symbols per clock: ChaCha20 gives {BLOCK_BITS // WORD_BITS} at most")
    core = EntropyCore(rounds_per_clock=rounds, sample_bits=8)
    source = Entropy(instance=int(rng.integers(0, 2**32)), blocks_per_key=200)
    key_symbols = source.blocks_per_key * BLOCK_BITS // WORD_BITS
    claim = 0.95 * core.health.sample_bits
    epoch = 0  # of the next key: reset does not set it back

    def configure(model: RtlModel) -> None:
        nonlocal epoch
        epoch = model.read("epoch_low", "count")
        model.write("repetition", cutoff=repetition_cutoff(claim))
        model.write("proportion", cutoff=proportion_cutoff(claim, window(core.health.sample_bits)))
        model.write("instance", number=source.instance)
        model.write("blocks_per_key", count=source.blocks_per_key)
        model.write("source", mode=Source.STREAM)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        key_bytes = 4 * KEY_WORDS * -(-symbols // key_symbols)
        return {"s_axis": [rng.integers(0, 2**8, START_UP_SAMPLES + key_bytes, np.uint8)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        keys = pack(stimulus["s_axis"][0][START_UP_SAMPLES:], core.health.sample_bits)
        blocks = len(keys) // KEY_WORDS * source.blocks_per_key
        words = source.stream(keys, epoch, blocks).reshape(blocks, -1)
        flags = {"repetition_failed": 0, "proportion_failed": 0, "key_refused": 0}
        return {"m_axis": list(words)}, {("status", flag): value for flag, value in flags.items()}

    return Case(core, configure, stimulus, response, rate_of="m_axis", samples_per_beat=core.word_bits / WORD_BITS)


def pulse_shaper(size: Size, rng: np.random.Generator) -> Case:
    """The pulse shaper with random taps of full scale: some samples saturate."""
    lanes, m, span = size.lanes, size.samples_per_symbol, size.span
    core = PulseShaperCore(lanes=lanes, samples_per_symbol=m, span=span)
    shaper = PulseShaper(_words(rng, m * span), m, shift=17)

    def process(symbols: Words) -> tuple[Words, Counts]:
        samples, saturated = shaper.process(symbols)
        return samples, {("saturations", "count"): saturated}

    return Case(
        core,
        lambda model: _load_taps(model, shaper.taps, m, shaper.shift),
        _frames_of(_complex_words, words_per_beat=core.symbols_per_clock),
        _frame_by_frame(process),
        rate_of="m_axis",
        samples_per_beat=lanes,
        samples_per_symbol=m,
    )


def shift_and_pilots(size: Size, rng: np.random.Generator) -> Case:
    """The frequency shift and two pilots, of random frequencies and phases."""
    shift, *tones = (int(word) for word in rng.integers(0, 2**32, 5))
    pilots = [
        shift_and_pilots_model.Pilot(word, amplitude, phase)
        for word, amplitude, phase in zip(tones[::2], (8192, 4000), tones[1::2], strict=True)
    ]

    def configure(model: RtlModel) -> None:
        model.write("shift_increment", word=shift)
        for number, pilot in enumerate(pilots):
            model.write(f"pilot_{number}_increment", word=pilot.word)
            model.write(f"pilot_{number}_phase", word=pilot.phase)
            model.write(f"pilot_{number}_amplitude", word=pilot.amplitude)
        _apply(model)

    def process(samples: Words) -> tuple[Words, Counts]:
        words, saturated = shift_and_pilots_model.shift_and_pilots(samples, shift, pilots)
        return words, {("saturations", "count"): saturated}

    return Case(
        ShiftAndPilotsCore(lanes=size.lanes),
        configure,
        _frames_of(_complex_words, words_per_beat=size.lanes),
        _frame_by_frame(process),
        rate_of="m_axis",
        samples_per_beat=size.lanes,
    )


def predistortion(size: Size, rng: np.random.Generator) -> Case:
    """The pre-distortion for two unequal rails."""
    field = float(np.sin(np.pi / 2 * 0.4))
    settings = Predistortion(inverse_sinc(), np.stack([arcsine_table(depth, field=field) for depth in (0.4, 0.5)]))

    def configure(model: RtlModel) -> None:
        for k, tap in enumerate(settings.taps):
            model.write(f"tap_{k}", value=int(tap))
        for constant, slope in settings.tables.reshape(-1, 2):
            model.write("row", constant=int(constant), slope=int(slope))
        _apply(model)

    def process(samples: Words) -> tuple[Words, Counts]:
        words, saturated = settings.process(samples)
        return words, {("saturations", "count"): saturated}

    return Case(
        PredistortionCore(lanes=size.lanes),
        configure,
        _frames_of(_complex_words, words_per_beat=size.lanes),
        _frame_by_frame(process),
        rate_of="m_axis",
        samples_per_beat=size.lanes,
    )


def matched_filter(size: Size, rng: np.random.Generator) -> Case:
    """The decimating matched filter with random taps of full scale; some frames end within a symbol."""
    lanes, m, span = size.lanes, size.samples_per_symbol, size.span
    core = MatchedFilterCore(lanes=lanes, samples_per_symbol=m, span=span)
    settings = MatchedFilter(_words(rng, m * span), m, shift=18)

    def process(samples: Words) -> tuple[Words, Counts]:
        symbols = settings.process(samples)
        return symbols.words, {
            ("saturations", "count"): symbols.saturated,
            ("dropped_samples", "count"): symbols.dropped,
        }

    return Case(
        core,
        lambda model: _load_taps(model, settings.taps, m, settings.shift),
        _frames_of(_complex_words, words_per_beat=lanes, words_per_symbol=m),
        _frame_by_frame(process),
        rate_of="s_axis",
        samples_per_beat=lanes,
        samples_per_symbol=m,
    )


def rotator(size: Size, rng: np.random.Generator) -> Case:
    """The rotator with a random delay; two samples are a symbol. Words of full scale: some saturate."""
    settings = Rotator(int(rng.integers(-REACH, REACH + 1)))

    def configure(model: RtlModel) -> None:
        model.write("delay", hops=settings.delay)
        _apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        hops = -(-symbols // REACH) * REACH
        samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (2 * hops, 2), np.int32)
        return {"s_axis": [samples], "s_axis_phasors": [_complex_words(rng, hops + REACH)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        rotated = settings.process(stimulus["s_axis"][0], stimulus["s_axis_phasors"][0])
        return {"m_axis": [rotated.samples]}, {("saturations", "count"): rotated.saturated}

    return Case(
        RotatorCore(samples_per_clock=size.lanes),
        configure,
        stimulus,
        response,
        rate_of="m_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=2,
    )


def frame_synchroniser(size: Size, rng: np.random.Generator) -> Case:
    """The frame synchroniser on frames in noise: one is missing, one is cut short, one has a number of its own."""
    core = FrameSynchroniserCore(symbols_per_clock=max(1, size.lanes // size.samples_per_symbol))
    n = core.sizes.symbols_per_clock
    sent = link(core.sizes, payload=4096)
    model = FrameSynchroniser(sent.settings)

    def configure(rtl: RtlModel) -> None:
        for register, values in register_writes(sent.settings):
            rtl.write(register, **values)
        while rtl.read("control", "apply"):
            pass

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        return {"s_axis": [sent.stream(rng, max(8, -(-symbols // sent.frame.symbols)))]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        done = model.process(stimulus["s_axis"][0])
        counts = done.state.counts
        return {
            "m_axis": [packet.words() for packet in done.packets],
            "m_axis_retime": [command_words(done.retimes)],
        }, {
            ("frames_good", "count"): counts.good,
            ("frames_marked", "count"): counts.marked,
            ("frames_missing", "count"): counts.missing,
        }

    return Case(core, configure, stimulus, response, rate_of="s_axis", samples_per_beat=n)


def pilot_tracker(size: Size, rng: np.random.Generator) -> Case:
    """The pilot tracker: found, lost for a moment, found elsewhere, two tones at once, and found again."""
    # Four trials are as wide as half of the main lobe of a sub-block of 16 hops of 2 samples.
    step = 2**-7
    settings = Settings(
        halvings=0,
        threshold=6000,
        start=round(-8 * step * 2**PHASE_BITS),
        step=round(step * 2**PHASE_BITS),
        trials=17,
        block_log2=6,
        patience=1,
    )
    tracker = PilotTracker(settings)

    def configure(model: RtlModel) -> None:
        model.write("threshold", word=settings.threshold)
        model.write("start", word=settings.start)
        model.write("step", word=settings.step)
        model.write(
            "search", trials=settings.trials, neighbourhood=settings.neighbourhood, ambiguity=settings.ambiguity
        )
        model.write(
            "follow",
            slot_log2=settings.slot_log2,
            block_log2=settings.block_log2,
            gain=settings.gain,
            patience=settings.patience,
        )
        _apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        part = -(-symbols // 5 // 64) * 64
        near, far = (float(beat) for beat in rng.uniform((-7 * step, 2 * step), (-2 * step, 7 * step)))
        scenes = [
            Scene(part, near, clock=1e-6),
            Scene(3000, near, amplitude=0),
            Scene(part, far),
            Scene(part, near, twin=9 * step),
            Scene(2 * part, near, walk_rad=0.3),
        ]
        return {"s_axis": [play(tracker, scenes, rng).transpose(1, 0, 2)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        tracked = tracker.process(np.ascontiguousarray(stimulus["s_axis"][0].transpose(1, 0, 2)))
        state = tracked.state
        retunes = np.array([(retune.at, retune.beat) for retune in tracked.retunes], np.uint32)
        clocks = np.array([(clock.at, clock.rate % 2**32) for clock in tracked.clocks], np.uint32)
        counters = ("slips", "losses", "missing", "ambiguous")
        counts: dict[tuple[RegisterName, str], int] = {(name, "count"): getattr(state, name) for name in counters}
        beat = state.estimate >> BEAT_FRACTION
        counts["beat", "word"] = beat - (beat >> (PHASE_BITS - 1) << PHASE_BITS)
        counts["best", "word"] = state.best
        return {"m_axis_retune": [retunes], "m_axis_clock": [clocks]}, counts

    return Case(
        PilotTrackerCore(hops_per_clock=size.lanes, halvings=settings.halvings),
        configure,
        stimulus,
        response,
        rate_of="s_axis",
        samples_per_beat=size.lanes,
    )


def mixer(size: Size, rng: np.random.Generator) -> Case:
    """The mixer at random increments, with commands at hops next to each other and far apart."""
    core = MixerCore(lanes=size.lanes, halvings=_halvings(size))
    beat, *offsets = (int(word) for word in rng.integers(0, 2**32, 4))
    settings = Mixer((offsets[0], offsets[1], offsets[2]), core.halvings, core.hops_per_clock)

    def configure(model: RtlModel) -> None:
        model.write("beat", word=beat)
        for name, offset in zip(OFFSETS, offsets, strict=True):
            model.write(f"{name}_offset", word=offset)
        _apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        hops = -(-symbols * size.samples_per_symbol // core.hop)
        clocks = 100 + np.sort(rng.integers(0, max(1, hops // core.hops_per_clock - 100), 20))
        at = np.concatenate([clocks, clocks + 1]) * core.hops_per_clock
        commands = np.stack([np.sort(at), rng.integers(0, 2**32, 40)], axis=-1).astype(np.uint32)
        return {
            "s_axis": [_words(rng, -(-hops // core.hops_per_clock) * core.hops_per_clock * core.hop)],
            "s_axis_retune": [commands],
        }

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        retunes = [Retune(at, word) for at, word in stimulus["s_axis_retune"][0].tolist()]
        mixed = settings.process(stimulus["s_axis"][0], MixerState(beat=beat), retunes)
        pilots = mixed.pilots.transpose(1, 0, 2)
        return {"m_axis": [mixed.signal], "m_axis_pilots": [pilots]}, {("late_commands", "count"): mixed.late}

    return Case(
        core,
        configure,
        stimulus,
        response,
        rate_of="s_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=size.samples_per_symbol,
    )


def half_band(size: Size, rng: np.random.Generator) -> Case:
    """The wide half-band decimator, at full scale, so that some words saturate; a symbol is four of its samples."""
    core = HalfBandDecimator(words_per_clock=size.lanes, half_band=WIDE)
    samples_per_symbol, piece = 4, max(2, size.lanes)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        pieces = -(-symbols * samples_per_symbol // piece)
        return {"s_axis": [rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (pieces * piece, 2)).astype(np.int32)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        words, saturated = WIDE.process(stimulus["s_axis"][0])
        return {"m_axis": [words]}, {("saturations", "count"): saturated}

    return Case(
        core,
        lambda model: None,
        stimulus,
        response,
        rate_of="s_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=samples_per_symbol,
    )


def converter_input(size: Size, rng: np.random.Generator) -> Case:
    """The converter's input, real, while it follows the mean from an offset that was loaded; some words over-range."""
    core = ConverterInputCore(lanes=size.lanes)
    settings, offset = ConverterInput(averaging=2, hold=False), int(rng.integers(-500, 500))

    def configure(model: RtlModel) -> None:
        model.write("tracking", averaging=settings.averaging, hold=settings.hold)
        model.write("offset", i=offset)
        model.write("control", apply=1, load_offset=1)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        beats = -(-symbols * size.samples_per_symbol // size.lanes)
        samples = np.clip(rng.normal(200, 8000, beats * size.lanes), -(2**15), 2**15 - 1)
        return {"s_axis": [samples.astype(np.int16)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        converted = settings.process(stimulus["s_axis"][0], fixed_offset(offset))
        return {"m_axis": [converted.words]}, {
            ("over_ranges", "count"): converted.over_range,
            ("saturations", "count"): converted.saturated,
            ("mean_i", "word"): converted.state.means[0],
        }

    return Case(
        core,
        configure,
        stimulus,
        response,
        rate_of="s_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=size.samples_per_symbol,
    )


def tap(size: Size, rng: np.random.Generator) -> Case:
    """The tap beside two streams, with a picture of the wide one as long as its FIFO."""
    length = 1000
    core = TappedStreams(words=size.lanes, depth=length)
    place = core.tap.places[1]

    def configure(model: RtlModel) -> None:
        model.write("place", number=1)
        model.write("length", beats=length)
        model.write("control", capture=1)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        count = max(length, -(-symbols // size.lanes)) * size.lanes
        wide = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (count, 2), np.int32)
        return {"s_axis": [_complex_words(rng, count)], "s_axis_wide": [wide]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        (narrow,), (wide,) = stimulus["s_axis"], stimulus["s_axis_wide"]
        picture = pack_picture(wide[: length * size.lanes], place, core.tap.beat_bytes)
        counts: Counts = {("lost", "beats"): 0, ("taken", "beats"): length, ("control", "capture"): 0}
        return {"m_axis": [narrow], "m_axis_wide_out": [wide], "m_axis_picture": [picture]}, counts

    return Case(core, configure, stimulus, response, rate_of="s_axis", samples_per_beat=size.lanes)


def transmitter(size: Size, rng: np.random.Generator) -> Case:
    """The transmitter from a key of the host to samples and record. The key's last word ends the last frame."""
    frames, number = 8, int(rng.integers(0, 2**32))
    core = TransmitterCore(lanes=size.lanes, samples_per_symbol=size.samples_per_symbol, span=size.span)
    words_per_block = BLOCK_BITS // WORD_BITS
    settings = random_settings(core, rng, 0)
    key, epoch, blocks = np.zeros(KEY_WORDS, np.uint32), 0, 0

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        nonlocal settings, key, blocks
        payload = -(-symbols // (frames * words_per_block)) * words_per_block
        # With a vacuum behind it: the next frame is decided upon when the last symbol is already taken.
        settings = random_settings(core, rng, payload, vacuum=4 * core.pulse_shaper.symbols_per_clock)
        key = rng.integers(0, 2**32, KEY_WORDS, np.uint32)
        blocks = frames * settings.frame.payload // words_per_block
        # The stream is tested and thrown away.
        return {"s_axis": [_bits(rng, 100)]}

    def configure(model: RtlModel) -> None:
        nonlocal epoch
        bench = TransmitterBench(core, model)
        bench.configure(settings)
        model.write(("frame_controller", "next_frame"), number=number)
        bench.begin_entropy(Source.HOST, blocks_per_key=blocks)
        epoch = bench.seed(key)
        bench.run(True)

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        words = Entropy(blocks_per_key=blocks).host(key, epoch, blocks)
        sent = list(settings.run(words, frames, number=number))
        n = core.pulse_shaper.symbols_per_clock
        packets = [packet(of.packet.frame, of.packet.symbols, of.packet.flags, symbols_per_clock=n) for of in sent]
        counts: Counts = {
            (("transmitter", "frames"), "count"): frames,
            (("transmitter", "gaps"), "count"): 0,
            (("symbol_record", "frames_good"), "count"): frames,
            (("symbol_record", "status"), "held"): 0,
            (("frame_controller", "starved_symbols"), "count"): 0,
        }
        return {"m_axis": [frame.samples for frame in sent], "m_axis_record": packets}, counts

    return Case(
        core,
        configure,
        stimulus,
        response,
        rate_of="m_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=size.samples_per_symbol,
    )


def symbol_filter(size: Size, rng: np.random.Generator) -> Case:
    """The symbol filter with random taps, at full scale, so that some words saturate."""
    core = SymbolFilterCore(words_per_clock=size.lanes)
    piece = SAMPLES_PER_SYMBOL * core.symbols_per_clock
    taps = rng.integers(TAP.minimum, TAP.maximum + 1, DISTINCT_TAPS)
    settings = SymbolFilter(taps.astype(np.int32), shift=22)

    def configure(model: RtlModel) -> None:
        for index, tap in enumerate(settings.taps.tolist()):
            model.write("tap", index=index, value=tap)
        model.write("shift", amount=settings.shift)
        _apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        beats = core.latency + -(-symbols // core.symbols_per_clock)
        return {"s_axis": [rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (beats * piece, 2)).astype(np.int32)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        samples = stimulus["s_axis"][0]
        # What still waits for samples that push it out does not count.
        filtered = settings.process(samples[: len(samples) - core.latency * piece + SYMBOL_REACH])
        return {"m_axis": [filtered.words]}, {("saturations", "count"): filtered.saturated}

    return Case(
        core,
        configure,
        stimulus,
        response,
        rate_of="s_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=SAMPLES_PER_SYMBOL,
    )


CASES: dict[str, Callable[[Size, np.random.Generator], Case]] = {
    "alphabet": alphabet,
    "converter_input": converter_input,
    "entropy": entropy,
    "frame_synchroniser": frame_synchroniser,
    "gaussian": gaussian,
    "half_band": half_band,
    "matched_filter": matched_filter,
    "mixer": mixer,
    "pilot_tracker": pilot_tracker,
    "predistortion": predistortion,
    "pulse_shaper": pulse_shaper,
    "rotator": rotator,
    "shift_and_pilots": shift_and_pilots,
    "symbol_filter": symbol_filter,
    "tap": tap,
    "transmitter": transmitter,
}
"""By the name of the core. Raise ValueError for a size that the core does not have."""


def _halvings(size: Size) -> int:
    """Half-band stages of a receiver: as many as leave two samples a symbol."""
    return min(3, max(0, size.samples_per_symbol.bit_length() - 2))


def _words(rng: np.random.Generator, count: int, *shape: int) -> NDArray[np.int16]:
    """Of full scale."""
    return rng.integers(-(2**15), 2**15, (count, *shape)).astype(np.int16)


def _complex_words(rng: np.random.Generator, count: int) -> NDArray[np.int16]:
    return _words(rng, count, 2)


def _bits(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    return rng.integers(0, 2**64, count, np.uint64)


def _frames_of(
    draw: Callable[[np.random.Generator, int], Words], *, words_per_beat: int, words_per_symbol: int = 1
) -> Callable[[np.random.Generator, int], Frames]:
    """A stimulus of random words on the one input: short frames, in which begin and end overlap, and two long ones."""

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        short = (1, 2, 3, 1, 40)
        beats = -(-symbols * words_per_symbol // words_per_beat)
        first = beats // 3
        return {"s_axis": [draw(rng, n * words_per_beat) for n in (*short, 1 + first, 1 + beats - first)]}

    return stimulus


def _frame_by_frame(process: Callable[[Words], tuple[Words, Counts]]) -> Callable[[Frames], tuple[Frames, Counts]]:
    """The response of a core whose frames do not see each other: frames that come out, and sums of what is counted."""

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        frames, total = [], Counter[tuple[RegisterName, str]]()
        for words in stimulus["s_axis"]:
            frame, counts = process(words)
            frames.append(frame)
            total.update(counts)
        return {"m_axis": [frame for frame in frames if len(frame)]}, total

    return response


def _load_taps(model: RtlModel, taps: NDArray[np.int16], samples_per_symbol: int, shift: int) -> None:
    for index, tap in enumerate(taps):
        symbol, sample = divmod(index, samples_per_symbol)
        model.write("tap", symbol=symbol, sample=sample, value=int(tap))
    model.write("shift", amount=shift)
    _apply(model)


def _apply(model: RtlModel) -> None:
    model.write("control", apply=1)
    while model.read("control", "apply"):
        pass
