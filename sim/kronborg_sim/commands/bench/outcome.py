"""What a bench finds, and what several benches need."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from kronborg.errors import InputError

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


@contextmanager
def over_cores(tasks: int) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]]:
    """A `map` whose calls run on all cores; results come in order.

    What is mapped has to be a function of a module. An exception stops the work: what has not begun is not done.
    """
    cores = min(os.cpu_count() or 1, tasks)
    if cores == 1:
        yield map
        return
    # Not forked: the progress bar has a thread. Ctrl-C goes to all processes of a terminal; one of them answers it.
    pool = ProcessPoolExecutor(
        cores, get_context("spawn"), initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
