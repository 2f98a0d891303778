"""Claims about AXI4-Lite slaves of register tables."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover

from kronborg_hdl.axi.bank import OKAY, SLVERR, PagedBank, RegisterBank
from kronborg_hdl.axi.registers import WORD_BYTES, Access, Field, Register, RegisterMap

from .harness import Harness

ANSWER_CLOCKS = 3
"""Clocks, from the one in which a request is there and may be taken, until the answer is there."""


def one_of_each() -> RegisterMap:
    """A table with a field of every access, and a gap in its offsets."""
    return RegisterMap(
        "one_of_each",
        (
            Register("constant", 0x00, ".", (Field("word", 0, 8, Access.CONSTANT, ".", reset=0xA5),)),
            Register("level", 0x04, ".", (Field("word", 4, 4, Access.READ, "."),)),
            Register(
                "event",
                0x08,
                ".",
                (Field("low", 0, 1, Access.STICKY, "."), Field("high", 9, 1, Access.STICKY, ".")),
            ),
            Register(
                "setting",
                0x10,
                ".",
                (
                    Field("number", 4, 8, Access.READ_WRITE, ".", reset=3),
                    Field("signed", 12, 4, Access.READ_WRITE, ".", signed=True, reset=-1),
                ),
            ),
            Register("order", 0x14, ".", (Field("go", 1, 1, Access.COMMAND, "."),)),
            Register("secret", 0x18, ".", (Field("word", 0, 32, Access.WRITE_ONLY, "."),)),
            Register("exchange", 0x1C, ".", (Field("word", 0, 16, Access.EXCHANGE, "."),)),
        ),
    )


class KeepsTheProtocol(Harness):
    """An AXI4-Lite slave has one access of each kind under way at most, answers it in time, once, and keeps the answer.

    The master is assumed to keep address, data and their valid until ready, as AXI demands.

    Args:
        core: the slave, with its port ``bus``.
    """

    core: RegisterBank | PagedBank

    def claim(self, m: Module) -> None:
        """See the class."""
        bus = self.core.bus
        m.d.comb += Assert(bus.awready == bus.wready, "address and data of a write are taken together")
        self._channel(m, "write", ("aw", "w"), "b", ("bresp",))
        self._channel(m, "read", ("ar",), "r", ("rresp", "rdata"))

    def _channel(self, m: Module, name: str, requests: tuple[str, ...], answer: str, words: tuple[str, ...]) -> None:
        """Claims about one kind of access."""
        bus = self.core.bus
        payloads = {"aw": ("awaddr",), "w": ("wdata", "wstrb"), "ar": ("araddr",)}
        for request in requests:
            _stays(m, bus, request, payloads[request], Assume, f"the master keeps {request}")
        _stays(m, bus, answer, words, Assert, f"{name}: the answer stays until it is taken")

        asked = Cat(getattr(bus, f"{request}valid") for request in requests).all()
        taken = getattr(bus, f"{requests[0]}ready")
        answered, ready = getattr(bus, f"{answer}valid"), getattr(bus, f"{answer}ready")
        owed, waited = Signal(name=f"{name}_owed"), Signal(range(ANSWER_CLOCKS + 2), name=f"{name}_waited")
        m.d.sync += owed.eq((owed & ~(answered & ready)) | taken)
        m.d.sync += waited.eq(Mux((asked | owed) & ~answered, waited + 1, 0))
        m.d.comb += [
            Assert(~taken | asked, f"{name}: nothing is taken that is not there"),
            Assert(~taken | ~owed, f"{name}: nothing is taken while an answer is owed"),
            Assert(~answered | owed, f"{name}: no answer comes without a request"),
            Assert(waited <= ANSWER_CLOCKS, f"{name}: an answer comes in time"),
            Cover(answered & ready & asked, f"{name}: the next request is there when an answer is taken"),
        ]


class MeansWhatTheTableSays(Harness):
    """Reads, writes and the signals to the core are what the table of registers says of each field.

    A field that is written changes with ``written`` high, and no field changes otherwise. What is write-only stands on
    the port for one clock and nowhere else: it reads zero.

    Args:
        core: the slave of one table.
    """

    core: RegisterBank

    def claim(self, m: Module) -> None:
        """See the class."""
        bus = self.core.bus
        for request, payload in (("aw", ("awaddr",)), ("w", ("wdata", "wstrb")), ("ar", ("araddr",))):
            _stays(m, bus, request, payload, Assume, f"the master keeps {request}")
        expected = Signal(len(bus.rdata) + len(bus.rresp), init=0)
        word: Value = Cat(Const(0, len(bus.rdata)), Const(SLVERR, len(bus.rresp)))
        accepts: Value = Const(0)
        for register in self.core.registers.registers:
            selected = bus.awready & (bus.awaddr[2:] == register.offset // WORD_BYTES)
            if register.whole_words:
                selected &= bus.wstrb.all()
            here = Signal(name=f"writes_{register.name}")
            m.d.comb += here.eq(selected)
            if register.host_writes:
                accepts |= here
            contents = Signal(len(bus.rdata), name=f"contents_{register.name}")
            for field in register.fields:
                bits = slice(field.lsb, field.lsb + field.width)
                m.d.comb += contents[bits].eq(self._field(m, register.name, field, here))
            there = bus.araddr[2:] == register.offset // WORD_BYTES
            word = Mux(there, Cat(contents, Const(OKAY, len(bus.rresp))), word)
            port = getattr(self.core.port, register.name, None)
            if port is not None and hasattr(port, "written"):
                self._next(m, port.written, here & bus.wstrb.any(), f"{register.name}: written is high after a write")
        response = Signal.like(bus.bresp)
        with m.If(bus.awready):
            m.d.sync += response.eq(Mux(accepts, OKAY, SLVERR))
        with m.If(bus.arready):
            m.d.sync += expected.eq(word)
        m.d.comb += [
            Assert(~bus.bvalid | (bus.bresp == response), "a write is accepted if the register takes it"),
            Assert(~bus.rvalid | (Cat(bus.rdata, bus.rresp) == expected), "a read answers what the register holds"),
            Cover(bus.rvalid & (bus.rdata != 0) & (bus.rresp == OKAY), "a register is read"),
            Cover(bus.bvalid & (bus.bresp == SLVERR), "a write is refused"),
        ]

    def _next(self, m: Module, signal: Value, value: Value, text: str) -> None:
        """Claim that a signal is this clock's value in the next clock, and zero after reset."""
        before = Signal(len(signal), name=f"expected_{text.split(':')[0].replace('.', '_')}_{text.split()[1]}")
        m.d.sync += before.eq(value)
        m.d.comb += Assert(Value.cast(signal) == before, text)

    def _field(self, m: Module, register: str, field: Field, here: Value) -> Value:
        """Claims about a field; returns what the host must read."""
        name = f"{register}.{field.name}"
        bits = slice(field.lsb, field.lsb + field.width)
        data, strobes = self.core.bus.wdata[bits], Cat(s.replicate(8) for s in self.core.bus.wstrb)[bits]
        if field.access is Access.CONSTANT:
            return Const(field.reset, field.width)
        member = getattr(getattr(self.core.port, register), field.name)
        kept = Signal(field.width, name=f"kept_{register}_{field.name}", init=field.insert(field.reset) >> field.lsb)
        match field.access:
            case Access.READ:
                return Value.cast(member)
            case Access.READ_WRITE:
                with m.If(here):
                    m.d.sync += kept.eq((data & strobes) | (kept & ~strobes))
                m.d.comb += Assert(member.as_unsigned() == kept, f"{name}: holds what was written")
                return kept
            case Access.STICKY:
                m.d.sync += kept.eq((kept & ~(data & strobes & here.replicate(field.width))) | member)
                return kept
            case Access.COMMAND:
                self._next(m, member.start, here & (data & strobes), f"{name}: starts when a one is written")
                return member.start | member.busy
            case Access.EXCHANGE:
                self._next(m, member.given, Mux(here, data, 0), f"{name}: stands for one clock")
                return Value.cast(member.shown)
            case Access.WRITE_ONLY:
                self._next(m, member, Mux(here, data, 0), f"{name}: stands for one clock")
                return Const(0, field.width)


def _stays(m: Module, bus: Any, channel: str, words: tuple[str, ...], kind: type, text: str) -> None:
    """Valid and words of a channel stay until ready."""
    valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
    payload = Cat(getattr(bus, word) for word in words)
    waits, before = Signal(name=f"{channel}_waits"), Signal(len(payload), name=f"{channel}_before")
    m.d.sync += waits.eq(valid & ~ready), before.eq(payload)
    m.d.comb += kind(~waits | (valid & (payload == before)), text)
