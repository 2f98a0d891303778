"""Red Pitaya STEMlab 125-14."""

from __future__ import annotations

from .board import ZYNQ_7000, Board

BOARD = Board(
    name="redpitaya-125-14",
    title="Red Pitaya STEMlab 125-14",
    device="xc7z010clg400-1",
    processor=ZYNQ_7000,
    clock_hz=100_000_000,
    lanes=1,
    converters="Two ADCs and two DACs of 125 MS/s, 14 bits, beside the device.",
    images="none of PYNQ's own makers",
    too_large=("transmitter", "receiver", "loopback"),
)
