"""Paths of cores that keep a 7-series device from 200 MHz by their own cells: those found, those stored, and why.

A path has 5 ns. What is listed has more than half of that in its cells, for wires take as much or more: of the one
design that was routed on such a device, the pulse shaper, two thirds of the longest path.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from amaranth.back import rtlil

from ..axi.skin import Skin
from .cores import CORES, Configuration, configure
from .devices import DEVICES
from .logic_delay import LogicPath, paths
from .place_and_route import TOOLS, script, synthesise, tools
from .timing import ASSEMBLIES

STORED = Path(__file__).with_name("slow_paths.json")
DEVICE = "xc7z020"
GOAL_MHZ = 200.0
LIMIT_NS = 1e3 / GOAL_MHZ / 2
"""Of a path's cells."""
_LIMITS = "a sum is rounded and limited in one clock"
_COUNTER = "a counter that stays at its largest value, sum and comparison in one clock"
REASONS: dict[str, str] = {
    "converter_input": "a shift's rounding and the mean's sum in one clock, once a block: it could have another",
    "entropy": "a run that goes on from the beat before, its length, two comparisons and their answer in one clock",
    "fibre_emulator": "a multiplier whose factor waits in a shift register, which is slow, and a sum behind it",
    "frame_controller": "whether a header's bit ends, a sum and a comparison, and the next one's number in one clock",
    "frame_synchroniser": "a step of the solver, two sums and the choice between them, from clock to clock",
    "gaussian": "11 x 5 bits of the angle's line by adders, which saves two multipliers a symbol",
    "half_band": "words wait in shift registers, which are slow, and are added right behind them",
    "interpolating_shaper": "a sum, its low bits from shift registers, is negated, rounded and limited in one clock",
    "matched_filter": _LIMITS,
    "mixer": "whether a hop begins waits in a shift register, which is slow, and chooses what a word is added to",
    "phase_smoother": "a word from a shift register, which is slow, or zero, and a sum of three behind it",
    "pilot_tracker": "a sum or difference, by the period's half, that goes on or begins anew, from clock to clock",
    "power_meter": "a sum of 64 bits that goes on or begins anew, from clock to clock",
    "predistortion": "14 x 8 bits of a table's line by adders, which saves two multipliers a lane",
    "pulse_shaper": _LIMITS,
    "resampler": "whether a command is due, a comparison, chooses what is added to the position, in one clock",
    "rotator": "two products are added behind their multipliers: only one of them stays within a slice",
    "shift_and_pilots": "a difference of products, which two slices make, is rounded behind them in one clock",
    "symbol_filter": _LIMITS,
    "symbol_record": _COUNTER,
    "unit_phasor": "two roundings of the product, the choice of one, and two limits in one clock",
}
"""By core: why its longest path is as it is."""

_PAGE = """## What keeps a 7-series device from {goal:g} MHz

At {goal:g} MHz a path has {period:g} ns. These have more than {limit:g} ns of it in their cells alone, on an {device},
at each core's fewest lanes; what is left is for wires, which take as much or more. **ends**: the signals at which paths
end that are so long. Delays of cells are those of the public database (`logic_delay`); wires are not counted, so
that it is no frequency. A command found them:

    kronborg resources --slow-paths --store --markdown docs/timing.md
"""


@dataclass(frozen=True)
class SlowPaths:
    """What a core has of paths longer than ``LIMIT_NS``, at its fewest lanes.

    Attributes:
        core, lanes, samples_per_symbol, span: see ``cores.Configuration``.
        longest: the longest one, in words; empty if none is too long.
        ns: of its cells.
        ends: signals at which paths end that are too long, the worst first.
        origin: SHA-256 of what these follow from: hardware, Yosys, and what it was told.
    """

    core: str
    lanes: int
    samples_per_symbol: int | None
    span: int | None
    longest: str
    ns: float
    ends: tuple[str, ...]
    origin: str


def jobs() -> list[Configuration]:
    """Every core at its fewest lanes; assemblies have the paths of their cores."""
    return [configure(core, min(entry.lanes)) for core, entry in CORES.items() if core not in ASSEMBLIES]


