"""Bit-exact numpy model of the pilot tracker: hop sums of two pilots in, commands to the mixer and clock figures out.

Everything is counted in *sub-blocks*: 16 hops of a pilot are summed, and a CORDIC makes magnitude and angle of the
sum (``dsp.cordic``). Sub-blocks make *slots*, in which a beat is tried, and *blocks*, in which it is followed. What
comes of a slot or a block is a command for the one after next: it has arrived long before its hop, and both sides, RTL
and model, count the same hops.

*Search.* Slot after slot the beat steps through the range. A slot's figure is the sum of its sub-blocks' magnitudes, of
two pilots the smaller one: coherent over 16 hops, which a laser of 200 kHz survives, and without phase above. A second
sweep checks: the best trial must still be there, and no other one outside its neighbourhood may be as strong, or the
beat is ambiguous and refused. Either way a refusal is counted, and the search begins anew.

*Follow.* Within a block the angle of pilot 0 is unwrapped from sub-block to sub-block; the sum of its second half less
that of its first is the slope times (B / 2)**2, by adders only; its noise is 4/3 of that of a regression. The slope and
the beat of that block are the beat that should have been, f; the estimate follows it by

    estimate += round( (f - estimate) / 2**gain )

Since f does not depend on which beat was in use, there is no loop and nothing to become unstable. A bad block changes
nothing. The same slope of pilot 1, less that of pilot 0, is the difference of their frequencies from
nominal: over the nominal difference, the clock's offset. Lasers do not matter to it.

*Lock.* A block is good when no sub-block of a pilot is weaker than the threshold, nor than half of that pilot's mean:
two tones that the search cannot tell apart beat. The lock is won by a good block whose beat had been estimated, and
held by blocks that are good at half the threshold. Lost, the beat stays for ``patience`` blocks before the search
begins anew.

*Doubt.* A slip, or a sub-block weaker than half of the threshold or of that pilot's mean in the block before, is told
when it is seen, not at its block's end: what frames it has touched may have left by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ...dsp.cordic import ANGLE_BITS, magnitude_bits, polar, wrap
from ...dsp.formats import round_shift
from ...dsp.nco import PHASE_BITS
from ..mixer.model import HALVINGS, HOP_BITS, PILOTS, Retune
from ..phase_smoother.model import PHASOR

HOPS_LOG2 = 4
HOPS = 1 << HOPS_LOG2
"""Hops of a sub-block. A step of half a turn from one to the next is a beat 1/32 of the hop rate off: 3.9 MHz."""
SUM_BITS = PHASOR.width + HOPS_LOG2
MAGNITUDE_BITS = magnitude_bits(SUM_BITS)
SLOT_LOG2 = (4, 10)
"""Least and largest binary logarithm of the sub-blocks of a slot."""
BLOCK_LOG2 = (6, 10)
"""And of a block."""
GAIN_BITS = 3
TRIAL_BITS = 16
SLIP_STEP = 3 << (ANGLE_BITS - 3)
"""A longer step is counted as a slip: 3/8 turn. An honest walk of 200 kHz at 125 MBd meets a quarter in 1e7 hops."""
BEAT_FRACTION = 8
"""Bits of the estimate below those of the mixer's beat."""
CLOCK_BITS = 32
COUNTER_BITS = 32

_WIDE = 1 << (PHASE_BITS + BEAT_FRACTION)
# From (B / 2)**2 angle words a sub-block, B = 2**b, to turns a sample; multiplied first, so that what follows is a
# right shift: by 2 (b - 1) for the slope, HOPS_LOG2 for hops, 1 + D for samples.
LIFT = PHASE_BITS + BEAT_FRACTION - ANGLE_BITS - 2 * (BLOCK_LOG2[0] - 1) - HOPS_LOG2 - 1
"""Left shift for the shortest block without halvings."""


class Kind(IntEnum):
    """What a period is used for; the value is that of the register."""

    IDLE = 0
    """Nothing: its beat is not that of a trial, or no longer of interest."""
    SEARCH = 1
    CHECK = 2
    PULL = 3
    """A block at the beat that was found; what it measures becomes the estimate."""
    TRACK = 4
    """A block at the estimate."""


