"""All register tables of the gateware, found where each core keeps its own. Pure Python."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module

from ..axi.pages import PageMap
from ..axi.registers import RegisterMap

_HOME = __package__.rpartition(".")[0]


@cache
def tables() -> dict[str, RegisterMap]:
    """The table of each core, by the core's name, in alphabetical order."""
    home = import_module(_HOME)
    found = {}
    for module in pkgutil.walk_packages(home.__path__, f"{_HOME}."):
        if module.name.endswith(".registers") and module.name != f"{_HOME}.axi.registers":
            table = import_module(module.name).REGISTERS
            found[table.name] = table
    return dict(sorted(found.items()))


def markdown() -> str:
    """The page of the documentation: every table once, and which of them an assembly has at which page."""
    from ..loopback.pages import loopback_pages
    from ..modulation.interpolating_shaper.registers import REGISTERS as INTERPOLATING_SHAPER
    from ..receiver.registers import receiver_pages
    from ..transmitter.registers import transmitter_pages

    lines = [
        "# Registers",
        "",
        "Made from the tables by `kronborg registers --output docs/registers.md`; do not edit. A core has one page of",
        "4 KiB. Values are words of 32 bits; what has a unit is that many units for each step of the word. An address",
        "without a register, and a write where nothing can be written, is answered with SLVERR.",
        "",
        "## Pages of the assemblies",
    ]
    assemblies: dict[str, Callable[[], PageMap]] = {
        "transmitter": lambda: transmitter_pages(shaper=INTERPOLATING_SHAPER, predistortion=True),
        "receiver": lambda: receiver_pages(3),
        "loopback": lambda: loopback_pages(halvings=2, predistortion=False),
    }
    for name, make in assemblies.items():
        pages = make()
        lines += ["", f"{name}:", "", "| offset | page | table |", "|---|---|---|"]
        lines += [f"| {pages.base(page):#07x} | {page} | [{t.name}](#{t.name}) |" for page, t in pages.pages]
    for name, table in tables().items():
        lines += ["", f"## {name}", "", table.table().rstrip()]
    return "\n".join(lines) + "\n"
