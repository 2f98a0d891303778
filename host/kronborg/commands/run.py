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
from .ends import add_tap_arguments, tap_of

WORLD = Scenario()
EXTRA = "pynq"
OPTICS = "optics"
OPTICS_SYMBOLS, GATEWARE_SYMBOLS = 1e7, 1.2e6
"""Payload symbols that give a key over the default fibre."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    for name, default, unit, text in (
        ("distance", WORLD.distance_km, "KM", "length of the fibre"),
        ("attenuation", WORLD.attenuation_db_per_km, "DB_PER_KM", "its loss"),
        ("excess-noise", WORLD.excess_noise_snu, "SNU", "at the channel's input"),
        ("linewidth", WORLD.linewidth_hz, "HZ", "of both lasers together"),
        ("detector-efficiency", WORLD.detector_efficiency, "ETA", "trusted"),
        ("electronic-noise", WORLD.electronic_noise_snu, "SNU", "trusted"),
        ("pilot-snr", 20.0, "DB", "in the symbol-rate bandwidth"),
        ("estimation-fraction", 0.02, "SHARE", "of the symbols, disclosed to choose the code"),
        ("epsilon", 1e-10, "EPSILON", "composable security parameter"),
    ):
        parser.add_argument(
            f"--{name}", type=float, default=default, metavar=unit, help=f"{text} (default {default:g})"
        )
    parser.add_argument(
        "--symbols",
        type=float,
        metavar="N",
        help=f"payload symbols to send (default {OPTICS_SYMBOLS:g}; {GATEWARE_SYMBOLS:g} where both ends are gateware)",
    )
    parser.add_argument(
        "--modulation-variance", type=float, metavar="SNU", help="V_A per quadrature (default: best for the channel)"
    )
    parser.add_argument(
        "--farm", metavar="WHERE", help="decode in so many processes, or on a Ray cluster: HOST:PORT (default: here)"
    )
    parser.add_argument(
        "--light",
        metavar="NAME",
        help="no optics and no pictures: symbols from this light, such as `drawn` from the channel model",
    )
    add_tap_arguments(parser)
    parser.add_argument(
        "--board",
        default=OPTICS,
        metavar="NAME",
        help="optics: simulated lasers, fibre and detector (default); or both ends and an emulated fibre as gateware on"
        " one device: pynq, a board; rtl, its Verilog; model, its bit-exact models (rtl:BOARD for another size); ulx3s,"
        " a board at a serial port (ulx3s:PORT if it is not found by its USB numbers)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the simulated world (default %(default)s)")
    parser.add_argument(
        "--store", type=Path, default=Path("keys"), metavar="DIR", help="folder of both key stores (default keys)"
    )
    parser.add_argument(
        "--report", type=Path, default=Path("report.html"), metavar="FILE", help="pictures (default report.html)"
    )
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
    usual = OPTICS_SYMBOLS if options.board == OPTICS or options.light else GATEWARE_SYMBOLS
    symbols = usual if options.symbols is None else options.symbols
    settings = RunSettings(
        scenario=Scenario(
            distance_km=options.distance,
            attenuation_db_per_km=options.attenuation,
            excess_noise_snu=options.excess_noise,
            linewidth_hz=options.linewidth,
            detector_efficiency=options.detector_efficiency,
            electronic_noise_snu=options.electronic_noise,
        ),
        symbols=whole(symbols),
        modulation_variance_snu=options.modulation_variance,
        pilot_snr_db=options.pilot_snr,
        estimation_fraction=options.estimation_fraction,
        epsilon=options.epsilon,
        board=options.board,
        seed=options.seed,
        store=options.store,
        farm=options.farm,
        light=options.light,
        tap=tap_of(options),
    )
    # What cannot be written is better said before a minute of work than after.
    for target in (None if options.light or settings.on_gateware else options.report, options.json):
        if target and str(target) != "-":
            check_writable(target)
    with RunProgress(plain=options.plain) as progress:
        result, pictures = run_link(settings, progress)
    if options.symbols is not None and result.symbols != settings.symbols:
        print(
            f"{settings.symbols} symbols were asked for; whole frames of {settings.frame_symbols} are sent",
            file=sys.stderr,
        )
    write_summary(result, sys.stderr if options.json == "-" else sys.stdout)
    if options.json == "-":
        print(result.to_json(), end="")
    elif options.json:
        write_text(options.json, result.to_json())
    if pictures is not None:
        write_report(options.report, result, pictures)
    if result.bit_exact_with_model is False:
        raise KronborgError("words of the board are not the model's: kronborg selftest looks closer")
    if not result.keys_identical:
        raise KronborgError("the two ends hold different keys: void the last block of both stores")
    return 0
