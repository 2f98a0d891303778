"""How long the paths of a core are on a 7-series device without their wires: no placement makes them shorter.

The delays of cells are those that the public database of these devices has, Project X-Ray's of the Artix fabric at its
slowest grade. A look-up table has one delay, whichever its input. Of a multiplier and a block RAM it counts which of
their registers are used. It is no frequency: a wire takes about half a nanosecond at best, and two for some.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import groupby

from .netlist import BLOCK_RAMS, REGISTERS, Cell, number, signals

LUT, CARRY_IN, CARRY_ON, CARRY_OUT = 0.15, 0.51, 0.117, 0.33
"""Through a look-up table; into a carry chain, along four of its bits, and out of it. All in ns."""
OWN_SUM = 0.23
"""From a carry chain's input to the sum at the same place."""
WIDE = {"MUXF7": 0.22, "MUXF8": 0.10}
CLOCK_TO_Q, SETUP, SETUP_ENABLE, SETUP_RESET = 0.35, 0.10, 0.11, 0.40
SHIFT_TO_Q, MEMORY_TO_Q, MEMORY_READ, MEMORY_SETUP = 1.47, 1.15, 0.64, 0.45
BLOCK_TO_Q, BLOCK_REGISTER_TO_Q, BLOCK_SETUP = 2.45, 0.88, 0.74
PRODUCT, PRODUCT_ADDED = {"A": 2.82, "B": 2.69, "D": 3.72, "C": 1.33, "PCIN": 1.33}, 1.67
"""Through a multiplier and its adder; from the register between the two through the adder."""
TO_PRODUCT = {"A": 1.42, "B": 1.29, "D": 2.31}
"""Of a factor before the register behind the multiplier."""
TO_SUM = {"A": 2.74, "B": 2.61, "D": 3.64, "C": 1.24, "PCIN": 1.03}
"""Before the register behind the adder."""
FACTOR_REGISTER_TO_P, P_REGISTER = 2.95, 0.33
AT_INPUT = 0.32
"""Before a register at a multiplier's input."""


@dataclass(frozen=True)
class LogicPath:
    """The longest path of those that end at one signal.

    Attributes:
        begins: name of the net at its begin.
        ends: at its end.
        cells: what it goes through, in words.
        ns: the sum of its cells' delays, from clock to clock.
    """

    begins: str
    ends: str
    cells: str
    ns: float

    def __str__(self) -> str:
        return f"{self.begins} to {self.ends}: {self.cells}; {self.ns:.1f} ns in cells"


Arc = tuple[int, int, float, str]
"""From a net to another, how long, and through what."""


def paths(cells: Mapping[str, Cell], names: Mapping[int, str], *, longer_than: float) -> list[LogicPath]:
    """The paths of a flat netlist of 7-series cells that are too long, the longest first, one for each of their ends.

    Args:
        cells: by name.
        names: of nets, by their numbers.
        longer_than: ns.
    """
    into: dict[int, list[tuple[int, float, str]]] = defaultdict(list)
    best: dict[int, tuple[float, int | None, str]] = {}
    ends: list[tuple[int, float, str, str]] = []
    for cell in cells.values():
        for before, after, delay, kind in _arcs(cell):
            into[after].append((before, delay, kind))
        for net, delay, kind in _begins(cell):
            best[net] = (delay, None, kind)
        ends += [(net, delay, kind, _end(cell, names, net)) for net, delay, kind in _ends(cell)]
    order = TopologicalSorter({net: [before for before, _, _ in arcs] for net, arcs in into.items()})
    for net in order.static_order():
        for before, delay, kind in into.get(net, ()):
            arrives = best[before][0] + delay if before in best else delay
            if arrives > best.get(net, (-1.0,))[0]:
                best[net] = (arrives, before, kind)
    found: dict[str, LogicPath] = {}
    for net, setup, kind, end in ends:
        ns = best.get(net, (0.0,))[0] + setup
        if ns > max(longer_than, found[end].ns if end in found else 0.0):
            found[end] = _path(net, kind, end, ns, best, names)
    return sorted(found.values(), key=lambda path: -path.ns)


def _path(
    net: int,
    kind: str,
    end: str,
    ns: float,
    best: Mapping[int, tuple[float, int | None, str]],
    names: Mapping[int, str],
) -> LogicPath:
    kinds, at = [kind], net
    while at in best:
        _, before, through = best[at]
        kinds.append(through)
        if before is None:
            break
        at = before
    words = []
    for word, row in groupby(reversed(kinds)):
        count = len(list(row))
        words.append(f"{count} x {word}" if count > 1 and word != "carry chain" else word)
    return LogicPath(names.get(at, "?"), end, ", ".join(words), round(ns, 2))


def _end(cell: Cell, names: Mapping[int, str], net: int) -> str:
    """The signal at a path's end: what the register or memory holds."""
    for port in ("Q", "P", "DOADO", "DOBDO", "DO", "DOA", "Q31"):
        for bit in signals(cell["connections"].get(port, [])):
            return names.get(bit, names.get(net, "?"))
    return names.get(net, "?")


