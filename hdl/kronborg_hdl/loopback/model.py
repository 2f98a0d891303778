"""Bit-exact model of the loopback: random words to the symbols of both ends.

The parts' models one after the other: transmitter, fibre emulator, receiver in closed loop. The core beside it gives
the same words for every setting. Flags may differ as each part's model says: an event marks every frame that is in the
chain when it happens, and here only those that are known to be.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..channel.fibre_emulator.model import FibreEmulator
from ..dsp.rates import LANES
from ..modulation.symbol_record.model import Packet as Sent
from ..receiver.closed_loop import Change, ClosedLoop, Run
from ..synchronisation.frame_synchroniser.packet import Packet as Received
from ..transmitter.model import Transmitter


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame at both ends. Its symbols are raw key: not in the repr.

    Attributes:
        number: of the frame.
        sent: the transmitter's record: ``symbols``, int16, shape (n, 2), and ``flags``.
        received: the receiver's packet: likewise, and more; None where none came.
    """

    number: int
    sent: Sent = field(repr=False)
    received: Received | None = field(repr=False)

    @property
    def good(self) -> bool:
        """Whether it may become key."""
        return self.sent.may_become_key and self.received is not None and self.received.good


@dataclass(frozen=True, eq=False)
class LinkRun:
    """What came of a run.

    Attributes:
        frames: one for each that was sent, in order. Of the last there is no packet where its vacuum is too short to
            push it out of the receiver.
        samples: what went from end to end.
        emulator_saturated: samples of the fibre emulator that were clipped.
        receiver: what else the receiver's model says.
    """

    frames: tuple[Frame, ...]
    samples: int
    emulator_saturated: int
    receiver: Run = field(repr=False)


@dataclass(frozen=True, eq=False)
class Loopback:
    """A link with its settings.

    Attributes:
        transmitter, fibre, receiver: their models, with the settings that their registers hold.
    """

    transmitter: Transmitter
    fibre: FibreEmulator
    receiver: ClosedLoop

    def run(self, words: NDArray[np.uint32], frames: int, *, number: int = 0) -> LinkRun:
        """Send frames one after the other, from reset on.

        Args:
            words: uint32, of the entropy, in its order; as ``Transmitter.run`` takes them.
            frames: how many.
            number: of the first.
        """
        sent = list(self.transmitter.run(words, frames, number=number))
        emulated, run = self.receive(np.concatenate([frame.samples for frame in sent]))
        came = {packet.frame: packet for packet in run.packets}
        records = [frame.packet for frame in sent]
        return LinkRun(
            tuple(Frame(record.frame, record, came.get(record.frame)) for record in records),
            sum(len(frame.samples) for frame in sent),
            emulated,
            run,
        )

    def receive(self, samples: NDArray[np.int16]) -> tuple[int, Run]:
        """The other end of a stream: how many samples the emulator clipped, and the receiver's run.

        Args:
            samples: the transmitter's, int16, shape (n, 2).
        """
        emulated = self.fibre.process(samples)
        # A receiver takes whole hops and whole clocks.
        whole = max(self.receiver.mixer.hop * self.receiver.mixer.hops_per_clock, *LANES)
        # Settings are applied just before the first sample, which waits for them: that marks what comes first.
        heard = emulated.words[: len(emulated.words) // whole * whole]
        return emulated.saturated, self.receiver.process(heard, (Change(0),))
