"""Run one link from light to identical secret keys, on a simulated board by default."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from ..board import Scenario
from ..console.atomic import check_writable, write_text
from ..console.progress import RunProgress
from ..console.report import write_report
from ..console.summary import write_summary
from ..errors import InputError, KronborgError
from ..link.run import RunSettings, run_link

DEFAULTS = Scenario()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--distance", type=float, default=DEFAULTS.distance_km, metavar="KM", help="length of the fibre"
    )
    parser.add_argument(
        "--attenuation", type=float, default=DEFAULTS.attenuation_db_per_km, metavar="DB_PER_KM", help="its loss"
    )
    parser.add_argument(
        "--excess-noise", type=float, default=DEFAULTS.excess_noise_snu, metavar="SNU", help="at the channel's input"
    )
    parser.add_argument(
        "--linewidth", type=float, default=DEFAULTS.linewidth_hz, metavar="HZ", help="of both lasers together"
    )
    parser.add_argument(
        "--detector-efficiency", type=float, default=DEFAULTS.detector_efficiency, metavar="ETA", help="trusted"
    )
    parser.add_argument(
        "--electronic-noise", type=float, default=DEFAULTS.electronic_noise_snu, metavar="SNU", help="trusted"
    )
    parser.add_argument(
        "--modulation-variance", type=float, metavar="SNU", help="V_A per quadrature (default: best for the channel)"
    )
    parser.add_argument("--pilot-snr", type=float, default=20.0, metavar="DB", help="in the symbol-rate bandwidth")
    parser.add_argument("--symbols", type=float, default=1e7, metavar="N", help="payload symbols to send")
    parser.add_argument(
        "--estimation-fraction", type=float, default=0.2, metavar="SHARE", help="of the symbols, disclosed"
    )
    parser.add_argument("--epsilon", type=float, default=1e-10, help="composable security parameter")
    parser.add_argument("--board", default="model", help="board to run on")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated world")
    parser.add_argument("--store", type=Path, default=Path("keys"), metavar="DIR", help="folder of the two key stores")
    parser.add_argument("--report", type=Path, default=Path("report.html"), metavar="FILE", help="pictures of the run")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON (- for standard output)")
    parser.add_argument("--plain", action="store_true", help="lines instead of progress bars")


def whole(number: float) -> int:
    """A count that may be written as 1e7.

    Raises:
        InputError: not a whole number.
    """
    if not math.isfinite(number) or number != int(number):
        raise InputError(f"{number:g} symbols are not a whole number")
    return int(number)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    settings = RunSettings(
        scenario=Scenario(
            distance_km=options.distance,
            attenuation_db_per_km=options.attenuation,
            excess_noise_snu=options.excess_noise,
            linewidth_hz=options.linewidth,
            detector_efficiency=options.detector_efficiency,
            electronic_noise_snu=options.electronic_noise,
        ),
        symbols=whole(options.symbols),
        modulation_variance_snu=options.modulation_variance,
        pilot_snr_db=options.pilot_snr,
        estimation_fraction=options.estimation_fraction,
        epsilon=options.epsilon,
        board=options.board,
        seed=options.seed,
        store=options.store,
    )
    # What cannot be written is better said before a minute of work than after.
    for target in (options.report, options.json):
        if target and str(target) != "-":
            check_writable(target)
    with RunProgress(plain=options.plain) as progress:
        result, pictures = run_link(settings, progress)
    write_summary(result, sys.stderr if options.json == "-" else sys.stdout)
    if options.json == "-":
        print(result.to_json(), end="")
    elif options.json:
        write_text(options.json, result.to_json())
    write_report(options.report, result, pictures)
    if not result.keys_identical:
        raise KronborgError("the two ends hold different keys: void the last block of both stores")
    return 0
