"""A core that gives back what it is given, and counts: what a serial bridge is tried on."""

from __future__ import annotations

from amaranth import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from kronborg_hdl.axi.bank import OKAY, SLVERR, register_port
from kronborg_hdl.axi.registers import WORD_BYTES, Access, Field, Register, RegisterMap, head
from kronborg_hdl.axi.serial_bridge.model import SerialBridge
from kronborg_hdl.axi.serial_bridge.protocol import DECERR
from kronborg_hdl.axi.stream import SkidBuffer

REGISTERS = RegisterMap(
    "echo",
    (
        *head("KBEC", (1, 0), capabilities=(), control=(), status=()),
        Register("word", 0x14, "Any.", (Field("any", 0, 32, Access.READ_WRITE, "Kept."),)),
        Register("writes", 0x18, "Since reset.", (Field("count", 0, 32, Access.READ, "To `word`."),)),
    ),
)


class Echo(wiring.Component):
    """Packets come out as they go in.

    Args:
        bits: of a word of the streams.

    Members:
        i, o: packets.
        port: the registers above.
    """

    registers = REGISTERS

    def __init__(self, bits: int = 32) -> None:
        self.packets = data.StructLayout({"words": bits, "last": 1})
        signature = stream.Signature(self.packets)
        super().__init__({"i": In(signature), "o": Out(signature), "port": In(register_port(REGISTERS))})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.skid = skid = SkidBuffer(self.packets)
        connect(m, flipped(self.i), skid.i)
        connect(m, skid.o, flipped(self.o))
        with m.If(self.port.word.written):
            m.d.sync += self.port.writes.count.eq(self.port.writes.count + 1)
        return m


class EchoRegisters:
    """The same registers in Python, as a model of the bridge wants them."""

    def __init__(self) -> None:
        self.words = {REGISTERS[name].offset: REGISTERS[name].reset for name in ("id", "version", "word", "writes")}
        self.words |= {REGISTERS[name].offset: 0 for name in ("capabilities", "control", "status")}

    def read(self, address: int) -> tuple[int, int]:
        """Word and response."""
        if address >> REGISTERS.address_bits:
            return 0, DECERR
        word = self.words.get(address & -WORD_BYTES)
        return (0, SLVERR) if word is None else (word, OKAY)

    def write(self, address: int, word: int) -> int:
        """The response."""
        if address >> REGISTERS.address_bits:
            return DECERR
        if address & -WORD_BYTES != REGISTERS["word"].offset:
            return SLVERR
        self.words[REGISTERS["word"].offset] = word
        self.words[REGISTERS["writes"].offset] += 1
        return OKAY


class EchoBoard:
    """The bridge's model with an echo behind it that is quicker than the line."""

    def __init__(self) -> None:
        self.registers = EchoRegisters()
        self.bridge = SerialBridge(self.registers, inputs=1, outputs=1)

    def feed(self, data: bytes) -> bytes:
        """What is answered to bytes."""
        answer = b""
        for byte in data:
            answer += self.bridge.feed(bytes([byte]))
            self.bridge.given[0].extend(self.bridge.taken[0])
            self.bridge.taken[0].clear()
        return answer
