"""Test the keystream of the entropy source, the words that Gaussian symbols are made of."""

from __future__ import annotations

import argparse
import shutil
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import InputError

from . import dieharder
from .bit_tests import SEQUENCE_BITS, BitBattery
from .keystream import BLOCK_BYTES, GENERATORS
from .outcome import FAMILY_WISE_LEVEL, Outcome, failed_tests, over_cores, whole

BLOCKS_PER_SEQUENCE = SEQUENCE_BITS // 8 // BLOCK_BYTES
BLOCKS_PER_TASK = 64 * BLOCKS_PER_SEQUENCE
"""Half a megabyte: it stays in the processor's cache."""


class Task(NamedTuple):
    """A piece of a generator's stream, in blocks."""

    generator: str
    seed: int
    first: int
    end: int

    def words(self) -> NDArray[np.uint32]:
        """The piece: uint32, shape (blocks, 16)."""
        return GENERATORS[self.generator](self.seed, self.first, self.end - self.first)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument(
        "--battery",
        choices=("dieharder", "built-in"),
        help="dieharder takes hours and has to be installed (then the default), the built-in one a minute",
    )
    parser.add_argument("--test", type=int, metavar="N", help="of dieharder's tests (dieharder -l) only this one")
    parser.add_argument("--bytes", type=float, metavar="N", help="for the built-in battery (default 1e8)")
    parser.add_argument(
        "--generator",
        choices=sorted(GENERATORS),
        default="chacha20",
        help="others are bad on purpose, to see the battery find them: a test pattern, a wire stuck at one",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="makes the key (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Draw keystream and test it.

    Raises:
        InputError: options that do not go together, or dieharder is not installed.
    """
    seed = whole(options.seed, 0, 2**63, "as seed")
    installed = shutil.which(dieharder.PROGRAM) is not None
    battery = options.battery or ("dieharder" if installed or options.test is not None else "built-in")
    if battery == "dieharder":
        if options.bytes is not None:
            raise InputError("--bytes goes with --battery built-in: dieharder takes what it needs")
        if not installed:
            raise InputError("dieharder is not installed: apt install dieharder, or use --battery built-in")
        if options.test is not None and options.test not in dieharder.TESTS:
            raise InputError(f"dieharder has no test {options.test}: dieharder -l lists them")
        return _dieharder(options.generator, seed, options.test, progress)
    if options.test is not None:
        raise InputError("--test chooses one of dieharder's tests: leave --battery built-in out")
    size = whole(1e8 if options.bytes is None else options.bytes, 10**6, 10**10, "bytes")
    return _built_in(options.generator, seed, size, progress)


def _built_in(generator: str, seed: int, size: int, progress: RunProgress) -> Outcome:
    blocks = -(-size // (BLOCKS_PER_SEQUENCE * BLOCK_BYTES)) * BLOCKS_PER_SEQUENCE
    starts = range(0, blocks, BLOCKS_PER_TASK)
    tasks = [Task(generator, seed, first, min(first + BLOCKS_PER_TASK, blocks)) for first in starts]
    battery = BitBattery()
    with progress.stage("built-in battery", blocks) as stage, closing(over_cores(count, tasks)) as parts:
        for task, part in zip(tasks, parts, strict=True):
            battery.merge(part)
            stage.advance(task.end - task.first)
    p_values = battery.p_values()
    failed = failed_tests(p_values)
    tests: list[dict[str, Any]] = [{"test": name, "p_value": p} for name, p in p_values.items()]
    table = [(name, f"{p:.4f}") for name, p in p_values.items()]
    if not failed:
        table.append(("passed", f"{len(tests)} tests, family-wise level {FAMILY_WISE_LEVEL:g}"))
    return _outcome("built-in", generator, seed, blocks * BLOCK_BYTES, tests, table, failed, progress)


def count(task: Task) -> BitBattery:
    """Count a task's bits."""
    battery = BitBattery()
    battery.add(task.words())
    return battery


def _dieharder(generator: str, seed: int, test: int | None, progress: RunProgress) -> Outcome:
    drawn = 0

    def words(piece: int) -> NDArray[np.uint32]:
        nonlocal drawn
        drawn = (piece + 1) * BLOCKS_PER_TASK * BLOCK_BYTES
        return Task(generator, seed, piece * BLOCKS_PER_TASK, (piece + 1) * BLOCKS_PER_TASK).words()

    results: list[dieharder.Result] = []
    with progress.stage("dieharder", dieharder.RESULTS_OF_ALL if test is None else None) as stage:
        for result in dieharder.run(words, test):
            results.append(result)
            stage.advance()
    by_assessment = {
        assessment: [result for result in results if result["assessment"] == assessment]
        for assessment in ("PASSED", "WEAK", "FAILED")
    }
    name = partial("{test}({ntuple})".format_map)
    table = [
        (name(result), f"{result['p_value']:.8f} {result['assessment']}")
        for result in by_assessment["WEAK"] + by_assessment["FAILED"]
    ]
    table.append(("results", ", ".join(f"{len(of)} {assessment}" for assessment, of in by_assessment.items())))
    table.append(("", "of a faultless source one in 100 is WEAK, one in 500 000 FAILED"))
    failed = [name(result) for result in results if result["assessment"] not in ("PASSED", "WEAK")]
    if not failed:
        table.append(("passed", "no test failed"))
    return _outcome("dieharder", generator, seed, drawn, results, table, failed, progress)


def _outcome(
    battery: str,
    generator: str,
    seed: int,
    size: int,
    tests: Any,
    table: list[tuple[str, str]],
    failed: list[str],
    progress: RunProgress,
) -> Outcome:
    figures = {
        "battery": battery,
        "generator": generator,
        "seed": seed,
        "bytes": size,
        "tests": tests,
        "passed": not failed,
        "seconds": round(sum(progress.seconds.values()), 3),
    }
    heading = [("generator", f"{generator}, seed {seed}"), ("battery", battery), ("bytes", grouped(size))]
    return Outcome(figures, [*heading, *table], ", ".join(failed))
