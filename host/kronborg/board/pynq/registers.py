"""Register tables as Python properties, in SI units and with the table's words as docstrings. Knows nothing of pynq.

``page.scale = 3.2`` writes the word that stands for it; ``page.apply()`` starts a command and waits until it is done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, Protocol

from kronborg_hdl.axi.registers import Access, Field, Register, RegisterMap

from ...errors import BoardError, InputError

COMMAND_S = 10.0
"""A command that takes longer will not end: settings wait for the frame under way at most."""
PLAIN = ("id", "version", "capabilities", "control", "status")
"""Registers whose fields speak for themselves; in others that have several, the register's name stands in front."""


class Bus(Protocol):
    """What reads and writes words, as pynq.DefaultIP does."""

    def read(self, offset: int = 0) -> int:
        """A word."""

    def write(self, offset: int, value: int) -> None:
        """Write a word."""


class Page:
    """A page of registers; :func:`page_class` makes a subclass of it for each table.

    Args:
        bus: that reaches it.
        base: offset of the page on the bus.
    """

    table: ClassVar[RegisterMap]

    def __init__(self, bus: Bus, base: int = 0) -> None:
        self._bus, self._base = bus, base

    def get(self, register: str) -> int:
        """A register's word."""
        return self._bus.read(self._base + self.table[register].offset)

    def put(self, register: str, **words: int) -> None:
        """Write a register: fields by name, in words, all others zero.

        Raises:
            InputError: a word that its field cannot hold.
        """
        entry = self.table[register]
        try:
            word = entry.word(**words)
        except ValueError as error:
            raise InputError(f"{self.table.name}.{register}: {error}") from None
        self._bus.write(self._base + entry.offset, word)

    def clear_status(self) -> None:
        """Forget what happened."""
        sticky = {field.name: field.maximum for field in self.table["status"].fields if field.access is Access.STICKY}
        if sticky:
            self.put("status", **sticky)

    def happened(self) -> list[str]:
        """Sticky flags that stand."""
        word = self.get("status")
        fields = self.table["status"].fields
        return [field.name for field in fields if field.access is Access.STICKY and field.extract(word)]

    def check_identity(self) -> None:
        """Whether the page is what the driver is for.

        Raises:
            BoardError: another core, or a version whose driver this is not.
        """
        wanted, found = self.table["id"]["word"].reset, self.get("id")
        if found != wanted:
            seen = found.to_bytes(4, "big")
            name = seen.decode("ascii") if seen.isascii() and seen.decode("ascii").isprintable() else f"{found:#010x}"
            raise BoardError(
                f"{self.table.name} answers as {name!r}: the bitstream on the board is another than the .hwh says"
            )
        major = self.table["version"]["major"]
        if (version := major.extract(self.get("version"))) != major.reset:
            raise BoardError(
                f"{self.table.name} has version {version} and this driver is for {major.reset}: build it again"
            )


def names(table: RegisterMap) -> dict[tuple[str, str], str]:
    """Name of the property, or method, of each field: by register and field."""
    found: dict[tuple[str, str], str] = {}
    for register in table.registers:
        for field in register.fields:
            long = f"{register.name}_{field.name}"
            if register.name in PLAIN[2:]:
                found[register.name, field.name] = field.name
            elif register.name in PLAIN or len(register.fields) > 1:
                found[register.name, field.name] = long
            else:
                found[register.name, field.name] = register.name
    used = list(found.values())
    return {
        key: name if used.count(name) == 1 and not hasattr(Page, name) else "_".join(key) for key, name in found.items()
    }


@cache
def page_class(table: RegisterMap) -> type[Page]:
    """A class whose objects are pages of this table."""
    members: dict[str, Any] = {"table": table, "__doc__": f"Registers of {table.name}.", "__slots__": ()}
    for (register, field), name in names(table).items():
        entry = table[register]
        members[name] = _member(entry, entry[field])
    return type("".join(part.capitalize() for part in table.name.split("_")), (Page,), members)


def _says(register: Register, field: Field) -> str:
    """A field's docstring."""
    unit = field.unit or ("" if field.scale == 1 else "a pure number")
    low, high = (f"{limit * field.scale:g}" for limit in (field.minimum, field.maximum))
    limits = "" if field.width == 1 else f" {low} to {high}{f', {unit}' if unit else ''}."
    return f"{register.sentence} {field.sentence}{limits} ({field.access.value}; {register.name}.{field.name})"


def _member(register: Register, field: Field) -> property | Callable[..., None]:
    says = _says(register, field)
    if field.access is Access.COMMAND:
        return _command(register, field, says)

    def get(page: Page) -> int | float | bool:
        word = field.extract(page.get(register.name))
        if field.width == 1:
            return bool(word)
        return word if field.scale == 1 else word * field.scale

    def put(page: Page, value: float) -> None:
        word = round(value / field.scale) if math.isfinite(value) else field.maximum + 1
        if not field.minimum <= word <= field.maximum:
            low, high = field.minimum * field.scale, field.maximum * field.scale
            raise InputError(
                f"{register.name}.{field.name} = {value:g} is outside {low:g} to {high:g} {field.unit}".strip()
            )
        page.put(register.name, **{**_kept(page, register, field), field.name: word})

    writes = field.access in (Access.READ_WRITE, Access.EXCHANGE, Access.WRITE_ONLY)
    return property(None if field.access is Access.WRITE_ONLY else get, put if writes else None, doc=says)


def _kept(page: Page, register: Register, field: Field) -> dict[str, int]:
    """The host's other fields of a register, as they are: a flag or a command among them is not written."""
    others = [other for other in register.fields if other is not field and other.access is Access.READ_WRITE]
    if not others:
        return {}
    word = page.get(register.name)
    return {other.name: other.extract(word) for other in others}


def _command(register: Register, field: Field, says: str) -> Callable[..., None]:
    def start(page: Page, timeout_s: float = COMMAND_S) -> None:
        page.put(register.name, **{**_kept(page, register, field), field.name: 1})
        end = time.monotonic() + timeout_s
        while field.extract(page.get(register.name)):
            if time.monotonic() > end:
                raise BoardError(
                    f"{page.table.name}.{register.name}.{field.name} is not done within {timeout_s:g} s:"
                    f" {register.name} {page.get(register.name):#x}, status {page.get('status'):#x}"
                )

    start.__doc__ = f"{says}. Waits until it is done; BoardError after `timeout_s`."
    start.__name__ = field.name
    return start
