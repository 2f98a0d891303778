"""Cores of `modulation`: sources of symbols, and what makes samples of them."""

from __future__ import annotations

import numpy as np

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
from kronborg_hdl.modulation.interpolating_shaper.core import InterpolatingShaper as InterpolatingShaperCore
from kronborg_hdl.modulation.interpolating_shaper.model import InterpolatingShaper
from kronborg_hdl.modulation.predistortion.core import Predistortion as PredistortionCore
from kronborg_hdl.modulation.predistortion.model import Predistortion, arcsine_table, inverse_sinc
from kronborg_hdl.modulation.pulse_shaper.core import PulseShaper as PulseShaperCore
from kronborg_hdl.modulation.pulse_shaper.model import PulseShaper
from kronborg_hdl.modulation.shift_and_pilots import model as shift_and_pilots_model
from kronborg_hdl.modulation.shift_and_pilots.core import ShiftAndPilots as ShiftAndPilotsCore

from ..model import RtlModel
from .case import Case, Counts, Frames, Size, Words
from .shared import apply, frame_by_frame, frames_of, load_taps, random_bits, random_complex_words, random_words


def gaussian(size: Size, rng: np.random.Generator) -> Case:
    """The Gaussian source at its largest scale."""
    source = GaussianSource(MAXIMUM_DEVIATION)

    def process(bits: Words) -> tuple[Words, Counts]:
        symbols = source.process(bits)
        return symbols.words, {("saturations", "count"): symbols.saturated}

    return Case(
        GaussianSourceCore(symbols_per_clock=size.lanes),
        lambda model: model.write("scale", deviation=source.deviation),
        frames_of(random_bits, words_per_beat=size.lanes),
        frame_by_frame(process),
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
        frames_of(random_bits, words_per_beat=size.lanes),
        frame_by_frame(lambda bits: (source.process(bits), {})),
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
    shaper = PulseShaper(random_words(rng, m * span), m, shift=17)

    def process(symbols: Words) -> tuple[Words, Counts]:
        samples, saturated = shaper.process(symbols)
        return samples, {("saturations", "count"): saturated}

    return Case(
        core,
        lambda model: load_taps(model, shaper.taps, m, shaper.shift),
        frames_of(random_complex_words, words_per_beat=core.symbols_per_clock),
        frame_by_frame(process),
        rate_of="m_axis",
        samples_per_beat=lanes,
        samples_per_symbol=m,
    )


def interpolating_shaper(size: Size, rng: np.random.Generator) -> Case:
    """The interpolating shaper with random taps of full scale: some words of each stage saturate."""
    lanes, m, span = size.lanes, size.samples_per_symbol, size.span
    core = InterpolatingShaperCore(lanes=lanes, samples_per_symbol=m, span=span)
    shaper = InterpolatingShaper(random_words(rng, span), m, shift=17)

    def configure(model: RtlModel) -> None:
        for index, tap in enumerate(shaper.taps.tolist()):
            model.write("tap", index=index, value=tap)
        model.write("shift", amount=shaper.shift)
        apply(model)

    def process(symbols: Words) -> tuple[Words, Counts]:
        samples, saturated = shaper.process(symbols)
        return samples, {("saturations", "count"): saturated}

    return Case(
        core,
        configure,
        frames_of(random_complex_words, words_per_beat=core.symbols_per_clock),
        frame_by_frame(process),
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
        apply(model)

    def process(samples: Words) -> tuple[Words, Counts]:
        words, saturated = shift_and_pilots_model.shift_and_pilots(samples, shift, pilots)
        return words, {("saturations", "count"): saturated}

    return Case(
        ShiftAndPilotsCore(lanes=size.lanes),
        configure,
        frames_of(random_complex_words, words_per_beat=size.lanes),
        frame_by_frame(process),
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
        apply(model)

    def process(samples: Words) -> tuple[Words, Counts]:
        words, saturated = settings.process(samples)
        return words, {("saturations", "count"): saturated}

    return Case(
        PredistortionCore(lanes=size.lanes),
        configure,
        frames_of(random_complex_words, words_per_beat=size.lanes),
        frame_by_frame(process),
        rate_of="m_axis",
        samples_per_beat=size.lanes,
    )
