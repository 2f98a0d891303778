"""Cores of `decimation`: filters of the receiver."""

from __future__ import annotations

import numpy as np

from kronborg_hdl.axi.marks import SECTION_BITS
from kronborg_hdl.decimation.half_band.core import HalfBandDecimator
from kronborg_hdl.decimation.half_band.model import WIDE
from kronborg_hdl.decimation.matched_filter.core import MatchedFilter as MatchedFilterCore
from kronborg_hdl.decimation.matched_filter.model import MatchedFilter
from kronborg_hdl.decimation.power_meter.model import PowerMeter, Section
from kronborg_hdl.decimation.power_meter.registers import SUMS
from kronborg_hdl.decimation.resampler.core import Resampler as ResamplerCore
from kronborg_hdl.decimation.resampler.kernel import KERNELS
from kronborg_hdl.decimation.resampler.model import FRACTION, UNIT_STEP, Resampler, Retime
from kronborg_hdl.decimation.resampler.model import start as start_resampler
from kronborg_hdl.decimation.symbol_filter.core import SymbolFilter as SymbolFilterCore
from kronborg_hdl.decimation.symbol_filter.model import DISTINCT_TAPS, SAMPLES_PER_SYMBOL, TAP, SymbolFilter
from kronborg_hdl.decimation.symbol_filter.model import REACH as SYMBOL_REACH
from kronborg_hdl.dsp.formats import BASEBAND

from ...benches.metered_stream import MeteredStream
from ...benches.received_symbols import command_words
from ..model import RegisterName, RtlModel
from .case import Case, Counts, Frames, Size, Words, marked
from .shared import apply, frame_by_frame, frames_of, load_taps, random_complex_words, random_words


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


def matched_filter(size: Size, rng: np.random.Generator) -> Case:
    """The decimating matched filter with random taps of full scale; some frames end within a symbol."""
    lanes, m, span = size.lanes, size.samples_per_symbol, size.span
    core = MatchedFilterCore(lanes=lanes, samples_per_symbol=m, span=span)
    settings = MatchedFilter(random_words(rng, m * span), m, shift=18)

    def process(samples: Words) -> tuple[Words, Counts]:
        symbols = settings.process(samples)
        return symbols.words, {
            ("saturations", "count"): symbols.saturated,
            ("dropped_samples", "count"): symbols.dropped,
        }

    return Case(
        core,
        lambda model: load_taps(model, settings.taps, m, settings.shift),
        frames_of(random_complex_words, words_per_beat=lanes, words_per_symbol=m),
        frame_by_frame(process),
        rate_of="s_axis",
        samples_per_beat=lanes,
        samples_per_symbol=m,
    )


def power_meter(size: Size, rng: np.random.Generator) -> Case:
    """The power meter beside a stream of which it measures payload and vacuum: of nearly all a measurement, and one."""
    n = size.lanes
    core = MeteredStream(symbols_per_clock=n)
    # Half of the symbols are of these, section by section.
    sections = frozenset({Section.PAYLOAD, Section.VACUUM})
    gate = 40_000

    def configure(model: RtlModel) -> None:
        model.write("gate", symbols=gate)
        model.write("sections", **{section.name.lower(): 1 for section in sections})
        apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        beats = -(-symbols // n)
        slots = np.repeat(np.arange(-(-beats // 50)) % len(Section), 50)[:beats]
        # Sections end within a beat.
        of = np.roll(np.repeat(slots, n), int(rng.integers(0, n))).astype(np.uint64).reshape(beats, n)
        user = (of << (SECTION_BITS * np.arange(n, dtype=np.uint64))).sum(axis=1, dtype=np.uint64)
        user |= (63 * (rng.random(beats) < 1e-5)).astype(np.uint64) << np.uint64(SECTION_BITS * n)
        return {"s_axis": [marked(random_complex_words(rng, beats * n), user)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        (frame,) = stimulus["s_axis"]
        shifts = SECTION_BITS * np.arange(n, dtype=np.uint64)
        of = (frame["user"][:, np.newaxis] >> shifts & np.uint64((1 << SECTION_BITS) - 1)).astype(np.uint8)
        touched = np.repeat(frame["user"] >> np.uint64(SECTION_BITS * n), n).astype(np.uint8)
        meter = PowerMeter(gate, sections, n)
        measurements, _ = meter.process(frame["words"].reshape(-1, 2), of.ravel(), touched=touched)
        counts: dict[tuple[RegisterName, str], int] = {
            ("measurements", "count"): len(measurements),
            ("lost", "count"): max(0, len(measurements) - 1),
        }
        if measurements:
            first = measurements[0]
            counts["count", "symbols"] = first.symbols
            counts["control", "touched"] = first.touched
            for name, total in zip(SUMS, (*first.sums, *first.squares), strict=True):
                counts[f"{name}_low", "word"], counts[f"{name}_high", "word"] = total % 2**32, total >> 32
        return {"m_axis": [frame]}, counts

    return Case(core, configure, stimulus, response, rate_of="s_axis", samples_per_beat=n)


def resampler(size: Size, rng: np.random.Generator) -> Case:
    """The resampler from 2.5 samples a symbol, 100 ppm off, with commands that come in time; some words saturate."""
    core = ResamplerCore(words_per_clock=size.lanes)
    kernel, step = 0, round(1.25 * (1 - 1e-4) * UNIT_STEP)
    settings = Resampler(KERNELS[kernel], core.words_per_clock)

    def configure(model: RtlModel) -> None:
        model.write("step_low", word=step % UNIT_STEP)
        model.write("step_high", word=step >> FRACTION)
        model.write("kernel", number=kernel)
        apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        outputs = SAMPLES_PER_SYMBOL * symbols
        beats = -(-outputs * 5 // 4 // size.lanes) + 8
        # Far enough from the begin that the first one has come; in pairs, for beats next to each other.
        near = 2 * rng.integers(20 * size.lanes, max(20 * size.lanes + 1, symbols), 20)
        at = np.sort(np.concatenate([near, near + size.lanes]))
        jumps = rng.integers(-(2**27), 2**27, len(at)).tolist()
        steps = (step + rng.integers(-(2**19), 2**19, len(at))).tolist()
        commands = [Retime(*words) for words in zip(at.tolist(), jumps, steps, strict=True)]
        samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (beats * size.lanes, 2))
        return {"s_axis": [samples.astype(np.int32)], "s_axis_retime": [command_words(commands)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        words = stimulus["s_axis_retime"][0].tolist()
        commands = [Retime(at, jump - (jump >> 31 << 32), low | high << FRACTION) for at, jump, low, high in words]
        resampled = settings.process(stimulus["s_axis"][0], start_resampler(step), commands)
        return {"m_axis": [resampled.samples]}, {
            ("saturations", "count"): resampled.saturated,
            ("late_commands", "count"): resampled.late,
            ("refused_commands", "count"): resampled.refused,
        }

    return Case(
        core,
        configure,
        stimulus,
        response,
        rate_of="s_axis",
        samples_per_beat=size.lanes,
        samples_per_symbol=SAMPLES_PER_SYMBOL * 5 / 4,
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
        apply(model)

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
