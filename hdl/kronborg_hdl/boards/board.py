"""What a board is to the gateware: its device, its processor, and how the two meet."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Processor:
    """The processor beside the fabric.

    Attributes:
        type: vendor, library, name and version in a block design.
        family: of devices, as a hardware description names it.
        master: the port through which it reaches registers.
        base: address of an overlay's first register: the first that the port has.
        interrupt: its input for interrupts.
        memory_ports: inputs to its memory, one for each DMA engine.
        memory_bits: width of these.
        address_bits: of its memory.
        clock_parameters: what its configuration says of clock n of the fabric: on or off, two divisors, source and
            frequency, in this order; {n} stands for its number.
        source_clock_hz: that the divisors divide.
    """

    type: str
    family: str
    master: str
    base: int
    interrupt: str
    memory_ports: tuple[str, ...]
    memory_bits: int
    address_bits: int
    clock_parameters: tuple[str, str, str, str, str]
    source_clock_hz: int

    @property
    def module(self) -> str:
        """Its name in a block design."""
        return self.type.split(":")[2]

    def divisors(self, clock_hz: float) -> tuple[int, int]:
        """The two divisors, 1 to 63 each, that come closest to this clock from below."""
        pairs = ((a, b) for a in range(1, 64) for b in range(1, a + 1))
        below = ((a, b) for a, b in pairs if self.source_clock_hz <= clock_hz * a * b)
        return min(below, key=lambda pair: (pair[0] * pair[1], pair[1]))


ZYNQ_7000 = Processor(
    type="xilinx.com:ip:processing_system7:5.5",
    family="zynq",
    master="M_AXI_GP0",
    base=0x4000_0000,
    interrupt="IRQ_F2P",
    memory_ports=("S_AXI_HP0", "S_AXI_HP1", "S_AXI_HP2", "S_AXI_HP3"),
    memory_bits=64,
    address_bits=32,
    clock_parameters=(
        "PCW_FPGA_FCLK{n}_ENABLE",
        "PCW_FCLK{n}_PERIPHERAL_DIVISOR0",
        "PCW_FCLK{n}_PERIPHERAL_DIVISOR1",
        "PCW_FCLK{n}_PERIPHERAL_CLKSRC",
        # pynqmetadata looks for the frequency under the name that it has on UltraScale+.
        "PSU__CRL_APB__PL{n}_REF_CTRL__ACT_FREQMHZ",
    ),
    source_clock_hz=1_000_000_000,
)

ZYNQ_ULTRASCALE = Processor(
    type="xilinx.com:ip:zynq_ultra_ps_e:3.5",
    family="zynquplus",
    master="M_AXI_HPM0_FPD",
    base=0xA000_0000,
    interrupt="pl_ps_irq0",
    memory_ports=("S_AXI_HP0_FPD", "S_AXI_HP1_FPD", "S_AXI_HP2_FPD", "S_AXI_HP3_FPD"),
    memory_bits=128,
    address_bits=40,
    clock_parameters=(
        "PSU__FPGA_PL{n}_ENABLE",
        "PSU__CRL_APB__PL{n}_REF_CTRL__DIVISOR0",
        "PSU__CRL_APB__PL{n}_REF_CTRL__DIVISOR1",
        "PSU__CRL_APB__PL{n}_REF_CTRL__SRCSEL",
        "PSU__CRL_APB__PL{n}_REF_CTRL__ACT_FREQMHZ",
    ),
    source_clock_hz=1_500_000_000,
)

CLOCKS = 4
"""That a processor gives to the fabric."""
SPARE = 0.08
"""Share of a device's look-up tables that an overlay leaves free as it is usually built: a fuller one may not route."""


@dataclass(frozen=True)
class Board:
    """One board.

    Attributes:
        name: as people type it.
        title: as its maker calls it.
        device: the part, with package and speed grade.
        processor: beside the fabric.
        clock_hz: of the fabric, from the processor.
        lanes: samples per clock that an overlay is built for.
        converters: what it has, in a sentence.
        images: PYNQ images that run on it, in a few words.
        narrower: overlays that are built with fewer lanes, and how many these are: with all of them less than
            `SPARE` of the look-up tables is left for placing and routing.
        too_large: overlays that it has no room for, with however few.
    """

    name: str
    title: str
    device: str
    processor: Processor
    clock_hz: int
    lanes: int
    converters: str
    images: str
    narrower: tuple[tuple[str, int], ...] = ()
    too_large: tuple[str, ...] = ()

    def of_size(self, overlay: str) -> Board:
        """The board with as many lanes as it has room for."""
        return replace(self, lanes=dict(self.narrower).get(overlay, self.lanes))
