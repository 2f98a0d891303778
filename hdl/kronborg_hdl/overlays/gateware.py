"""The overlays' gateware, by name."""

from __future__ import annotations

from collections.abc import Callable

from ..boards.board import Board
from .assembly import Assembly
from .loopback import LoopbackOverlay
from .pulse_shaper import PulseShaperOverlay
from .receiver import ReceiverOverlay
from .transmitter import TransmitterOverlay

GATEWARE: dict[str, Callable[[Board], Assembly]] = {
    "pulse_shaper": PulseShaperOverlay,
    "transmitter": TransmitterOverlay,
    "receiver": ReceiverOverlay,
    "loopback": LoopbackOverlay,
}
"""Makes the hardware of each overlay for a board; ``description.OVERLAYS`` is what the host sees of it."""
