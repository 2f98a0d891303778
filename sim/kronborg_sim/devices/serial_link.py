"""A board with the loopback at the far end of a serial line: the bridge's model, and the integer models behind it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from kronborg_hdl.axi.memory import OKAY, SLVERR
from kronborg_hdl.axi.serial_bridge.model import SerialBridge
from kronborg_hdl.loopback.core import Loopback
from kronborg_hdl.transmitter.model import SentFrame

from .gateware import BusError
from .model_fibre import FibrePage
from .model_gateware import ModelGateware, Table
from .model_receiver import ReceiverModel
from .model_transmitter import TransmitterModel, Watchdog

RECORD, PACKETS, OUTPUTS = 0, 1, 3
"""Streams out of the design, in the bridge's order; pictures are none."""


class SerialLink:
    """The board's end of a line.

    Args:
        core: the hardware whose sizes it has; it is not elaborated.

    Attributes:
        bridge: the model of the bridge.
    """

    def __init__(self, core: Loopback) -> None:
        self._core = core
        self.bridge = SerialBridge(self, inputs=1, outputs=OUTPUTS)
        self._load()

    def _load(self) -> None:
        """As after a reset."""
        self._resets = self.bridge.resets
        watchdog, fibre = Watchdog(), FibrePage(self._core.fibre_emulator)
        bob = ReceiverModel(self._core.receiver, lambda packet: self._give(PACKETS, packet))

        def sent(frame: SentFrame) -> None:
            self._give(RECORD, alice.record(frame))
            bob.take(fibre.process(frame.samples))

        alice = TransmitterModel(
            self._core.transmitter, lambda: watchdog.permits and fibre.loaded, lambda: any(self.bridge.given), sent
        )
        tables: dict[str, Table] = {"watchdog": watchdog}
        tables |= {f"transmitter_{name}": table for name, table in alice.tables.items()}
        tables |= {"fibre_emulator": fibre}
        tables |= {f"receiver_{name}": table for name, table in bob.tables.items()}
        overlay: Any = SimpleNamespace(name="loopback", pages=self._core.registers)
        self._gateware = ModelGateware(overlay, tables)

    def _give(self, stream: int, packet: bytes) -> None:
        words = np.frombuffer(packet, "<u4").tolist()
        self.bridge.given[stream].extend((word, at == len(words) - 1) for at, word in enumerate(words))

    def read(self, address: int) -> tuple[int, int]:
        """Word and response."""
        try:
            return self._gateware.read(address), OKAY
        except BusError:
            return 0, SLVERR

    def write(self, address: int, word: int) -> int:
        """The response."""
        try:
            self._gateware.write(address, word)
        except BusError:
            return SLVERR
        return OKAY

    def feed(self, data: bytes) -> bytes:
        """What is answered to bytes."""
        answer = self.bridge.feed(data)
        if self.bridge.resets != self._resets:
            self._load()
        self._gateware.run(1)
        return answer
