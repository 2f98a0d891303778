"""Both ends of a link on one board: the overlay ``loopback``, on a board or on one that is none."""

from __future__ import annotations

import itertools
import operator
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.channel.fibre_emulator.model import FibreEmulator
from kronborg_hdl.compensation.pilot_tracker.model import PilotTracker
from kronborg_hdl.decimation.power_meter.model import Measurement
from kronborg_hdl.loopback.model import Loopback
from kronborg_hdl.modulation.symbol_record.model import Packet as Sent
from kronborg_hdl.synchronisation.frame_synchroniser.packet import EVENTS, Flag
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Packet as Received

from ...errors import BoardError
from ..loopback import fibre_writes
from .dma import IN_TURN, InTurn, again
from .opening import Loaded
from .receiver import Receiver
from .transmitter import Transmitter

PACKETS = "packets"
"""Name of the engine that takes what the receiver gives."""
PATIENCE = 4
"""Frames without a packet after which the first of them is given up; or for each of the power meter's windows."""
FRAMES_AHEAD = IN_TURN
"""Whose records the board writes while the host looks at none."""
FALSIFY = Flag.OVER_RANGE | Flag.SATURATED | Flag.OVERRUN
"""What makes less of noise."""
WORD_BYTES = 4


@dataclass(frozen=True, eq=False)
class Exchanged:
    """One frame, as both ends have it. Its symbols are raw key: not in the repr.

    Attributes:
        sent: the record.
        received: the packet of the same number; None where none came.
    """

    sent: Sent = field(repr=False)
    received: Received | None = field(repr=False)

    @property
    def good(self) -> bool:
        """Whether it may become key."""
        return self.sent.may_become_key and self.received is not None and self.received.good


