"""Mixer and pilot tracker in closed loop, on their bit-exact models."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..compensation.mixer.model import Mixed, Mixer, MixerState
from ..compensation.pilot_tracker.model import Clock, PilotTracker, TrackerState


@dataclass(frozen=True)
class Oscillator:
    """Pilot 0's oscillator, hop by hop.

    Attributes:
        phase: at the hop's first sample, int64, 2**-32 turns.
        word: increment, int64, 2**-32 turns a sample.
    """

    phase: NDArray[np.int64]
    word: NDArray[np.int64]


@dataclass(frozen=True)
class Followed:
    """What came of a piece.

    Attributes:
        signal: int32, shape (n, 2); see ``Mixed``.
        pilots: int32, shape (2, hops, 2).
        oscillator: how pilot 0's ran.
        saturated: words that did not fit.
    """

    signal: NDArray[np.int32] = field(repr=False)
    pilots: NDArray[np.int32] = field(repr=False)
    oscillator: Oscillator = field(repr=False)
    saturated: int


@dataclass
class PilotLoop:
    """The loop as it runs: each call of :meth:`process` goes on where the last one ended.

    Attributes:
        mixer: mixes samples and obeys.
        tracker: commands.
        mixer_state, tracker_state: where they stand.
        clocks: all figures so far.
        late: commands that came too late.
        unlocked: stretches of hops without lock, first and behind the last, in rising order.
        doubtful: the same of hops in which a pilot was weak or slipped while the lock was held.
    """

    mixer: Mixer
    tracker: PilotTracker
    mixer_state: MixerState = field(default_factory=MixerState)
    tracker_state: TrackerState | None = None
    clocks: list[Clock] = field(default_factory=list)
    late: int = 0
    unlocked: list[tuple[int, int]] = field(default_factory=list)
    doubtful: list[tuple[int, int]] = field(default_factory=list)

    def process(self, samples: NDArray[np.int16]) -> Followed:
        """Mix samples, in pieces before whose end no command can act.

        Args:
            samples: as ``Mixer.process`` takes them.
        """
        state = self.tracker_state or self.tracker.begin()
        size = self.mixer.hop
        parts: list[Mixed] = []
        oscillators = []
        begin = 0
        while begin < len(samples):
            end = min(len(samples), begin + size * self.tracker.period_hops(state))
            before, hop = self.mixer_state, state.hop
            mixed = self.mixer.process(samples[begin:end], before)
            tracked = self.tracker.process(mixed.pilots, state)
            parts.append(mixed)
            oscillators.append(_oscillator(self.mixer, before, mixed.pilots.shape[1]))
            after = mixed.state
            pending = (*after.pending, *tracked.retunes)
            self.mixer_state = MixerState(after.beat, after.phases, after.hop, pending)
            self.clocks += tracked.clocks
            self.doubtful += tracked.doubtful
            self.late += mixed.late
            # The lock changes where a period ends.
            if not state.locked:
                self._extend(hop, hop + mixed.pilots.shape[1])
            state, begin = tracked.state, end
        self.tracker_state = state
        phases, words = (np.concatenate(each) for each in zip(*oscillators, strict=True))
        return Followed(
            np.concatenate([part.signal for part in parts]),
            np.concatenate([part.pilots for part in parts], axis=1),
            Oscillator(phases, words),
            sum(part.saturated for part in parts),
        )

    def search(self, tracker: PilotTracker) -> None:
        """CONTROL.apply of the tracker: what it commanded and has not acted is forgotten."""
        self.tracker, self.mixer_state = tracker, replace(self.mixer_state, pending=())
        self.tracker_state = tracker.restart(self.tracker_state or tracker.begin())

    def tune(self, mixer: Mixer, beat: int) -> None:
        """CONTROL.apply of the mixer: phases go on, and so does the tracker."""
        self.mixer, self.mixer_state = mixer, replace(self.mixer_state, beat=beat)

    def _extend(self, first: int, end: int) -> None:
        """Add a stretch without lock."""
        if self.unlocked and self.unlocked[-1][1] == first:
            first = self.unlocked.pop()[0]
        self.unlocked.append((first, end))


def _oscillator(mixer: Mixer, state: MixerState, hops: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Phases and increments of pilot 0's oscillator for so many hops from a state on, commands included."""
    beats = np.full(hops, state.beat, np.int64)
    for command in state.pending:
        ahead = (command.at - state.hop + 2**31) % 2**32 - 2**31
        beats[max(ahead, 0) :] = command.beat
    words = (beats + mixer.offsets[1]) % 2**32
    walk = np.concatenate([[0], np.cumsum(words[:-1] * mixer.hop)])
    return (walk + state.phases[1]) % 2**32, words
