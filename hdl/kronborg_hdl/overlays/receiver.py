"""Overlay: the receiver, with DMA engines for samples and packets, and for pictures."""

from __future__ import annotations

from amaranth import Module

from ..axi.dma.core import Dma
from ..axi.interrupts.core import InterruptController
from ..boards.board import Board
from ..receiver.core import Receiver
from .assembly import Assembly, join
from .description import DATA_BITS, HALVINGS, receiver_overlay


class ReceiverOverlay(Assembly):
    """The receiver. Memory stands in for the converter, and waits: no sample is lost.

    Engine ``packets`` sends real samples, two bytes each, and receives a packet for each frame; engine ``pictures``
    receives what the tap sees. A row of samples that ends within a clock of the receiver is filled up with zeros.

    Args:
        board: that it is for.
        preamble: chips of the frames' preamble.
        detector_chips: those that the detector looks at.
    """

    def __init__(self, board: Board, *, preamble: int = 2039, detector_chips: int = 256) -> None:
        self.receiver = Receiver(lanes=board.lanes, halvings=HALVINGS, preamble=preamble, detector_chips=detector_chips)
        bits = board.processor.address_bits
        self.packets = Dma(address_bits=bits, data_bits=board.processor.memory_bits)
        self.pictures = Dma(address_bits=bits, data_bits=DATA_BITS)
        overlay = receiver_overlay(board)
        super().__init__(
            overlay,
            {
                "packets": self.packets,
                "pictures": self.pictures,
                "interrupts": InterruptController(lines=len(overlay.lines)),
                "receiver": self.receiver,
            },
        )

    def connect_streams(self, m: Module) -> None:
        """Samples, packets and pictures."""
        join(m, "samples", self.packets.o, self.receiver.i)
        join(m, "frames", self.receiver.o, self.packets.i)
        join(m, "seen", self.receiver.picture, self.pictures.i)
