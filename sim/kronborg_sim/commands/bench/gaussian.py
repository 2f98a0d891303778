"""Test the Gaussian source: its statistics, its tail, its distance from the exact transform."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg_hdl.modulation.gaussian import tables
from kronborg_hdl.modulation.gaussian.accuracy import error_bound_words, exhaust_functions, largest_error_words
from kronborg_hdl.modulation.gaussian.model import (
    DEFAULT_DEVIATION,
    MAXIMUM_DEVIATION,
    MULTIPLIERS_PER_SYMBOL,
    GaussianSource,
)
from kronborg_hdl.modulation.gaussian.statistics import Battery

from .keystream import BLOCK_BYTES, chacha20
from .outcome import FAMILY_WISE_LEVEL, Outcome, failed_tests, over_cores, whole

SYMBOL_BYTES = 8
SYMBOLS_PER_BLOCK = BLOCK_BYTES // SYMBOL_BYTES
# A battery's counts and the words in work stay in the processor's cache; a task is a tenth of a second's work.
BLOCKS_AT_ONCE, BLOCKS_PER_TASK = 1 << 13, 1 << 16
ERROR_BLOCKS = 1 << 17
"""From which the error is measured, beside the ends of all segments: a million symbols."""


class Task(NamedTuple):
    """Keystream to make symbols of, from block `first` to before block `end`."""

    seed: int
    first: int
    end: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--samples", type=float, default=1e8, metavar="N", help="I and Q together (default 1e8)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the keystream (default 1)")


def count(task: Task) -> Battery:
    """Count the symbols of a task's keystream, at the default scale."""
    source, battery = GaussianSource(DEFAULT_DEVIATION), Battery(DEFAULT_DEVIATION)
    for first in range(task.first, task.end, BLOCKS_AT_ONCE):
        words = chacha20(task.seed, first, min(BLOCKS_AT_ONCE, task.end - first))
        battery.add(source.process(words.reshape(-1).view(np.uint64)).words)
    return battery


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Draw at least as many samples as asked for, whole blocks of keystream, and test them.

    Statistics are of the default scale; the error is that of the largest scale, where it is greatest.

    Raises:
        InputError: too few samples to test, or more than years would do.
    """
    samples, seed = whole(options.samples, 10**4, 10**12, "samples"), whole(options.seed, 0, 2**63, "as seed")
    blocks = -(-samples // (2 * SYMBOLS_PER_BLOCK))
    tasks = [Task(seed, first, min(first + BLOCKS_PER_TASK, blocks)) for first in range(0, blocks, BLOCKS_PER_TASK)]
    battery = Battery(DEFAULT_DEVIATION)
    with progress.stage("samples", blocks) as stage, closing(over_cores(count, tasks)) as parts:
        for task, part in zip(tasks, parts, strict=True):
            battery.merge(part)
            stage.advance(task.end - task.first)
    with progress.stage("error"):
        widest = GaussianSource(MAXIMUM_DEVIATION)
        bits = chacha20(seed, 0, min(blocks, ERROR_BLOCKS)).reshape(-1).view(np.uint64)
        error = max(largest_error_words(widest, bits), largest_error_words(widest, tables.edge_words()))
        bound = error_bound_words(exhaust_functions(), widest)

    report = battery.report()
    figures = asdict(report) | {
        "tail_counts": [
            {"from_sigma": n, "seen": seen, "expected": expected}
            for n, (seen, expected) in enumerate(report.tail_counts)
        ],
        "largest_sigma": tables.LARGEST_RADIUS,
        "largest_error_ulp": error,
        "error_bound_ulp": bound,
        "samples_per_clock": 2,
        "multipliers": MULTIPLIERS_PER_SYMBOL,
        "seed": seed,
        "seconds": round(sum(progress.seconds.values()), 3),
    }
    failed = failed_tests(report.p_values)
    if bound > 1:
        failed.append(f"error_bound_ulp ({bound:.3f} is more than 1)")
    figures["passed"] = not failed

    table = [("samples", f"{grouped(report.samples)}, seed {seed}")]
    table += [(name, f"{p:.4f}") for name, p in report.p_values.items()]
    table += [
        (f"{n} to {n + 1} sigma" if n < 8 else "beyond 8 sigma", f"{grouped(seen)}, expected {expected:,.1f}")
        for n, (seen, expected) in enumerate(report.tail_counts)
    ]
    table += [
        ("largest sigma", f"{tables.LARGEST_RADIUS:.3f}, seen {report.largest_sigma_seen:.3f}"),
        ("largest error", f"{error:.3f} ulp, {bound:.3f} at most for any input"),
        ("samples per clock", "2"),
        ("multipliers", f"{MULTIPLIERS_PER_SYMBOL}"),
    ]
    if not failed:
        table.append(("passed", f"{len(report.p_values)} tests, family-wise level {FAMILY_WISE_LEVEL:g}"))
    return Outcome(figures, table, ", ".join(failed))
