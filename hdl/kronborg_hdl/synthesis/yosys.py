"""Synthesise cores with Yosys, several at a time, each in a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from amaranth.back import rtlil

from ..axi.skin import Skin
from .cores import Configuration
from .devices import DEVICES
from .failure import why
from .netlist import Figures, measure
from .table import Row

Job = tuple[Configuration, str]
"""What to synthesise, and the name of the device."""

# Yosys ends its process when it finds an error, and lets Ctrl-C wait until it is done: so it has one of its own.
_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
from pyosys import libyosys
libyosys.run_pass("script synthesis.ys", libyosys.Design())
"""
_SCRIPT = """read_rtlil core.il
{command} -top {top}
select {top}
write_json -selected -noscopeinfo netlist.json
"""


def synthesise(
    jobs: Iterable[Job],
    *,
    known: Iterable[Row] = (),
    at_a_time: int | None = None,
    done: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """The rows of all jobs, in their order.

    Args:
        jobs: those of one configuration best in a row.
        known: rows whose figures are taken for a job of the same origin: the same hardware, Yosys and commands.
        at_a_time: processes; None for one a processor.
        done: told each row as soon as it is known.

    Raises:
        ValueError: a core cannot be built so.
        PackageNotFoundError: pyosys is not installed.
        RuntimeError: Yosys failed; in a line.
    """
    return asyncio.run(_synthesise(list(jobs), known, at_a_time or os.cpu_count() or 1, done))


async def _synthesise(jobs: list[Job], known: Iterable[Row], at_a_time: int, done: Callable[[Row], None]) -> list[Row]:
    asyncio.get_running_loop().set_exception_handler(_tell)
    figures = {row.origin: row.figures for row in known}
    places = asyncio.Semaphore(at_a_time)

    async def row(configuration: Configuration, device: str) -> Row:
        async with places:
            hardware = _hardware(configuration)
            script = _SCRIPT.format(command=DEVICES[device].command, top=configuration.core)
            parts = (f"pyosys {version('pyosys')}", script, hardware)
            origin = hashlib.sha256("\n".join(parts).encode()).hexdigest()
            if origin not in figures:
                figures[origin] = await _run(script, hardware, configuration.core)
        made = Row(**asdict(configuration), device=device, **asdict(figures[origin]), origin=origin)
        done(made)
        return made

    return await asyncio.gather(*(row(*job) for job in jobs))


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio does with an exception that nobody fetched, but for the end that the user wanted (SIGTERM)."""
    if not isinstance(context.get("exception"), KeyboardInterrupt):
        loop.default_exception_handler(context)


@lru_cache(maxsize=1)  # the devices of one configuration follow each other
def _hardware(configuration: Configuration) -> str:
    """The core in its skin, as Yosys reads it."""
    return str(rtlil.convert(Skin(configuration.build()), name=configuration.core, emit_src=False))


async def _run(script: str, hardware: str, top: str) -> Figures:
    """Run a script on the hardware and measure the netlist that it writes."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "core.il").write_text(hardware)
        (directory / "synthesis.ys").write_text(script)
        log = directory / "yosys.log"
        with log.open("wb") as file:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROGRAM, cwd=directory, stdout=file, stderr=file
            )
            try:
                status = await child.wait()
            finally:
                if child.returncode is None:  # interrupted
                    child.kill()
        if status:
            raise RuntimeError(why(f"Yosys, on {top},", status, log))
        return measure(json.loads((directory / "netlist.json").read_text())["modules"][top]["cells"])
