"""Streams of a design over a serial line, as drivers want channels of DMA engines: packets into buffers of the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.dma.registers import RECEIVE, REGISTERS

from .device import FETCHED_WORDS, Device

LARGEST = 1 << 26
"""Bytes of a packet."""
WAITING = 16
"""Packets of a stream that wait for a buffer; then the design waits."""
PIECES = 8
"""Of words, that are thrown away where a channel is stopped: twice what the board keeps of a stream."""
_STATUS = REGISTERS["receive_status"]


class Memory:
    """Where buffers are: this process."""

    @staticmethod
    def array(shape: tuple[int, ...] | int, kind: str) -> NDArray[Any]:
        """A buffer."""
        return np.zeros(shape, kind)


class Channel:
    """A stream out of the design, of which packets are taken one by one.

    It is asked as a ``recvchannel`` of ``pynq.lib.DMA`` is, status word and all, so that what waits for one waits for
    the other. The line is read whenever it is asked: for all streams, or one that nobody waits for would stop the
    design and with it the one that somebody does wait for.

    Args:
        streams: all of them.
        name: of this one.

    Attributes:
        transferred: bytes of the last packet.
        running: it takes packets; one that did not fit into its buffer ends that.
    """

    _offset = RECEIVE
    _max_size = LARGEST
    _first_transfer = False

    def __init__(self, streams: Streams, name: str) -> None:
        self._streams, self._name = streams, name
        self._mmio = self
        self._buffer: NDArray[Any] | None = None
        self.transferred, self.running = 0, True

    def transfer(self, buffer: NDArray[Any]) -> None:
        """Write the next packet to a buffer; :attr:`idle` says when it is there."""
        self._buffer, self.transferred = buffer, 0

    @property
    def idle(self) -> bool:
        """Nothing is under way any more."""
        self._streams.read()
        waiting = self._streams.packets[self._name]
        if self._buffer is not None and self.running and waiting:
            packet = np.frombuffer(waiting.popleft(), np.uint8)
            room = self._buffer.reshape(-1).view(np.uint8)
            if len(packet) > len(room):
                self.running = False
            else:
                room[: len(packet)] = packet
                self.transferred, self._buffer = len(packet), None
        return self._buffer is None

    def read(self, offset: int) -> int:
        """A register of the engine that is not there: its status, and zero."""
        if offset != _STATUS.offset:
            return 0
        idle = self.idle
        return _STATUS.word(idle=int(idle), internal_error=int(not self.running))

    def wait(self) -> None:
        """For a transfer that is complete."""

    def stop(self) -> None:
        """Give up what is under way, and packets that nobody has taken; the board's buffer may have some of them.

        Raises:
            BoardError: the board does not answer.
        """
        self._buffer, self.running = None, False
        self._streams.drain(self._name)

    def start(self) -> None:
        """Take packets again."""
        self.running = True


class Streams:
    """What comes out of a design.

    Args:
        device: the design.
        names: of the streams that are read; others wait.

    Attributes:
        packets: whole ones that nobody has taken, by stream.
        channels: by stream.
    """

    def __init__(self, device: Device, names: Sequence[str]) -> None:
        self._device = device
        self._begun: dict[str, list[bytes]] = {name: [] for name in names}
        self._skipping: set[str] = set()
        self.packets: dict[str, deque[bytes]] = {name: deque() for name in names}
        self.channels = {name: Channel(self, name) for name in names}

    def read(self) -> None:
        """Ask each stream once for words.

        Raises:
            BoardError: words are lost, or the board does not answer.
        """
        for name, begun in self._begun.items():
            if len(self.packets[name]) < WAITING:
                words, ended = self._device.fetch(name, FETCHED_WORDS)
                if len(words):
                    begun.append(words.astype("<u4").tobytes())
                if ended:
                    if name not in self._skipping:
                        self.packets[name].append(b"".join(begun))
                    self._skipping.discard(name)
                    begun.clear()

    def drain(self, name: str) -> None:
        """Throw away what there is of a stream, and of a packet that has begun the rest too when it comes.

        Raises:
            BoardError: words are lost, or the board does not answer.
        """
        begun = bool(self._begun[name]) or name in self._skipping
        self._begun[name].clear()
        self.packets[name].clear()
        for _ in range(PIECES):
            words, ended = self._device.fetch(name, FETCHED_WORDS)
            if not len(words):
                break
            begun = not ended
        (self._skipping.add if begun else self._skipping.discard)(name)

    def forget(self) -> None:
        """The design was reset: what had begun does not go on."""
        self._skipping.clear()
        for name, begun in self._begun.items():
            begun.clear()
            self.packets[name].clear()