def _begins(cell: Cell) -> Iterator[tuple[int, float, str]]:
    """Nets that a clock moves."""
    kind, ports = str(cell["type"]), cell["connections"]
    if kind in REGISTERS:
        yield from ((bit, CLOCK_TO_Q, "register") for bit in signals(ports["Q"]))
    elif kind in BLOCK_RAMS:
        for port, register in (
            ("DOADO", "DOA_REG"),
            ("DOPADOP", "DOA_REG"),
            ("DOBDO", "DOB_REG"),
            ("DOPBDOP", "DOB_REG"),
        ):
            registered = number(cell["parameters"].get(register, 0))
            for bit in signals(ports.get(port, [])):
                yield bit, *((BLOCK_REGISTER_TO_Q, "block RAM's register") if registered else (BLOCK_TO_Q, "block RAM"))
    elif kind.startswith(("SRL", "RAM")):
        delay = SHIFT_TO_Q if kind.startswith("SRL") else MEMORY_TO_Q
        word = "shift register" if kind.startswith("SRL") else "distributed memory"
        yield from ((bit, delay, word) for bit in _outputs(cell))
    elif kind == "DSP48E1":
        depth = _depth(cell)
        delay, word = P_REGISTER, "multiplier's register"
        if not depth["P"]:
            delay, word = (
                (PRODUCT_ADDED, "adder of a multiplier") if depth["M"] else (FACTOR_REGISTER_TO_P, "multiplier")
            )
        if depth["P"] or depth["M"] or depth["A"] or depth["B"]:
            yield from ((bit, delay, word) for bit in _outputs(cell))


def _ends(cell: Cell) -> Iterator[tuple[int, float, str]]:
    """Nets that a clock takes, and how long before."""
    kind, ports = str(cell["type"]), cell["connections"]
    if kind in REGISTERS:
        for port, setup in (("D", SETUP), ("CE", SETUP_ENABLE), ("R", SETUP_RESET), ("S", SETUP_RESET)):
            yield from ((bit, setup, "register") for bit in signals(ports.get(port, [])))
    elif kind in BLOCK_RAMS:
        yield from ((bit, BLOCK_SETUP, "block RAM") for bit in _inputs(cell))
    elif kind.startswith(("SRL", "RAM")):
        data = [bit for port, bits in ports.items() if port.startswith(("D", "WE", "CE")) for bit in signals(bits)]
        outputs = set(_outputs(cell))
        yield from ((bit, MEMORY_SETUP, "distributed memory") for bit in data if bit not in outputs)
    elif kind == "DSP48E1":
        depth = _depth(cell)
        for port in PRODUCT:
            setups = (depth.get(port) and AT_INPUT, depth["M"] and TO_PRODUCT.get(port), depth["P"] and TO_SUM[port])
            if first := next(filter(None, setups), None):  # the first register that a word comes to
                yield from ((bit, first, "multiplier") for bit in signals(ports.get(port, [])))


def _arcs(cell: Cell) -> Iterator[Arc]:
    """Ways through a cell without a register."""
    kind, ports = str(cell["type"]), cell["connections"]
    if kind in REGISTERS or kind in BLOCK_RAMS:
        return
    if kind == "CARRY4":
        yield from _carry(ports)
    elif kind == "DSP48E1":
        depth = _depth(cell)
        for port, delay in PRODUCT.items():
            if not (depth["P"] or depth.get(port, 0) or (depth["M"] and port in TO_PRODUCT)):
                through = ((a, p) for a in signals(ports.get(port, [])) for p in _outputs(cell))
                yield from ((a, p, delay, "multiplier") for a, p in through)
    elif kind.startswith(("SRL", "RAM")):
        addresses = [bit for port, bits in ports.items() if port.startswith(("A", "DPRA")) for bit in signals(bits)]
        yield from ((a, o, MEMORY_READ, "distributed memory") for a in addresses for o in _outputs(cell))
    else:
        delay, word = (WIDE[kind], "") if kind in WIDE else (LUT, "LUT")
        yield from ((a, o, delay, word or "multiplexer") for a in _inputs(cell) for o in _outputs(cell))


def _carry(ports: Mapping[str, list[int | str]]) -> Iterator[Arc]:
    before = [(bit, CARRY_ON, CARRY_OUT) for bit in signals(ports.get("CI", []))]
    before += [(bit, CARRY_IN, CARRY_IN) for bit in signals(ports.get("CYINIT", []))]
    for place in range(len(ports["S"])):
        here = [bit for port in ("S", "DI") for bit in signals(ports[port][place : place + 1])]
        for out in signals(ports.get("O", [])[place : place + 1]):
            yield from ((bit, out, OWN_SUM, "carry chain") for bit in here)
            yield from ((bit, out, delay, "carry chain") for bit, _, delay in before)
        before += [(bit, CARRY_IN, CARRY_IN + 0.1) for bit in here]
        for out in signals(ports.get("CO", [])[place : place + 1]):
            yield from ((bit, out, delay, "carry chain") for bit, delay, _ in before)


def _depth(cell: Cell) -> dict[str, int]:
    parameters = cell["parameters"]
    return {port: number(parameters.get(f"{port}REG", 0)) for port in ("A", "B", "C", "D", "M", "P")}


def _inputs(cell: Cell) -> Iterator[int]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == "input" and "CLK" not in port:
            yield from signals(bits)


def _outputs(cell: Cell) -> list[int]:
    return [
        b
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "output"
        for b in signals(bits)
    ]
