"""The test battery `dieharder` on a stream of words: an external program, in a process of its own."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import IO

import numpy as np
from numpy.typing import NDArray

from kronborg.errors import KronborgError

PROGRAM = "dieharder"
TESTS = (*range(18), *range(100, 103), *range(200, 210))
"""Numbers of its tests (3.31.1); asked for another, it crashes."""
RESULTS_OF_ALL = 114
"""Lines of `dieharder -a` (3.31.1)."""
_FIELDS = ("test_name", "ntuple", "tsamples", "psamples", "pvalues", "assessment")

Result = dict[str, str | int | float]
"""One line: test, ntuple, tsamples, psamples, p_value, assessment (PASSED, WEAK, FAILED)."""


def command(test: int | None) -> list[str]:
    """What is run: one test by its number, or all; words come in raw, results go out with commas."""
    which = ["-a"] if test is None else ["-d", str(test)]
    return [PROGRAM, "-g", "200", *which, "-c", ",", *(part for name in _FIELDS for part in ("-D", name))]


def run(words: Callable[[int], NDArray[np.uint32]], test: int | None) -> Iterator[Result]:
    """Results as they come.

    Args:
        words: called with 0, 1, 2, ... for pieces of the stream, until the program has enough.
        test: its number; None for all.

    Raises:
        KronborgError: the program ended with an error or without a result, or said something else.
    """
    with subprocess.Popen(
        command(test), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        feeder = threading.Thread(target=_feed, args=(process.stdin, words), daemon=True)
        feeder.start()
        results = 0
        try:
            for line in process.stdout:
                yield _result(line.decode("ascii", "replace"))
                results += 1
            if process.wait() or not results:
                said = process.stderr.read().decode("utf-8", "replace").strip().partition("\n")[0]
                raise KronborgError(f"{PROGRAM} ended with code {process.returncode} after {results} results. {said}")
        finally:
            process.kill()
            feeder.join()


def _feed(pipe: IO[bytes], words: Callable[[int], NDArray[np.uint32]]) -> None:
    """Write until the reader has gone."""
    with suppress(BrokenPipeError), pipe:
        for piece in count():
            pipe.write(words(piece).astype("<u4").tobytes())


def _result(line: str) -> Result:
    parts = [part.strip() for part in line.split(",")]
    try:
        name, ntuple, tsamples, psamples, p, assessment = parts
        return {
            "test": name,
            "ntuple": int(ntuple),
            "tsamples": int(tsamples),
            "psamples": int(psamples),
            "p_value": float(p),
            "assessment": assessment,
        }
    except ValueError:
        raise KronborgError(f"{PROGRAM} says {line.strip()[:80]!r}, which is no result") from None
