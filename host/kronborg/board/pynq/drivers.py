"""Drivers that PYNQ binds to our cores, by their type in the hardware description.

The entry point ``pynq.lib`` of this package lets ``pynq.Overlay`` import this module by itself.
"""

from __future__ import annotations

from typing import Any

from pynq import DefaultIP

from kronborg_hdl.axi.pages import PAGE_BYTES, PageMap
from kronborg_hdl.axi.registers import RegisterMap
from kronborg_hdl.modulation.interpolating_shaper.registers import REGISTERS as INTERPOLATING_SHAPER
from kronborg_hdl.modulation.pulse_shaper.registers import REGISTERS as PULSE_SHAPER
from kronborg_hdl.overlays.overlay import core_part
from kronborg_hdl.overlays.tables import tables
from kronborg_hdl.receiver.registers import REGISTERS as RECEIVER
from kronborg_hdl.receiver.registers import receiver_pages
from kronborg_hdl.transmitter.registers import REGISTERS as TRANSMITTER
from kronborg_hdl.transmitter.registers import transmitter_pages

from .registers import Page, page_class

ASSEMBLIES = ("transmitter", "receiver")
"""Their drivers have a page for each part."""


def _driver(table: RegisterMap) -> type[DefaultIP]:
    """The driver of a core with one page: its properties are the table's fields."""
    page = page_class(table)

    def __init__(self: Any, description: dict[str, Any]) -> None:
        DefaultIP.__init__(self, description)
        Page.__init__(self, self)
        self.check_identity()

    members = {"__init__": __init__, "__doc__": page.__doc__, "bindto": [core_part(table.name, table).type]}
    return type(f"{page.__name__}Driver", (DefaultIP, page), members)


DRIVERS = {
    name: _driver(table)
    for name, table in tables().items()
    if name not in ASSEMBLIES and "id" in (register.name for register in table.registers)
}
"""Of each core with one page, by its name; AXI DMA and AXI INTC have PYNQ's own."""


class Assembly:
    """Part of the driver of a core with several pages: ``driver.pages[name]``, or ``driver.<name>``, is one of them."""

    def _begin(self: Any, description: dict[str, Any]) -> None:
        DefaultIP.__init__(self, description)
        Page.__init__(self, self)
        self.check_identity()
        self.pages: dict[str, Page] = {}

    def _add_pages(self: Any, pages: PageMap) -> None:
        """All but the first, which is the driver's own."""
        for name, table in pages.pages[1:]:
            page = page_class(table)(self, pages.base(name))
            page.check_identity()
            self.pages[name] = page
            setattr(self, name, page)


class TransmitterDriver(Assembly, DefaultIP, page_class(TRANSMITTER)):  # type: ignore[misc]
    """The transmitter: its own page, and ``driver.pages[name]``, or ``driver.<name>``, for that of each part.

    Raises:
        BoardError: what answers is no transmitter, or one of another version.
    """

    bindto = [core_part("transmitter", TRANSMITTER).type]

    def __init__(self, description: dict[str, Any]) -> None:
        self._begin(description)
        map_ = transmitter_pages(shaper=INTERPOLATING_SHAPER, predistortion=True)
        shaper_at = map_.base("pulse_shaper")
        general = self.read(shaper_at + PULSE_SHAPER["id"].offset) == PULSE_SHAPER["id"]["word"].reset
        self._add_pages(
            transmitter_pages(
                shaper=PULSE_SHAPER if general else INTERPOLATING_SHAPER,
                predistortion=description["addr_range"] >= len(map_.pages) * PAGE_BYTES,
            )
        )


class ReceiverDriver(Assembly, DefaultIP, page_class(RECEIVER)):  # type: ignore[misc]
    """The receiver, likewise.

    Raises:
        BoardError: what answers is no receiver, or one of another version.
    """

    bindto = [core_part("receiver", RECEIVER).type]

    def __init__(self, description: dict[str, Any]) -> None:
        self._begin(description)
        self._add_pages(receiver_pages(self.halvings))
