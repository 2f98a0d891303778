"""Carry chains of an ECP5 with nothing in them that a chain can do without, and with what lies before them.

A ``CCU2C`` is two halves, each as much as a look-up table. A half adds a bit, S = P xor carry with P = x xor y, and
gives on x where P is 0, the carry that came where it is 1. Yosys leaves much that this makes room for:

* **Begins.** A chain whose first carry is no cell's begins with a cell of its own, which nextpnr adds. Here a half that
  is over gives that carry; or the half of the lowest bit does, and its sum is a look-up table's.
* **Ends.** Another cell is added to each last carry that has a name, read or not. Here the last carry has none; one
  that is read is a sum. Halves whose sum nobody reads go, behind the highest bit and at the low end of a rounding.
* **What lies before.** P is a table of four inputs. A look-up table that this half alone reads, as a choice, a mask or
  a change of sign, becomes part of it. The carry's table is of A and B alone: of these x is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, permutations, product

from .shift_registers import Bit, Netlist, bits_of, inputs_of, new_cell, without_undriven_names

CARRY, TABLE = "CCU2C", "LUT4"
PINS = "ABCD"
_ZERO, _ONE = "0", "1"
_NOTHING = "x"
"""At CIN and at COUT: nextpnr adds no cell for it."""
_ADDS = "1001011010101010"
"""INIT of Yosys' halves: P = A xor B xor C, x = A; D is 1."""


@dataclass(frozen=True)
class Function:
    """A bit that is a table of nets.

    Attributes:
        nets: its inputs, each another and each with some influence.
        table: its values; input k has the weight 2**k.
    """

    nets: tuple[int, ...]
    table: tuple[int, ...]

    @staticmethod
    def of(bits: Sequence[Bit], table: Sequence[int]) -> Function:
        """Of a table whose inputs may be constant, equal, or without influence."""
        nets = tuple(bit for bit in dict.fromkeys(bits) if isinstance(bit, int))
        values = tuple(table[_place(bits, now)] for now in _states(nets))
        for weight, net in enumerate(nets):
            if all(value == values[state ^ (1 << weight)] for state, value in enumerate(values)):
                rest = [other for other in nets if other != net]
                return Function.of(rest, [value for state, value in enumerate(values) if not state >> weight & 1])
        return Function(nets, values)

    def __call__(self, now: Mapping[int, int]) -> int:
        """Its value while nets have these."""
        return self.table[_place(self.nets, now)]

    def __xor__(self, other: Function) -> Function:
        nets = list(dict.fromkeys((*self.nets, *other.nets)))
        return Function.of(nets, [self(now) ^ other(now) for now in _states(nets)])

    def with_inside(self, net: int, inner: Function) -> Function:
        """The same with a function in a net's place."""
        nets = list(dict.fromkeys((*(other for other in self.nets if other != net), *inner.nets)))
        return Function.of(nets, [self({**now, net: inner(now)}) for now in _states(nets)])


ZERO = Function((), (0,))


@dataclass(frozen=True)
class Half:
    """A bit of a sum.

    Attributes:
        x: the operand that the carry needs by itself, of two nets at most.
        y: the other one.
        total: net of the sum; None if nobody reads it.
    """

    x: Function
    y: Function
    total: int | None

    def carries(self, carry: Function) -> Function:
        """The carry out of it."""
        p = self.x ^ self.y
        nets = list(dict.fromkeys((*p.nets, *self.x.nets, *carry.nets)))
        return Function.of(nets, [carry(now) if p(now) else self.x(now) for now in _states(nets)])

    def mapped(self) -> tuple[list[Bit], str] | None:
        """Its pins, and INIT; None if it has no room."""
        p = self.x ^ self.y
        others = [net for net in dict.fromkeys((*self.y.nets, *p.nets)) if net not in self.x.nets]
        if len(self.x.nets) > 2 or len(self.x.nets) + len(others) > len(PINS):
            return None
        for order in permutations(others):
            nets = [*self.x.nets, *order]
            # The carry's own table is the part of P's where C and D are 0: y is 0 there, or D is never 0.
            if len(nets) < len(PINS) or not any(
                self.y(now) for now in _states(nets) if not now[nets[2]] | now[nets[3]]
            ):
                pins: list[Bit] = [*nets, *[_ONE] * (len(PINS) - len(nets))]
                values = [
                    (p if now[2] | now[3] else self.x)({net: now[pin] for pin, net in enumerate(nets)})
                    for now in _states(range(len(PINS)))
                ]
                return pins, _init(values)
        return None


