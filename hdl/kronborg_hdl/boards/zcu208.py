"""AMD ZCU208."""

from __future__ import annotations

from .board import ZYNQ_ULTRASCALE, Board

BOARD = Board(
    name="zcu208",
    title="AMD ZCU208",
    device="xczu48dr-fsvg1517-2-e",
    processor=ZYNQ_ULTRASCALE,
    clock_hz=100_000_000,
    lanes=8,
    converters="Eight ADCs of 5 GS/s and eight DACs of 9.85 GS/s, 14 bits, in the device.",
    images="2.7 to 4.0",
)