def load() -> list[SlowPaths]:
    """The stored rows."""
    stored = json.loads(STORED.read_text("utf-8"))["rows"]
    return [SlowPaths(**{**row, "ends": tuple(row["ends"])}) for row in stored]


def to_json(rows: Iterable[SlowPaths]) -> str:
    """Rows as JSON, one a line."""
    lines = ",\n".join(f"  {json.dumps(asdict(row))}" for row in rows)
    return f'{{"limit_ns": {LIMIT_NS}, "rows": [\n{lines}\n]}}\n'


def merge(stored: Iterable[SlowPaths], made: Iterable[SlowPaths]) -> list[SlowPaths]:
    """One row for each of the jobs, in their order, those just made in place of stored ones."""
    rows = {row.core: row for row in (*stored, *made)}
    return [rows[job.core] for job in jobs() if job.core in rows]


def run(
    configurations: Iterable[Configuration],
    *,
    known: Iterable[SlowPaths] = (),
    done: Callable[[SlowPaths], None] = lambda row: None,
) -> list[SlowPaths]:
    """The rows of configurations, one after the other; rows that are known are taken for the same hardware.

    Raises:
        RuntimeError: Yosys failed.
    """
    stored = {row.origin: row for row in known}
    rows = []
    for configuration in configurations:
        hardware = str(rtlil.convert(Skin(configuration.build()), name=configuration.core, emit_src=False))
        origin = origin_of(hardware, configuration.core)
        rows.append(stored.get(origin) or _row(configuration, hardware, origin))
        done(rows[-1])
    return rows


def origin_of(hardware: str, top: str) -> str:
    """SHA-256 of hardware, Yosys and its script."""
    told = (tools().split(",")[TOOLS.index("pyosys")], script(top, command=DEVICES[DEVICE].command), hardware)
    return sha256("\n".join(told).encode()).hexdigest()


def _row(configuration: Configuration, hardware: str, origin: str) -> SlowPaths:
    top = configuration.core
    with TemporaryDirectory() as name:
        synthesise(hardware, top, Path(name), command=DEVICES[DEVICE].command)
        module = json.loads((Path(name) / "netlist.json").read_text())["modules"][top]
    found = paths(module["cells"], _names(module["netnames"]), longer_than=LIMIT_NS)
    longest = str(found[0]) if found else ""
    ends = tuple(dict.fromkeys(path.ends for path in found))
    return SlowPaths(**asdict(configuration), longest=longest, ns=_ns(found), ends=ends, origin=origin)


def _ns(found: list[LogicPath]) -> float:
    return found[0].ns if found else 0.0


def _names(netnames: dict[str, dict[str, list[int | str]]]) -> dict[int, str]:
    """A name for each net: of several the one that a person gave."""
    names: dict[int, str] = {}
    for name, net in netnames.items():
        for bit in net["bits"]:
            if isinstance(bit, int) and (bit not in names or name.count("$") < names[bit].count("$")):
                names[bit] = name
    return names


def text(rows: Iterable[SlowPaths]) -> str:
    """Rows for a terminal."""
    return "".join(f"{row.core:<22}{row.longest or f'no path above {LIMIT_NS} ns'}\n" for row in rows)


def markdown(rows: Iterable[SlowPaths]) -> str:
    """The part of the page that is about them."""
    rows = list(rows)
    slow = [row for row in rows if row.ends]
    head = _PAGE.format(goal=GOAL_MHZ, period=1e3 / GOAL_MHZ, limit=LIMIT_NS, device=DEVICES[DEVICE].title)
    lines = [head, "| core | ns in cells | longest path | ends | why |", "|---|---:|---|---:|---|"]
    for row in slow:
        path = row.longest.rpartition(";")[0]
        lines.append(f"| {row.core} | {row.ns:.1f} | {path} | {len(row.ends)} | {REASONS.get(row.core, '')} |")
    lines += ["", f"None so long: {', '.join(row.core for row in rows if not row.ends) or 'in no core'}."]
    if missing := [job.core for job in jobs() if job.core not in {row.core for row in rows}]:
        lines += ["", f"Not looked at yet: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"
