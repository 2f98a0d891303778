"""Cores of `decimation`: filters of the receiver."""

from __future__ import annotations

import numpy as np

from kronborg_hdl.decimation.half_band.core import HalfBandDecimator
from kronborg_hdl.decimation.half_band.model import WIDE
from kronborg_hdl.decimation.matched_filter.core import MatchedFilter as MatchedFilterCore
from kronborg_hdl.decimation.matched_filter.model import MatchedFilter
from kronborg_hdl.decimation.symbol_filter.core import SymbolFilter as SymbolFilterCore
from kronborg_hdl.decimation.symbol_filter.model import DISTINCT_TAPS, SAMPLES_PER_SYMBOL, TAP, SymbolFilter
from kronborg_hdl.decimation.symbol_filter.model import REACH as SYMBOL_REACH
from kronborg_hdl.dsp.formats import BASEBAND

from ..model import RtlModel
from .case import Case, Counts, Frames, Size, Words
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
