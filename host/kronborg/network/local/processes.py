"""Processes that outlive the command that started them: begun, found again, ended. Linux."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ...console.atomic import write_text
from ...errors import InputError, KronborgError

END_SECONDS = 20.0
"""So long a process may take to end before it is killed."""


@dataclass(frozen=True)
class Process:
    """One that was started.

    Attributes:
        pid: its number.
        began: when, in ticks since the machine did: a number that is used again has another.
    """

    pid: int
    began: int

    @property
    def runs(self) -> bool:
        """Whether it still does."""
        return _began(self.pid) == self.began

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.began / os.sysconf("SC_CLK_TCK")

    @property
    def memory_bytes(self) -> int:
        """What it occupies of the machine's memory that no other process shares; 0 if it has ended."""
        try:
            lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return 0
        private = ("Private_Clean:", "Private_Dirty:")
        return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(private))

    @property
    def cpu_seconds(self) -> float:
        """Processor time since it began; 0 if it has ended."""
        fields = _fields(self.pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.runs:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _fields(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; nothing where there is none."""
    try:
        # The name in brackets may hold anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _began(pid: int) -> int:
    fields = _fields(pid)
    # A process that has ended and that nobody has asked after is none.
    return int(fields[19]) if fields and fields[0] not in "ZX" else -1


class Processes:
    """Those of one network, by name, as a file remembers them.

    Raises:
        InputError: the file is not ours.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, Process] = {}
        try:
            found = json.loads(file.read_text("utf-8"))
            self._known = {name: Process(int(each["pid"]), int(each["began"])) for name, each in found.items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise InputError(f"{file} cannot be read: end the network's processes by hand and remove it") from None

    @property
    def known(self) -> Mapping[str, Process]:
        """All that were started and not ended since."""
        return self._known

    def runs(self, name: str) -> bool:
        """Whether one does."""
        return name in self._known and self._known[name].runs

    def start(self, name: str, command: Sequence[str], log: Path) -> Process:
        """Start one, in a session of its own; what it says goes to a file. Raises InputError.

        Args:
            name: of the process.
            command: with paths that are absolute.
            log: the file.
        """
        try:
            with log.open("ab") as said:
                begun = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                    # Where it is begun anybody may write, and Python looks for modules there first.
                    cwd="/",
                )
        except OSError as error:
            raise InputError(f"cannot start {command[0]}: {error.strerror}") from None
        begun.returncode = 0  # it outlives whoever began it: nobody asks after it
        self._known[name] = Process(begun.pid, _began(begun.pid))
        self._save()
        return self._known[name]

    def end(self, names: Sequence[str] | None = None) -> list[str]:
        """End some, all by default: asked first, then killed. Returns those that ran."""
        # One that could not even be started is not known.
        wanted = self._known if names is None else names
        ending = {name: self._known[name] for name in wanted if name in self._known}
        ran = [name for name, process in ending.items() if process.runs]
        for process in ending.values():
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while any(process.runs for process in ending.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in ending.values():
            process.signal(signal.SIGKILL)
        for name in ending:
            del self._known[name]
        self._save()
        return ran

    def _save(self) -> None:
        write_text(self.file, json.dumps({name: asdict(each) for name, each in self._known.items()}, indent=1) + "\n")


def last_line(log: Path) -> str:
    """What a process said last, for a message."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return "it says nothing"
    return lines[-1] if lines else "it says nothing"


class StartFailed(KronborgError):
    """A process did not come up; the message has what it said last."""
