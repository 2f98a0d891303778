"""Estimate a channel from symbols on disk: speed on one core, and whether the sums are exact."""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import InputError
from kronborg.postprocessing.calibration import ShotNoise
from kronborg.postprocessing.estimation import estimate
from kronborg.postprocessing.security import Link
from kronborg.postprocessing.streaming import stream

from .outcome import Outcome, whole

PIECE = 1 << 20
ALICE_DEVIATION, BOB_UNIT = 4096, 1024.0
"""Words: Alice's standard deviation, and one sqrt(SNU) of Bob's."""


Sums = tuple[int, int, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--symbols", type=float, default=1e8, metavar="N", help="of both ends (default 1e8)")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="for both files, 8 bytes a symbol (default: temporary)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the symbols (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Write the symbols of a known channel, estimate it from them, and add the sums up in another way.

    Raises:
        InputError: no room for the files, or too few symbols.
    """
    symbols, seed = whole(options.symbols, 1000, 10**11, "symbols"), whole(options.seed, 0, 2**63, "as seed")
    link = Link(4.0, 10**-0.5, 0.01, 0.6, 0.05)
    try:
        folder = tempfile.TemporaryDirectory(prefix="kronborg-", dir=options.folder)
    except OSError as error:
        raise InputError(f"cannot write to {str(options.folder)!r}: {error.strerror}") from None
    with folder as name:
        paths = Path(name) / "alice.npy", Path(name) / "bob.npy"
        with progress.stage("symbols", symbols) as stage:
            expected = _write(paths, symbols, seed, link, stage.advance)
        with progress.stage("estimation", symbols) as stage:
            begun, process = time.perf_counter(), time.process_time()
            moments = stream(*paths, stage.advance)
            found = estimate(
                moments.scaled(math.sqrt(link.modulation_variance_snu) / ALICE_DEVIATION, 1 / BOB_UNIT),
                modulation_variance_snu=link.modulation_variance_snu,
                shot_noise=ShotNoise(BOB_UNIT**2, link.electronic_noise_snu, 0.0),
                detector_efficiency=link.detector_efficiency,
                epsilon=1e-10,
            )
            seconds, wall = time.process_time() - process, time.perf_counter() - begun
    exact = (moments.xx, moments.xy, moments.yy) == tuple(map(float, expected))
    rate = symbols / max(seconds, 1e-9) / 1e6
    figures = {
        "symbols": symbols,
        "megasymbol_per_second": rate,
        "cpu_seconds": seconds,
        "wall_seconds": wall,
        "sums_exact": exact,
        "transmittance": found.transmittance,
        "transmittance_true": link.transmittance,
        "excess_noise_snu": found.excess_noise_snu,
        "excess_noise_std_snu": found.excess_noise_std_snu,
        "excess_noise_true_snu": link.excess_noise_snu,
        "excess_noise_worst_case_snu": found.worst_case.excess_noise_snu,
        "seed": seed,
    }
    table = [
        ("symbols", f"{grouped(symbols)} on disk, seed {seed}"),
        ("speed", f"{rate:.0f} Msymbol/s on one core (processor time, reading included)"),
        ("sums", "exact" if exact else "WRONG"),
        ("transmittance", f"{found.transmittance:.6f}, true {link.transmittance:.6f}"),
        (
            "excess noise",
            f"{1e3 * found.excess_noise_snu:.3f} ± {1e3 * found.excess_noise_std_snu:.3f} mSNU,"
            f" true {1e3 * link.excess_noise_snu:g}",
        ),
    ]
    return Outcome(figures, table, "" if exact else "the sums are not those of the symbols")


def _write(paths: tuple[Path, Path], symbols: int, seed: int, link: Link, advance: Callable[[int], None]) -> Sums:
    """Both files, and the three sums as numpy's integers give them."""
    rng = np.random.default_rng(seed)
    scale = math.sqrt(link.gain_squared * link.modulation_variance_snu) * BOB_UNIT / ALICE_DEVIATION
    deviation = math.sqrt(link.noise_variance_snu) * BOB_UNIT
    totals = [0, 0, 0]
    try:
        with paths[0].open("wb") as alice, paths[1].open("wb") as bob:
            for file in (alice, bob):
                header = {"descr": "<i2", "fortran_order": False, "shape": (symbols, 2)}
                np.lib.format.write_array_header_1_0(file, header)
            for begin in range(0, symbols, PIECE):
                count = min(PIECE, symbols - begin)
                x = np.rint(rng.standard_normal((count, 2), np.float32) * ALICE_DEVIATION).astype("<i2")
                noise = rng.standard_normal((count, 2), np.float32) * np.float32(deviation)
                y = np.rint(x * np.float32(scale) + noise).astype("<i2")
                alice.write(x.tobytes())
                bob.write(y.tobytes())
                a, b = x.reshape(-1).astype(np.int64), y.reshape(-1).astype(np.int64)
                for place, product in enumerate((a * a, a * b, b * b)):
                    totals[place] += int(product.sum())
                advance(count)
    except OSError as error:
        raise InputError(f"cannot write {8 * symbols} bytes of symbols: {error.strerror}") from None
    return totals[0], totals[1], totals[2]
