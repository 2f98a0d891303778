"""Cores of `compensation`: the converter's input, the pilot and what follows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.compensation.converter_input.core import ConverterInput as ConverterInputCore
from kronborg_hdl.compensation.converter_input.model import ConverterInput, fixed_offset
from kronborg_hdl.compensation.mixer.core import Mixer as MixerCore
from kronborg_hdl.compensation.mixer.model import Mixer, MixerState, Retune
from kronborg_hdl.compensation.mixer.registers import OFFSETS
from kronborg_hdl.compensation.phase_smoother.core import PhaseSmoother as PhaseSmootherCore
from kronborg_hdl.compensation.phase_smoother.model import PHASOR, STAGES, WEIGHT_BITS, PhaseSmoother
from kronborg_hdl.compensation.phase_smoother.registers import WEIGHTS_PER_REGISTER
from kronborg_hdl.compensation.pilot_tracker.core import PilotTracker as PilotTrackerCore
from kronborg_hdl.compensation.pilot_tracker.model import BEAT_FRACTION, PilotTracker, Settings
from kronborg_hdl.compensation.rotator.core import Rotator as RotatorCore
from kronborg_hdl.compensation.rotator.model import MOST_DELAY, REACH, Rotator
from kronborg_hdl.compensation.unit_phasor.core import UnitPhasor as UnitPhasorCore
from kronborg_hdl.compensation.unit_phasor.model import unit_phasor as to_unit_length
from kronborg_hdl.dsp.formats import BASEBAND
from kronborg_hdl.dsp.nco import PHASE_BITS

from ...pilot_hops import Scene, play
from ..model import RegisterName, RtlModel
from .case import Case, Counts, Frames, Size
from .shared import apply, random_complex_words, random_words


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


def mixer(size: Size, rng: np.random.Generator) -> Case:
    """The mixer at random increments, with commands at hops next to each other and far apart."""
    core = MixerCore(lanes=size.lanes, halvings=_halvings(size))
    beat, *offsets = (int(word) for word in rng.integers(0, 2**32, 4))
    settings = Mixer((offsets[0], offsets[1], offsets[2]), core.halvings, core.hops_per_clock)

    def configure(model: RtlModel) -> None:
        model.write("beat", word=beat)
        for name, offset in zip(OFFSETS, offsets, strict=True):
            model.write(f"{name}_offset", word=offset)
        apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        hops = -(-symbols * size.samples_per_symbol // core.hop)
        clocks = 100 + np.sort(rng.integers(0, max(1, hops // core.hops_per_clock - 100), 20))
        at = np.concatenate([clocks, clocks + 1]) * core.hops_per_clock
        commands = np.stack([np.sort(at), rng.integers(0, 2**32, 40)], axis=-1).astype(np.uint32)
        return {
            "s_axis": [random_words(rng, -(-hops // core.hops_per_clock) * core.hops_per_clock * core.hop)],
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


def rotator(size: Size, rng: np.random.Generator) -> Case:
    """The rotator with a random delay; two samples are a symbol. Words of full scale: some saturate."""
    settings = Rotator(int(rng.integers(-MOST_DELAY, MOST_DELAY + 1)))

    def configure(model: RtlModel) -> None:
        model.write("delay", hops=settings.delay)
        apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        hops = -(-symbols // REACH) * REACH
        samples = rng.integers(BASEBAND.minimum, BASEBAND.maximum + 1, (2 * hops, 2), np.int32)
        return {"s_axis": [samples], "s_axis_phasors": [random_complex_words(rng, hops + REACH)]}

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
        apply(model)

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


def phase_smoother(size: Size, rng: np.random.Generator) -> Case:
    """The phase smoother with random weights, on phasors of every length; the end of the stream stays within it."""
    core = PhaseSmootherCore(hops_per_clock=size.lanes)
    smoother = PhaseSmoother(tuple(rng.integers(0, 1 << WEIGHT_BITS, STAGES).tolist()))

    def configure(model: RtlModel) -> None:
        for first in range(0, STAGES, WEIGHTS_PER_REGISTER):
            weights = {f"stage_{n}": smoother.weights[n] for n in range(first, first + WEIGHTS_PER_REGISTER)}
            model.write(f"weights_{first // WEIGHTS_PER_REGISTER}", **weights)
        apply(model)

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        beats = core.latency + -(-symbols // size.lanes)
        return {"s_axis": [_phasors(rng, beats * size.lanes)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        (phasors,) = stimulus["s_axis"]
        return {"m_axis": [smoother.process(phasors)[: len(phasors) - core.latency * size.lanes]]}, {}

    return Case(core, configure, stimulus, response, rate_of="m_axis", samples_per_beat=size.lanes)


def unit_phasor(size: Size, rng: np.random.Generator) -> Case:
    """The unit phasor on phasors of every length, zeros among them."""

    def stimulus(rng: np.random.Generator, symbols: int) -> Frames:
        return {"s_axis": [_phasors(rng, -(-symbols // size.lanes) * size.lanes)]}

    def response(stimulus: Frames) -> tuple[Frames, Counts]:
        (phasors,) = stimulus["s_axis"]
        zero = int((phasors == 0).all(axis=1).any())
        return {"m_axis": [to_unit_length(phasors)]}, {("status", "zero"): zero}

    return Case(
        UnitPhasorCore(hops_per_clock=size.lanes),
        lambda model: None,
        stimulus,
        response,
        rate_of="m_axis",
        samples_per_beat=size.lanes,
    )


def _phasors(rng: np.random.Generator, count: int) -> NDArray[np.int32]:
    """Words of every length in bits, with axes, corners and zeros among them."""
    bits = rng.integers(1, PHASOR.width, count)[:, np.newaxis]
    words = rng.integers(-(1 << bits), 1 << bits, (count, 2))
    corners = rng.choice([PHASOR.minimum, PHASOR.maximum, 0, -1, 1], (count, 2))
    return np.where(rng.random((count, 2)) < 0.2, corners, words).astype(np.int32)


def _halvings(size: Size) -> int:
    """Half-band stages of a receiver: as many as leave two samples a symbol."""
    return min(3, max(0, size.samples_per_symbol.bit_length() - 2))
