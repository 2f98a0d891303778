"""Prove what is claimed of the cores for every input, by bounded model check and induction."""

from __future__ import annotations

import argparse
from collections import Counter

from kronborg.console.progress import RunProgress
from kronborg.errors import InputError, KronborgError

from .outcome import Outcome, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--core", action="append", metavar="NAME", help="symbol_record, ... (default all)")
    parser.add_argument("--all-sizes", action="store_true", help="not the smallest of each claim alone")
    parser.add_argument("--depth", type=int, default=20, metavar="N", help="clocks of the bounded check (default 20)")
    parser.add_argument("--search-seconds", type=int, default=30, metavar="S", help="for each of these (default 30)")
    parser.add_argument("--seconds", type=int, default=600, metavar="S", help="for each induction (default 600)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Prove the claims.

    Raises:
        InputError: there is no claim about such a core.
        KronborgError: a tool failed.
    """
    for name in ("depth", "search_seconds", "seconds"):
        whole(getattr(options, name), 1, 10**6, name.replace("_", " "))
    # It brings Amaranth, which other benches do not need.
    from ...proofs.claims import CLAIMS
    from ...proofs.engine import Outcome as Found
    from ...proofs.engine import ProofError

    names = list(dict.fromkeys(claim.core for claim in CLAIMS))
    for core in options.core or ():
        if core not in names:
            raise InputError(f"no claim about {core}: must be one of {', '.join(names)}")
    jobs = [
        (claim, size)
        for claim in CLAIMS
        if claim.core in (options.core or names)
        for size in (claim.sizes if options.all_sizes else claim.sizes[:1])
    ]
    rows, table, faults = [], [], []
    with progress.stage("proofs", len(jobs)) as stage:
        for claim, size in jobs:
            try:
                verdict = claim.prove(
                    size, depth=options.depth, search_seconds=options.search_seconds, seconds=options.seconds
                )
            except ProofError as error:
                raise KronborgError(" ".join(str(error).split("\n")[:2])) from error
            rows.append(
                {
                    "core": claim.core,
                    "claim": claim.title,
                    "size": size,
                    "outcome": verdict.outcome.value,
                    "claims": len(verdict.claims),
                    "clocks_searched": verdict.depth,
                    "invariant_clauses": verdict.clauses,
                    "covers_reached_in_clock": verdict.reached,
                    "cut": claim.cut,
                    "processor_seconds": round(verdict.seconds, 1),
                }
            )
            table.append((f"{claim.core}, {size}", f"{claim.title}: {verdict!s}"))
            if verdict.outcome is not Found.PROVEN:
                faults.append(f"{claim.core} ({size}) {claim.title}: {verdict.outcome.value}")
            stage.advance()
    counts = Counter(str(row["outcome"]) for row in rows)
    table.append(("together", ", ".join(f"{count} {outcome}" for outcome, count in counts.items())))
    return Outcome({"proofs": rows}, table, "; ".join(faults))