@dataclass(frozen=True)
class Settings:
    """What the registers hold. Beats and steps are in 2**-32 turns a sample, magnitudes in words of the CORDIC.

    Attributes:
        halvings: half-band stages D: a hop is 2 << D samples. Of the core, not of a register.
        threshold: least magnitude of a pilot's sub-block sum, ``dsp.cordic.GAIN`` times its words.
        two_pilots: whether pilot 1 counts.
        start: first beat that is tried, signed.
        step: from trial to trial. A quarter of the step that a sub-block can see leaves room: 2 MHz at 125 MBd.
        trials: one or more; one keeps the search at its start.
        slot_log2: binary logarithm of a trial's sub-blocks.
        neighbourhood: trials on either side that belong to a peak; a sub-block's first null is at 1/16 of the hop rate.
        ambiguity: another peak is as strong when it is beyond ``1 - 2**-ambiguity`` of the best.
        block_log2: binary logarithm of a block's sub-blocks.
        gain: the estimate follows by ``2**-gain``.
        patience: bad blocks in a row that are waited for.

    Raises:
        ValueError: a figure that its register cannot hold.
    """

    halvings: int = 2
    threshold: int = 5000
    two_pilots: bool = True
    start: int = round(-0.2 * (1 << PHASE_BITS))
    step: int = round(0.002 * (1 << PHASE_BITS))
    trials: int = 201
    slot_log2: int = 4
    neighbourhood: int = 3
    ambiguity: int = 1
    block_log2: int = 8
    gain: int = 2
    patience: int = 4

    def __post_init__(self) -> None:
        half = 1 << (PHASE_BITS - 1)
        for name, least, largest in (
            ("halvings", HALVINGS[0], HALVINGS[-1]),
            ("threshold", 1, (1 << MAGNITUDE_BITS) - 1),
            ("start", -half, half - 1),
            ("step", -half, half - 1),
            ("trials", 1, (1 << TRIAL_BITS) - 1),
            ("slot_log2", *SLOT_LOG2),
            ("neighbourhood", 0, 255),
            ("ambiguity", 0, 7),
            ("block_log2", *BLOCK_LOG2),
            ("gain", 0, (1 << GAIN_BITS) - 1),
            ("patience", 0, 255),
        ):
            if not least <= getattr(self, name) <= largest:
                raise ValueError(f"{name} is {getattr(self, name)}: must be {least} to {largest}")


@dataclass(frozen=True)
class Clock:
    """What a block says of the clocks.

    Attributes:
        at: number of the block's first hop.
        rate: frequency of pilot 1 less that of pilot 0, above nominal: 2**-40 turns a sample, signed, saturated.
    """

    at: int
    rate: int


@dataclass(frozen=True)
class Period:
    """A slot or a block that was commanded.

    Attributes:
        kind: what for.
        beat: in use.
        long: a block.
        trial: number of a trial.
    """

    kind: Kind = Kind.IDLE
    beat: int = 0
    long: bool = False
    trial: int = 0


