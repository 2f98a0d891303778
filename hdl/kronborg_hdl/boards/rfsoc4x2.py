"""Real Digital RFSoC 4x2."""

from __future__ import annotations

from .board import ZYNQ_ULTRASCALE, Board

BOARD = Board(
    name="rfsoc4x2",
    title="Real Digital RFSoC 4x2",
    device="xczu48dr-ffvg1517-2-e",
    processor=ZYNQ_ULTRASCALE,
    clock_hz=100_000_000,
    lanes=8,
    converters="Four ADCs of 5 GS/s and two DACs of 9.85 GS/s, 14 bits, in the device.",
    images="2.7 to 4.0",
)
