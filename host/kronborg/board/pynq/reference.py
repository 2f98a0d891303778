"""The models of both ends of a link, in step with a board: whatever comes by DMA is compared with them.

Symbols, numbers, and all else that a packet says: the flags, by which a frame becomes key or does not, among them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.loopback.model import Loopback
from kronborg_hdl.modulation.entropy.chacha20.model import BLOCK_WORDS, keystream
from kronborg_hdl.modulation.entropy.model import Entropy
from kronborg_hdl.modulation.symbol_record.model import Packet as Sent
from kronborg_hdl.receiver.stream import ReceiverStream
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Flag
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Packet as Received

if TYPE_CHECKING:
    from .board import Exchanged

WORDS_PER_SYMBOL = 2


class Reference:
    """The models, from the loading of the overlay on.

    Args:
        settings: of the parts.
        key, epoch: of the symbols.
        number: of the first frame.

    Attributes:
        words: of 16 bits that were compared: of records the symbols, of packets all.
        wrong: of them, and of packets, numbers and flags of records, those that are not the models'.
    """

    def __init__(self, settings: Loopback, key: NDArray[np.uint32], epoch: int, number: int = 0) -> None:
        self._settings, self._key, self._nonce = settings, key, Entropy().nonce(epoch)
        self._number, self._words_used = number, 0
        self._receiver, self._fibre = ReceiverStream(settings.receiver), settings.fibre.begin()
        self._packets: dict[int, Received] = {}
        self._came: dict[int, Received | None] = {}
        self._clipped = False
        self.words = self.wrong = 0

    def take(self, frame: Exchanged) -> None:
        """Compare a frame: its record now, its packet as soon as the models have it."""
        self._sent(frame.sent)
        self._came[frame.sent.frame] = frame.received
        for known in [number for number in self._came if number in self._packets]:
            came, model = self._came.pop(known), self._packets.pop(known)
            if came is None:
                self.wrong += 1
                continue
            # A clipped word marks frames in gateware alone: the model knows that there was one, and not when.
            flags = came.flags & ~Flag.SATURATED if self._clipped else came.flags
            self._compare(replace(came, flags=flags).words(), model.words())

    def finish(self) -> None:
        """Count packets that came and that the models do not have; those of the last two frames they cannot have."""
        last = {(self._number - 1 - k) % 2**32 for k in range(2)}
        self.wrong += sum(packet is not None for number, packet in self._came.items() if number not in last)

    def _sent(self, packet: Sent) -> None:
        transmitter = self._settings.transmitter
        count = WORDS_PER_SYMBOL * transmitter.frame.payload
        first, skip = divmod(self._words_used, BLOCK_WORDS)
        blocks = -(-(skip + count) // BLOCK_WORDS)
        words = keystream(self._key, self._nonce, blocks, counter=first).ravel()[skip : skip + count]
        self._words_used += count
        frame = next(transmitter.run(words, 1, number=self._number))
        self._number = (self._number + 1) % 2**32
        emulated = self._settings.fibre.process(frame.samples, self._fibre)
        self._fibre = emulated.state
        received = self._receiver.process(emulated.words)
        self._clipped |= bool(received.saturated)
        self._packets |= {came.frame: came for came in received.packets}
        self._compare(packet.symbols, frame.packet.symbols)
        self.wrong += (packet.frame, packet.flags) != (frame.packet.frame, frame.packet.flags)

    def _compare(self, came: NDArray[np.int16], model: NDArray[np.int16]) -> None:
        self.words += model.size
        self.wrong += int(np.count_nonzero(came != model)) if came.shape == model.shape else model.size
