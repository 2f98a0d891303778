"""TUL PYNQ-Z2."""

from __future__ import annotations

from .board import ZYNQ_7000, Board

BOARD = Board(
    name="pynq-z2",
    title="TUL PYNQ-Z2",
    device="xc7z020clg400-1",
    processor=ZYNQ_7000,
    clock_hz=100_000_000,
    lanes=2,
    converters="None for light: samples stay in the device.",
    images="2.7 to 3.1",
    narrower=(("loopback", 1),),
)
