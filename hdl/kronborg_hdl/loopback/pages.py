"""Registers of the loopback: watch-dog, transmitter, fibre emulator and receiver, a page for each of their parts.

Names are those that an overlay gives to the pages of its parts, so that a host finds the same ones behind either.
"""

from __future__ import annotations

from ..axi.pages import PageMap
from ..axi.registers import RegisterMap
from ..axi.watchdog.registers import REGISTERS as WATCHDOG
from ..channel.fibre_emulator.registers import REGISTERS as FIBRE_EMULATOR
from ..modulation.interpolating_shaper.registers import REGISTERS as INTERPOLATING_SHAPER
from ..receiver.registers import receiver_pages
from ..transmitter.registers import transmitter_pages


def loopback_tables(*, halvings: int, predistortion: bool) -> dict[str, RegisterMap | PageMap]:
    """Table, or pages, of each part, in their order."""
    return {
        "watchdog": WATCHDOG,
        "transmitter": transmitter_pages(shaper=INTERPOLATING_SHAPER, predistortion=predistortion),
        "fibre_emulator": FIBRE_EMULATOR,
        "receiver": receiver_pages(halvings),
    }


def loopback_pages(*, halvings: int, predistortion: bool) -> PageMap:
    """All registers of a loopback with so many half-band stages: page p of part x is ``x_p``, that of one with one
    page is ``x``."""
    pages: list[tuple[str, RegisterMap]] = []
    for name, table in loopback_tables(halvings=halvings, predistortion=predistortion).items():
        if isinstance(table, PageMap):
            pages += ((f"{name}_{page}", registers) for page, registers in table.pages)
        else:
            pages.append((name, table))
    return PageMap("loopback", tuple(pages))
