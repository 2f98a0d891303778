"""Which configuration bits a feature of a 7-series device is: the database of Project X-Ray, read from its files.

The database is not ours and not here (https://github.com/f4pga/prjxray-db, CC0). Its files are described in Project
X-Ray's documentation: a grid that says of each tile its type and where its bits begin, and for each type of tile the
bits of each feature, counted from there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

WORDS = 101
"""Of a frame."""
WORD_BITS = 32
BLOCK_RAM = "BLOCK_RAM"
"""Contents of memories, on a bus of their own."""
_PART = re.compile(r"(?P<device>xc7[a-z]\d+)[a-z]+\d+-\d")


@dataclass(frozen=True)
class Place:
    """Where the bits of a tile begin on one bus.

    Attributes:
        frame: address of its first frame.
        bit: within each frame, that from which its type's bits are counted.
        own: its first bit within each frame, and that after its last.
        type: of tile, whose bits they are.
        sites: names of sites, as that type has them.
    """

    frame: int
    bit: int
    own: tuple[int, int]
    type: str
    sites: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Bit:
    """A bit that a feature has or must not have."""

    frame: int
    number: int
    is_set: bool


Features = dict[str, dict[int, tuple[Bit, ...]]]
"""Bits of each feature of a type of tile, by its name and its index, which is 0 where it has none."""


@dataclass(frozen=True)
class Tile:
    """Attributes: its type, and where its bits begin on each bus."""

    type: str
    places: dict[str, Place]


class Database:
    """The bits of one part.

    Args:
        folder: of the family, ``zynq7``.
        part: with package and speed grade.

    Raises:
        ValueError: it is not there, or does not have the part.
    """

    def __init__(self, folder: Path, part: str) -> None:
        match = _PART.fullmatch(part)
        self.folder, self.part = folder, part
        self._device = match["device"] if match else part
        for path in (folder / self._device / "tilegrid.json", folder / part / "part.json"):
            if not path.is_file():
                raise ValueError(f"no bit database of {part} in {str(folder)!r}: {path.name} of it is missing")
        self._read: dict[tuple[str, str], Features] = {}
        self._without: dict[str, frozenset[str]] = {}

    @cached_property
    def tiles(self) -> dict[str, Tile]:
        """Each tile by its name."""
        grid = json.loads((self.folder / self._device / "tilegrid.json").read_text())
        return {name: Tile(tile["type"], self._places(tile)) for name, tile in grid.items()}

    @cached_property
    def identity(self) -> int:
        """What the device calls itself: IDCODE."""
        return int(self._description["idcode"])

    @cached_property
    def frames(self) -> tuple[tuple[int, ...], ...]:
        """Addresses of the frames of each row, rows and frames in the order of their addresses."""
        rows = []
        for bus, block in (("CLB_IO_CLK", 0), (BLOCK_RAM, 1)):
            for half, bottom in (("top", 0), ("bottom", 1)):
                found = self._description["global_clock_regions"][half]["rows"]
                for row in sorted(found, key=int):
                    columns = found[row]["configuration_buses"].get(bus, {"configuration_columns": {}})
                    columns = columns["configuration_columns"]
                    base = block << 23 | bottom << 22 | int(row) << 17
                    rows.append(
                        tuple(
                            base | int(column) << 7 | minor
                            for column in sorted(columns, key=int)
                            for minor in range(columns[column]["frame_count"])
                        )
                    )
        return tuple(row for row in rows if row)

    @property
    def required(self) -> str:
        """Features that every design of the part has."""
        path = self.folder / self.part / "required_features.fasm"
        return path.read_text() if path.is_file() else ""

    def features(self, type_: str, bus: str) -> Features:
        """Those of a type of tile on one bus; empty if there are none."""
        key = (type_, bus)
        if key not in self._read:
            kind = ".block_ram" if bus == BLOCK_RAM else ""
            path = self.folder / f"segbits_{type_.lower()}{kind}.db"
            self._read[key] = _features(path.read_text()) if path.is_file() else {}
        return self._read[key]

    def without_bits(self, type_: str) -> frozenset[str]:
        """Features of a type of tile that are there without a bit: connections that always are."""
        if type_ not in self._without:
            path = self.folder / f"ppips_{type_.lower()}.db"
            lines = path.read_text().splitlines() if path.is_file() else []
            self._without[type_] = frozenset(line.split()[0] for line in lines if line.strip())
        return self._without[type_]

    @cached_property
    def _description(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads((self.folder / self.part / "part.json").read_text())
        return described

    @staticmethod
    def _places(tile: dict[str, Any]) -> dict[str, Place]:
        places = {}
        for bus, bits in tile["bits"].items():
            # A tile at the rim has half of the bits of a whole one, and is described by it.
            whole = bits.get("alias", {"type": tile["type"], "start_offset": 0, "sites": {}})
            places[bus] = Place(
                frame=int(bits["baseaddr"], 16),
                bit=(bits["offset"] - whole["start_offset"]) * WORD_BITS,
                own=(bits["offset"] * WORD_BITS, (bits["offset"] + bits["words"]) * WORD_BITS),
                type=whole["type"],
                sites=tuple(whole["sites"].items()),
            )
        return places


def _features(text: str) -> Features:
    """Of a file whose lines are a feature and its bits, ``frame_bit``, ``!`` before those that it must not have."""
    features: Features = {}
    for line in text.splitlines():
        name, *bits = line.split() or ("",)
        if not bits:
            continue
        base, _, index = name.partition("[")
        numbers = [bit.lstrip("!").split("_") for bit in bits]
        features.setdefault(base, {})[int(index.rstrip("]") or 0)] = tuple(
            Bit(int(frame), int(number), not bit.startswith("!"))
            for bit, (frame, number) in zip(bits, numbers, strict=True)
        )
    return features
