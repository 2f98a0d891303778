"""Measure what the pilot path leaves of the lasers' phase, on its bit-exact models, against the best smoother."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import KronborgError
from kronborg_hdl.compensation.mixer.model import Mixer
from kronborg_hdl.compensation.phase_smoother.model import REACH, best_smoother, smoother_limit_rad2
from kronborg_hdl.compensation.pilot_tracker.model import HOPS, PilotTracker, Settings
from kronborg_hdl.compensation.unit_phasor.model import unit_phasor
from kronborg_hdl.dsp.cordic import GAIN
from kronborg_hdl.dsp.nco import phase_word
from kronborg_hdl.receiver.pilot_loop import PilotLoop

from .outcome import Outcome, over_cores, whole

SAMPLE_RATE_HZ, HALVINGS = 1e9, 2
HOP = 2 << HALVINGS
SYMBOL_RATE_HZ = SAMPLE_RATE_HZ / HOP
LINEWIDTHS_HZ = (200.0, 2e3, 20e3, 200e3)
PILOT_SNRS_DB = (10.0, 20.0, 30.0)
LARGEST_RATIO = 1.10
BEAT_RANGE_HZ = 200e6
PILOT_HZ = 130e6
"""Of the pilot above the beat."""
DRIFT_HZ_PER_S = 1e6
"""Of the beat, up or down."""
STEP_HZ, TRIALS = 2e6, 201
"""Of the search: the tracker is told no more of the beat than its range."""
NOISE_WORDS = 100.0
"""Of shot noise, a rail."""
SLOT_HOPS = HOPS << 4
WARM_UP_HOPS = (2 * TRIALS + 3) * SLOT_HOPS + (1 << 14)
"""In which the beat is searched for and pulled in; not counted."""
PIECE_HOPS = 1 << 15


class Task(NamedTuple):
    """A point of the grid."""

    linewidth_hz: float
    pilot_snr_db: float
    symbols: int
    seed: int


@dataclass(frozen=True)
class Light:
    """One pilot at both converters of a phase-diverse receiver, and shot noise; there is no image and no other tone.

    Attributes:
        word: frequency, 2**-32 turns a sample.
        amplitude: converter words.
        walk_rad: rms of the phase's step from sample to sample.
        drift_hz_per_s: of the frequency.
    """

    word: int
    amplitude: float
    walk_rad: float
    drift_hz_per_s: float = 0.0

    def samples(
        self, first: int, count: int, phase_rad: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
        """Converter words, int16, shape (count, 2), from sample `first` on, and the phase at each of them beside
        that of `word`: walk and drift."""
        steps = rng.normal(0, self.walk_rad, count)
        numbers = np.arange(first, first + count)
        steps += numbers * (2 * np.pi * self.drift_hz_per_s / SAMPLE_RATE_HZ**2)
        walk = phase_rad + np.cumsum(steps)
        angle = ((numbers % 2**32).astype(np.uint32) * np.uint32(self.word)) * (2 * np.pi / 2**32) + walk
        current = rng.standard_normal((count, 2), np.float32) * np.float32(NOISE_WORDS)
        current[:, 0] += self.amplitude * np.cos(angle)
        current[:, 1] += self.amplitude * np.sin(angle)
        np.clip(np.rint(current, out=current), -(2**15), 2**15 - 1, out=current)
        return current.astype(np.int16), walk


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--symbols", type=float, default=1e6, metavar="N", help="at each point (default 1e6)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of lasers and noise (default 1)")


def measure(task: Task) -> dict[str, float | int]:
    """A row of the bench's figures.

    A symbol's *true phase* is the mean of the optical phase over the converter samples of its hop, which is one symbol
    long: that is by how much the light of that symbol is turned. The *estimate* is the phase of the mixer's oscillator,
    by the same mean, and the angle of the unit phasor of that hop, as the rotator takes it. The *residual* is their
    difference, and its variance the mean square, about zero. The limit is ``smoother_limit_rad2``: of a phase
    that steps from symbol to symbol by ``2 pi linewidth / symbol rate``, a pilot whose phase noise is ``1 / (2 SNR)``.

    A ratio below one is no wonder: a mean over a symbol walks less from one to the next than the closed form's phase.
    What the phase does within a symbol, a sixth of a step's variance about that mean, no phasor a symbol can undo; it
    is in neither figure.

    The tracker searches for a beat that lies anywhere in its range and drifts, and follows it, before symbols count.

    *Cycle slips* are places where the residual jumps by more than half a turn, and what the tracker counts as such.

    Raises:
        KronborgError: the tracker did not hold its lock.
    """
    grid_point = [round(task.linewidth_hz), round(10 * task.pilot_snr_db)]
    rng = np.random.default_rng([task.seed, *grid_point])
    snr = 10 ** (task.pilot_snr_db / 10)
    walk_rad2, noise_rad2 = 2 * np.pi * task.linewidth_hz / SYMBOL_RATE_HZ, 1 / (2 * snr)
    beat_hz = float(rng.uniform(-BEAT_RANGE_HZ, BEAT_RANGE_HZ))
    # A hop's pilot is HOP amplitudes, its noise HOP times the power of both rails.
    amplitude = NOISE_WORDS * np.sqrt(2 * snr / HOP)
    drift = float(rng.choice([-DRIFT_HZ_PER_S, DRIFT_HZ_PER_S]))
    light = Light(phase_word(beat_hz + PILOT_HZ, SAMPLE_RATE_HZ), amplitude, np.sqrt(walk_rad2 / HOP), drift)
    loop = _loop(amplitude)

    hops = WARM_UP_HOPS + task.symbols + REACH
    pilots, truth = np.empty((hops, 2), np.int32), np.empty(hops)
    phase = float(rng.uniform(0, 2 * np.pi))
    for begin in range(0, hops, PIECE_HOPS):
        part = slice(begin, min(begin + PIECE_HOPS, hops))
        samples, walk = light.samples(begin * HOP, (part.stop - begin) * HOP, phase, rng)
        phase = float(walk[-1])
        followed = loop.process(samples)
        pilots[part], oscillator = followed.pilots[0], followed.oscillator
        # Both run evenly within a hop: their mean is that at its middle.
        numbers = np.arange(begin, part.stop, dtype=np.int64) * HOP
        middle = (HOP - 1) / 2
        turns = (numbers * light.word - oscillator.phase) % 2**32 + middle * (light.word - oscillator.word)
        truth[part] = turns * (2 * np.pi / 2**32) + walk.reshape(-1, HOP).mean(axis=1)
    state = loop.tracker_state
    if not (state and state.locked) or state.losses:
        raise KronborgError(f"the tracker lost the pilot at {task.linewidth_hz:g} Hz and {task.pilot_snr_db:g} dB")

    units = unit_phasor(best_smoother(walk_rad2, noise_rad2).process(pilots))
    counted = slice(WARM_UP_HOPS, WARM_UP_HOPS + task.symbols)
    residual = np.angle((units[counted] @ np.array([1, 1j])) * np.exp(-1j * truth[counted]))
    variance = float(np.mean(residual**2))
    limit = smoother_limit_rad2(walk_rad2, noise_rad2)
    return {
        "linewidth_hz": task.linewidth_hz,
        "pilot_snr_db": task.pilot_snr_db,
        "beat_hz": beat_hz,
        "drift_hz_per_s": drift,
        "residual_phase_variance_rad2": variance,
        "smoother_limit_rad2": limit,
        "ratio": variance / limit,
        "cycle_slips": int(np.count_nonzero(np.abs(np.diff(residual)) > np.pi)) + state.slips,
        "symbols": task.symbols,
    }


def _loop(amplitude: float) -> PilotLoop:
    """Mixer and tracker for a pilot of so many words; the signal's oscillator is of no interest."""
    step = phase_word(STEP_HZ, SAMPLE_RATE_HZ)
    settings = Settings(
        halvings=HALVINGS,
        threshold=round(amplitude * HOP * HOPS * GAIN / 2),
        two_pilots=False,
        start=-(TRIALS // 2) * step,
        step=step,
        trials=TRIALS,
    )
    return PilotLoop(Mixer((0, phase_word(PILOT_HZ, SAMPLE_RATE_HZ), 0), HALVINGS), PilotTracker(settings))


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Measure all points.

    Raises:
        InputError: fewer symbols than say anything, or more than memory holds.
    """
    symbols, seed = whole(options.symbols, 10**4, 10**8, "symbols"), whole(options.seed, 0, 2**63, "as seed")
    tasks = [Task(width, snr, symbols, seed) for width in LINEWIDTHS_HZ for snr in PILOT_SNRS_DB]
    rows = []
    with progress.stage("points", len(tasks)) as stage, closing(over_cores(measure, tasks)) as found:
        for row in found:
            rows.append(row)
            stage.advance(1)
    table = [
        ("symbols", f"{grouped(symbols)} a point, seed {seed}"),
        ("", "variance, rad²   limit, rad²   ratio  slips"),
    ]
    for row in rows:
        name = f"{row['linewidth_hz'] / 1e3:g} kHz, {row['pilot_snr_db']:g} dB"
        variance, limit = row["residual_phase_variance_rad2"], row["smoother_limit_rad2"]
        table.append((name, f"{variance:14.3e} {limit:13.3e} {row['ratio']:7.3f} {row['cycle_slips']:6}"))
    faults = [
        f"{row['linewidth_hz']:g} Hz, {row['pilot_snr_db']:g} dB: {row['ratio']:.3f} of the limit, "
        f"{row['cycle_slips']} slips"
        for row in rows
        if not row["ratio"] <= LARGEST_RATIO or row["cycle_slips"]
    ]
    return Outcome(rows, table, "; ".join(faults))
