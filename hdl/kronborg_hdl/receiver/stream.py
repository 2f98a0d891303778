"""The receiver's closed loop for a stream that comes in pieces, as ``closed_loop`` computes it for a capture.

What has no state of its own in the models (smoother, half-bands) is computed over a stretch that overlaps the one
before by all that it can see, and only what is new is handed on: every word is the one of the whole stream.

Settings are applied just before the first sample, and mark the frame that comes then, as they do in the core.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..compensation.mixer.model import MixerState
from ..compensation.phase_smoother.model import REACH
from ..compensation.rotator.model import START as ROTATOR_START
from ..compensation.rotator.model import Rotator
from ..compensation.unit_phasor.model import unit_phasor
from ..decimation.resampler.model import Retime, start
from ..decimation.symbol_filter.model import START as FILTER_START
from ..synchronisation.frame_synchroniser.model import Slot, State
from ..synchronisation.frame_synchroniser.packet import Flag, Packet
from .closed_loop import ClosedLoop
from .model import alignment, decimate
from .pilot_loop import PilotLoop

CONTEXT = 64
"""Decimated samples before a stretch that half-bands may look at: more than they do."""


@dataclass(frozen=True)
class Piece:
    """What came of a piece of the stream.

    Attributes:
        packets: frames that ended.
        symbols: int16, shape (n, 2).
        slots: stretches of the stream's symbols that the power meter may measure, which ended.
        saturated: words that did not fit; one near a piece's end may count twice.
    """

    packets: tuple[Packet, ...]
    symbols: NDArray[np.int16] = field(repr=False)
    slots: tuple[Slot, ...]
    saturated: int


class ReceiverStream:
    """A receiver that goes on where it stopped.

    Args:
        settings: of the receiver.
        turns: the rotator turns; without, for noise alone.
        beat: of the mixer, before the tracker commands.
        delay: of the rotator, hops; None is the one that the half-bands need.
    """

    def __init__(self, settings: ClosedLoop, *, turns: bool = True, beat: int = 0, delay: int | None = None) -> None:
        self.settings = settings
        self._halvings = settings.mixer.halvings
        self._input = settings.offset
        self._loop = PilotLoop(settings.mixer, settings.tracker, MixerState(beat=beat))
        self._pilots = np.zeros((0, 2), np.int32)
        self._pilots_done = 0
        self._signal = np.zeros((0, 2), np.int32)
        self._signal_done = 0
        self._rotator = Rotator(alignment(self._halvings).hops if delay is None else delay, turns)
        self._rotated = ROTATOR_START
        self._resampled = start(settings.synchroniser.settings.timing.step)
        self._filtered = FILTER_START
        self._state: State | None = None
        self._commands: tuple[Retime, ...] = ()
        self._hops = 0
        self._marks = [settings._mark(0, 0, Flag.CHANGED)]

    @property
    def locked(self) -> bool:
        """The tracker's lock."""
        state = self._loop.tracker_state
        return state is not None and state.locked

    def process(self, samples: NDArray[np.int16]) -> Piece:
        """Receive a piece; whole clocks of whole hops.

        Args:
            samples: int16, shape (n,) of a real receiver, (n, 2) of one with I and Q.
        """
        converted = self.settings.converter_input.process(samples, self._input)
        self._input = converted.state
        followed = self._loop.process(converted.words)
        decimated, saturated = self._decimate(followed.signal)
        rotated = self._rotator.process(decimated, unit_phasor(self._smooth(followed.pilots[0])), self._rotated)
        self._rotated = rotated.state
        saturated += converted.saturated + followed.saturated + rotated.saturated
        packets: list[Packet] = []
        symbols = [np.zeros((0, 2), np.int16)]
        slots: list[Slot] = []
        if converted.over_range:
            self._marks += self.settings._over_range(samples, self._hops)
        self._hops += len(samples) // self.settings.mixer.hop
        marks = (*self._marks, *self.settings._unlocked(self._loop))
        for part in self.settings._pieces(rotated.samples):
            resampled = self.settings.resampler.process(part, self._resampled, self._commands)
            filtered = self.settings.symbol_filter.process(resampled.samples, self._filtered)
            done = self.settings.synchroniser.process(filtered.words, self._state, marks)
            self._resampled, self._filtered, self._state = resampled.state, filtered.state, done.state
            self._commands = tuple(Retime(each.at, each.jump, each.step) for each in done.retimes)
            packets += done.packets
            symbols.append(filtered.words)
            slots += done.slots
            saturated += resampled.saturated + filtered.saturated
        return Piece(tuple(packets), np.concatenate(symbols), tuple(slots), saturated)

    def _smooth(self, pilots: NDArray[np.int32]) -> NDArray[np.int32]:
        """What is complete of the smoothed phasors; what looks ahead waits."""
        self._pilots = np.concatenate([self._pilots, pilots])
        complete = max(self._pilots_done, len(self._pilots) - REACH)
        smoothed = self.settings.smoother.process(self._pilots)[self._pilots_done : complete]
        self._pilots_done += len(smoothed)
        if (surplus := self._pilots_done - REACH) > 0:
            self._pilots, self._pilots_done = self._pilots[surplus:], REACH
        return smoothed

    def _decimate(self, signal: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
        """New decimated samples."""
        self._signal = np.concatenate([self._signal, signal])
        decimated, saturated = decimate(self._signal, self._halvings)
        new = decimated[self._signal_done :]
        self._signal_done = len(decimated)
        if (surplus := self._signal_done - CONTEXT) > 0:
            self._signal, self._signal_done = self._signal[surplus << self._halvings :], CONTEXT
        return new, saturated
