"""All that is on the device: clock, reset, serial bridge and the core behind it."""

from __future__ import annotations

from amaranth import ClockDomain, ClockSignal, Const, Instance, Module, Mux, Signal, Value
from amaranth.back import rtlil, verilog
from amaranth.hdl import Elaboratable
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ..axi.serial_bridge.skin import SerialSkin
from ..axi.skin import Core
from ..boards.fabric import FabricBoard

RESET_BITS = 8
"""The design stays in reset for 2**RESET_BITS clocks after the PLL has locked."""


class Top(wiring.Component):
    """A core on a board.

    Args:
        board: that it is for.
        core: what the host finds.

    Members:
        those of the board's pins.

    Raises:
        ValueError: see ``SerialSkin`` and ``FabricBoard.pll``.
    """

    def __init__(self, board: FabricBoard, core: Core) -> None:
        self.board = board
        self.skin = SerialSkin(core, clock_hz=board.clock_hz, baud=board.baud)
        self.divisors = board.pll
        outputs = [board.transmit, board.light, *(pin for pin, _ in board.high)]
        super().__init__(
            {
                board.clock.name: In(1),
                board.receive.name: In(1, init=1),
                **{pin.name: Out(1) for pin in outputs},
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        board, divisors = self.board, self.divisors
        m.domains.board = ClockDomain("board", reset_less=True)
        clock, locked, settled = Signal(), Signal(), Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=divisors.reference,
            p_CLKFB_DIV=divisors.feedback,
            p_CLKOP_DIV=divisors.output,
            p_CLKOP_ENABLE="ENABLED",
            # Of a divisor: the rising edges of input and output come together.
            p_CLKOP_CPHASE=divisors.output - 1,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            a_FREQUENCY_PIN_CLKI=f"{board.oscillator_hz / 1e6:g}",
            a_FREQUENCY_PIN_CLKOP=f"{board.clock_hz / 1e6:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            i_CLKI=getattr(self, board.clock.name),
            i_CLKFB=clock,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=clock,
            o_LOCK=locked,
        )
        m.submodules.lock = FFSynchronizer(locked, settled, o_domain="board")
        waited, runs = Signal(RESET_BITS), Signal()
        m.d.board += [
            waited.eq(Mux(settled, waited + ~waited.all(), 0)),
            runs.eq(waited.all()),
        ]
        m.submodules.skin = skin = self.skin
        m.d.comb += [
            ClockSignal("board").eq(clock),
            skin.aclk.eq(clock),
            skin.aresetn.eq(runs),
            skin.receive.eq(getattr(self, board.receive.name)),
            getattr(self, board.transmit.name).eq(skin.transmit),
            getattr(self, board.light.name).eq(runs),
            *(getattr(self, pin.name).eq(1) for pin, _ in board.high),
        ]
        return m

    def to_verilog(self, name: str) -> str:
        """As Verilog."""
        return str(verilog.convert(self, name=name, ports=self._ports(), emit_src=False, strip_internal_attrs=True))

    def to_rtlil(self, name: str) -> str:
        """As Yosys reads it."""
        return str(rtlil.convert(self, name=name, ports=self._ports(), emit_src=False))

    def _ports(self) -> dict[str, tuple[Value, None]]:
        return {name: (Value.cast(getattr(self, name)), None) for name in self.signature.members}
