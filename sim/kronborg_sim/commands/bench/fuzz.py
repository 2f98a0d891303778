"""Requests that nobody thought of, against a KME, for as long as wanted: no server error may come."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped

from .outcome import Outcome, whole

EXTRA = "dev"
EXAMPLES = 200
"""Of each operation in a round."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--minutes", type=float, default=10, metavar="M", help="(default 10)")
    parser.add_argument("--seed", type=float, default=1, metavar="N", help="of what is sent (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Send requests made from the interface's description by schemathesis (extra `dev`).

    Raises:
        InputError: a number out of range.
        KronborgError: the KMEs do not start.
    """
    minutes, seed = whole(options.minutes, 1, 1e5, "minutes"), whole(options.seed, 0, 2**31, "as seed")
    # They bring the extras `network` and `dev`, which no other bench needs.
    from ...network.fuzz import Findings, fuzz
    from ...network.pair import make_pair
    from ...network.processes import Processes

    findings, rounds = Findings(), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        progress.stage("requests", minutes) as stage,
        Processes(make_pair(Path(folder))) as kmes,
    ):
        begin, told = time.monotonic(), 0
        while told < minutes:
            # It uses keys up: what is there is to be enough for a round.
            kmes.fill(1 << 20)
            fuzz(kmes.pair, examples=EXAMPLES, seed=seed + rounds, findings=findings)
            rounds += 1
            for _ in range(min(minutes, int((time.monotonic() - begin) / 60)) - told):
                stage.advance()
                told += 1
    figures = {
        "requests": findings.statuses.total(),
        "by_status": {str(status): count for status, count in sorted(findings.statuses.items())},
        "faults": findings.faults,
        "minutes": minutes,
        "seed": seed,
        "rounds": rounds,
    }
    by_status = ", ".join(f"{grouped(count)} with {status}" for status, count in sorted(findings.statuses.items()))
    table = [("requests", f"{grouped(findings.statuses.total())}: {by_status}"), ("faults", str(len(findings.faults)))]
    return Outcome(figures, table, next(iter(findings.faults), ""))
