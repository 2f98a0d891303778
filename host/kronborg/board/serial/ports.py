"""Serial ports of this machine, and the board at one of them. Needs the extra `serial`."""

from __future__ import annotations

import errno
import importlib.util
import os
from contextlib import suppress
from typing import Any

from kronborg_hdl.boards.fabric import FabricBoard

from ...errors import InputError
from .device import Device
from .link import ANSWER_S, Link

_REASONS = {
    errno.ENOENT: "there is no such port: is the board plugged in?",
    errno.EACCES: "it is not open to this user: on Linux its group, often dialout, has the right",
    errno.EAGAIN: "another program has it: end that one first",
}
POLL_S = 0.01
"""Time-out of a port: a read that finds nothing ends after it."""


def find(board: FabricBoard) -> str:
    """The port at which a board is.

    Raises:
        InputError: there is none, or there are several.
    """
    from serial.tools.list_ports import comports

    vendor, product = board.usb
    found = sorted(port.device for port in comports() if (port.vid, port.pid) == board.usb)
    if not found:
        raise InputError(
            f"no USB serial port {vendor:04x}:{product:04x} is there: plug the {board.title} in, or name its port"
        )
    if len(found) > 1:
        raise InputError(f"the {board.title} may be at {', '.join(found)}: name its port")
    return found[0]


def at(board: FabricBoard, name: str | None) -> str:
    """The port of a board: the one that is named, or the one at which it is found.

    Raises:
        InputError: there is none, or there are several; or no package that opens ports.
    """
    if importlib.util.find_spec("serial") is None:
        raise InputError(f"the {board.title} is at a serial port: pip install 'kronborg[serial]'")
    return name or find(board)


def open_port(name: str, baud: int) -> Any:
    """A serial port, this program's alone.

    Raises:
        InputError: it is not there, is in use, is closed to this user, or has no such rate.
    """
    import serial

    try:
        port = serial.Serial(name, baud, timeout=POLL_S, write_timeout=5, exclusive=True)
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        reason = _REASONS.get(number or 0) or (os.strerror(number) if number else str(error))
        raise InputError(f"cannot open {name} at {baud} baud: {reason}") from None
    # USB ports hold bytes back to gather more of them; where they can be told not to, a register is read in 1 ms.
    with suppress(OSError, AttributeError, NotImplementedError, ValueError):
        port.set_low_latency_mode(True)
    return port


def open_device(
    board: FabricBoard, manifest: dict[str, Any], name: str | None = None, *, answer_s: float = ANSWER_S
) -> Device:
    """The design on a board, in reset state.

    Args:
        board: the board.
        manifest: of its bitstream.
        name: of the port; None to look for it.
        answer_s: how long an answer is waited for; a simulated board takes longer.

    Raises:
        InputError: see :func:`at`; or the port cannot be opened.
        BoardError: nobody answers there, or it is another bitstream's.
    """
    name = at(board, name)
    baud = int(manifest.get("baud", board.baud))
    port = open_port(name, baud)
    try:
        streams = manifest["streams"]
        device = Device(Link(port, name, baud, answer_s=answer_s), inputs=streams["into"], outputs=streams["out_of"])
        device.reset()
    except BaseException:
        port.close()
        raise
    return device