@dataclass(frozen=True)
class TrackerState:
    """Where the tracker stands; as made, after reset.

    Attributes:
        now: the period that is measured.
        following: the one after it, commanded already.
        plan: kind of the one after that, unless what is measured decides otherwise.
        trial: that will be tried next.
        trial_beat: its beat.
        best, best_trial, best_beat: the strongest trial of the search.
        again, second: of the check, the strongest in the best one's neighbourhood and outside.
        estimate: of the beat, with `BEAT_FRACTION` bits.
        locked: the lock is held.
        bad_blocks: in a row.
        magnitudes: of both pilots, mean of the last block.
        clock: rate of the last good block.
        slips, losses, ambiguous, missing: counters; the last two of sweeps that were refused.
        hop: number of the next hop.
        first: number of the first hop of `now`.
        waiting: hops of an incomplete sub-block, int32, shape (2, n, 2).
        lengths: magnitudes of the sub-blocks of `now`, int64, shape (2, n).
        angles: their angles, and in front of them that of the sub-block before, int64, shape (2, 1 + n).
    """

    now: Period = Period()
    following: Period = Period()
    plan: Kind = Kind.SEARCH
    trial: int = 0
    trial_beat: int = 0
    best: int = 0
    best_trial: int = 0
    best_beat: int = 0
    again: int = 0
    second: int = 0
    estimate: int = 0
    locked: bool = False
    bad_blocks: int = 0
    magnitudes: tuple[int, int] = (0, 0)
    clock: int = 0
    slips: int = 0
    losses: int = 0
    ambiguous: int = 0
    missing: int = 0
    hop: int = 0
    first: int = 0
    waiting: NDArray[np.int32] = field(default_factory=lambda: np.zeros((PILOTS, 0, 2), np.int32), repr=False)
    lengths: NDArray[np.int64] = field(default_factory=lambda: np.zeros((PILOTS, 0), np.int64), repr=False)
    angles: NDArray[np.int64] = field(default_factory=lambda: np.zeros((PILOTS, 1), np.int64), repr=False)


@dataclass(frozen=True)
class Tracked:
    """What came of a piece of the pilots.

    Attributes:
        retunes: commands, in order.
        clocks: figures, in order.
        doubtful: of the blocks that ended, stretches of hops, first and behind the last, in which a pilot was weak or
            slipped while the lock was held. They may overlap.
        state: for the next piece.
    """

    retunes: tuple[Retune, ...]
    clocks: tuple[Clock, ...]
    doubtful: tuple[tuple[int, int], ...]
    state: TrackerState


