"""The AXI4-Lite slave that a register table describes."""

from __future__ import annotations

from amaranth import Cat, Module, Shape, Signal, Value
from amaranth.hdl import Elaboratable
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .registers import ADDRESS_BITS, WORD_BITS, WORD_BYTES, Access, Field, RegisterMap

OKAY, SLVERR = 0b00, 0b10

AXI4_LITE = wiring.Signature(
    {
        "awaddr": Out(ADDRESS_BITS),
        "awvalid": Out(1),
        "awready": In(1),
        "wdata": Out(WORD_BITS),
        "wstrb": Out(WORD_BYTES),
        "wvalid": Out(1),
        "wready": In(1),
        "bresp": In(2),
        "bvalid": In(1),
        "bready": Out(1),
        "araddr": Out(ADDRESS_BITS),
        "arvalid": Out(1),
        "arready": In(1),
        "rdata": In(WORD_BITS),
        "rresp": In(2),
        "rvalid": In(1),
        "rready": Out(1),
    }
)
"""AXI4-Lite as the master has it. AxPROT is left out: a slave may ignore it."""


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


def register_port(registers: RegisterMap) -> wiring.Signature:
    """The signals between bank and core, ``port.<register>.<field>``, in the bank's direction.

    A field is, by its access: READ, an input; STICKY, an input that sets it; READ_WRITE, an output; COMMAND, an
    output ``start`` of one clock and an input ``busy``. A register that the host writes also has ``written``, an
    output of one clock in which the new value first stands on its fields.
    """
    members: dict[str, wiring.Member] = {}
    for register in registers.registers:
        fields = {field.name: member for field in register.fields if (member := _field_member(field)) is not None}
        if any(field.access is Access.READ_WRITE for field in register.fields):
            fields["written"] = Out(1)
        if fields:
            members[register.name] = Out(wiring.Signature(fields))
    return wiring.Signature(members)


class RegisterBank(wiring.Component):
    """AXI4-Lite slave of a register table.

    One access of each kind is outstanding at most; every output is a register. A write takes place when address and
    data are both there. Byte strobes select what is written. An offset of no register, or a write where nothing can
    be written, is answered with SLVERR and has no effect. The two lowest address bits are ignored.

    Latency: 2 clocks from address (and data) to the response; one access every 3 clocks.

    Members:
        bus: AXI4-Lite.
        port: to the core, see :func:`register_port`.
    """

    def __init__(self, registers: RegisterMap) -> None:
        self.registers = registers
        super().__init__({"bus": In(AXI4_LITE), "port": Out(register_port(registers))})

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
            m.d.sync += bus.rvalid.eq(1), bus.rdata.eq(0), bus.rresp.eq(SLVERR)

        # Bits of wdata whose byte is strobed.
        strobed = Cat(strobe.replicate(8) for strobe in bus.wstrb)
        for register in self.registers.registers:
            selected = Signal(name=f"write_{register.name}")
            index = register.offset // WORD_BYTES
            m.d.comb += selected.eq(write & (bus.awaddr[2:] == index))
            word = Signal(WORD_BITS, name=f"word_{register.name}")
            for field in register.fields:
                bits = slice(field.lsb, field.lsb + field.width)
                m.d.comb += word[bits].eq(self._field(m, register.name, field, selected, strobed[bits]))
            if register.host_writes:
                with m.If(selected):
                    m.d.sync += bus.bresp.eq(OKAY)
            if any(field.access is Access.READ_WRITE for field in register.fields):
                written = getattr(self.port, register.name).written
                m.d.sync += written.eq(selected & bus.wstrb.any())
            with m.If(read & (bus.araddr[2:] == index)):
                m.d.sync += bus.rdata.eq(word), bus.rresp.eq(OKAY)
        return m

    def _field(self, m: Module, register: str, field: Field, selected: Value, strobed: Value) -> Value:
        """Logic of one field; returns what the host reads."""
        data = self.bus.wdata[field.lsb : field.lsb + field.width]
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
        return Value.cast(member)
