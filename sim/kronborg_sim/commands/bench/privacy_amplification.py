"""Hash one block as privacy amplification does: speed on one core, memory, and whether every bit is right."""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import InputError
from kronborg.postprocessing.privacy_amplification import hash_bits, native_levels, seed_bytes

from .outcome import Outcome, whole
from .projection import projection_holds

IN_FULL = 2_000_000
"""Bits up to which numpy's transforms check the key in full; beyond, a random projection does."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--bits", type=float, default=1e8, metavar="N", help="of the block (default 1e8)")
    parser.add_argument("--share", type=float, default=0.5, metavar="X", help="of them kept as key (default 0.5)")
    parser.add_argument(
        "--level", type=int, metavar="L", help="0: portable, then each carry-less multiplication; -1: numpy"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of block and matrix (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Draw a block, hash it, check the key.

    Raises:
        InputError: sizes that cannot be, or a level that this installation does not have.
    """
    n, seed = whole(options.bits, 2, 10**10, "bits"), whole(options.seed, 0, 2**63, "as seed")
    if not 0 < options.share < 1:
        raise InputError(f"a share of {options.share:g} is outside (0, 1)")
    level = native_levels() - 1 if options.level is None else options.level
    if not -1 <= level < native_levels():
        raise InputError(f"level {level} is not there: this installation has -1 to {native_levels() - 1}")
    m = min(max(int(options.share * n), 1), n - 1)
    rng = np.random.default_rng(seed)
    bits = np.unpackbits(np.frombuffer(rng.bytes(-(-n // 8)), np.uint8), count=n)
    matrix = rng.bytes(seed_bytes(n))
    with progress.stage("hash"):
        begun = time.process_time()
        key = hash_bits(bits, matrix, m, level=level)
        seconds = time.process_time() - begun
    # Of the whole process, block and key among it, before the check takes its own.
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    with progress.stage("check"):
        in_full = n <= IN_FULL and level >= 0
        if in_full:
            right = bool(np.array_equal(key, hash_bits(bits, matrix, m, level=-1)))
        else:
            drawn = np.unpackbits(np.frombuffer(matrix, np.uint8), count=n - 1)
            z = int.from_bytes(rng.bytes(8), "big") | 1
            right = projection_holds(drawn, bits[m:], key ^ bits[:m], z)
    rate = n / max(seconds, 1e-9) / 1e6
    figures = {
        "bits": n,
        "key_bits": m,
        "input_megabit_per_second": rate,
        "cpu_seconds": seconds,
        "resident_mebibyte": resident,
        "checked_bits": m if right else 0,
        "check": "numpy, in full" if in_full else "random projection, all bits",
        "level": level,
        "levels": native_levels(),
        "seed": seed,
    }
    table = [
        ("block", f"{grouped(n)} bits to {grouped(m)}, seed {seed}"),
        ("speed", f"{rate:.1f} Mbit/s of input on one core (processor time)"),
        ("memory", f"{resident:.0f} MiB resident, block and key among it"),
        ("multiplication", "numpy" if level < 0 else f"native, level {level} of 0 to {native_levels() - 1}"),
        ("checked", f"{grouped(m)} bits: {figures['check']}" if right else "WRONG"),
    ]
    return Outcome(figures, table, "" if right else "the key is not the product of its matrix and the block")
