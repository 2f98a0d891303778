"""What happens to KMEs beside being killed: their message server or database dies, a disk is full, a clock is set."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from collections.abc import Collection
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

from kronborg.errors import InputError

from .clock import set_clock
from .nats import NatsServer

DISK_BYTES = 48 << 20
FARTHEST_SECONDS = 40_000.0
"""A clock is set to so much more or less than the time; the names of keys that are gone are kept for a day."""


class Harm(Protocol):
    """Something that goes wrong, and right again."""

    def strike(self, draw: random.Random) -> None:
        """Have it go wrong."""

    def mend(self) -> None:
        """Have it go right again."""


class NatsKilled:
    """The server that carries frames is killed."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    def strike(self, draw: random.Random) -> None:
        """Kill it."""
        self._server.end()

    def mend(self) -> None:
        """Start it."""
        self._server.begin()


class SmallDisks:
    """A small disk for each KME's store and audit log. Use as a context manager: it takes them away.

    Args:
        folder: of the network.
        names: of its KMEs.

    Raises:
        InputError: this user may not mount one.
    """

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        self._disks = {name: folder / f"{name}.disk" for name in names}
        self._held = ExitStack()
        self._full: Path | None = None

    def __enter__(self) -> SmallDisks:
        try:
            for name, disk in self._disks.items():
                disk.mkdir()
                command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "none", str(disk)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise InputError(f"a disk to fill up needs root: {' '.join(done.stderr.split())[:200]}")
                self._held.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=False)
                (disk.parent / f"{name}.audit.jsonl").symlink_to(Path(disk.name) / "audit.jsonl")
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def store(self, name: str) -> str:
        """Lines of the table `[store]`."""
        return f'path = "{self._disks[name].name}/store.sqlite"'

    def strike(self, draw: random.Random) -> None:
        """Fill one up."""
        self._full = self._disks[draw.choice(sorted(self._disks))]
        # The database's log keeps its place once it has it: without that, it would have room for a long while.
        with suppress(sqlite3.Error):
            connection = sqlite3.connect(self._full / "store.sqlite", timeout=5.0)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        with (self._full / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    def mend(self) -> None:
        """Have room again."""
        if self._full is not None:
            (self._full / "ballast").unlink(missing_ok=True)


class SetClocks:
    """Clocks of KMEs that are set, each for itself, to anything within half a day, ahead and back.

    Args:
        folder: of the network; clocks are `NAME.clock` in it.
        names: of its KMEs.
    """

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        self._clocks = [folder / f"{name}.clock" for name in names]
        for clock in self._clocks:
            set_clock(clock, 0.0)

    def strike(self, draw: random.Random) -> None:
        """Set one."""
        span = 10 ** draw.uniform(-1, 5)
        set_clock(draw.choice(self._clocks), draw.choice((-1, 1)) * min(span, FARTHEST_SECONDS))

    def mend(self) -> None:
        """Nothing: a clock that was set stays so."""

    def rest(self) -> None:
        """Have the time of whatever was given out by any of these clocks be over, once its lifetime is."""
        for clock in self._clocks:
            set_clock(clock, FARTHEST_SECONDS)
