"""The AXI4-Lite slave that a register table, or a map of pages, describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

from amaranth import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.hdl import Elaboratable
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .pages import PageMap
from .registers import ADDRESS_BITS, WORD_BITS, WORD_BYTES, Access, Field, RegisterMap

OKAY, SLVERR = 0b00, 0b10


def axi4_lite(address_bits: int) -> wiring.Signature:
    """AXI4-Lite as the master has it. AxPROT is left out: a slave may ignore it."""
    return wiring.Signature(
        {
            "awaddr": Out(address_bits),
            "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(WORD_BITS),
            "wstrb": Out(WORD_BYTES),
            "wvalid": Out(1),
            "wready": In(1),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
            "araddr": Out(address_bits),
            "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(WORD_BITS),
            "rresp": In(2),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def _field_member(field: Field) -> wiring.Member | None:
    shape = Shape(field.width, field.signed)
    match field.access:
        case Access.CONSTANT:
            return None
        case Access.READ | Access.STICKY:
            return In(shape)
        case Access.READ_WRITE:
            return Out(shape, init=field.reset)
        case Access.COMMAND:
            return Out(wiring.Signature({"start": Out(1), "busy": In(1)}))
        case Access.EXCHANGE:
            return Out(wiring.Signature({"given": Out(shape), "shown": In(shape)}))
        case Access.WRITE_ONLY:
            return Out(shape)


def _says_when_written(fields: Iterable[Field]) -> bool:
    handed_over = (Access.READ_WRITE, Access.EXCHANGE, Access.WRITE_ONLY)
    return any(field.access in handed_over for field in fields)


def register_port(registers: RegisterMap | PageMap) -> wiring.Signature:
    """The signals between bank and core, ``port.<register>.<field>``, in the bank's direction.

    A field is, by its access: READ, an input; STICKY, an input that sets it; READ_WRITE, an output; COMMAND, an
    output ``start`` of one clock and an input ``busy``; WRITE_ONLY, an output that is zero but for one clock; EXCHANGE,
    an output ``given``, likewise, and an input ``shown``. A register with READ_WRITE, EXCHANGE or WRITE_ONLY fields
    also has ``written``, an output of one clock in which the new value first stands on its fields.

    With pages the signals are ``port.<page>.<register>.<field>``: ``port.<page>`` is the port of the part behind it.
    """
    if isinstance(registers, PageMap):
        return wiring.Signature({name: Out(register_port(page)) for name, page in registers.pages})
    members: dict[str, wiring.Member] = {}
    for register in registers.registers:
        fields = {field.name: member for field in register.fields if (member := _field_member(field)) is not None}
        if _says_when_written(register.fields):
            fields["written"] = Out(1)
        if fields:
            members[register.name] = Out(wiring.Signature(fields))
    return wiring.Signature(members)


def connect_page(
    m: Module,
    bank: wiring.PureInterface,
    core: wiring.PureInterface,
    permits: Mapping[tuple[str, str], Value] | None = None,
) -> None:
    """Connect a bank's port and a core's, of one table: what the host writes goes there where it is permitted.

    Args:
        m: module of the connection.
        bank: that side of the port.
        core: the other.
        permits: what a field of the host's has to have beside it, by register and field.
    """
    for path, member, value in bank.signature.flatten(bank):
        inner, outer = core, Value.cast(value)
        for name in path:
            inner = getattr(inner, str(name))
        if member.flow is In:
            permit = (permits or {}).get((str(path[0]), str(path[-1])))
            m.d.comb += Value.cast(inner).eq(outer if permit is None else outer & permit)
        else:
            m.d.comb += outer.eq(Value.cast(inner))


class RegisterBank(wiring.Component):
    """AXI4-Lite slave of a register table.

    One access of each kind is outstanding at most; every output is a register. A write takes place when address and
    data are both there. Byte strobes select what is written. An offset of no register, a write where nothing can be
    written, or one of less than the whole word to a write-only register, is answered with SLVERR and has no effect.
    The two lowest address bits are ignored. What is write-only stands on the port for one clock, and in the bank no
    longer than on the bus and a clock more.

    Latency: 2 clocks from address (and data) to the response; one access every 3 clocks.

    Members:
        bus: AXI4-Lite.
        port: to the core, see :func:`register_port`.
    """

    def __init__(self, registers: RegisterMap) -> None:
        self.registers = registers
        super().__init__({"bus": In(axi4_lite(ADDRESS_BITS)), "port": Out(register_port(registers))})

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        bus = self.bus
        write, read = Signal(), Signal()
        m.d.comb += bus.awready.eq(write), bus.wready.eq(write), bus.arready.eq(read)
        m.d.sync += [
            write.eq(bus.awvalid & bus.wvalid & ~write & (~bus.bvalid | bus.bready)),
            read.eq(bus.arvalid & ~read & (~bus.rvalid | bus.rready)),
        ]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(write):
            m.d.sync += bus.bvalid.eq(1), bus.bresp.eq(SLVERR)
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(read):
            m.d.sync += bus.rvalid.eq(1)
        # Which word, and what is written: beside their bank, however many pages there are and however far away the
        # master is, which holds them until they are taken. Not so the strobes: of a master that writes whole words they
        # are constants, and cost nothing.
        written_index, read_index = Signal(len(bus.awaddr[2:])), Signal(len(bus.araddr[2:]))
        with m.If(bus.awvalid):
            m.d.sync += written_index.eq(bus.awaddr[2:])
        with m.If(bus.arvalid):
            m.d.sync += read_index.eq(bus.araddr[2:])

        given = Signal(WORD_BITS, reset_less=True)  # zero a clock after the master's reset
        m.d.sync += given.eq(Mux(bus.wvalid, bus.wdata, 0))
        # Bits whose byte is strobed.
        strobed = Cat(strobe.replicate(8) for strobe in bus.wstrb)
        words = {}
        for register in self.registers.registers:
            selected = Signal(name=f"write_{register.name}")
            index = register.offset // WORD_BYTES
            enough = bus.wstrb.all() if register.whole_words else 1
            m.d.comb += selected.eq(write & (written_index == index) & enough)
            words[index] = word = Signal(WORD_BITS, name=f"word_{register.name}")
            for field in register.fields:
                bits = slice(field.lsb, field.lsb + field.width)
                m.d.comb += word[bits].eq(self._field(m, register.name, field, selected, given[bits], strobed[bits]))
            if register.host_writes:
                with m.If(selected):
                    m.d.sync += bus.bresp.eq(OKAY)
            if _says_when_written(register.fields):
                written = getattr(self.port, register.name).written
                m.d.sync += written.eq(selected & bus.wstrb.any())
        with m.If(read), m.Switch(read_index):
            for index, word in words.items():
                with m.Case(index):
                    m.d.sync += bus.rdata.eq(word), bus.rresp.eq(OKAY)
            with m.Default():
                m.d.sync += bus.rdata.eq(0), bus.rresp.eq(SLVERR)
        return m

    def _field(self, m: Module, register: str, field: Field, selected: Value, data: Value, strobed: Value) -> Value:
        """Logic of one field; returns what the host reads."""
        if field.access is Access.CONSTANT:
            constant = Signal(field.width, init=field.reset, name=f"{register}_{field.name}")
            return constant
        member = getattr(getattr(self.port, register), field.name)
        match field.access:
            case Access.READ_WRITE:
                with m.If(selected):
                    m.d.sync += member.eq((data & strobed) | (member & ~strobed))
            case Access.STICKY:
                flag = Signal(field.width, name=f"{register}_{field.name}")
                m.d.sync += flag.eq((flag & ~(data & strobed & selected.replicate(field.width))) | member)
                return flag
            case Access.COMMAND:
                m.d.sync += member.start.eq(selected & data & strobed)
                # Busy from the very write: a host that reads at once must not believe that all is done.
                return member.start | member.busy
            case Access.EXCHANGE:
                m.d.sync += member.given.eq(Mux(selected, data, 0))
                return Value.cast(member.shown)
            case Access.WRITE_ONLY:
                m.d.sync += member.eq(Mux(selected, data, 0))
                return Const(0, field.width)
        return Value.cast(member)


class PagedBank(wiring.Component):
    """One AXI4-Lite slave for a map of pages: a :class:`RegisterBank` for each, chosen by the high address bits.

    Each access goes to the page's bank as it is, and waits until the answer to the one before it is taken: answers
    come in order, and two never at once. Pages that do not exist are answered with SLVERR. Latency as of one bank.

    Members:
        bus: AXI4-Lite, of as many address bits as the map has.
        port: to the core, ``port.<page>.<register>.<field>``, see :func:`register_port`.
    """

    def __init__(self, pages: PageMap) -> None:
        self.pages = pages
        super().__init__({"bus": In(axi4_lite(pages.address_bits)), "port": Out(register_port(pages))})

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        bus = self.bus
        pages = len(self.pages.pages)
        slaves: list[wiring.PureInterface] = []
        for name, registers in self.pages.pages:
            m.submodules[f"page_{name}"] = bank = RegisterBank(registers)
            wiring.connect(m, bank.port, wiring.flipped(getattr(self.port, name)))
            slaves.append(bank.bus)
        # A bank without registers answers for the pages that do not exist.
        m.submodules.no_page = no_page = RegisterBank(RegisterMap("no_page", ()))
        slaves.append(no_page.bus)

        writes, reads = Signal(pages + 1), Signal(pages + 1)
        for chosen, address in ((writes, bus.awaddr), (reads, bus.araddr)):
            there = Cat(address[ADDRESS_BITS:] == number for number in range(pages))
            m.d.comb += chosen.eq(Cat(there, ~there.any()))
        may_write, may_read = ~bus.bvalid | bus.bready, ~bus.rvalid | bus.rready
        for number, slave in enumerate(slaves):
            m.d.comb += [
                slave.awaddr.eq(bus.awaddr),
                slave.awvalid.eq(bus.awvalid & writes[number] & may_write),
                slave.wdata.eq(bus.wdata),
                slave.wstrb.eq(bus.wstrb),
                slave.wvalid.eq(bus.wvalid),
                slave.bready.eq(bus.bready),
                slave.araddr.eq(bus.araddr),
                slave.arvalid.eq(bus.arvalid & reads[number] & may_read),
                slave.rready.eq(bus.rready),
            ]

        def answer(valid: str, name: str) -> Value:
            """Of the one slave that has an answer."""
            return reduce(or_, (Mux(getattr(slave, valid), getattr(slave, name), 0) for slave in slaves))

        m.d.comb += [
            bus.awready.eq(Cat(slave.awready for slave in slaves).any()),
            bus.wready.eq(Cat(slave.wready for slave in slaves).any()),
            bus.bvalid.eq(Cat(slave.bvalid for slave in slaves).any()),
            bus.bresp.eq(answer("bvalid", "bresp")),
            bus.arready.eq(Cat(slave.arready for slave in slaves).any()),
            bus.rvalid.eq(Cat(slave.rvalid for slave in slaves).any()),
            bus.rdata.eq(answer("rvalid", "rdata")),
            bus.rresp.eq(answer("rvalid", "rresp")),
        ]
        return m


def register_bank(registers: RegisterMap | PageMap) -> RegisterBank | PagedBank:
    """The slave of a core's registers."""
    return PagedBank(registers) if isinstance(registers, PageMap) else RegisterBank(registers)
