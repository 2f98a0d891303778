"""From the AXI3 port of a Zynq-7000's processor to the AXI4-Lite slave of an overlay."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..axi.bank import axi4_lite
from ..axi.memory import DECERR, OKAY
from ..axi.registers import WORD_BITS, WORD_BYTES

ADDRESS_BITS = 30
"""Of the processor's general-purpose port: each has one GiB."""
ID_BITS = 12
LENGTH_BITS = 4
FIXED, INCREMENTING, WRAPPING = 0b00, 0b01, 0b10


def _address(channel: str) -> dict[str, wiring.Member]:
    fields = {"id": ID_BITS, "addr": ADDRESS_BITS, "len": LENGTH_BITS, "size": 2, "burst": 2}
    return {
        **{f"{channel}{name}": Out(bits) for name, bits in fields.items()},
        f"{channel}valid": Out(1),
        f"{channel}ready": In(1),
    }


def axi3() -> wiring.Signature:
    """AXI3 as the processor's master has it, 32 bits wide.

    Left out is what a slave of registers may ignore: cache, protection, lock and quality of service, and WID, for that
    master gives the words of writes in the order of their addresses.
    """
    return wiring.Signature(
        {
            **_address("aw"),
            "wdata": Out(WORD_BITS),
            "wstrb": Out(WORD_BYTES),
            "wlast": Out(1),
            "wvalid": Out(1),
            "wready": In(1),
            "bid": In(ID_BITS),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
            **_address("ar"),
            "rid": In(ID_BITS),
            "rdata": In(WORD_BITS),
            "rresp": In(2),
            "rlast": In(1),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


class Axi3Bridge(wiring.Component):
    """Each beat of a burst becomes an access of AXI4-Lite. Reads and writes go on at the same time, one of each.

    Every output but the ready signals, which are bits of the state, comes from a register: the processor's ports are
    slow and far away. Addresses behind the slave's own are answered with DECERR, and the slave hears nothing of them.
    A burst that writes is answered with the first response that is no OKAY.

    Args:
        address_bits: of the slave.

    Members:
        processor: AXI3, bursts of any kind and size.
        lite: AXI4-Lite, to the slave.

    Raises:
        ValueError: the slave is larger than the port's memory.
    """

    def __init__(self, address_bits: int) -> None:
        if not 2 <= address_bits <= ADDRESS_BITS:
            raise ValueError(f"a slave of {address_bits} address bits: must be 2 to {ADDRESS_BITS}")
        self.address_bits = address_bits
        super().__init__({"processor": In(axi3()), "lite": Out(axi4_lite(address_bits))})

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _burst(self, m: Module, channel: str) -> tuple[Signal, Signal, Value, Value]:
        """Registers of a burst's identifier and address, the address of its next beat, and: the slave has this address.

        The address is taken when it is given.
        """
        given = {
            name: getattr(self.processor, f"{channel}{name}")
            for name in ("id", "addr", "len", "size", "burst", "valid", "ready")
        }
        identifier, address = Signal(ID_BITS, name=f"{channel}_id"), Signal(ADDRESS_BITS, name=f"{channel}_address")
        step, moving = Signal(3, name=f"{channel}_step"), Signal(ADDRESS_BITS, name=f"{channel}_moving")
        with m.If(given["valid"] & given["ready"]):
            # Bits that count: none, all, or those within the block that a burst wraps in.
            block = ((given["len"] + 1) << given["size"]) - 1
            m.d.sync += [
                identifier.eq(given["id"]),
                address.eq(given["addr"]),
                step.eq(1 << given["size"]),
                moving.eq(Mux(given["burst"] == FIXED, 0, Mux(given["burst"] == WRAPPING, block, ~0))),
            ]
        following = (address & ~moving) | ((address + step) & moving)
        return identifier, address, following, address[self.address_bits :] == 0

    def _write(self, m: Module) -> None:
        port, lite = self.processor, self.lite
        identifier, address, following, there = self._burst(m, "aw")
        last, addressed, given = Signal(name="w_last"), Signal(name="aw_done"), Signal(name="w_done")
        m.d.comb += lite.awaddr.eq(address), port.bid.eq(identifier)
        with m.FSM(name="writes"):
            with m.State("address"):
                m.d.comb += port.awready.eq(1)
                with m.If(port.awvalid):
                    m.d.sync += port.bresp.eq(OKAY)
                    m.next = "word"
            with m.State("word"):
                m.d.comb += port.wready.eq(1)
                m.d.sync += lite.wdata.eq(port.wdata), lite.wstrb.eq(port.wstrb), last.eq(port.wlast)
                m.d.sync += addressed.eq(0), given.eq(0)
                with m.If(port.wvalid):
                    m.next = "access"
            with m.State("access"):
                m.d.comb += lite.awvalid.eq(there & ~addressed), lite.wvalid.eq(there & ~given)
                m.d.sync += addressed.eq(addressed | lite.awready), given.eq(given | lite.wready)
                with m.If(~there):
                    self._answered(m, DECERR, last, address, following)
                with m.Elif((addressed | lite.awready) & (given | lite.wready)):
                    m.next = "response"
            with m.State("response"):
                m.d.comb += lite.bready.eq(1)
                with m.If(lite.bvalid):
                    self._answered(m, lite.bresp, last, address, following)
            with m.State("answer"):
                m.d.comb += port.bvalid.eq(1)
                with m.If(port.bready):
                    m.next = "address"

    def _answered(self, m: Module, response: Value | int, last: Value, address: Signal, following: Value) -> None:
        """A word has been written, or could not be."""
        m.d.sync += address.eq(following)
        with m.If(self.processor.bresp == OKAY):
            m.d.sync += self.processor.bresp.eq(response)
        with m.If(last):
            m.next = "answer"
        with m.Else():
            m.next = "word"

    def _read(self, m: Module) -> None:
        port, lite = self.processor, self.lite
        identifier, address, following, there = self._burst(m, "ar")
        beats = Signal(LENGTH_BITS)
        m.d.comb += lite.araddr.eq(address), port.rid.eq(identifier), port.rlast.eq(beats == 0)
        with m.FSM(name="reads"):
            with m.State("address"):
                m.d.comb += port.arready.eq(1)
                m.d.sync += beats.eq(port.arlen)
                with m.If(port.arvalid):
                    m.next = "access"
            with m.State("access"):
                m.d.comb += lite.arvalid.eq(there)
                with m.If(~there):
                    m.d.sync += port.rdata.eq(0), port.rresp.eq(DECERR)
                    m.next = "answer"
                with m.Elif(lite.arready):
                    m.next = "response"
            with m.State("response"):
                m.d.comb += lite.rready.eq(1)
                m.d.sync += port.rdata.eq(lite.rdata), port.rresp.eq(lite.rresp)
                with m.If(lite.rvalid):
                    m.next = "answer"
            with m.State("answer"):
                m.d.comb += port.rvalid.eq(1)
                with m.If(port.rready):
                    m.d.sync += address.eq(following), beats.eq(beats - 1)
                    with m.If(beats == 0):
                        m.next = "address"
                    with m.Else():
                        m.next = "access"
