"""Components that make claims about a core. All inputs of the core are ports of theirs, and so are free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from amaranth import Module
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Harness(wiring.Component):
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
        for name, member in self.core.signature.members.items():
            inner, outer = getattr(self.core, name), getattr(self, name)
            if member.is_signature:
                wiring.connect(m, wiring.flipped(outer), inner)
            elif member.flow is Out:
                m.d.comb += outer.eq(inner)
            else:
                m.d.comb += inner.eq(outer)
        self.claim(m)
        return m

    def claim(self, m: Module) -> None:
        """Add assertions, assumptions and covers to the module."""
        raise NotImplementedError


def offers(core: wiring.Component) -> Iterator[tuple[str, stream.Interface]]:
    """Name and interface of each stream that a core drives."""
    for name, member in core.signature.members.items():
        if member.is_signature and member.flow is Out and isinstance(member.signature, stream.Signature):
            yield name, getattr(core, name)
