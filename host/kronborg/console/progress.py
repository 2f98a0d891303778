"""One progress bar a stage, and the seconds that each stage took."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ..errors import InputError


class Stage:
    """A stage under way."""

    def __init__(self, bars: Progress | None, task: TaskID | None) -> None:
        self._bars = bars
        self._task = task

    def advance(self, steps: float = 1) -> None:
        """Tell that `steps` more of the stage's total are done."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, steps)


class RunProgress:
    """Shows the stages of a run on a terminal as bars, elsewhere as one plain line each.

    Use it as a context manager around the whole run. Nothing goes to standard output.

    Attributes:
        seconds: duration of each stage that has ended, in the order of their ends; a stage that comes twice adds up.
    """

    def __init__(self, stream: TextIO | None = None, *, plain: bool = False) -> None:
        """Write to `stream` (standard error when None); `plain` asks for lines even on a terminal."""
        self._stream = sys.stderr if stream is None else stream
        self.seconds: dict[str, float] = {}
        self._bars: Progress | None = None
        # Not rich's own test, which FORCE_COLOR overrules: a log file must stay free of control characters.
        if self._stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown") and not plain:
            self._bars = Progress(
                TextColumn("{task.description:<24}", markup=False),
                BarColumn(bar_width=28, complete_style="cyan", finished_style="green", pulse_style="cyan"),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                console=Console(file=self._stream),
            )

    def __enter__(self) -> RunProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    @contextmanager
    def stage(self, name: str, total: float | None = None) -> Iterator[Stage]:
        """Show and time the stage `name` of `total` steps (None: unknown).

        An exception leaves its bar where it was. Input that is refused has no line: the error is the one.
        """
        task = None if self._bars is None else self._bars.add_task(name, total=total)
        started = time.perf_counter()
        outcome, refused = "stopped after ", False
        try:
            yield Stage(self._bars, task)
            outcome = ""
        except InputError:
            refused = True
            raise
        finally:
            elapsed = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed
            if self._bars is None:
                if not refused:
                    print(f"{name}: {outcome}{elapsed:.1f} s", file=self._stream, flush=True)
            elif task is not None:
                # A stage of unknown length has a full bar when it ends, one that broke keeps its place.
                if not outcome:
                    self._bars.update(task, total=total or 1, completed=total or 1)
                self._bars.stop_task(task)
