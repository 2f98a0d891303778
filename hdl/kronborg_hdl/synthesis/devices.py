"""Devices that cores are synthesised for: how Yosys maps to them, and how much they have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        name: as in a row of the table.
        title: as its maker writes it.
        command: Yosys' synthesis for its family. Ports stay bare, for a core lies within a larger design.
        multipliers: DSP48 slices, or 18 x 18 multipliers.
        luts: look-up tables of 6 inputs, or of 4.
        registers: flip-flops beside the look-up tables.
        block_rams: of 18 Kib; one of 36 Kib counts twice.
    """

    name: str
    title: str
    command: str
    multipliers: int
    luts: int
    registers: int
    block_rams: int


_XILINX = "synth_xilinx -flatten -noiopad -noclkbuf"

# Capacities: AMD DS190 (Zynq-7000) and DS889 (Zynq UltraScale+ RFSoC), Lattice FPGA-DS-02012 (ECP5).
DEVICES = {
    device.name: device
    for device in (
        Device("xc7z020", "XC7Z020 (Zynq-7000)", f"{_XILINX} -family xc7", 220, 53_200, 106_400, 280),
        Device("xczu48dr", "XCZU48DR (RFSoC, UltraScale+)", f"{_XILINX} -family xcup", 4272, 425_280, 850_560, 2160),
        Device("lfe5u-85f", "LFE5U-85F (ECP5)", "synth_ecp5", 156, 83_640, 83_640, 208),
    )
}
