"""Runs that break a claim, as a table to read."""

from __future__ import annotations

import re
from dataclasses import dataclass

SHOWN_CLOCKS = 24
# Signals of submodules have dots in their names, the wires that join them to the top module double underscores.
_PORT_OR_REGISTER = re.compile(r"[a-z]+(_[a-z0-9]+)*")


@dataclass(frozen=True)
class Trace:
    """A run.

    Attributes:
        rows: by signal, its value in each clock. Signals of submodules have the submodules' names before theirs.
        widths: bits by signal.
    """

    rows: dict[str, list[int]]
    widths: dict[str, int]

    def __str__(self) -> str:
        """The last clocks as a table: a row a signal of the top module, in hexadecimal; a dot where it stays as it was.

        A value of more than 32 bits is named #1, #2, ... in the order of appearance. What is always zero is left out.
        """
        clocks = len(self.rows["clk"])
        shown = range(max(0, clocks - SHOWN_CLOCKS), clocks)
        table = [("clock", [str(n) for n in shown])]
        for name, values in self.rows.items():
            if _PORT_OR_REGISTER.fullmatch(name) and name != "clk" and any(values):
                words = _names(values) if self.widths[name] > 32 else [f"{value:x}" for value in values]
                table.append((name, [words[n] if n == shown[0] or words[n] != words[n - 1] else "." for n in shown]))
        names = max(len(name) for name, _ in table)
        columns = [max(map(len, column)) for column in zip(*(cells for _, cells in table), strict=True)]
        lines = (
            " ".join([f"{name:{names}} ", *(f"{cell:>{width}}" for cell, width in zip(cells, columns, strict=True))])
            for name, cells in table
        )
        return "\n".join(lines)


def _names(values: list[int]) -> list[str]:
    """A short name for each of the values."""
    names = {0: "0"}
    return [names.setdefault(value, f"#{len(names)}") for value in values]


def read_vcd(text: str) -> Trace:
    """The trace in a VCD of ``yosys sim``: a clock is ten units of time; inputs and registers are stable in it."""
    header, changes = text.split("$enddefinitions $end")
    names: dict[str, list[str]] = {}
    rows: dict[str, list[int]] = {}
    widths: dict[str, int] = {}
    scopes: list[str] = []
    for line in header.splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            scopes.pop()
        elif words[:1] == ["$var"]:
            name = ".".join([*scopes[1:], words[4]])
            names.setdefault(words[3], []).append(name)
            rows[name], widths[name] = [], int(words[2])
    values = dict.fromkeys(names, 0)
    # The last time only ends the clock before it.
    for clock in re.split(r"^#\d*0$", changes, flags=re.MULTILINE)[1:-1]:
        for value, code in re.findall(r"^b([01xz]+) (\w+)$", clock, flags=re.MULTILINE):
            values[code] = int(re.sub("[xz]", "0", value), 2)
        for code, value in values.items():
            for name in names[code]:
                rows[name].append(value)
    return Trace(rows, widths)
