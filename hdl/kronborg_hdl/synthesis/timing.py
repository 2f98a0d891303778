"""How fast cores are when they are placed and routed: rows of a table, those that are stored, and their page."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from amaranth import Value
from amaranth.back import rtlil

from ..axi.skin import Skin
from ..dsp.rates import LANES
from .cores import CORES, Configuration, configure, small
from .devices import DEVICES
from .global_nets import FEWEST
from .netlist import Figures, measure
from .place_and_route import (
    GOAL_MHZ,
    SYNTHESIS,
    TOOLS,
    WITHOUT_ABC9,
    Part,
    Routed,
    TimingPath,
    command_of,
    place_and_route,
    script,
    synthesise,
    tools,
    version_of,
)
from .surrounded import Surrounded

STORED = Path(__file__).with_name("timing.json")
DEVICE = "lfe5u-85f"
SEEDS = (1, 2, 3)
"""Of the placer: the median of three does not move with its luck."""
ASSEMBLIES = ("transmitter", "receiver", "loopback")
"""They are placed for a board, and their frequency is in its bitstream's manifest."""
CHECKED = "alphabet"
"""The core that the tests place and route: it takes seconds."""
TOLERANCE = 0.12
"""Share of a stored frequency by which one of other hardware, or other tools, may be lower: the placer's luck."""
_TOP = "surrounded"

_PAGE = """# Timing

How fast each core is after placement and routing: the highest frequency at which no path between registers is too
long, on an {device} of speed grade {speed}. A command made this page, and measures what has changed:

    kronborg resources --timing --store --markdown docs/timing.md

By the packages of PyPI, or with `--nextpnr FILE` by one that was compiled, which takes half the time and places
otherwise. Rows are by {tools}.

With `--check` instead of `--store` it says which core has become slower than its row by more than {tolerance:.0f} %,
median to median, and places and routes only what has changed. The tests do so for one small core and one seed.

* The figure is the median of {seeds} seeds of the placer, whose luck moves it by some per cent.
* Registers before multipliers are put into them (`multiplier_registers`), for which Yosys has no rule on an ECP5.
* Enables and resets of {fewest} registers or more go onto the clocks' network (`global_nets`), as on a board.
* Mapped by `abc`, since Yosys' `abc9` ends with a failed assertion: {without}.
* Each core lies in its AXI skin among registers: paths at its edges count too, and none begins or ends at a pin.
* **lanes**, **M** and **K** are as in `docs/resources.md`. A core that does not fit says what there is too much of.
* Transmitter, receiver and loopback are placed for boards: `bitstreams/` has their frequencies.
* No figure for another family follows from it, and nothing here was run on a board.
"""


@dataclass(frozen=True)
class Timing:
    """How fast a core is on an LFE5U-85F of the slowest grade.

    Attributes:
        core, lanes, samples_per_symbol, span: see ``cores.Configuration``.
        mhz: the highest frequency for each of ``SEEDS``; none if the core does not fit.
        path: the longest of the run that is the median; or what does not fit.
        tools: that placed and routed it, and their versions.
        origin: SHA-256 of all that these follow from: hardware, tools, and what they were told.
    """

    core: str
    lanes: int
    samples_per_symbol: int | None
    span: int | None
    mhz: tuple[float, ...]
    path: str
    tools: str
    origin: str

    @property
    def configuration(self) -> Configuration:
        """What was placed and routed."""
        return Configuration(self.core, self.lanes, self.samples_per_symbol, self.span)

    @property
    def median_mhz(self) -> float | None:
        """Of all seeds; None if it does not fit."""
        return median(self.mhz) if self.mhz else None


def jobs() -> list[Configuration]:
    """All that the table has rows of: every core at each of its lanes, few lanes first."""
    cores = [core for core in CORES if core not in ASSEMBLIES]
    every = [configure(core, lanes) for lanes in LANES for core in cores if lanes in CORES[core].lanes]
    return list(dict.fromkeys([*every, small(CHECKED)]))


