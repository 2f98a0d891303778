"""Transfers of ``pynq.lib.DMA`` that end: complete, or with an error that says what its registers say."""

from __future__ import annotations

import time
from typing import Any

from kronborg_hdl.axi.dma.registers import RECEIVE, REGISTERS, SEND

from ...errors import BoardError

POLL_S = 1e-4
STATUS = REGISTERS["send_status"].offset
IDLE = REGISTERS["send_status"].word(idle=1)
ERRORS = REGISTERS["send_status"].word(internal_error=1, slave_error=1, decode_error=1)
_HALVES = {SEND: "send", RECEIVE: "receive"}


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


def wait(channel: Any, timeout_s: float, what: str) -> int:
    """Wait for a transfer that was begun; returns the bytes that it moved.

    Args:
        channel: ``sendchannel`` or ``recvchannel`` of a ``pynq.lib.DMA``.
        timeout_s: how long.
        what: is transferred, for the message.

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
            raise BoardError(f"{what}: the transfer does not end within {timeout_s:g} s: {explain(channel)}")
        time.sleep(POLL_S)
    raise BoardError(f"{what}: the transfer failed: {explain(channel)}; channel.stop() and start() make it work again")
