"""What a board without a processor is to the gateware: an ECP5, a clock, and a serial line to the host."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from ..synthesis.place_and_route import Part

_PHASE_DETECTOR_HZ = (3_125_000, 400_000_000)
_VCO_HZ = (400_000_000, 800_000_000)
"""Of an ECP5's PLL, Lattice FPGA-DS-02012."""
_DIVISORS = range(1, 129)


@dataclass(frozen=True)
class Pll:
    """Divisors of an ECP5's PLL with its output as feedback.

    Attributes:
        reference: of the input.
        feedback: of the output on its way back.
        output: of the oscillator.
    """

    reference: int
    feedback: int
    output: int


@dataclass(frozen=True)
class Pin:
    """A pin of the device.

    Attributes:
        name: of the port.
        site: ball of the package.
        attributes: LPF, beside 3.3 V CMOS.
    """

    name: str
    site: str
    attributes: str = ""


@dataclass(frozen=True)
class FabricBoard:
    """One board.

    Attributes:
        name: as people type it.
        title: as its maker calls it.
        part: the device.
        device: the same in words.
        clock: pin of the oscillator.
        oscillator_hz: its frequency.
        clock_hz: that a PLL makes of it for everything.
        receive: pin of the wire from the host.
        transmit: of the wire to it.
        light: of a lamp that is lit while the design runs.
        high: pins that are held high, and why.
        lanes: samples per clock that a link is built for.
        baud: of the line.
        usb: vendor and product of the serial port, as USB has them.
        loader: name of the board to openFPGALoader.
    """

    name: str
    title: str
    part: Part
    device: str
    clock: Pin
    oscillator_hz: int
    clock_hz: int
    receive: Pin
    transmit: Pin
    light: Pin
    high: tuple[tuple[Pin, str], ...]
    lanes: int
    baud: int
    usb: tuple[int, int]
    loader: str

    @property
    def pll(self) -> Pll:
        """The divisors whose oscillator is in the middle of its range.

        Raises:
            ValueError: no divisors make the clock of the oscillator.
        """
        middle = sum(_VCO_HZ) / 2
        found = []
        for reference, feedback in product(_DIVISORS, repeat=2):
            if self.oscillator_hz * feedback != self.clock_hz * reference:
                continue
            if not _PHASE_DETECTOR_HZ[0] <= self.oscillator_hz / reference <= _PHASE_DETECTOR_HZ[1]:
                continue
            for output in _DIVISORS:
                if _VCO_HZ[0] <= (vco := self.clock_hz * output) <= _VCO_HZ[1]:
                    found.append((reference, abs(vco - middle), feedback, output))
        if not found:
            raise ValueError(f"no PLL makes {self.clock_hz} Hz of {self.oscillator_hz} Hz")
        reference, _, feedback, output = min(found)
        return Pll(reference, feedback, output)

    def constraints(self) -> str:
        """Pins and the oscillator's frequency, LPF; the PLL's output follows from it."""
        pins = [self.clock, self.receive, self.transmit, self.light, *(pin for pin, _ in self.high)]
        lines = ["BLOCK RESETPATHS;", "BLOCK ASYNCPATHS;"]
        for pin in pins:
            attributes = " ".join(filter(None, ("IO_TYPE=LVCMOS33", pin.attributes)))
            lines += [f'LOCATE COMP "{pin.name}" SITE "{pin.site}";', f'IOBUF PORT "{pin.name}" {attributes};']
        lines.append(f'FREQUENCY PORT "{self.clock.name}" {self.oscillator_hz / 1e6:g} MHZ;')
        return "\n".join(lines) + "\n"
