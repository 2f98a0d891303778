"""The loopback on its RTL: settings of all parts through its registers, and the packets of both ends.

What a driver on a board does, and in its order; ``docs/loopback.md`` has the same as a list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kronborg.board.loopback import fibre_writes
from kronborg_hdl.loopback.core import Loopback as LoopbackCore
from kronborg_hdl.loopback.model import Loopback
from kronborg_hdl.modulation.entropy.registers import Source
from kronborg_hdl.modulation.symbol_record.model import Packet as Sent
from kronborg_hdl.modulation.symbol_record.model import read_packet as read_record
from kronborg_hdl.synchronisation.frame_synchroniser.packet import Packet as Received
from kronborg_hdl.synchronisation.frame_synchroniser.packet import read_packet

from ..rtl.model import RegisterName, RtlModel
from .receiver import ReceiverBench
from .transmitter import TransmitterBench

RECORDS, PACKETS = "m_axis_record", "m_axis"
LONGEST = (1 << 32) - 1
"""Period of the watch-dog, clocks: no heartbeat is needed in a run."""

UNPERMITTED_READS = 100
"""Of a register: longer than the entropy takes for its first word."""


class _Part:
    """The pages of one part, under the names that they have in the part by itself; all else is the RTL's own."""

    def __init__(self, rtl: RtlModel, name: str) -> None:
        self._rtl = rtl
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rtl, name)

    def _own(self, register: RegisterName) -> RegisterName:
        assert not isinstance(register, str), f"{register}: of which page?"
        return f"{self._name}_{register[0]}", register[1]

    def write(self, register: RegisterName, **values: int) -> None:
        self._rtl.write(self._own(register), **values)

    def read(self, register: RegisterName, field: str) -> int:
        return self._rtl.read(self._own(register), field)


class LoopbackBench:
    """A loopback's RTL by what it is for.

    Args:
        core: what was built.
        rtl: the core in its skin.

    Attributes:
        transmitter, receiver: its ends.
    """

    def __init__(self, core: LoopbackCore, rtl: RtlModel) -> None:
        self.rtl = rtl
        self._symbols_per_clock = core.transmitter.pulse_shaper.symbols_per_clock
        ends = [_Part(rtl, name) for name in ("transmitter", "receiver")]
        self.transmitter = TransmitterBench(core.transmitter, ends[0])  # type: ignore[arg-type]
        self.receiver = ReceiverBench(core.receiver, ends[1])  # type: ignore[arg-type]

    def configure(self, settings: Loopback) -> None:
        """Write and apply all settings after a reset: the receiver's first, then whatever sends to it."""
        self.receiver.configure(settings.receiver)
        for register, values in fibre_writes(settings.fibre):
            self.rtl.write(("fibre_emulator", register), **values)
        self.transmitter.configure(settings.transmitter)

    def start(self, key: NDArray[np.uint32], *, number: int, blocks_per_key: int = 0) -> int:
        """Seed the entropy, let frames follow each other, permit emission; returns the epoch of the entropy's nonce.

        That no frame begins before it is permitted is looked at.

        Args:
            key: uint32, shape (8,).
            number: of the first frame.
            blocks_per_key: blocks of the keystream, after which frames end; 0 for no end.
        """
        self.transmitter.rtl.write(("frame_controller", "next_frame"), number=number)
        self.transmitter.begin_entropy(Source.HOST, blocks_per_key=blocks_per_key)
        epoch = self.transmitter.seed(key)
        self.transmitter.run(True)
        for _ in range(UNPERMITTED_READS):
            active = self.transmitter.rtl.read(("frame_controller", "control"), "active")
            assert not active, "a frame began without a watch-dog that permits it"
        self.rtl.write(("watchdog", "period"), clocks=LONGEST)
        self.rtl.write(("watchdog", "control"), armed=1)
        return epoch

    def records(self) -> list[Sent]:
        """Alice's packets that came since this was last asked."""
        frames = self.rtl.received(RECORDS).frames()
        n = self._symbols_per_clock
        return [read_record(beats.words(np.int16).reshape(-1, 2), symbols_per_clock=n) for beats in frames]

    def packets(self) -> list[Received]:
        """Bob's."""
        return [read_packet(beats.words(np.int16).reshape(-1, 2)) for beats in self.rtl.received(PACKETS).frames()]
