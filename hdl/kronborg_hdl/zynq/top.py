"""The whole of a device: a Zynq-7000's processor, and an overlay at its ports."""

from __future__ import annotations

from amaranth import Cat, ClockDomain, Const, Instance, Module, Signal, Value
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable
from amaranth.lib.wiring import Out, PureInterface, connect

from ..axi.bank import register_bank
from ..axi.dma.core import Dma
from ..boards.board import ZYNQ_7000, Board
from ..overlays.assembly import Assembly
from .bridge import ADDRESS_BITS, Axi3Bridge, axi3

TOP = "zynq_top"
CLOCK_NET = "aclk"
"""Name of the one clock's net, behind its buffer."""
_CLOCKS = 4
_INTERRUPTS = 20
_RESET_CLOCKS = 2
_MASTER_ADDRESS_BITS = 32
_MEMORY_LENGTH_BITS = 4
_MEMORY_ID_BITS = 6


class ZynqTop(Elaboratable):
    """An overlay at the processor's ports, as the Vivado script connects it, without a part that is the vendor's.

    Registers are reached through the first general-purpose port, the engines' memory through a high-performance port
    each; clock and reset are the processor's first. The ports are AXI3: the overlay's bursts have 16 beats at most and
    need no change. What a PYNQ image does not set of the ports stays as it is after reset: 64 bits wide.

    Args:
        core: the overlay.
        board: that it is for.

    Attributes:
        name: of the overlay's files.

    Raises:
        ValueError: the board has another processor, the overlay has more engines than there are ports to memory, or
            signals that would need a pin.
    """

    def __init__(self, core: Assembly, board: Board) -> None:
        if board.processor != ZYNQ_7000:
            raise ValueError(f"{board.title} has no Zynq-7000: {board.device} needs Vivado")
        self.core, self.name = core, f"kronborg_{core.overlay.name}"
        self.engines = [name for name, part in core.cores.items() if isinstance(part, Dma)]
        if len(self.engines) > len(board.processor.memory_ports):
            raise ValueError(
                f"overlay {core.overlay.name} has {len(self.engines)} DMA engines: {board.name} has fewer memory ports"
            )
        known = {"port", "irq", *(f"memory_{name}" for name in self.engines)}
        for name in core.signature.members:
            if name not in known:
                raise ValueError(f"overlay {core.overlay.name} has {name}, for which {board.name} has no pin here")

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        core = self.core
        m.domains.sync = sync = ClockDomain("sync")
        m.submodules.core = core
        m.submodules.bank = bank = register_bank(core.registers)
        m.submodules.bridge = bridge = Axi3Bridge(core.registers.address_bits)
        connect(m, bank.port, core.port)
        connect(m, bridge.lite, bank.bus)

        unbuffered, resets, clock = Signal(_CLOCKS), Signal(_CLOCKS), Signal(name=CLOCK_NET)
        m.submodules.buffer = Instance("BUFG", i_I=unbuffered[0], o_O=clock)
        m.d.comb += sync.clk.eq(clock)
        # The reset comes at any time; it ends with the clock.
        m.domains.unreset = unreset = ClockDomain("unreset", reset_less=True)
        m.d.comb += unreset.clk.eq(clock)
        released = Signal(_RESET_CLOCKS)
        m.d.unreset += released.eq(Cat(resets[0], released))
        m.d.comb += sync.rst.eq(~released[-1])

        ports: dict[str, Value | Const] = {
            "o_FCLKCLK": unbuffered,
            "o_FCLKRESETN": resets,
            "i_IRQF2P": Cat(core.irq, Const(0, _INTERRUPTS - 1)),
            # Low says that the fabric is idle and may lose the clock of its ports.
            "i_FPGAIDLEN": Const(1),
            **_registers(bridge.processor, clock),
        }
        # The port's addresses begin at its own base.
        for channel in ("AW", "AR"):
            whole = Signal(_MASTER_ADDRESS_BITS, name=f"{channel}_whole")
            ports[f"o_MAXIGP0{channel}ADDR"] = whole
            m.d.comb += getattr(bridge.processor, f"{channel.lower()}addr").eq(whole[:ADDRESS_BITS])
        for number, name in enumerate(self.engines):
            ports |= _memory(f"SAXIHP{number}", getattr(core, f"memory_{name}"), clock)
        m.submodules.processor = Instance("PS7", **ports)
        return m

    def to_rtlil(self) -> str:
        """As Yosys reads it; the top module is :data:`TOP` and has no ports."""
        return str(rtlil.convert(self, name=TOP, ports=[], emit_src=False))


def _registers(port: PureInterface, clock: Value) -> dict[str, Value]:
    """Pins of the port to registers, but for the addresses."""
    pins: dict[str, Value] = {"i_MAXIGP0ACLK": clock}
    for name, member in axi3().members.items():
        if not name.endswith("addr"):
            # The signature is the master's: what goes out of it is the processor's output.
            pins[f"{'o' if member.flow is Out else 'i'}_MAXIGP0{name.upper()}"] = getattr(port, name)
    return pins


def _memory(port: str, engine: PureInterface, clock: Value) -> dict[str, Value | Const]:
    """Pins of a port to memory. The processor takes identifiers of six bits, and AXI3's lengths and sizes."""
    narrower = {"len": _MEMORY_LENGTH_BITS, "size": 2}
    pins: dict[str, Value | Const] = {f"i_{port}ACLK": clock}
    for name, member in engine.signature.members.items():
        signal = Value.cast(getattr(engine, name))
        field = name[2:] if name[:2] in ("aw", "ar") else ""
        if field in narrower:
            signal = signal[: narrower[field]]
        elif field == "id":
            signal = Const(0, _MEMORY_ID_BITS)
        elif name in ("rid", "bid"):
            continue  # one identifier: nobody asks
        pins[f"{'i' if member.flow is Out else 'o'}_{port}{name.upper()}"] = signal
    return {**pins, f"i_{port}WID": Const(0, _MEMORY_ID_BITS)}