def load() -> list[Timing]:
    """The stored rows."""
    rows = []
    for stored in json.loads(STORED.read_text("utf-8"))["rows"]:
        del stored["median_mhz"]  # for readers of the file; here it follows
        rows.append(Timing(**{**stored, "mhz": tuple(stored["mhz"])}))
    return rows


def to_json(rows: Iterable[Timing]) -> str:
    """Rows as JSON, one a line."""
    lines = ",\n".join(f"  {json.dumps({**asdict(row), 'median_mhz': row.median_mhz})}" for row in rows)
    head = json.dumps({"device": DEVICES[DEVICE].title, "seeds": SEEDS})
    return f'{head[:-1]}, "rows": [\n{lines}\n]}}\n'


def merge(stored: Iterable[Timing], made: Iterable[Timing]) -> list[Timing]:
    """The table's rows in its order, those just made in place of stored ones. Others are left out."""
    rows = {row.configuration: row for row in (*stored, *made)}
    return [rows[job] for job in jobs() if job in rows]


def hardware(configuration: Configuration) -> str:
    """The core among registers, as Yosys reads it.

    Raises:
        ValueError: the core cannot be built so.
    """
    top = Surrounded(Skin(configuration.build()))
    ports = {name: (Value.cast(getattr(top, name)), None) for name in ("clock", "i", "o")}
    return str(rtlil.convert(top, name=_TOP, ports=ports, emit_src=False))


def tools_with(nextpnr: str | None) -> str:
    """The tools and their versions, in a line: the packages, or a nextpnr-ecp5 of one's own instead of its package.

    Raises:
        PackageNotFoundError: a package is not installed.
        ValueError: it is no nextpnr-ecp5.
    """
    packages = tools()
    return packages if nextpnr is None else f"{packages.split(',')[TOOLS.index('pyosys')]}, {version_of(nextpnr)}"


def origin_of(design: str, seeds: Sequence[int] = SEEDS, command: str = SYNTHESIS, used: str | None = None) -> str:
    """SHA-256 of a design among registers, the tools (the packages if none are given), and what they are told."""
    asked = repr((Part(), GOAL_MHZ, tuple(seeds)))
    told = (used or tools(), script(_TOP, command=command), "registered multipliers, global enables", asked, design)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def run(
    configurations: Iterable[Configuration],
    *,
    known: Iterable[Timing] = (),
    seeds: Sequence[int] = SEEDS,
    nextpnr: str | None = None,
    done: Callable[[Timing], None] = lambda row: None,
) -> list[Timing]:
    """The rows of configurations, in their order, one after the other.

    Args:
        configurations: what to place and route.
        known: rows that are taken for a core of the same origin.
        seeds: of the placer.
        nextpnr: a nextpnr-ecp5 of one's own, instead of the package's.
        done: told each row as soon as it is known.

    Raises:
        ValueError: a core cannot be built so, or that is no nextpnr-ecp5.
        PackageNotFoundError: a tool is not installed.
        RuntimeError: a tool failed.
    """
    stored = {row.origin: row for row in known}
    rows, used = [], tools_with(nextpnr)
    for configuration in configurations:
        design, command = hardware(configuration), command_of(configuration.core)
        origin = origin_of(design, seeds, command, used)
        same = stored.get(origin)
        mhz, path = (same.mhz, same.path) if same else _measure(design, seeds, command, nextpnr)
        rows.append(Timing(**asdict(configuration), mhz=mhz, path=path, tools=used, origin=origin))
        stored[origin] = rows[-1]
        done(rows[-1])
    return rows


def _measure(design: str, seeds: Sequence[int], command: str, nextpnr: str | None) -> tuple[tuple[float, ...], str]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        synthesise(design, _TOP, folder, registered=True, command=command)
        cells = json.loads((folder / "netlist.json").read_text())["modules"][_TOP]["cells"]
        if wants := _too_large(measure(cells)):
            return (), f"does not fit: {wants}"
        runs = [_only_clock(place_and_route(folder, seed, nextpnr=nextpnr)) for seed in seeds]
    mhz = tuple(round(frequency, 2) for frequency, _ in runs)
    _, path = min(runs, key=lambda run: abs(run[0] - median(mhz)))
    return mhz, str(path).replace("skin.", "")


