"""AMD ZCU111."""

from __future__ import annotations

from .board import ZYNQ_ULTRASCALE, Board

BOARD = Board(
    name="zcu111",
    title="AMD ZCU111",
    device="xczu28dr-ffvg1517-2-e",
    processor=ZYNQ_ULTRASCALE,
    clock_hz=100_000_000,
    lanes=8,
    converters="Eight ADCs of 4.096 GS/s, 12 bits, and eight DACs of 6.554 GS/s, 14 bits, in the device.",
    images="2.7 to 4.0",
)
