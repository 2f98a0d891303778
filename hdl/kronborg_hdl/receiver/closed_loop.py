"""Bit-exact model of the receiver as it runs by itself: converter samples to packets, with both of its loops closed.

The first loop is that of the pilots: what the tracker measures in a block commands the mixer's beat in the block after
next. The second is that of the frames: what the synchroniser measures on a preamble commands the resampler behind the
payload. Nothing of the second one reaches the first, so they are computed one after the other.

Where the core and the model may differ: events of the chain are known to the model by the hop, to the core by the
clock, and a clipped word marks frames in the core alone. The model says how many there were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..compensation.converter_input.model import ConverterInput, InputState
from ..compensation.mixer.model import Mixer
from ..compensation.phase_smoother.model import REACH as SMOOTHER_REACH
from ..compensation.phase_smoother.model import PhaseSmoother
from ..compensation.pilot_tracker.model import PilotTracker, TrackerState
from ..compensation.rotator.model import Rotator
from ..compensation.unit_phasor.model import unit_phasor
from ..decimation.resampler.model import Resampler, Retime, start
from ..decimation.symbol_filter.model import START, SymbolFilter
from ..synchronisation.frame_synchroniser.model import Counts, FrameSynchroniser, Slot
from ..synchronisation.frame_synchroniser.packet import Flag, Packet
from ..synchronisation.frame_synchroniser.sizes import CHAIN_BEATS
from .model import alignment, decimate
from .pilot_loop import PilotLoop


@dataclass(frozen=True)
class Change:
    """Settings that are applied in mid-stream.

    Attributes:
        at: number of the hop from which on they hold.
        tracker: begins a search with these; None goes on.
        mixer, beat: its offsets, and the beat; None goes on.
    """

    at: int
    tracker: PilotTracker | None = None
    mixer: Mixer | None = None
    beat: int = 0


@dataclass(frozen=True)
class Run:
    """What came of a capture.

    Attributes:
        packets: frames that ended, int16 symbols in each.
        symbols: all that the synchroniser saw, int16, shape (n, 2).
        slots: stretches of them that the power meter may measure.
        counts: of the synchroniser.
        tracker: where the pilots' tracker stands.
        step: of the resampler at the end, 2**-32 decimated samples.
        saturated: words that did not fit, anywhere in the chain.
        over_range: samples beyond the converter's thresholds.
        late: commands that came too late, of both loops, or were refused.
    """

    packets: tuple[Packet, ...] = field(repr=False)
    symbols: NDArray[np.int16] = field(repr=False)
    slots: tuple[Slot, ...] = field(repr=False)
    counts: Counts
    tracker: TrackerState = field(repr=False)
    step: int
    saturated: int
    over_range: int
    late: int


@dataclass(frozen=True, eq=False)
class ClosedLoop:
    """The receiver with its settings.

    Attributes:
        mixer: increments of the oscillators above the beat.
        tracker: of the pilots.
        smoother: of pilot 0's phase.
        resampler: its kernel and lanes.
        symbol_filter: its taps and scale.
        synchroniser: with its settings; their timing's step is the resampler's first one.
        converter_input: over-range, offset, gain and skew.
        offset: that was loaded before the first sample.
    """

    mixer: Mixer
    tracker: PilotTracker
    smoother: PhaseSmoother
    resampler: Resampler
    symbol_filter: SymbolFilter
    synchroniser: FrameSynchroniser
    converter_input: ConverterInput = field(default_factory=ConverterInput)
    offset: InputState = field(default_factory=InputState)

    def process(self, samples: NDArray[np.int16], changes: Sequence[Change] = ()) -> Run:
        """Receive a capture that begins after reset.

        Args:
            samples: int16, shape (n,) of a real receiver, (n, 2) of one with I and Q; whole clocks of whole hops.
            changes: in rising order, between whole clocks.

        Raises:
            ValueError: samples of another type or shape.
        """
        converted = self.converter_input.process(samples, self.offset)
        loop = PilotLoop(self.mixer, self.tracker)
        parts, begin = [], 0
        for change in changes:
            end = change.at * self.mixer.hop
            if begin < end:
                parts.append(loop.process(converted.words[begin:end]))
            begin = end
            if change.tracker is not None:
                loop.search(change.tracker)
            if change.mixer is not None:
                loop.tune(change.mixer, change.beat)
        parts.append(loop.process(converted.words[begin:]))
        # What looks beyond the capture's end is not complete.
        pilots = np.concatenate([part.pilots[0] for part in parts])
        pilot = self.smoother.process(pilots)[: -SMOOTHER_REACH or None]
        decimated, clipped = decimate(np.concatenate([part.signal for part in parts]), self.mixer.halvings)
        rotated = Rotator(alignment(self.mixer.halvings).hops).process(decimated, unit_phasor(pilot))
        marks = tuple(self._unlocked(loop))
        if converted.over_range:
            marks += tuple(self._over_range(samples))
        marks += tuple(self._mark(change.at, change.at, Flag.CHANGED) for change in changes)
        saturated = converted.saturated + sum(part.saturated for part in parts) + clipped + rotated.saturated
        packets: list[Packet] = []
        symbols: list[NDArray[np.int16]] = [np.zeros((0, 2), np.int16)]
        slots: list[Slot] = []
        commands: tuple[Retime, ...] = ()
        sampled, waiting, state, late = start(self.synchroniser.settings.timing.step), START, None, 0
        for piece in self._pieces(rotated.samples):
            resampled = self.resampler.process(piece, sampled, commands)
            filtered = self.symbol_filter.process(resampled.samples, waiting)
            done = self.synchroniser.process(filtered.words, state, marks)
            packets += done.packets
            symbols.append(filtered.words)
            slots += done.slots
            commands = done.retimes
            sampled, waiting, state = resampled.state, filtered.state, done.state
            saturated += resampled.saturated + filtered.saturated
            late += resampled.late + resampled.refused
        state = state or self.synchroniser.begin()
        assert loop.tracker_state is not None
        return Run(
            tuple(packets),
            np.concatenate(symbols),
            tuple(slots),
            state.counts,
            loop.tracker_state,
            sampled.step,
            saturated,
            converted.over_range,
            late + loop.late,
        )

    def _pieces(self, samples: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
        """Pieces behind whose end a command acts that is measured in them."""
        settings = self.synchroniser.settings
        free = settings.header + settings.payload + settings.timing.retime_after
        lanes = 2 * settings.sizes.symbols_per_clock
        size = max(lanes, free // 2 // lanes * lanes)
        for begin in range(0, len(samples), size):
            yield samples[begin : begin + size]

    def _mark(self, first: int, last: int, flag: Flag) -> tuple[int, int, Flag]:
        """What happened in these hops, by about which symbols they belong to."""
        symbols = [int(hop * (1 << 32) // self.synchroniser.settings.timing.step) for hop in (first, last)]
        return symbols[0], symbols[1] + CHAIN_BEATS * self.synchroniser.settings.sizes.symbols_per_clock, flag

    def _unlocked(self, loop: PilotLoop) -> Iterator[tuple[int, int, Flag]]:
        """Stretches of symbols that were in the chain while there was no lock, or while a pilot was in doubt."""
        for first, last in (*loop.unlocked, *loop.doubtful):
            yield self._mark(first, last, Flag.UNLOCKED)

    def _over_range(self, samples: NDArray[np.int16], first: int = 0) -> Iterator[tuple[int, int, Flag]]:
        """The same for each hop with a sample beyond the thresholds; `first` is the number of the first hop."""
        beyond = (samples >= self.converter_input.upper) | (samples <= self.converter_input.lower)
        hops = first + np.flatnonzero(beyond.reshape(len(samples) // self.mixer.hop, -1).any(axis=1))
        for hop in hops.tolist():
            yield self._mark(hop, hop, Flag.OVER_RANGE)