def _only_clock(routed: Routed) -> tuple[float, TimingPath]:
    ((clock, frequency),) = routed.frequency_mhz.items()
    return frequency, routed.critical[clock]


def _too_large(figures: Figures) -> str:
    """What there is more of than the device has; the registers around the core are counted too."""
    device = DEVICES[DEVICE]
    kinds = ("multipliers", "luts", "registers", "block_rams")
    pairs = [(kind, getattr(figures, kind), getattr(device, kind)) for kind in kinds]
    return ", ".join(f"{wanted} {kind.replace('_', ' ')} of {has}" for kind, wanted, has in pairs if wanted > has)


def text(rows: Iterable[Timing]) -> str:
    """Rows for a terminal."""
    lines = []
    for row in rows:
        built = [f"lanes {row.lanes}"]
        built += [f"{name} {value}" for name, value in (("M", row.samples_per_symbol), ("K", row.span)) if value]
        speed = f"{row.median_mhz:.1f} MHz" if row.median_mhz else "-"
        lines.append(f"{row.core:<22}{', '.join(built):<22}{speed:>10}  {row.path}")
    return "".join(f"{line}\n" for line in lines)


def slower(rows: Iterable[Timing], stored: Iterable[Timing]) -> list[str]:
    """A line for each core whose median is below the stored one by more than ``TOLERANCE``, or that fits no more."""
    before = {row.configuration: row for row in stored}
    lines = []
    for row in rows:
        was = before[row.configuration].median_mhz if row.configuration in before else None
        if was is not None and (row.median_mhz or 0.0) < was * (1 - TOLERANCE):
            now = f"{row.median_mhz:.1f} MHz" if row.median_mhz else "no frequency"
            lines.append(f"{row.core} at {row.lanes} lanes: {now}, and was at {was:.1f} MHz: {row.path}")
    return lines


def slow(rows: Iterable[Timing]) -> list[Timing]:
    """Rows whose median is below the goal."""
    return [row for row in rows if row.median_mhz is not None and row.median_mhz < GOAL_MHZ]


def markdown(rows: Iterable[Timing]) -> str:
    """The page of the documentation."""
    rows = list(rows)
    lines = [
        _PAGE.format(
            device=DEVICES[DEVICE].title,
            speed=Part().speed,
            seeds=len(SEEDS),
            tools=_by_tools(rows),
            tolerance=100 * TOLERANCE,
            fewest=FEWEST,
            without=", ".join(WITHOUT_ABC9),
        )
    ]
    lines += [
        "| core | lanes | M | K | median, MHz | all, MHz | longest path of the median run |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for row in rows:
        speed = f"{row.median_mhz:.1f}" if row.median_mhz else ""
        every = ", ".join(f"{mhz:.1f}" for mhz in row.mhz)
        built = f"{row.lanes} | {row.samples_per_symbol or ''} | {row.span or ''}"
        lines.append(f"| {row.core} | {built} | {speed} | {every} | {row.path} |")
    below = ", ".join(f"{row.core} at {row.lanes}" for row in slow(rows))
    lines += ["", f"Below {GOAL_MHZ:g} MHz, by lanes: {below or 'none'}."]
    known = {row.configuration for row in rows}
    if missing := [f"{job.core} at {job.lanes}" for job in jobs() if job not in known]:
        lines += ["", f"Not measured yet, by lanes: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _by_tools(rows: list[Timing]) -> str:
    """The tools of rows; behind those that have made fewer, which they have made."""
    (most, _), *others = Counter(row.tools for row in rows).most_common()
    by = [
        f"by {tools}: {', '.join(f'{row.core} at {row.lanes}' for row in rows if row.tools == tools)}"
        for tools, _ in others
    ]
    return "; ".join([most, *by])
