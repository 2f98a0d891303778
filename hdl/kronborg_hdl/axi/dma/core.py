"""The DMA engine: packets between streams and memory, driven as AXI DMA in simple mode is."""

from __future__ import annotations

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..bank import register_port
from ..memory import axi4
from .channels import Receiver, Sender, packets
from .registers import REGISTERS


class Dma(wiring.Component):
    """Move packets: memory to ``o``, and ``i`` to memory, at the same time.

    Registers and their behaviour are those of AXI DMA in simple mode (AMD PG021), so that ``pynq.lib.DMA`` drives it as
    it is: write ``run``, then address and length; ``idle`` rises when the transfer is complete and, where asked for,
    the interrupt; ``receive_length`` then reads how much came. What differs: transfers of up to 2**27 - 1 bytes;
    bursts of 16 beats at most, so that the AXI3 ports of a Zynq-7000 take them.

    See ``channels`` for bursts, errors and throughput.

    Args:
        address_bits: of memory, 16 to 64.
        data_bits: of memory and of both streams: 32, 64 or 128. Buffers begin at multiples of as many bits, packets are
            whole beats.

    Members:
        i: packets to memory.
        o: packets from memory.
        memory: AXI4.
        interrupts: of the sender (bit 0) and the receiver (bit 1), high as long as their flags stand.
        port: the registers of ``registers.py``.

    Raises:
        ValueError: widths that there are not.
    """

    registers = REGISTERS
    multipliers = 0

    def __init__(self, *, address_bits: int, data_bits: int) -> None:
        self.sender = Sender(address_bits=address_bits, data_bits=data_bits)
        self.receiver = Receiver(address_bits=address_bits, data_bits=data_bits)
        super().__init__(
            {
                "i": In(stream.Signature(packets(data_bits))),
                "o": Out(stream.Signature(packets(data_bits))),
                "memory": Out(axi4(address_bits, data_bits)),
                "interrupts": Out(2),
                "port": In(register_port(REGISTERS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        m.submodules.sender, m.submodules.receiver = self.sender, self.receiver
        connect(m, self.sender.o, flipped(self.o))
        connect(m, flipped(self.i), self.receiver.i)
        for channel in (self.sender, self.receiver):
            for name, member in channel.bus.signature.members.items():
                inner, outer = getattr(channel.bus, name), getattr(self.memory, name)
                m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)

        reset = self.port.send_control.reset.start | self.port.receive_control.reset.start
        sent = Signal.like(self.receiver.received)
        with m.If(self.sender.order.start & self.sender.order.run & self.sender.order.idle):
            m.d.sync += sent.eq(self.sender.order.bytes)
        self._half(m, "send", "source", self.sender, reset, sent, self.interrupts[0])
        self._half(m, "receive", "destination", self.receiver, reset, self.receiver.received, self.interrupts[1])
        return m

    def _half(
        self, m: Module, name: str, address: str, channel: Sender | Receiver, reset: Value, shown: Value, raised: Value
    ) -> None:
        """Registers of one channel, and its interrupt."""
        order = channel.order
        control, status, length, low, high = (
            getattr(self.port, f"{name}_{which}")
            for which in ("control", "status", "length", address, f"{address}_high")
        )
        completed, failed = Signal(name=f"{name}_completed"), Signal(name=f"{name}_failed")
        m.d.sync += [
            completed.eq((completed & ~status.completed.given & ~reset) | order.completed),
            failed.eq((failed & ~status.failed.given & ~reset) | order.failed),
        ]
        m.d.comb += [
            order.run.eq(control.run),
            order.reset.eq(reset),
            order.address.eq(Cat(low.low, high.high)),
            order.bytes.eq(length.bytes.given),
            order.start.eq(length.written),
            length.bytes.shown.eq(shown),
            control.reset.busy.eq(0),
            status.halted.eq(order.halted),
            status.idle.eq(order.idle),
            status.internal_error.eq(order.internal_error),
            status.slave_error.eq(order.slave_error),
            status.decode_error.eq(order.decode_error),
            status.completed.shown.eq(completed),
            status.failed.shown.eq(failed),
            raised.eq((completed & control.interrupt_on_complete) | (failed & control.interrupt_on_error)),
        ]
