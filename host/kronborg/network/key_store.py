"""Where distilled keys wait, on disk: SQLite, one transaction a block.

A block is stored whole or not at all: SQLite's write-ahead log with full synchronisation survives a process that is
killed and a machine that loses power. Two stores cannot change in one instant, so the end that stores first keeps its
block pending until the other end has it: a block that is ready at one end exists at the other. The file is readable by
its owner alone, and so is a folder that is made for it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from ..errors import InputError

SCHEMA = """
CREATE TABLE IF NOT EXISTS block (
    link TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    bits INTEGER NOT NULL CHECK (bits > 0),
    epsilon REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'ready')),
    created TEXT NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = (bits + 7) / 8),
    PRIMARY KEY (link, sequence)
) STRICT;
"""


@dataclass(frozen=True)
class KeyBlock:
    """A block of secret key.

    Attributes:
        link: which link made it.
        sequence: its number on that link, from 1.
        bits: its length.
        epsilon: how far it may be from ideal (composable).
        key: the bits, packed big-endian, the last byte padded with zeros.
    """

    link: str
    sequence: int
    bits: int
    epsilon: float
    key: bytes = field(repr=False)


class KeyStore:
    """Keys of one end of one or more links. Use as a context manager.

    Raises:
        InputError: the file cannot be opened or is no key store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Created closed to others before SQLite writes a byte; its log files inherit the mode.
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.fchmod(file, 0o600)
            os.close(file)
            self._connection = sqlite3.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"cannot open the key store {path}: {error}") from None
        try:
            with self._explained("cannot open"):
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.executescript(SCHEMA)
                self._connection.execute("SELECT link, sequence, bits, epsilon, state, created, key FROM block LIMIT 0")
        except InputError:
            self._connection.close()
            raise

    @contextmanager
    def _explained(self, failed: str) -> Iterator[None]:
        """Turn SQLite's errors into one line that names the store."""
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(f"{failed} the key store {self.path}: {error}") from None

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def last_ready(self, link: str) -> int:
        """Number of the link's last block that is ready; 0 without any."""
        query = "SELECT MAX(sequence) FROM block WHERE link = ? AND state = 'ready'"
        with self._explained("cannot read"):
            (last,) = self._connection.execute(query, (link,)).fetchone()
        return int(last or 0)

    def settle(self, link: str, last_at_peer: int) -> None:
        """Decide what is pending by the last block that the other end has: ready up to its number, void beyond."""
        with self._explained("cannot write"), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "UPDATE block SET state = 'ready' WHERE link = ? AND state = 'pending' AND sequence <= ?",
                (link, last_at_peer),
            )
            self._connection.execute("DELETE FROM block WHERE link = ? AND state = 'pending'", (link,))

    def add(self, block: KeyBlock, *, pending: bool = False) -> None:
        """Store a block, whole or not at all; `pending` until :meth:`settle` finds it at the other end.

        Raises:
            InputError: the number is taken, or the disk refuses.
        """
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        try:
            self._connection.execute(
                "INSERT INTO block (link, sequence, bits, epsilon, state, created, key) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    block.link,
                    block.sequence,
                    block.bits,
                    block.epsilon,
                    "pending" if pending else "ready",
                    created,
                    block.key,
                ),
            )
        except sqlite3.Error as error:
            raise InputError(
                f"block {block.sequence} of link {block.link!r} was not stored in {self.path}: {error}"
            ) from None

    def blocks(self, link: str) -> list[KeyBlock]:
        """All blocks of a link that are ready, in order."""
        query = (
            "SELECT link, sequence, bits, epsilon, key FROM block WHERE link = ? AND state = 'ready' ORDER BY sequence"
        )
        with self._explained("cannot read"):
            rows = self._connection.execute(query, (link,)).fetchall()
        return [KeyBlock(*row) for row in rows]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder of key stores for one run; the lock goes with the process.

    Raises:
        InputError: another run holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(f"cannot use the folder {folder} for key stores: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(f"another run uses the key stores in {folder}: wait for it, or name another --store") from None
    finally:
        os.close(file)
