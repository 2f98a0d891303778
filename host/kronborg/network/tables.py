"""Configuration files: TOML whose tables are taken key by key. What is wrong is said in one line, with file and key."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError
from .identity import is_id

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


@dataclass(frozen=True)
class Address:
    """Where to listen or to call."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Table:
    """A table of a file whose keys are taken one by one; what is left over is unknown.

    All methods raise InputError, one line with the file and the key, where a value is not what it should be.

    Attributes:
        file: which.
        name: of the table, as messages write it.
        values: what has not been taken yet.
    """

    def __init__(self, file: Path, name: str, values: object) -> None:
        self.file, self.name = file, name
        if not isinstance(values, dict):
            raise InputError(f"{file}: {name} is not a table")
        self.values = dict(values)

    def wrong(self, key: str, text: str) -> InputError:
        """What to raise for a key."""
        return InputError(f"{self.file}: {self.name} {key}: {text}")

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """A value of a type; it has to be there unless there is a default."""
        value = self.values.pop(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            names = {
                str: "text in quotes",
                int: "a whole number",
                float: "a number",
                bool: "true or false",
                list: "a list",
            }
            raise self.wrong(key, f"is not {names[kind]}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> Any:
        """A number of the default's type, from low to high."""
        value: Any = self.take(key, type(default), default)
        if not low <= value <= high:
            raise self.wrong(key, f"{value:g} is outside {low:g} to {high:g}")
        return value

    def id(self, key: str) -> str:
        """An ID, which has to be there."""
        value = self.take(key, str)
        if not is_id(value):
            raise self.wrong(key, f"{value!r} is no ID: 1 to 64 letters, digits and . _ ~ -")
        return value

    def ids(self, key: str, *, any_too: bool = False) -> tuple[str, ...]:
        """A list of IDs, empty by default; `any_too` allows "*" among them."""
        values: list[object] = self.take(key, list, [])
        if not all(is_id(value) or (any_too and value == "*") for value in values):
            raise self.wrong(key, "is not a list of IDs")
        return tuple(str(value) for value in values)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of several words, the first by default."""
        value = self.take(key, str, choices[0])
        if value not in choices:
            raise self.wrong(key, f"{value!r} is none of {', '.join(choices)}")
        return value

    def path(self, key: str, default: str | None = None) -> Path:
        """A path, relative to the file's folder."""
        return self.file.parent / self.take(key, str, default)

    def address(self, key: str, default: str | None = None) -> Address:
        """HOST:PORT."""
        value = self.take(key, str, default)
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/\[\]]+)):([0-9]{1,5})", value)
        if not found or int(found[3]) > 65535:
            raise self.wrong(key, f"{value!r} is not HOST:PORT")
        return Address(found[1] or found[2], int(found[3]))

    def end(self) -> None:
        """See that nothing is left over."""
        for key in self.values:
            raise self.wrong(key, "is not known here")


def tables(file: Path, document: dict[str, Any], name: str) -> list[Table]:
    """All tables ``[[name]]`` of a document, which are taken out of it. Raises InputError."""
    found = document.pop(name, [])
    if not isinstance(found, list):
        raise InputError(f"{file}: {name} comes several times: write [[{name}]]")
    return [Table(file, f"[[{name}]] {number}", values) for number, values in enumerate(found, 1)]


def read_document(file: Path) -> dict[str, Any]:
    """A file's tables. Raises InputError with the file and the line."""
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: {error}") from None
    return parse_document(file, text)


def parse_document(file: Path, text: str) -> dict[str, Any]:
    """Tables of a text that is, or will be, in a file. Raises InputError with the file and the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: {' '.join(str(error).split())}") from None
