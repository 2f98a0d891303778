"""The gateware of an overlay: its parts behind one AXI4-Lite slave, DMA engines at memory, interrupts gathered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from amaranth import Cat, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..axi.bank import connect_page, register_port
from ..axi.dma.core import Dma
from ..axi.interrupts.core import InterruptController
from ..axi.pages import PageMap
from ..axi.skin import Core
from ..axi.width import WidthConverter
from .overlay import Overlay

LINES = ("mm2s_introut", "s2mm_introut")
"""Of a DMA engine, by the bits of its ``interrupts``."""


class Assembly(wiring.Component, ABC):
    """Parts of an overlay with registers, memory and interrupts connected; a subclass connects their streams.

    Args:
        overlay: what the host sees.
        cores: hardware of each part, by its name.
        permits: what a field of the host's has to have beside it, by page, register and field.

    Members:
        memory_<name>: AXI4 of each DMA engine.
        irq: to the processor.
        port: registers of all parts.

    Raises:
        ValueError: the cores are not those of the overlay.
    """

    def __init__(
        self,
        overlay: Overlay,
        cores: Mapping[str, Core],
        *,
        permits: Mapping[tuple[str, str, str], Value] | None = None,
    ) -> None:
        if list(cores) != [part.name for part in overlay.parts]:
            raise ValueError(f"overlay {overlay.name} and its cores differ: {', '.join(cores)}")
        self.overlay, self.cores = overlay, dict(cores)
        self._permits = dict(permits or {})
        self.registers = overlay.pages
        members: dict[str, wiring.Member] = {
            f"memory_{name}": Out(core.memory.signature) for name, core in cores.items() if isinstance(core, Dma)
        }
        super().__init__({**members, "irq": Out(1), "port": In(register_port(self.registers))})

    @abstractmethod
    def connect_streams(self, m: Module) -> None:
        """Between the cores."""

    def elaborate(self, platform: object) -> Module:
        """The hardware."""
        m = Module()
        for part in self.overlay.parts:
            core = self.cores[part.name]
            m.submodules[part.name] = core
            for (page, _), port in zip(part.tables, _ports(core), strict=True):
                permits = {field[1:]: permit for field, permit in self._permits.items() if field[0] == page}
                connect_page(m, getattr(self.port, page), port, permits)
            if isinstance(core, Dma):
                connect(m, core.memory, flipped(getattr(self, f"memory_{part.name}")))
        controller = self.cores["interrupts"]
        assert isinstance(controller, InterruptController)
        lines = [self.cores[part].interrupts[LINES.index(line)] for part, line in self.overlay.lines]  # type: ignore[attr-defined]
        m.d.comb += controller.i.eq(Cat(lines)), self.irq.eq(controller.o)
        self.connect_streams(m)
        return m


def _ports(core: Core) -> list[wiring.PureInterface]:
    """Of each page of a core's registers, in their order."""
    if not isinstance(core.registers, PageMap):
        return [core.port]
    return [getattr(core.port, name) for name, _ in core.registers.pages]


def join(m: Module, name: str, source: Any, sink: Any) -> None:
    """Connect a stream of packets to one of another width, as memory has their words.

    Args:
        m: module of the connection.
        name: of the converter in it.
        source: stream whose payload has ``words`` and, if a packet ends, ``last``.
        sink: likewise; it may be one that knows no packets.
    """
    into, out = (Value.cast(end.payload.words) for end in (source, sink))
    m.submodules[name] = converter = WidthConverter(into_bits=len(into), out_bits=len(out))
    i, o = converter.i, converter.o
    m.d.comb += [
        i.payload.words.eq(into),
        i.payload.last.eq(source.payload.last),
        i.valid.eq(source.valid),
        source.ready.eq(i.ready),
        out.eq(o.payload.words),
        sink.valid.eq(o.valid),
        o.ready.eq(sink.ready),
    ]
    if "last" in sink.payload.shape().members:
        m.d.comb += sink.payload.last.eq(o.payload.last)
