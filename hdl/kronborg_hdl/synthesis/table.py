"""The table of what cores cost: its rows, those that are stored, and their page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from .cores import CORES, Configuration, configure, small
from .devices import DEVICES
from .netlist import Figures

STORED = Path(__file__).with_name("table.json")
TABLED = ("xc7z020", "xczu48dr")
"""Those of the boards that cores are meant for. The others are synthesised when asked for."""

_PAGE = """# Resources

What each core takes of a device, in its AXI skin with its registers. A command made it from a synthesis of every row:

    kronborg resources --store --markdown docs/resources.md

It synthesises what has changed since the rows in `hdl/kronborg_hdl/synthesis/table.json` were made; with `--fresh`,
everything. The tests synthesise a small configuration of every core and fail when it has grown by more than 10 %.

* **lanes**: samples per clock; of a core that works on symbols or hops, so many of these. **M**: samples per symbol.
  **K**: span of the pulse in symbols. Empty: the core does not depend on it.
* **multipliers**: DSP48 slices.
* **LUTs**: look-up tables, those that serve as memory or shift registers among them. Two small ones can share a place,
  so a placed design has fewer.
* **block RAMs**: of 18 Kib; one of 36 Kib counts twice.
* **logic levels**: the most look-up tables, carry chains (however long), reads of distributed memory and unregistered
  multipliers in a row between two registers. It is no frequency: that takes placement and routing.
* In brackets: the share of the device. What needs more than there is was synthesised all the same.

Yosys moves registers and adders into the DSP48E1 slices of the 7 series, but not into the DSP48E2 of UltraScale+, and
into no block RAM's output: there LUTs, registers and logic levels are upper bounds. Nothing here was placed, routed or
run on a board.
"""


@dataclass(frozen=True)
class Row:
    """What a core takes of a device.

    Attributes:
        core, lanes, samples_per_symbol, span: see ``cores.Configuration``.
        device: name, one of ``devices.DEVICES``.
        multipliers, luts, registers, block_rams, logic_levels: see ``netlist.Figures``.
        origin: SHA-256 of all that these follow from: the hardware, Yosys' release, and the commands it was given.
    """

    core: str
    lanes: int
    samples_per_symbol: int | None
    span: int | None
    device: str
    multipliers: int
    luts: int
    registers: int
    block_rams: int
    logic_levels: int
    origin: str

    @property
    def key(self) -> tuple[Configuration, str]:
        """What was synthesised, and for which device."""
        return Configuration(self.core, self.lanes, self.samples_per_symbol, self.span), self.device

    @property
    def figures(self) -> Figures:
        """What was counted."""
        return Figures(self.multipliers, self.luts, self.registers, self.block_rams, self.logic_levels)

    def share(self, figure: str) -> float:
        """The part of the device that a figure is: ``multipliers``, ``luts``, ``registers`` or ``block_rams``."""
        return getattr(self, figure) / getattr(DEVICES[self.device], figure)


def load() -> list[Row]:
    """The stored rows."""
    return [Row(**entry) for entry in json.loads(STORED.read_text("utf-8"))["rows"]]


def jobs() -> list[tuple[Configuration, str]]:
    """All that the table has rows of: every core at every number of lanes, and what the tests synthesise."""
    found = []
    for core, entry in CORES.items():
        found += [(configure(core, lanes), device) for lanes in entry.lanes for device in TABLED]
        if entry.checked_on:
            found.append((small(core), entry.checked_on))
    return list(dict.fromkeys(found))


def to_json(rows: Iterable[Row]) -> str:
    """Rows as JSON, one a line."""
    lines = ",\n".join(f"  {json.dumps(asdict(row))}" for row in rows)
    return f'{{"block_ram_bits": 18432, "rows": [\n{lines}\n]}}\n'


def merge(stored: Iterable[Row], made: Iterable[Row]) -> list[Row]:
    """The table's rows in its order, those just made in place of stored ones. Others are left out."""
    rows = {row.key: row for row in (*stored, *made)}
    return [rows[job] for job in jobs() if job in rows]


TOLERANCE = 0.1
"""Share of a stored figure by which a new one may differ."""


def moved(new: Row, stored: Row) -> list[str]:
    """A line for each count that differs from the stored one's by more than ``TOLERANCE``, upwards or downwards."""
    return [
        f"{new.core}, lanes {new.lanes}, on {new.device}: {FIGURES[name]} were {before}, are {now}"
        for name in FIGURES
        if name != "logic_levels"
        and abs((now := getattr(new, name)) - (before := getattr(stored, name))) > TOLERANCE * before
    ]


FIGURES = {
    "multipliers": "multipliers",
    "luts": "LUTs",
    "registers": "registers",
    "block_rams": "block RAMs",
    "logic_levels": "logic levels",
}
"""The figures of a row, and what stands above them."""


def _figures(row: Row) -> list[str]:
    """Lanes, M, K and the figures, those of which a device has so many with the share of it."""
    built = [str(number or "") for number in (row.lanes, row.samples_per_symbol, row.span)]
    for name in FIGURES:
        count = getattr(row, name)
        shared = count and hasattr(DEVICES[row.device], name)
        built.append(f"{count} ({100 * row.share(name):.1f} %)" if shared else f"{count}")
    return built


def text(rows: Iterable[Row]) -> str:
    """Rows for a terminal."""
    lines = [["core", "device", "lanes", "M", "K", *FIGURES.values()]]
    lines += ([row.core, row.device, *_figures(row)] for row in rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join("  ".join(map(str.rjust, line, widths)) + "\n" for line in lines)


def _missing(rows: Iterable[Row]) -> str:
    """A paragraph that names the rows that the table should have and has not; empty if it is whole."""
    known = {row.key for row in rows}
    missing: dict[tuple[str, str], list[str]] = {}
    for configuration, device in jobs():
        if (configuration, device) not in known:
            name = str(configuration.lanes) if configuration != small(configuration.core) else "the small one"
            missing.setdefault((configuration.core, device), []).append(name)
    named = "; ".join(f"{core} on {device}: {', '.join(lanes)}" for (core, device), lanes in missing.items())
    return f"\nNot synthesised yet, by lanes: {named}.\n" if missing else ""


def markdown(rows: Iterable[Row]) -> str:
    """The page of the documentation."""
    rows = list(rows)
    heads = ("lanes", "M", "K", *FIGURES.values())
    parts = [_PAGE, _missing(rows)]
    by_place = sorted(rows, key=lambda row: (list(CORES).index(row.core), list(DEVICES).index(row.device)))
    for core, of_core in groupby(by_place, key=lambda row: row.core):
        parts.append(f"\n## {core}\n")
        for device, of_device in groupby(of_core, key=lambda row: row.device):
            parts.append(f"\n{DEVICES[device].title}:\n\n| {' | '.join(heads)} |\n|{'---:|' * len(heads)}\n")
            parts += (f"| {' | '.join(_figures(row))} |\n" for row in of_device)
    return "".join(parts)
