"""Hop sums of pilots as the mixer gives them when it obeys the tracker: what the tracker's RTL is run with.

The mixer is left out: a pilot that is off by f has its hop's sum turn by f times the hop, and shrink accordingly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.compensation.mixer.model import HOP_BITS, PILOTS, Retune
from kronborg_hdl.compensation.phase_smoother.model import PHASOR
from kronborg_hdl.compensation.pilot_tracker.model import PilotTracker, Settings, Tracked
from kronborg_hdl.dsp.nco import PHASE_BITS


@dataclass(frozen=True)
class Scene:
    """Pilots for a while. Frequencies are in turns a converter sample, lengths in words of a hop.

    Attributes:
        hops: how long.
        beat: of both pilots.
        amplitude: of both.
        clock: frequency of pilot 1 above nominal.
        twin: distance of another tone beside each pilot, as strong; none if zero.
        noise: rms of a rail.
        walk_rad: rms of the phase's step from hop to hop.
    """

    hops: int
    beat: float = 0.01
    amplitude: float = 400.0
    clock: float = 0.0
    twin: float = 0.0
    noise: float = 40.0
    walk_rad: float = 0.01


def play(tracker: PilotTracker, scenes: Sequence[Scene], rng: np.random.Generator) -> NDArray[np.int32]:
    """Pilots that the tracker's commands act on: int32, shape (2, hops, 2)."""
    state, commands = tracker.begin(), list[Retune]()
    beat, phases = 0, np.zeros((PILOTS, 2))
    pieces = []
    for scene in scenes:
        left = scene.hops
        while left:
            count = min(left, tracker.period_hops(state))
            beats = np.full(count, beat)
            for command in commands:
                ahead = (command.at - state.hop) % (1 << HOP_BITS)
                if ahead < count:
                    beats[ahead:] = command.beat
            commands = [command for command in commands if (command.at - state.hop) % (1 << HOP_BITS) >= count]
            beat = int(beats[-1])
            pilots, phases = _hops(tracker.settings, scene, beats, phases, rng)
            pieces.append(pilots)
            tracked: Tracked = tracker.process(pilots, state)
            state, left = tracked.state, left - count
            commands += tracked.retunes
    return np.concatenate(pieces, axis=1)


def _hops(
    settings: Settings,
    scene: Scene,
    beats: NDArray[np.int64],
    phases: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Pilots of so many beats, and the phase of each pilot and its twin behind them, in turns."""
    samples = 2 << settings.halvings
    walk = np.cumsum(rng.normal(0, scene.walk_rad / (2 * np.pi), len(beats)))
    off = np.array([[0, scene.twin], [scene.clock, scene.clock + scene.twin]])
    off = (scene.beat + off[..., np.newaxis] - beats / 2.0**PHASE_BITS + 0.5) % 1 - 0.5
    turns = phases[..., np.newaxis] + np.cumsum(off * samples, axis=-1) + walk
    tones = scene.amplitude * np.sinc(off * samples) * np.exp(2j * np.pi * turns)
    total = tones[:, 0] + (tones[:, 1] if scene.twin else 0)
    words = np.stack([total.real, total.imag], axis=-1) + rng.normal(0, scene.noise, (PILOTS, len(beats), 2))
    words = np.clip(np.rint(words), PHASOR.minimum, PHASOR.maximum)
    return words.astype(np.int32), turns[..., -1] % 1
