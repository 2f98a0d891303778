"""A core among registers, so that it can be placed and routed alone: three pins, however many ports it has."""

from __future__ import annotations

from amaranth import Cat, ClockDomain, Module, Signal, Value
from amaranth.hdl import Elaboratable
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..axi.skin import Skin


class Surrounded(wiring.Component):
    """A core in its skin between two chains of registers.

    A device has fewer pins than a core has ports, and a path from a pin says nothing of a core that lies within a
    design. Here each input comes from a register and each output goes to one: every path of the core begins and ends
    at a register, those at its edges among them, and no register can be left out as one without effect.

    Members:
        clock: of all.
        i: into the chain that feeds the inputs.
        o: what the outputs were, all in one.
    """

    def __init__(self, skin: Skin) -> None:
        self.skin = skin
        super().__init__({"clock": In(1), "i": In(1), "o": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        """The hardware."""
        m = Module()
        m.domains.around = around = ClockDomain("around", reset_less=True)
        m.d.comb += around.clk.eq(self.clock), self.skin.aclk.eq(self.clock)
        m.submodules.skin = self.skin
        inputs: list[Value] = []
        outputs: list[Value] = []
        for path, member, value in self.skin.signature.flatten(self.skin):
            if path != ("aclk",):
                (outputs if member.flow is Out else inputs).append(Value.cast(value))
        fed, caught = Signal(len(Cat(inputs))), Signal(len(Cat(outputs)))
        gathered = Signal.like(caught)
        m.d.comb += Cat(inputs).eq(fed), self.o.eq(gathered[-1])
        m.d.around += [
            fed.eq(Cat(self.i, fed)),
            caught.eq(Cat(outputs)),
            gathered.eq(caught ^ Cat(0, gathered[:-1])),
        ]
        return m
