"""What a bench finds, and what several benches need."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Any, TypeVar

from kronborg.errors import InputError

T = TypeVar("T")
R = TypeVar("R")

FAMILY_WISE_LEVEL = 1e-3
"""Chance that a faultless source fails a bench of several statistical tests."""


@dataclass(frozen=True)
class Outcome:
    """The result of a bench.

    Attributes:
        figures: what the JSON file gets, units in the names.
        table: quantity and value, for a person.
        fault: which claim does not hold, one line; empty if all do.
    """

    figures: Any
    table: list[tuple[str, str]]
    fault: str = ""


def failed_tests(p_values: dict[str, float]) -> list[str]:
    """Names of the tests that fail at ``FAMILY_WISE_LEVEL`` together (Bonferroni: no independence is assumed)."""
    return [name for name, p in p_values.items() if not p >= FAMILY_WISE_LEVEL / len(p_values)]


def whole(number: float, least: int, most: float, what: str) -> int:
    """A count that may be written as 1e8.

    Raises:
        InputError: not a whole number, or outside [least, most].
    """
    if not least <= number <= most or number != int(number):
        raise InputError(f"{number:g} {what}: give a whole number from {least:g} to {most:g}")
    return int(number)


def within(number: float, least: float, most: float, what: str) -> float:
    """A figure of an option.

    Raises:
        InputError: no number, or outside [least, most].
    """
    if not least <= number <= most:
        raise InputError(f"{number:g} {what}: give {least:g} to {most:g}")
    return number


def over_cores(work: Callable[[T], R], tasks: Sequence[T]) -> Generator[R, None, None]:
    """Results of `work`, a function of a module, for each task and in their order, from processes on all cores.

    When the iterator is closed, what has not begun is not done: use it with ``contextlib.closing``.
    """
    cores = min(os.cpu_count() or 1, len(tasks))
    if cores == 1:
        yield from map(work, tasks)
        return
    # Not forked: the progress bar has a thread.
    pool, coming = ProcessPoolExecutor(cores, get_context("spawn")), iter(tasks)
    try:
        # Ctrl-C goes to all processes of a terminal. Those made here inherit that it is ignored; this one answers.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        pending = deque(pool.submit(work, task) for task in islice(coming, 2 * cores))
        signal.signal(signal.SIGINT, handler)
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(work, task) for task in islice(coming, 1))
    finally:
        pool.shutdown(cancel_futures=True)
