"""Claims about the AXI4-Lite manager of the serial bridge."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover

from kronborg_hdl.axi.serial_bridge.manager import Manager

from .harness import Harness


class CarriesOutWhatIsOrdered(Harness):
    """Each order is one access on the bus, as AXI demands it, and is done once, with the answer that came.

    Nobody orders while an order is under way, and the slave answers a write after it has taken address and data.

    Args:
        core: the manager.
    """

    core: Manager

    def claim(self, m: Module) -> None:
        """See the class."""
        core, bus = self.core, self.core.bus
        under_way, is_write = Signal(), Signal()
        address, data = Signal.like(core.address), Signal.like(core.data)
        with m.If(core.start):
            m.d.sync += under_way.eq(1), is_write.eq(core.write), address.eq(core.address), data.eq(core.data)
        with m.Elif(core.done):
            m.d.sync += under_way.eq(0)
        m.d.comb += Assume(~core.start | ~under_way, "nobody orders while an order is under way")

        taken = {name: self._taken(m, name, core.start) for name in ("aw", "w", "ar")}
        m.d.comb += [
            Assume(~bus.bvalid | (taken["aw"] & taken["w"]), "a write is answered after it is taken"),
            Assume(~bus.rvalid | taken["ar"], "a read is answered after it is taken"),
        ]
        for name, wanted, words, ordered in (
            ("aw", is_write, bus.awaddr, address),
            ("w", is_write, Cat(bus.wdata, bus.wstrb), Cat(data, Cat(1 for _ in bus.wstrb))),
            ("ar", ~is_write, bus.araddr, address),
        ):
            valid, ready = getattr(bus, f"{name}valid"), getattr(bus, f"{name}ready")
            waits = Signal(name=f"{name}_waits")
            m.d.sync += waits.eq(valid & ~ready)
            m.d.comb += [
                Assert(~waits | valid, f"{name}: what is offered stays until it is taken"),
                Assert(~valid | (under_way & wanted & ~taken[name]), f"{name}: only what is ordered is offered, once"),
                Assert(~valid | (words == ordered), f"{name}: with the order's address and data"),
            ]

        answered = (bus.bready & bus.bvalid) | (bus.rready & bus.rvalid)
        was_answered, response, word = Signal(), Signal.like(bus.bresp), Signal.like(bus.rdata)
        m.d.sync += was_answered.eq(answered), word.eq(bus.rdata)
        m.d.sync += response.eq(Mux(is_write, bus.bresp, bus.rresp))
        m.d.comb += [
            Assert(core.done == was_answered, "an order is done in the clock after its answer"),
            Assert(~core.done | (core.response == response), "with the answer's response"),
            Assert(~core.done | is_write | (core.word == word), "and the word that was read"),
            Assert(~core.done | under_way, "what was not ordered is never done"),
            Cover(core.done & is_write, "a write is done"),
            Cover(core.done & ~is_write, "a read is done"),
        ]

    def _taken(self, m: Module, name: str, start: Value) -> Signal:
        """Whether a channel has taken the order under way."""
        bus = self.core.bus
        taken = Signal(name=f"{name}_taken")
        with m.If(start):
            m.d.sync += taken.eq(0)
        with m.Elif(getattr(bus, f"{name}valid") & getattr(bus, f"{name}ready")):
            m.d.sync += taken.eq(1)
        return taken
