"""Radiona ULX3S with an LFE5U-85F: a link in one device, and its USB serial port to the host."""

from __future__ import annotations

from ..synthesis.place_and_route import Part
from .fabric import FabricBoard, Pin

BOARD = FabricBoard(
    name="ulx3s",
    title="Radiona ULX3S-85F",
    part=Part("--85k", "CABGA381", 6),
    device="LFE5U-85F-6BG381C",
    clock=Pin("clk_25mhz", "G2"),
    oscillator_hz=25_000_000,
    clock_hz=50_000_000,
    receive=Pin("ftdi_txd", "M1", "PULLMODE=UP"),
    transmit=Pin("ftdi_rxd", "L4", "DRIVE=4"),
    light=Pin("led_0", "B2", "DRIVE=4"),
    high=((Pin("wifi_gpio0", "L2", "PULLMODE=UP DRIVE=4"), "or the ESP32 beside the device takes it over"),),
    lanes=2,
    baud=3_000_000,
    usb=(0x0403, 0x6015),
    loader="ulx3s",
)