def fold(module: Netlist) -> int:
    """Put into carry chains what lies before them, and take out what they can do without.

    Args:
        module: changed in place.

    Returns: halves and look-up tables that are gone, with those that nextpnr would have added.
    """
    before = _size(module)
    free = count(1 + max(bits_of(module), default=1))
    uses = Counter(bit for cell in module["cells"].values() for bit in inputs_of(cell))
    uses.update(bit for port in module["ports"].values() for bit in port["bits"])
    tables = {cell["connections"]["Z"][0]: name for name, cell in module["cells"].items() if cell["type"] == TABLE}
    for chain in _chains(module, uses):
        carry, halves = _read(module, chain, uses)
        carry, halves, loose = _trim(carry, halves)
        halves = [_swallow(module, half, tables, uses) for half in halves]
        _write(module, chain, carry, halves, loose, free)
    without_undriven_names(module)
    return before - _size(module)


def _chains(module: Netlist, uses: Counter[Bit]) -> Iterator[list[str]]:
    """Names of the cells of chains whose carries nobody sees on the way."""
    cells = {name: cell for name, cell in module["cells"].items() if cell["type"] == CARRY}
    comes = {cell["connections"]["CIN"][0]: name for name, cell in cells.items()}
    leaves = {bit for cell in cells.values() for bit in cell["connections"]["COUT"]}
    for name, cell in cells.items():
        if cell["connections"]["CIN"][0] in leaves:
            continue
        chain = [name]
        while following := comes.get(_out(cells[chain[-1]], "COUT")):
            chain.append(following)
        seen = any(_read_net(_out(cells[one], "COUT"), uses, ways=1) for one in chain[:-1])
        if not seen and all(_is_plain(cells[one]) for one in chain):
            yield chain


def _is_plain(cell: Netlist) -> bool:
    """It is as Yosys makes them for a sum."""
    of, pins = cell["parameters"], cell["connections"]
    return all(
        of[f"INIT{half}"] == _ADDS and of[f"INJECT1_{half}"] == "NO" and pins[f"D{half}"] == [_ONE] for half in "01"
    )


def _read(module: Netlist, chain: list[str], uses: Counter[Bit]) -> tuple[Function, list[Half]]:
    """Its first carry and its halves, the carry that comes out as one more sum."""
    cells = [module["cells"][name] for name in chain]
    carry = Function.of(cells[0]["connections"]["CIN"], (0, 1))
    halves = []
    for cell in cells:
        for half in "01":
            a, b, c = (cell["connections"][f"{pin}{half}"][0] for pin in "ABC")
            total = _out(cell, f"S{half}")
            halves.append(Half(Function.of([a], (0, 1)), Function.of([b, c], (0, 1, 1, 0)), _read_net(total, uses)))
    halves.append(Half(ZERO, ZERO, _read_net(_out(cells[-1], "COUT"), uses)))
    return carry, halves


def _read_net(net: Bit | None, uses: Counter[Bit], ways: int = 0) -> int | None:
    """A net that is read in more ways than so many."""
    return net if isinstance(net, int) and uses[net] > ways else None


def _trim(carry: Function, halves: list[Half]) -> tuple[Function, list[Half], dict[int, Function]]:
    """Without what nobody reads. Returns also sums that look-up tables make."""
    while halves and halves[-1].total is None:
        halves = halves[:-1]
    while halves and halves[0].total is None and len(halves[0].carries(carry).nets) <= 2:
        carry, halves = halves[0].carries(carry), halves[1:]
    # One of two bits alone, or the lowest where the half that gives the carry would make the others an odd number.
    loose: dict[int, Function] = {}
    while halves and (len(halves) <= 2 or (len(halves) % 2 == 0 and not loose)):
        half = halves[0]
        total, carries = half.x ^ half.y ^ carry, half.carries(carry)
        if half.total is None or len(total.nets) > len(PINS) or (len(halves) > 1 and len(carries.nets) > 2):
            break
        loose[half.total] = total
        carry, halves = carries, halves[1:]
    return carry, halves, loose


