"""Run cores as they are mapped to a device's cells against their bit-exact models, word by word."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import InputError

from .outcome import Outcome, whole

if TYPE_CHECKING:
    from kronborg_hdl.synthesis.cores import Configuration

FAMILIES = ("xc7", "ecp5", "ecp5-apart")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--core", action="append", metavar="NAME", help="may be given again (default: every core)")
    parser.add_argument(
        "--family", action="append", choices=FAMILIES, help="of cells; may be given again (default: every family)"
    )
    parser.add_argument("--symbols", type=float, default=1e4, metavar="N", help="of each of four runs (default 1e4)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of data and pauses (default 1)")


def size_of(core: str) -> Configuration:
    """The smallest that a core is run at: signal and pilot of a link need eight samples a symbol."""
    from kronborg_hdl.synthesis.cores import configure, small

    return configure(core, 1, 8, 17) if core in ("loopback", "receiver") else small(core)


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Map each core at a small size, and compare.

    Raises:
        InputError: there is no such core.
    """
    symbols, seed = whole(options.symbols, 1, 10**6, "symbols"), whole(options.seed, 0, 2**63, "as seed")
    # They bring Amaranth, Yosys and Verilator, which no other bench needs.
    from kronborg_hdl.synthesis.cores import CORES

    from ...rtl.bench import bench_core
    from ...rtl.cases import CASES
    from ...rtl.netlist import netlist

    known = [name for name in CASES if name in CORES]
    if unknown := [name for name in options.core or () if name not in known]:
        raise InputError(f"there is no core {unknown[0]!r}: choose among {', '.join(known)}")
    jobs = [(name, family) for name in options.core or known for family in options.family or FAMILIES]
    found: list[dict[str, Any]] = []
    with progress.stage("netlists", len(jobs)) as stage:
        for name, family in jobs:
            size, began = size_of(name), time.perf_counter()
            try:
                bench = bench_core(
                    name,
                    size.lanes,
                    symbols=symbols,
                    samples_per_symbol=size.samples_per_symbol or 8,
                    span=size.span or 33,
                    seed=seed,
                    verilog=partial(netlist, family=family),
                )
                said = {
                    "bit_exact": bench.bit_exact,
                    "fault": bench.fault,
                    "symbols": bench.symbols,
                    "clock_cycles": bench.clock_cycles,
                }
            except RuntimeError as error:
                fault = " ".join(str(error).split()[:40])
                said = {"bit_exact": False, "fault": fault, "symbols": 0, "clock_cycles": 0}
            seconds = round(time.perf_counter() - began, 1)
            found.append({"core": name, "family": family, "lanes": size.lanes, **said, "seconds": seconds})
            stage.advance()
    wrong = [f"{row['core']} on {row['family']}: {row['fault']}" for row in found if not row["bit_exact"]]
    table = [
        (
            row["core"],
            f"{row['family']}, {'bit exact' if row['bit_exact'] else 'not'}, {grouped(row['symbols'])} symbols in"
            f" {grouped(row['clock_cycles'])} cycles",
        )
        for row in found
    ]
    return Outcome({"seed": seed, "symbols": symbols, "netlists": found}, table, "; ".join(wrong))
