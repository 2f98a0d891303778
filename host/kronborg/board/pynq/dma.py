"""Transfers of ``pynq.lib.DMA`` that end: complete, or with an error that says what its registers say.

Channels of a board without memory of its own (``board.serial.channels``) are asked in the same way.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.dma.registers import RECEIVE, REGISTERS, SEND

from ...errors import BoardError, InputError

POLL_S = 1e-4
LOOKS = 32
"""For the end of a transfer, for each sign of life. On a simulated board time passes faster the longer nothing else is
asked for: with eight of them half of a run's time went into looking."""
IN_TURN = 2
"""Buffers of a channel: one is filled while the other is read."""
STATUS = REGISTERS["send_status"].offset
IDLE = REGISTERS["send_status"].word(idle=1)
ERRORS = REGISTERS["send_status"].word(internal_error=1, slave_error=1, decode_error=1)
_HALVES = {SEND: "send", RECEIVE: "receive"}


def allocate(device: Any, shape: tuple[int, ...] | int, kind: str) -> Any:
    """A buffer that the channels of a device reach: memory of PYNQ's, or what a device without it has."""
    if hasattr(device, "array"):
        return device.array(shape, kind)
    import pynq

    return pynq.allocate(shape, kind, target=device)


def check_timeout(timeout_s: float) -> None:
    """Whether it is a time to wait. Raises InputError: what is no number never ends."""
    if not timeout_s > 0:
        raise InputError(f"a time-out of {timeout_s:g} s: must be above 0")


def explain(channel: Any) -> str:
    """The registers of a channel of ``pynq.lib.DMA``, in a line."""
    half = _HALVES[channel._offset]
    said = []
    for register in REGISTERS.registers:
        if not register.name.startswith(half):
            continue
        word = channel._mmio.read(register.offset)
        flags = [field.name for field in register.fields if field.width == 1 and field.extract(word)]
        said.append(f"{register.name} {word:#x}" + (f" ({', '.join(flags)})" if flags else ""))
    return ", ".join(said)


def wait(channel: Any, timeout_s: float, what: str, *, waited_s: float = 0.0) -> int:
    """Wait for a transfer that was begun; returns the bytes that it moved.

    Args:
        channel: ``sendchannel`` or ``recvchannel`` of a ``pynq.lib.DMA``.
        timeout_s: how long.
        what: is transferred, for the message.
        waited_s: how long it was waited for already, for the message.

    Raises:
        BoardError: it does not end, or memory or engine found an error; the message has the registers.
    """
    end = time.monotonic() + timeout_s
    # Errors and end from one word: the driver's own wait reads twice, and an error between the two passes for an end.
    while not (status := channel._mmio.read(channel._offset + STATUS)) & ERRORS:
        if status & IDLE:
            channel.wait()
            return int(channel.transferred)
        if time.monotonic() > end:
            waited = f"{waited_s + timeout_s:g} s"
            raise BoardError(f"{what}: the transfer does not end within {waited}: {explain(channel)}")
        time.sleep(POLL_S)
    raise BoardError(f"{what}: the transfer failed: {explain(channel)}; channel.stop() and start() make it work again")


def again(channel: Any) -> None:
    """Give up what a channel was to do, and make it ready for something else."""
    channel.stop()
    channel.start()


class InTurn:
    """Two buffers of a receiving channel: while one is read, the other is filled.

    Args:
        device: that has the buffers.
        channel: ``recvchannel`` of a ``pynq.lib.DMA``; nothing is under way on it.
        words: of 32 bits, I and Q, in a packet; a shorter one is an error unless it `may_be_short`.
        what: the packets are, for messages.
        may_be_short: packets end before they are whole where the core says so.

    Attributes:
        moved: bytes that came.

    Raises:
        InputError: a packet is longer than the engine moves at once.
    """

    def __init__(self, device: Any, channel: Any, words: int, what: str, *, may_be_short: bool = False) -> None:
        self._channel, self._what, self._may_be_short = channel, what, may_be_short
        self._begun, self.moved = False, 0
        size = words * 2 * np.dtype(np.int16).itemsize
        if size > channel._max_size:
            raise InputError(f"{what} of {size} bytes: the board's DMA engine moves {channel._max_size} at once")
        self._buffers = [allocate(device, (words, 2), "i2") for _ in range(IN_TURN)]

    def begin(self) -> None:
        """Ask for the next packet, if it is not asked for already."""
        if not self._begun:
            self._channel.transfer(self._buffers[0])
            self._begun = True

    @property
    def ready(self) -> bool:
        """Whether a packet that was asked for has come, or failed."""
        return self._begun and bool(self._channel._mmio.read(self._channel._offset + STATUS) & (IDLE | ERRORS))

    def take(self, timeout_s: float, alive: Callable[[], None], *, more: bool) -> NDArray[np.int16]:
        """The next packet, a copy, int16, shape (n, 2), with the one after it already asked for if there are `more`.

        Args:
            timeout_s: how long to wait for it.
            alive: is called now and then meanwhile.
            more: packets are wanted after this one.

        Raises:
            BoardError: it does not come, or is not as long as it must be.
        """
        filled, other = self._buffers
        self.begin()
        end = time.monotonic() + timeout_s
        for look in itertools.count(1):
            if self.ready or time.monotonic() > end:
                break
            if look % LOOKS == 0:
                alive()
            time.sleep(POLL_S)
        size = wait(self._channel, 0.0, self._what, waited_s=timeout_s)
        self.moved += size
        self._begun = more
        if more:
            self._channel.transfer(other)
        self._buffers = [other, filled]
        if size != filled.nbytes and not (self._may_be_short and size % filled.strides[0] == 0):
            raise BoardError(f"{self._what}: {size} bytes came and not {filled.nbytes}")
        # By a slice: a buffer on a remote board is no array before that.
        return np.array(filled[:])[: size // filled.strides[0]]

    def erase(self) -> None:
        """Give up what was asked for and has not been taken, and erase the buffers.

        They hold raw key: in the board's memory too, of which a cache or a remote host has a copy. An engine that was
        still to write would write it again.
        """
        if self._begun:
            again(self._channel)
            self._begun = False
        for buffer in self._buffers:
            buffer[:] = 0
            # An array of a board at a serial line lies in this process alone.
            if hasattr(buffer, "flush"):
                buffer.flush()
