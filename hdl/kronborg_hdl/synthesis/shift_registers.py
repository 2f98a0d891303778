"""Shift registers of an ECP5 in distributed memory, as other families have them in their look-up tables.

A chain of registers that nobody looks into is a delay. Sixteen of its words lie in a ``TRELLIS_DPR16X4`` that is read
and written at one place, which moves on with each word; a register behind it holds what was read. Four chains that
move together share one memory, and all chains of a length the four look-up tables and registers that count places.
Word for word that is what the chain does: the place that is written was read in the same clock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

Netlist = dict[str, Any]
"""A module as Yosys' ``write_json`` has it: flat, mapped to cells of an ECP5."""
Bit = int | str
REGISTER, MEMORY = "TRELLIS_FF", "TRELLIS_DPR16X4"
WORDS, WIDTH = 16, 4
"""Of a memory."""
SHORTEST = 5
"""Registers of a chain that is worth a memory: it takes six look-up tables for four chains."""
_ZERO, _ONE = "0", "1"


def fold(module: Netlist, *, shortest: int = SHORTEST) -> int:
    """Put the chains of a module into memories.

    Only registers that are not reset, begin at zero and are read by the next one alone: what a reset clears, as
    all that is secret, stays a register that it reaches.

    Args:
        module: changed in place.
        shortest: registers of a chain, 3 at least; shorter ones stay.

    Returns: the registers that are gone, without those that count places.
    """
    cells = module["cells"]
    free = count(1 + max(bits_of(module), default=1))
    together: dict[tuple[Bit, Bit, int], list[list[str]]] = defaultdict(list)
    for chain in _chains(module, shortest):
        for part in _parts(chain):
            clock, enable = _moves(cells[part[0]])
            together[clock, enable, len(part)].append(part)
    gone = 0
    for (clock, enable, length), parts in together.items():
        name = f"$shift${next(free)}"
        place = _counter(cells, name, length - 1, clock, enable, free)
        for first in range(0, len(parts), WIDTH):
            four = parts[first : first + WIDTH]
            read: list[Bit] = [next(free) for _ in range(WIDTH)]
            given = [cells[part[0]]["connections"]["DI"][0] for part in four]
            cells[f"{name}${first}"] = _memory(place, given, read, clock, enable)
            for part, bit in zip(four, read, strict=False):
                for register in part[:-1]:
                    del cells[register]
                cells[part[-1]]["connections"]["DI"] = [bit]
                gone += len(part) - 1
    without_undriven_names(module)
    return gone


def _chains(module: Netlist, shortest: int) -> Iterator[list[str]]:
    """Names of registers, in the order in which a word passes them."""
    cells = module["cells"]
    uses = Counter(bit for cell in cells.values() for bit in inputs_of(cell))
    uses.update(bit for port in module["ports"].values() for bit in port["bits"])
    registers = {name: cell for name, cell in cells.items() if cell["type"] == REGISTER and is_plain(cell)}
    holder = {cell["connections"]["Q"][0]: name for name, cell in registers.items()}
    after = {}
    for name, cell in registers.items():
        bit = cell["connections"]["DI"][0]
        before = holder.get(bit)
        if before is not None and uses[bit] == 1 and _moves(registers[before]) == _moves(cell):
            after[before] = name
    inner = set(after.values())
    for name in after:
        if name in inner:
            continue
        chain = [name]
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        if len(chain) >= shortest:
            yield chain


def _parts(chain: list[str]) -> Iterator[list[str]]:
    """Of a memory's words and a register each, about as long as each other; few lengths need few counters."""
    most = WORDS + 1
    for first in range(0, len(chain), most):
        part = chain[first : first + most]
        if len(part) > 2:
            yield part


def is_plain(cell: Netlist) -> bool:
    """Whether a register is clocked by a rising edge, neither set nor reset, and zero at the begin."""
    parameters = cell["parameters"]
    return bool(
        parameters.get("CLKMUX") == "CLK"
        and parameters.get("REGSET") == "RESET"
        and parameters.get("CEMUX", "1").strip() in ("CE", "1")
        and cell["connections"].get("LSR", [_ZERO]) == [_ZERO]
        and parameters.get("LSRMUX", "LSR") == "LSR"
        and "M" not in cell["connections"]
        and "keep" not in cell["attributes"]
    )