def _swallow(module: Netlist, half: Half, tables: Mapping[Bit, str], uses: Counter[Bit]) -> Half:
    """The half with all look-up tables in it that it has room for; they are gone from the module."""
    cells = module["cells"]

    def larger() -> Half | None:
        for net in half.x.nets + half.y.nets:
            name = tables.get(net, "")
            if uses[net] != 1 or name not in cells:
                continue
            pins = [cells[name]["connections"][pin][0] for pin in PINS]
            inner = Function.of(pins, [int(value) for value in reversed(cells[name]["parameters"]["INIT"])])
            x, y = (side.with_inside(net, inner) if net in side.nets else side for side in (half.x, half.y))
            for choice in (replace(half, x=x, y=y), replace(half, x=y, y=x)):
                if choice.mapped() is not None:
                    del cells[name]
                    uses.subtract([*pins, *_nets(half)])
                    uses.update(_nets(choice))
                    return choice
        return None

    while grown := larger():
        half = grown
    return half


def _nets(half: Half) -> set[int]:
    return {*half.x.nets, *half.y.nets}


def _write(
    module: Netlist,
    chain: list[str],
    carry: Function,
    halves: list[Half],
    loose: dict[int, Function],
    free: Iterator[int],
) -> None:
    """The chain's cells anew."""
    cells = module["cells"]
    for name in chain:
        del cells[name]
    for net, table in loose.items():
        pins: list[Bit] = [*table.nets, *[_ZERO] * (len(PINS) - len(table.nets))]
        values = [table({one: now[pin] for pin, one in enumerate(table.nets)}) for now in _states(range(len(PINS)))]
        inputs: dict[str, list[Bit]] = {pin: [bit] for pin, bit in zip(PINS, pins, strict=True)}
        cells[f"{chain[0]}$sum${net}"] = new_cell(TABLE, {"INIT": _init(values)}, inputs, {"Z": [net]})
    if not halves:
        return
    # P is 0 where D is 1, and the carry's table that of the carry to give.
    nets = carry.nets
    gives = [
        0 if now[2] | now[3] else carry({net: now[pin] for pin, net in enumerate(nets)})
        for now in _states(range(len(PINS)))
    ]
    rows: list[tuple[list[Bit], str, int | None]] = [([*nets, *[_ONE] * (len(PINS) - len(nets))], _init(gives), None)]
    for one in halves:
        mapped = one.mapped()
        assert mapped is not None
        rows.append((*mapped, one.total))
    if len(rows) % 2:
        rows.append(([_ONE] * len(PINS), _init([0] * 16), None))
    comes: Bit = _NOTHING
    for number, two in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        ins: dict[str, list[Bit]] = {"CIN": [comes]}
        comes = next(free) if 2 * number + 2 < len(rows) else _NOTHING
        outs: dict[str, list[Bit]] = {"COUT": [comes]}
        parameters = {"INJECT1_0": "NO", "INJECT1_1": "NO"}
        for half, (bits, init, total) in enumerate(two):
            ins |= {f"{pin}{half}": [bit] for pin, bit in zip(PINS, bits, strict=True)}
            outs[f"S{half}"] = [next(free) if total is None else total]
            parameters[f"INIT{half}"] = init
        name = chain[number] if number < len(chain) else f"{chain[0]}$more${number}"
        cells[name] = new_cell(CARRY, parameters, ins, outs)


def _size(module: Netlist) -> int:
    """Look-up tables and halves, with those of the cells that nextpnr adds where a chain has a begin or an end."""
    cells = [cell for cell in module["cells"].values() if cell["type"] == CARRY]
    comes, leaves = ({_out(cell, port) for cell in cells} for port in ("CIN", "COUT"))
    begins = sum(_out(cell, "CIN") not in leaves for cell in cells if _out(cell, "CIN") != _NOTHING)
    ends = len(leaves - comes - {_NOTHING, None})
    return 2 * (len(cells) + begins + ends) + sum(cell["type"] == TABLE for cell in module["cells"].values())


def _states(nets: Sequence[int]) -> Iterator[dict[int, int]]:
    """All values of nets, those of the first one changing fastest."""
    for values in product((0, 1), repeat=len(nets)):
        yield dict(zip(nets, reversed(values), strict=True))


def _place(bits: Sequence[Bit], now: Mapping[int, int]) -> int:
    return sum((now[bit] if isinstance(bit, int) else int(bit == _ONE)) << weight for weight, bit in enumerate(bits))


def _init(values: Sequence[int]) -> str:
    return "".join(map(str, reversed(values)))


def _out(cell: Netlist, port: str) -> Bit | None:
    bits = cell["connections"].get(port)
    return bits[0] if bits else None
