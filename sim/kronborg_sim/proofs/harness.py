"""Components that make claims about a core. All inputs of the core are ports of theirs, and so are free."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from amaranth import Module, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Harness(wiring.Component, ABC):
    """A core whose ports are the harness's own, and claims about it.

    A subclass says in :meth:`claim` what it claims. Reset may come in any clock: it is a free input too.

    Args:
        core: what the claims are about.
        free: further free inputs, by name.
    """

    def __init__(self, core: wiring.Component, free: Mapping[str, ShapeLike] | None = None) -> None:
        self.core = core
        ports = dict(core.signature.members.items())
        super().__init__(ports | {name: In(shape) for name, shape in (free or {}).items()})

    def elaborate(self, platform: object) -> Module:
        """The core and the claims."""
        m = Module()
        m.submodules.core = self.core
        outside = {path: value for path, _, value in self.signature.flatten(self)}
        for path, member, value in self.core.signature.flatten(self.core):
            inner, outer = Value.cast(value), Value.cast(outside[path])
            m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)
        self.claim(m)
        return m

    @abstractmethod
    def claim(self, m: Module) -> None:
        """Add assertions, assumptions and covers to the module."""


def offers(core: wiring.Component, flow: wiring.Flow = Out) -> Iterator[tuple[str, stream.Interface]]:
    """Name and interface of each stream that a core drives, or of each that it takes; arrays of streams too."""
    for name, member in core.signature.members.items():
        if member.is_signature and member.flow is flow and isinstance(member.signature, stream.Signature):
            interface = getattr(core, name)
            if member.dimensions:
                yield from ((f"{name}_{number}", one) for number, one in enumerate(interface))
            else:
                yield name, interface
