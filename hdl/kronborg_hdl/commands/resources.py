"""Synthesise the cores and show what each takes of a device.

Figures that follow from the same hardware, Yosys and commands as a stored row's are taken from that row; `--fresh`
synthesises all the same. Without options that choose, it is the whole table. `--timing` places and routes the cores on
an ECP5 instead, several times each, and says how fast they are. `--slow-paths` lists what keeps a 7-series device from
200 MHz by its own cells.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kronborg.console.atomic import check_writable, write_text
from kronborg.console.progress import RunProgress
from kronborg.errors import InputError, KronborgError

from ..dsp.rates import LANES
from ..synthesis import slow_paths, table, timing
from ..synthesis.cores import CORES, configure
from ..synthesis.devices import DEVICES
from ..synthesis.yosys import Job, synthesise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--core", choices=CORES, action="append", metavar="CORE", help=f"{', '.join(CORES)}; may be given again"
    )
    parser.add_argument(
        "--lanes", type=int, choices=LANES, action="append", metavar="L", help="1, 2, 4, 8 or 16; may be given again"
    )
    parser.add_argument(
        "--device",
        choices=DEVICES,
        action="append",
        metavar="DEVICE",
        help=f"{', '.join(DEVICES)}; may be given again (default {' and '.join(table.TABLED)})",
    )
    parser.add_argument("--samples-per-symbol", type=int, metavar="M", help="other than the table's")
    parser.add_argument("--span", type=int, metavar="K", help="of the pulse, symbols, other than the table's")
    parser.add_argument("--timing", action="store_true", help="place and route on an ECP5: how fast each core is")
    parser.add_argument(
        "--check", action="store_true", help="with --timing: fail if a core is slower than its row says"
    )
    parser.add_argument(
        "--nextpnr", metavar="FILE", help="with --timing: a nextpnr-ecp5 of one's own, instead of the package's"
    )
    parser.add_argument(
        "--slow-paths", action="store_true", help="what keeps a 7-series device from 200 MHz by its own cells"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes at a time (default: one a processor)")
    parser.add_argument("--fresh", action="store_true", help="synthesise even what has not changed")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON (- for standard output)")
    parser.add_argument("--store", action="store_true", help="put the rows into the stored table")
    parser.add_argument("--markdown", metavar="FILE", help="write the page of the documentation: all stored rows")
    parser.add_argument("--plain", action="store_true", help="lines instead of a progress bar")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    if options.jobs is not None and options.jobs < 1:
        raise InputError(f"--jobs {options.jobs}: there must be one process at least")
    if options.store and _other_figures(options):
        raise InputError("--store is for rows of the table: leave out --samples-per-symbol and --span")
    for target in (options.json, options.markdown):
        if target and target != "-":
            check_writable(target)
    if options.check and not options.timing:
        raise InputError("--check is of --timing: of what cores take, the tests check it")
    if options.nextpnr is not None and not options.timing:
        raise InputError("--nextpnr is of --timing: nothing else is placed and routed")
    if options.timing and options.slow_paths:
        raise InputError("--timing and --slow-paths are two tables: ask for one after the other")
    if options.jobs and (options.timing or options.slow_paths):
        raise InputError("--timing and --slow-paths take one core after the other: leave out --jobs")
    if options.timing:
        return _timing(options)
    if options.slow_paths:
        return _slow_paths(options)
    jobs = _jobs(options)
    if not jobs:
        raise InputError("no core is built so: symbols come at half of the lanes at most, so not at 16 per clock")
    rows, stored = _rows(options, "synthesis", jobs, table, partial(synthesise, at_a_time=options.jobs))
    _tell(options, table, rows, table.markdown(stored))
    return 0


def _timing(options: argparse.Namespace) -> int:
    """Place and route instead of counting cells; returns the exit code."""
    if _other_figures(options) or options.device:
        raise InputError(
            f"--timing is of the table's configurations on an {timing.DEVICE}:"
            " leave out --samples-per-symbol, --span and --device"
        )
    lanes = options.lanes or LANES
    jobs = [job for job in timing.jobs() if job.core in (options.core or CORES) and job.lanes in lanes]
    if not jobs:
        raise InputError("no core is timed so: one without so many lanes, or an assembly, which is placed for a board")
    before = timing.load()
    rows, stored = _rows(options, "place and route", jobs, timing, partial(timing.run, nextpnr=options.nextpnr))
    _tell(options, timing, rows, f"{timing.markdown(stored)}\n{slow_paths.markdown(slow_paths.load())}")
    worse = timing.slower(rows, before) if options.check else []
    for line in worse:
        print(f"slower: {line}", file=sys.stderr if options.json == "-" else sys.stdout)
    return 1 if worse else 0


def _slow_paths(options: argparse.Namespace) -> int:
    """Synthesise for a 7-series device and look for long paths; returns the exit code."""
    if _other_figures(options) or options.device or options.lanes:
        raise InputError(
            f"--slow-paths is of each core at its fewest lanes on an {slow_paths.DEVICE}:"
            " leave out --lanes, --samples-per-symbol, --span and --device"
        )
    jobs = [job for job in slow_paths.jobs() if job.core in (options.core or CORES)]
    if not jobs:
        raise InputError("an assembly has the paths of its cores: name these")
    rows, stored = _rows(options, "synthesis", jobs, slow_paths, slow_paths.run)
    _tell(options, slow_paths, rows, f"{timing.markdown(timing.load())}\n{slow_paths.markdown(stored)}")
    return 0


def _rows(
    options: argparse.Namespace, stage: str, jobs: Sequence[Any], kept: Any, run: Callable[..., list[Any]]
) -> tuple[list[Any], list[Any]]:
    """The rows of all jobs, and all that are stored then. `kept` is the module of the rows' kind, `run` makes them.

    Raises:
        InputError: a core that cannot be built so.
        KronborgError: a tool failed.
    """
    stored = kept.load()
    known = [] if options.fresh else stored
    with RunProgress(plain=options.plain) as progress, progress.stage(stage, total=len(jobs)) as bar:

        def done(row: Any) -> None:
            nonlocal stored
            bar.advance()
            if options.store:  # at once: a run that is interrupted an hour later has not been for nothing
                stored = kept.merge(kept.load(), [row])  # as it is by now: others may have stored rows too
                write_text(kept.STORED, kept.to_json(stored))

        try:
            return run(jobs, known=known, done=done), stored
        except ValueError as error:
            raise InputError(str(error)) from None
        except RuntimeError as error:
            raise KronborgError(str(error)) from None


def _tell(options: argparse.Namespace, kept: Any, rows: list[Any], page: str) -> None:
    """Write the page and the rows where they were asked for."""
    if options.markdown:
        write_text(options.markdown, page)
    if options.json == "-":
        print(kept.to_json(rows), end="")
        return
    if options.json:
        write_text(options.json, kept.to_json(rows))
    print(kept.text(rows), end="")


def _other_figures(options: argparse.Namespace) -> bool:
    """Whether samples per symbol or span other than the table's are asked for."""
    return options.samples_per_symbol is not None or options.span is not None


def _jobs(options: argparse.Namespace) -> list[Job]:
    """What is asked for: rows of the table, or of the same kind."""
    devices = options.device or table.TABLED
    chosen = table.jobs()
    if _other_figures(options) or not set(devices) <= set(table.TABLED):
        figures = (options.samples_per_symbol, options.span)
        chosen = [
            (configure(core, lanes, *figures), device)
            for core, entry in CORES.items()
            for lanes in entry.lanes
            for device in devices
        ]
    return [
        (configuration, device)
        for configuration, device in chosen
        if device in devices
        and configuration.core in (options.core or CORES)
        and configuration.lanes in (options.lanes or LANES)
    ]
