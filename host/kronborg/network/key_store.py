"""Where distilled keys wait, on disk: SQLite, one transaction a block.

A block is stored whole or not at all: SQLite's write-ahead log with full synchronisation survives a process that is
killed and a machine that loses power. Two stores cannot change in one instant, so the end that stores first keeps its
block pending until the other end has it: a block that is ready at one end exists at the other. The file and its folder
are readable by their owner alone.
"""

from __future__ import annotations

import os
import sqlite3
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
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"cannot open the key store {path}: {error}") from None

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def last_ready(self, link: str) -> int:
        """Number of the link's last block that is ready; 0 without any."""
        query = "SELECT MAX(sequence) FROM block WHERE link = ? AND state = 'ready'"
        (last,) = self._connection.execute(query, (link,)).fetchone()
        return int(last or 0)

    def settle(self, link: str, last_at_peer: int) -> None:
        """Decide what is pending by the last block that the other end has: ready up to its number, void beyond."""
        with self._connection:
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
        rows = self._connection.execute(
            "SELECT link, sequence, bits, epsilon, key FROM block WHERE link = ? AND state = 'ready' ORDER BY sequence",
            (link,),
        )
        return [KeyBlock(*row) for row in rows]
