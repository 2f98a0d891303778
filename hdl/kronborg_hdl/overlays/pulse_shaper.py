"""Overlay: the pulse shaper between the halves of one DMA engine. The smallest that has all that an overlay has."""

from __future__ import annotations

from amaranth import Module

from ..axi.dma.core import Dma
from ..axi.interrupts.core import InterruptController
from ..boards.board import Board
from ..modulation.pulse_shaper.core import PulseShaper
from .assembly import Assembly, join
from .description import DATA_BITS, pulse_shaper_overlay


class PulseShaperOverlay(Assembly):
    """Symbols from memory as samples to memory.

    Args:
        board: that it is for.
        samples_per_symbol: M.
        span: K, symbols.
    """

    def __init__(self, board: Board, *, samples_per_symbol: int = 4, span: int = 9) -> None:
        self.shaper = PulseShaper(lanes=board.lanes, samples_per_symbol=samples_per_symbol, span=span)
        self.dma = Dma(address_bits=board.processor.address_bits, data_bits=DATA_BITS)
        overlay = pulse_shaper_overlay(board)
        super().__init__(
            overlay,
            {
                "dma": self.dma,
                "interrupts": InterruptController(lines=len(overlay.lines)),
                "pulse_shaper": self.shaper,
            },
        )

    def connect_streams(self, m: Module) -> None:
        """Memory, shaper, memory."""
        join(m, "symbols", self.dma.o, self.shaper.i)
        join(m, "samples", self.shaper.o, self.dma.i)