class Board:
    """A link on one board: transmitter, fibre emulator and receiver, which wait for each other.

    As a context manager it stops whatever happens; a program that is killed leaves a board that stops by itself.

    Args:
        opened: the overlay ``loopback``.
        silence_s: what the watch-dog allows.
        timeout_s: how long a frame may take.

    Attributes:
        transmitter, receiver: the two ends.
        opened: as given.
    """

    def __init__(self, opened: Loaded, *, silence_s: float = 1.0, timeout_s: float = 10.0) -> None:
        overlay = opened.overlay
        self.opened = opened
        self.receiver = Receiver(overlay, PACKETS, timeout_s=timeout_s)
        self._channels = [overlay.record.recvchannel, getattr(overlay, PACKETS).recvchannel]
        self.transmitter = Transmitter(
            overlay, opened.clock_hz, silence_s=silence_s, timeout_s=timeout_s, behind=self._channels[1:]
        )
        self._fibre = overlay.fibre_emulator
        self._takers: list[InTurn] = []
        self._clocks = 0

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def dma_words(self) -> int:
        """Words of 32 bits that came by DMA."""
        return sum(taker.moved for taker in self._takers) // WORD_BYTES

    @property
    def clocks(self) -> int | None:
        """That have passed on a simulated board."""
        now = self.opened.clocks
        return None if now is None else self._clocks + now

    def reset(self) -> None:
        """Load the overlay anew: from there on words depend on key, seed and settings alone."""
        self._clocks += self.opened.clocks or 0
        self.opened.overlay.download()
        for channel in self._channels:
            again(channel)

    def configure(self, settings: Loopback) -> None:
        """Stop, and write the settings of all parts.

        Raises:
            InputError: settings that the board is not built for.
            BoardError: it refuses them.
        """
        self.transmitter.configure(settings.transmitter)
        self.receiver.configure(settings.receiver, source_waits=True)
        for register, words in fibre_writes(settings.fibre):
            if register != "control":
                self._fibre.put(register, **words)
        self._fibre.clear_status()
        self._fibre.apply()
        if refused := [what for what in self._fibre.happened() if "refused" in what]:
            raise BoardError(f"the fibre emulator refuses its settings: {', '.join(refused)}")

    def start(self, key: NDArray[np.uint32], number: int = 0) -> int:
        """Emit frames of symbols from this key; they come with :meth:`frames`. Returns the key's epoch.

        Raises:
            InputError: there are no settings, or it is no key.
        """
        epoch = self.transmitter.seed(key)
        self.receiver.start()
        self.transmitter.start(number)
        return epoch

    def stop(self) -> None:
        """End with the frame under way.

        Raises:
            BoardError: it does not end.
        """
        self.transmitter.stop()
        self.receiver.stop()

    def frames(self) -> Iterator[Exchanged]:
        """Frames in the order in which they were sent, each as soon as it is known whether it was received.

        Raises:
            BoardError: nothing more comes, or the watch-dog has stopped the board.
        """
        records, packets = self.transmitter.takers(), self.receiver.taker()
        self._takers += [*records, packets]
        waiting: deque[Sent] = deque()
        came: dict[int, Received] = {}
        before: int | None = None
        try:
            for taker in (*records, packets):
                taker.begin()
            while True:
                self.transmitter.alive()
                sent = self.transmitter.take(records, before, more=True).packet
                before = sent.frame
                waiting.append(sent)
                # A frame's packet is complete while the next one is sent, whose record may be read later.
                if packets.ready:
                    packet = self.receiver.take(packets, self.transmitter.alive, more=True)
                    came[packet.frame] = packet
                yield from _matched(waiting, came)
        finally:
            for taker in (*records, packets):
                taker.erase()

    def measure(self, settings: Loopback, noise: FibreEmulator, key: NDArray[np.uint32], symbols: int) -> Measurement:
        """What the receiver's power meter says of noise alone, behind the signal's own chain.

        Symbols are counted from the first one that the receiver gives, in windows of which the first is left out: the
        chain fills in it. So the same symbols are measured on every board, whenever its host looks. A window that is
        lost, because a host did not look for as long as the next one took, is made good by a later one.

        Args:
            settings: of the link.
            noise: vacuum or darkness, in the fibre's place.
            key: what the transmitter sends meanwhile, and nobody receives.
            symbols: to measure, at least.

        Raises:
            BoardError: they are not measured in time, or were clipped or lost on their way.
        """
        self.reset()
        tracker = settings.receiver.tracker.settings
        middle = tracker.start + tracker.trials // 2 * tracker.step
        fixed = replace(settings.receiver, tracker=PilotTracker(replace(tracker, start=middle, step=0, trials=1)))
        self.configure(replace(settings, fibre=noise, receiver=fixed))
        rotator = self.receiver.registers.rotator
        rotator.put("mode", noise=1)
        rotator.apply()
        # Two frames or more: so many have been sent when the host has the first record, for two have a buffer.
        shortest = FRAMES_AHEAD * settings.receiver.synchroniser.settings.period
        count = max(1, symbols // shortest)
        self.receiver.begin_measurement(max(shortest, -(-symbols // count)))
        self.start(key)
        records = self.transmitter.takers()
        self._takers += records
        before: int | None = None
        windows: list[Measurement] = []
        try:
            for taken in itertools.count(1):
                before = self.transmitter.take(records, before, more=True).packet.frame
                if (window := self.receiver.measurement()) is not None:
                    windows.append(window)
                if len(windows) > count:
                    break
                if taken > 2 * PATIENCE * (count + 1):
                    raise BoardError(f"the power meter does not measure {symbols} symbols; {self.receiver.explain()}")
            return untouched(reduce(operator.add, windows[1:]))
        finally:
            for taker in records:
                taker.erase()
            self.stop()


def untouched(measured: Measurement) -> Measurement:
    """A measurement of noise that is noise: without a pilot there is no lock, and all else is a fault.

    Raises:
        BoardError: its symbols were clipped, or some were lost: less noise than there is would pass for vacuum.
    """
    touched = [flag for bit, flag in enumerate(EVENTS) if measured.touched >> bit & 1 and flag in FALSIFY]
    if touched:
        said = ", ".join(str(flag.name) for flag in touched)
        raise BoardError(f"the noise was not measured as it is ({said}): lower the light or the gain")
    return measured


def _matched(waiting: deque[Sent], came: dict[int, Received]) -> Iterator[Exchanged]:
    """Frames of which it is known whether they were received: a later one was, or others are waiting for long."""
    while waiting:
        packet = came.pop(waiting[0].frame, None)
        if packet is None and len(waiting) <= PATIENCE and not any(sent.frame in came for sent in waiting):
            return
        yield Exchanged(waiting.popleft(), packet)
    if len(came) > PATIENCE:
        came.clear()  # of numbers that nobody sent