def _moves(cell: Netlist) -> tuple[Bit, Bit]:
    """Clock and clock enable of a register."""
    enabled = cell["parameters"].get("CEMUX", "1").strip() == "CE"
    return cell["connections"]["CLK"][0], cell["connections"]["CE"][0] if enabled else _ONE


def _counter(cells: Netlist, name: str, words: int, clock: Bit, enable: Bit, free: Iterator[int]) -> list[Bit]:
    """Bits of a place that goes from 0 to ``words - 1`` and round; from a place behind them it goes to 0."""
    size = (words - 1).bit_length()
    place: list[Bit] = [next(free) for _ in range(size)]
    for bit, q in enumerate(place):
        table = sum(
            1 << now for now in range(WORDS) if (now + 1 if now + 1 < words else 0) >> bit & 1 and now < 1 << size
        )
        following = next(free)
        inputs = dict(zip("ABCD", [*place, *[_ZERO] * (4 - size)], strict=True))
        cells[f"{name}$following${bit}"] = new_cell(
            "LUT4", {"INIT": f"{table:016b}"}, {pin: [net] for pin, net in inputs.items()}, {"Z": [following]}
        )
        connections: dict[str, list[Bit]] = {"CLK": [clock], "DI": [following], "LSR": [_ZERO]}
        if enable != _ONE:
            connections["CE"] = [enable]
        cells[f"{name}$place${bit}"] = new_cell(
            REGISTER,
            {
                "GSR": "DISABLED",
                "CEMUX": "1" if enable == _ONE else "CE",
                "CLKMUX": "CLK",
                "LSRMUX": "LSR",
                "REGSET": "RESET",
                "SRMODE": "LSR_OVER_CE",
            },
            connections,
            {"Q": [q]},
        )
    return [*place, *[_ZERO] * (4 - size)]


def _memory(place: list[Bit], given: list[Bit], read: list[Bit], clock: Bit, enable: Bit) -> Netlist:
    return new_cell(
        MEMORY,
        {"INITVAL": "0" * WORDS * WIDTH, "WCKMUX": "WCK", "WREMUX": "WRE"},
        {
            "RAD": list(place),
            "WAD": list(place),
            "DI": [*given, *[_ZERO] * (WIDTH - len(given))],
            "WCK": [clock],
            "WRE": [enable],
        },
        {"DO": list(read)},
    )


def new_cell(
    kind: str, parameters: dict[str, str], inputs: dict[str, list[Bit]], outputs: dict[str, list[Bit]]
) -> Netlist:
    """A cell of Yosys' JSON."""
    return {
        "hide_name": 1,
        "type": kind,
        # A space at its end keeps a text of zeros and ones a text.
        "parameters": {name: f"{value} " if value == "1" else value for name, value in parameters.items()},
        "attributes": {},
        "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
        "connections": {**inputs, **outputs},
    }


def inputs_of(cell: Netlist) -> Iterator[Bit]:
    """What a cell reads."""
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] != "output":
            yield from bits


def bits_of(module: Netlist) -> Iterator[int]:
    """All nets of a module, by their numbers."""
    for cell in module["cells"].values():
        for bits in cell["connections"].values():
            yield from (bit for bit in bits if isinstance(bit, int))
    for net in module["netnames"].values():
        yield from (bit for bit in net["bits"] if isinstance(bit, int))


def without_undriven_names(module: Netlist) -> None:
    """Leave those names out that are of nets which nothing drives any more."""
    left = _driven(module)
    named = module["netnames"]
    module["netnames"] = {name: net for name, net in named.items() if left.issuperset(net["bits"])}


def _driven(module: Netlist) -> set[Bit]:
    """All nets that a cell or a port drives, and constants."""
    driven: set[Bit] = {"0", "1", "x", "z"}
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "input":
                driven.update(bits)
    for port in module["ports"].values():
        driven.update(port["bits"])
    return driven
