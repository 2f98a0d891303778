"""Run a core's Verilog against its bit-exact model, word by word."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped, si
from kronborg.errors import KronborgError

from .outcome import Outcome, whole

STAGES = 5
"""The build, and a run with each kind of pauses."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--core", required=True, metavar="NAME", help="transmitter, pulse_shaper, ...")
    parser.add_argument("--lanes", type=int, default=8, metavar="L", help="samples per clock (default 8)")
    parser.add_argument("--symbols", type=float, default=1e5, metavar="N", help="of each of four runs (default 1e5)")
    parser.add_argument("--samples-per-symbol", type=int, default=8, metavar="M", help="(default 8)")
    parser.add_argument("--span", type=int, default=33, metavar="K", help="of the pulse, symbols (default 33)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of data and pauses (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Build the RTL and compare.

    Raises:
        InputError: there is no such core, or not of this size.
        KronborgError: Verilator or the C++ compiler does not accept it, or there is no compiler.
    """
    symbols, seed = whole(options.symbols, 1, 10**9, "symbols"), whole(options.seed, 0, 2**63, "as seed")
    # It brings Amaranth and Verilator, which no other bench needs.
    from ...rtl.bench import bench_core

    with progress.stage(f"{options.core}, {options.lanes} lanes", STAGES) as stage:
        try:
            found = bench_core(
                options.core,
                options.lanes,
                symbols=symbols,
                samples_per_symbol=options.samples_per_symbol,
                span=options.span,
                seed=seed,
                done=lambda name: stage.advance(),
            )
        except RuntimeError as error:
            raise KronborgError(" ".join(str(error).split("\n")[:2])) from error
    table = [
        ("core", f"{found.core}, {found.lanes} lanes, seed {seed}"),
        ("symbols", grouped(found.symbols)),
        ("samples per clock", f"{found.samples_per_clock:.6g}"),
        ("bit exact", "yes" if found.bit_exact else "no"),
        ("speed", f"{si(found.simulated_cycles_per_second, 'cycle/s')}, {grouped(found.clock_cycles)} cycles"),
        ("time", f"{found.build_seconds:.1f} s to build, {found.run_seconds:.1f} s to run"),
    ]
    return Outcome(asdict(found) | {"seed": seed}, table, found.fault)