@dataclass(frozen=True)
class PilotTracker:
    """The tracker with its settings. ``process`` is pure."""

    settings: Settings

    def begin(self) -> TrackerState:
        """After reset and CONTROL.apply, before the first hop."""
        return TrackerState(trial_beat=self.settings.start % (1 << PHASE_BITS))

    def restart(self, state: TrackerState) -> TrackerState:
        """After CONTROL.apply in mid-stream, with these settings: from the sub-block under way on the search is new.

        Commands that have not yet acted are of no interest: the mixer forgets them.
        """
        return replace(
            state,
            now=Period(),
            following=Period(),
            plan=Kind.SEARCH,
            trial=0,
            trial_beat=self.begin().trial_beat,
            locked=False,
            bad_blocks=0,
            first=(state.hop - state.waiting.shape[1]) % (1 << HOP_BITS),
            lengths=state.lengths[:, :0],
            angles=state.angles[:, -1:],
        )

    def process(self, pilots: NDArray[np.int32], state: TrackerState | None = None) -> Tracked:
        """Take a piece of the pilots, any number of hops.

        Args:
            pilots: int32 that holds 20-bit words, shape (2, hops, 2): pilot, hop, rail.
            state: what the piece before left; None for :meth:`begin`.

        Raises:
            ValueError: pilots of another type or shape, or words of more than 20 bits.
        """
        if pilots.dtype != np.int32 or pilots.ndim != 3 or (pilots.shape[0], pilots.shape[2]) != (PILOTS, 2):
            raise ValueError(f"pilots must be int32 of shape (2, n, 2), not {pilots.dtype} of shape {pilots.shape}")
        if pilots.size and not PHASOR.minimum <= pilots.min() <= pilots.max() <= PHASOR.maximum:
            raise ValueError(f"a phasor does not fit {PHASOR.width} bits")
        state = state or self.begin()
        hops = np.concatenate([state.waiting, pilots], axis=1)
        whole = hops.shape[1] // HOPS
        sums = hops[:, : whole * HOPS].reshape(PILOTS, whole, HOPS, 2).sum(axis=2)
        lengths, angles = polar(sums)
        state = replace(
            state,
            hop=(state.hop + pilots.shape[1]) % (1 << HOP_BITS),
            waiting=hops[:, whole * HOPS :],
            lengths=np.concatenate([state.lengths, lengths], axis=1),
            angles=np.concatenate([state.angles, angles], axis=1),
        )
        retunes: list[Retune] = []
        clocks: list[Clock] = []
        doubtful: list[tuple[int, int]] = []
        while state.lengths.shape[1] >= self._sub_blocks(state.now):
            if state.locked:
                doubtful += self._doubtful(state)
            state = self._end_of_period(state, retunes, clocks)
        return Tracked(tuple(retunes), tuple(clocks), tuple(doubtful), state)

    def period_hops(self, state: TrackerState) -> int:
        """Hops until the period ends that is measured: no piece of a closed loop may be longer."""
        return (state.first + HOPS * self._sub_blocks(state.now) - state.hop) % (1 << HOP_BITS)

    def _sub_blocks(self, period: Period) -> int:
        return 1 << (self.settings.block_log2 if period.long else self.settings.slot_log2)

    def _end_of_period(self, state: TrackerState, retunes: list[Retune], clocks: list[Clock]) -> TrackerState:
        """Measure `now`, decide, and command the period after next."""
        count = self._sub_blocks(state.now)
        lengths, angles = state.lengths[:, :count], state.angles[:, : count + 1]
        match state.now.kind:
            case Kind.SEARCH:
                state = self._search(state, self._strength(lengths))
            case Kind.CHECK:
                state = self._check(state, self._strength(lengths))
            case Kind.PULL | Kind.TRACK:
                state = self._follow(state, lengths, angles, clocks)
            case _:
                pass
        ends = state.first + HOPS * count
        begins = (ends + HOPS * self._sub_blocks(state.following)) % (1 << HOP_BITS)
        state, period = self._launch(state)
        if period.kind is not Kind.IDLE:
            retunes.append(Retune(begins, period.beat))
        return replace(
            state,
            now=state.following,
            following=period,
            first=ends % (1 << HOP_BITS),
            lengths=state.lengths[:, count:],
            angles=state.angles[:, count:],
        )

    def _strength(self, lengths: NDArray[np.int64]) -> int:
        """Mean magnitude of a slot; of two pilots the smaller."""
        means = lengths.sum(axis=1) >> self.settings.slot_log2
        return int(means.min() if self.settings.two_pilots else means[0])

    def _search(self, state: TrackerState, strength: int) -> TrackerState:
        period = state.now
        if period.trial and strength <= state.best:
            return state
        return replace(state, best=strength, best_trial=period.trial, best_beat=period.beat)

    def _check(self, state: TrackerState, strength: int) -> TrackerState:
        settings, trial = self.settings, state.now.trial
        again, second = (state.again, state.second) if trial else (0, 0)
        if abs(trial - state.best_trial) <= settings.neighbourhood:
            again = max(again, strength)
        else:
            second = max(second, strength)
        state = replace(state, again=again, second=second)
        if trial != settings.trials - 1:
            return state
        if min(state.best, again) < settings.threshold:
            return self._search_anew(replace(state, missing=_count(state.missing)))
        if second > state.best - (state.best >> settings.ambiguity):
            return self._search_anew(replace(state, ambiguous=_count(state.ambiguous)))
        return replace(state, plan=Kind.PULL)

    def _search_anew(self, state: TrackerState) -> TrackerState:
        """Whatever was commanded for the next period, it is of no interest."""
        return replace(
            state,
            plan=Kind.SEARCH,
            trial=0,
            trial_beat=self.settings.start % (1 << PHASE_BITS),
            following=replace(state.following, kind=Kind.IDLE),
        )

    def _follow(
        self, state: TrackerState, lengths: NDArray[np.int64], angles: NDArray[np.int64], clocks: list[Clock]
    ) -> TrackerState:
        settings, period = self.settings, state.now
        counted = PILOTS if settings.two_pilots else 1
        weakest, sums = lengths.min(axis=1), lengths.sum(axis=1) >> settings.block_log2
        enough = np.maximum(settings.threshold >> state.locked, sums >> 1)
        good = bool((weakest >= enough)[:counted].all())
        steps = wrap(np.diff(angles, axis=1))
        if state.locked:
            state = replace(state, slips=_count(state.slips, int(np.sum(np.abs(steps[:counted]) > SLIP_STEP))))
        state = replace(state, magnitudes=(int(sums[0]), int(sums[1])))
        if not good:
            return self._bad_block(state)
        # Unwrapped from the block's first sub-block on.
        path = np.concatenate([np.zeros((PILOTS, 1), np.int64), np.cumsum(steps[:, 1:], axis=1)], axis=1)
        half = path.shape[1] // 2
        slopes = [int(slope) for slope in path[:, half:].sum(axis=1) - path[:, :half].sum(axis=1)]
        off = ((period.beat << BEAT_FRACTION) + self._per_sample(slopes[0]) - state.estimate) % _WIDE
        off -= _WIDE if off >= _WIDE >> 1 else 0
        gain = settings.gain if period.kind is Kind.TRACK else 0
        estimate = (state.estimate + int(round_shift(np.int64(off), gain))) % _WIDE
        locked = state.locked or period.kind is Kind.TRACK
        if locked and settings.two_pilots:
            limit = 1 << (CLOCK_BITS - 1)
            rate = min(max(self._per_sample(slopes[1] - slopes[0]), -limit), limit - 1)
            clocks.append(Clock(state.first, rate))
            state = replace(state, clock=rate)
        return replace(state, estimate=estimate, locked=locked, bad_blocks=0, plan=Kind.TRACK)

    def _doubtful(self, state: TrackerState) -> list[tuple[int, int]]:
        """Hops of the sub-blocks of `now` in which a pilot is weak, or of the two between which it slips."""
        counted, count = PILOTS if self.settings.two_pilots else 1, self._sub_blocks(state.now)
        least = np.maximum(self.settings.threshold, state.magnitudes) >> 1
        weak = (state.lengths[:counted, :count] < least[:counted, np.newaxis]).any(axis=0)
        slips = np.abs(wrap(np.diff(state.angles[:counted, : count + 1], axis=1))) > SLIP_STEP
        return [
            (state.first + HOPS * (k - before), state.first + HOPS * (k + 1))
            for of, before in ((weak, 0), (slips.any(axis=0), 1))
            for k in np.flatnonzero(of).tolist()
        ]

    def _bad_block(self, state: TrackerState) -> TrackerState:
        state = replace(state, losses=_count(state.losses, int(state.locked)), locked=False)
        if state.now.kind is Kind.PULL:
            return self._search_anew(replace(state, missing=_count(state.missing)))
        if state.bad_blocks >= self.settings.patience:
            return self._search_anew(replace(state, bad_blocks=0))
        return replace(state, bad_blocks=state.bad_blocks + 1)

    def _per_sample(self, slope: int) -> int:
        """A block's slope in 2**-40 turns a sample."""
        shift = 2 * (self.settings.block_log2 - BLOCK_LOG2[0]) + self.settings.halvings
        return int(round_shift(np.int64(slope << LIFT), shift))

    def _launch(self, state: TrackerState) -> tuple[TrackerState, Period]:
        """The period after next, by plan."""
        last = state.trial == self.settings.trials - 1
        period = Period()
        match state.plan:
            case Kind.SEARCH | Kind.CHECK:
                period = Period(state.plan, state.trial_beat, False, state.trial)
                after = Kind.CHECK if state.plan is Kind.SEARCH else Kind.IDLE
                beat = self.settings.start if last else state.trial_beat + self.settings.step
                state = replace(
                    state,
                    plan=after if last else state.plan,
                    trial=0 if last else state.trial + 1,
                    trial_beat=beat % (1 << PHASE_BITS),
                )
            case Kind.PULL:
                period = Period(Kind.PULL, state.best_beat, True)
            case Kind.TRACK:
                beat = (state.estimate + (1 << (BEAT_FRACTION - 1))) >> BEAT_FRACTION
                period = Period(Kind.TRACK, beat % (1 << PHASE_BITS), True)
            case _:
                pass
        return state, period


def _count(counter: int, events: int = 1) -> int:
    """A counter of the core: it stays at its largest value."""
    return min(counter + events, (1 << COUNTER_BITS) - 1)
