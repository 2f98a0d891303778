"""Overlay: a whole link in one device, with DMA engines for what its ends have."""

from __future__ import annotations

from amaranth import Module

from ..axi.dma.core import Dma
from ..axi.interrupts.core import InterruptController
from ..axi.watchdog.core import Watchdog
from ..boards.board import Board
from ..loopback.core import EMIT, connect_link, make_link
from .assembly import Assembly, join
from .description import DATA_BITS, HALVINGS, loopback_overlay


class LoopbackOverlay(Assembly):
    """Transmitter, fibre emulator and receiver in a row. What waits for memory makes the others wait: nothing is lost.

    Engine ``record`` sends a generator's words, if the host gives no keys, and receives Alice's packet of each frame;
    engine ``packets`` receives Bob's; engine ``pictures`` what his tap sees. Frames follow each other while the host
    says ``run`` and the watch-dog permits it.

    Args:
        board: that it is for.
        span: K of the pulse, symbols.
        predistortion: build it.
        preamble: chips of the frames' preamble.
        detector_chips: those that the receiver's detector looks at.
    """

    def __init__(
        self,
        board: Board,
        *,
        span: int = 33,
        predistortion: bool = False,
        preamble: int = 2039,
        detector_chips: int = 256,
    ) -> None:
        self.transmitter, self.fibre_emulator, self.receiver = make_link(
            lanes=board.lanes,
            samples_per_symbol=4 << (HALVINGS - 1),
            span=span,
            predistortion=predistortion,
            preamble=preamble,
            detector_chips=detector_chips,
        )
        bits = board.processor.address_bits
        self.record, self.packets, self.pictures = (Dma(address_bits=bits, data_bits=DATA_BITS) for _ in range(3))
        watchdog = Watchdog()
        overlay = loopback_overlay(board, predistortion=predistortion)
        super().__init__(
            overlay,
            {
                "record": self.record,
                "packets": self.packets,
                "pictures": self.pictures,
                "interrupts": InterruptController(lines=len(overlay.lines)),
                "watchdog": watchdog,
                "transmitter": self.transmitter,
                "fibre_emulator": self.fibre_emulator,
                "receiver": self.receiver,
            },
            permits={EMIT: watchdog.permits},
        )

    def connect_streams(self, m: Module) -> None:
        """The link, and what its ends give."""
        join(m, "words", self.record.o, self.transmitter.i)
        join(m, "symbols", self.transmitter.record, self.record.i)
        connect_link(m, self.transmitter, self.fibre_emulator, self.receiver)
        join(m, "frames", self.receiver.o, self.packets.i)
        join(m, "seen", self.receiver.picture, self.pictures.i)
