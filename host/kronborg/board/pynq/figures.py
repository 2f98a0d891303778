"""What a run on a board says beside the link's figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BoardFigures:
    """Figures of a run.

    Attributes:
        board: its kind.
        clock_cycles: of a simulated board; None on a real one.
        bit_exact_with_model: every word that came by DMA is the model's.
        dma_words: of 32 bits, that came by DMA.
    """

    board: str
    clock_cycles: int | None
    bit_exact_with_model: bool
    dma_words: int
