"""Write a core in its AXI skin as Verilog, for a block design."""

from __future__ import annotations

import argparse

from kronborg.console.atomic import write_text
from kronborg.errors import InputError

from ..axi.skin import Skin
from ..dsp.rates import LANES
from ..synthesis.cores import CORES, configure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("core", choices=CORES, metavar="CORE", help=", ".join(CORES))
    parser.add_argument("--lanes", type=int, choices=LANES, required=True, help="samples, or symbols, per clock")
    parser.add_argument("--samples-per-symbol", type=int, metavar="M", help="2 to 16 (default 8)")
    parser.add_argument("--span", type=int, metavar="K", help="of the pulse, symbols (default 33)")
    parser.add_argument("--output", metavar="FILE", default="-", help="(default standard output)")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    for name in ("samples_per_symbol", "span"):
        if getattr(options, name) is not None and name not in CORES[options.core].needs:
            raise InputError(f"--{name.replace('_', '-')} means nothing to {options.core}: leave it out")
    try:
        core = configure(options.core, options.lanes, options.samples_per_symbol, options.span).build()
    except ValueError as error:
        raise InputError(str(error)) from None
    text = Skin(core).to_verilog(options.core)
    if options.output == "-":
        print(text, end="")
    else:
        write_text(options.output, text)
    return 0
