"""Overlay: the transmitter, with DMA engines for a generator's words and the record, and for samples."""

from __future__ import annotations

from amaranth import Module

from ..axi.dma.core import Dma
from ..axi.interrupts.core import InterruptController
from ..axi.watchdog.core import Watchdog
from ..boards.board import Board
from ..transmitter.core import Transmitter
from .assembly import Assembly, join
from .description import DATA_BITS, transmitter_overlay


class TransmitterOverlay(Assembly):
    """The transmitter. Memory stands in for the converter, and makes it wait: no sample is lost.

    Engine ``record`` sends a generator's words and receives a packet for each frame; engine ``samples`` receives frames
    of samples. Frames follow each other while the host says ``run`` and the watch-dog permits it.

    Args:
        board: that it is for.
        samples_per_symbol: M: 2, 4, 8 or 16, for which there is the interpolating shaper.
        span: K, symbols.
        predistortion: build it.
    """

    def __init__(
        self, board: Board, *, samples_per_symbol: int = 8, span: int = 33, predistortion: bool = True
    ) -> None:
        self.transmitter = Transmitter(
            lanes=board.lanes, samples_per_symbol=samples_per_symbol, span=span, predistortion=predistortion
        )
        bits = board.processor.address_bits
        self.record = Dma(address_bits=bits, data_bits=DATA_BITS)
        self.watchdog = Watchdog()
        self.samples = Dma(address_bits=bits, data_bits=DATA_BITS)
        overlay = transmitter_overlay(board, predistortion=predistortion)
        super().__init__(
            overlay,
            {
                "record": self.record,
                "samples": self.samples,
                "interrupts": InterruptController(lines=len(overlay.lines)),
                "watchdog": self.watchdog,
                "transmitter": self.transmitter,
            },
            permits={("transmitter_frame_controller", "control", "run"): self.watchdog.permits},
        )

    def connect_streams(self, m: Module) -> None:
        """A generator's words, record and samples."""
        join(m, "words", self.record.o, self.transmitter.i)
        join(m, "symbols", self.transmitter.record, self.record.i)
        join(m, "frames", self.transmitter.o, self.samples.i)
