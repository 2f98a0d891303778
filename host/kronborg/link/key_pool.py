"""One-time keys for authentication: a pool that both ends share, fed from the key that they distil.

Each end signs with keys of its own lane, in order of their position, and never twice: a key leaves the file, in a
transaction that has reached the disk, before it is handed out. A key for a message that came in leaves it once the tag
was right; positions below it are never accepted again, whatever is killed when.

What a key block feeds to the pool waits, like the block at Alice's end, until the block is settled: both ends then hold
the same keys at the same positions.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from ..errors import InputError, NoKeyError, ProtocolError

KEY_BYTES = 32
"""Of one Poly1305 key, r and s."""

LANES = ("alice", "bob")
"""Whose messages a key signs."""

WINDOW = 4096
"""Positions that a peer may have lost at most: what it took before it was killed."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS one_time_key (
    lane TEXT NOT NULL,
    position INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (lane, position)
) STRICT;
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""


class ChannelError(ProtocolError):
    """The connection is not to be trusted, or is no more: it ends, and with it what was under way."""


class PoolDry(NoKeyError):
    """No key is left to sign a message with: nothing can be said to the other end any more."""


class KeyPool:
    """The pool of one end of a link. Use as a context manager.

    Args:
        path: an SQLite file, readable by its owner alone.
        own: the lane this end signs with, "alice" or "bob".

    Raises:
        InputError: the file cannot be opened, or is no pool.
    """

    def __init__(self, path: Path, own: str) -> None:
        self.path, self.own = path, own
        self.peer = LANES[1 - LANES.index(own)]
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.fchmod(file, 0o600)
            os.close(file)
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                self._database.execute(f"PRAGMA {pragma}")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"cannot open the pool of authentication keys {path}: {error}") from None

    def __enter__(self) -> KeyPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
        except sqlite3.Error as error:
            raise InputError(f"cannot write the pool of authentication keys {self.path}: {error}") from None

    def counter(self, name: str) -> int:
        """A number that is kept with the pool; 0 until it is raised."""
        row = self._database.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def _raise(self, name: str, value: int) -> None:
        self._database.execute(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
            (name, value),
        )

    def raise_counter(self, name: str, value: int) -> None:
        """Set a number; it never falls."""
        with self._transaction():
            self._raise(name, value)

    @property
    def begun(self) -> bool:
        """Whether there are, or were, one-time keys to sign with."""
        return bool(self.counter("shared") or self.counter(f"next {self.own}") or self.left(self.own))

    @property
    def takes_signatures(self) -> bool:
        """Whether the peer may still be without one-time keys: both began without a secret, and none of its was used.

        This end's pool can have begun: it settles the first key block before the peer does, or after.
        """
        return not (self.counter("shared") or self.counter(f"next {self.peer}"))

    def share(self, secret: bytes) -> None:
        """Begin with a secret that both ends hold, half of it for each lane. A pool that has begun keeps what it has.

        Raises:
            InputError: too short a secret.
        """
        if self.begun:
            return
        if len(secret) < 2 * KEY_BYTES * 16:
            raise InputError(
                f"a pre-shared secret of {len(secret)} bytes is too short: give 1024 at least, the same at both ends"
            )
        with self._transaction():
            self._insert(0, secret)
            self._raise("shared", 1)

    def feed(self, sequence: int, key: bytes) -> None:
        """Add what key block `sequence` feeds to the pool; it can be used once the block is settled."""
        with self._transaction():
            self._database.execute("DELETE FROM one_time_key WHERE sequence = ?", (sequence,))
            self._insert(sequence, key)

    def _insert(self, sequence: int, key: bytes) -> None:
        count = len(key) // (2 * KEY_BYTES)
        for place, lane in enumerate(LANES):
            row = self._database.execute("SELECT max(position) FROM one_time_key WHERE lane = ?", (lane,)).fetchone()
            last = row[0] if row[0] is not None else -1
            begin = max(last + 1, self.counter(f"next {lane}"))
            for index in range(count):
                at = (2 * index + place) * KEY_BYTES
                self._database.execute(
                    "INSERT INTO one_time_key VALUES (?, ?, ?, ?)",
                    (lane, begin + index, sequence, key[at : at + KEY_BYTES]),
                )

    def settle(self, last_block: int) -> None:
        """Blocks up to this number exist at both ends; what later ones would have fed is void."""
        with self._transaction():
            self._database.execute("DELETE FROM one_time_key WHERE sequence > ?", (last_block,))
            self._raise("settled", last_block)

    def left(self, lane: str) -> int:
        """Keys of a lane that can be used."""
        query = "SELECT count(*) FROM one_time_key WHERE lane = ? AND sequence <= ? AND position >= ?"
        values = (lane, self.counter("settled"), self.counter(f"next {lane}"))
        return int(self._database.execute(query, values).fetchone()[0])

    def take(self) -> tuple[int, bytes]:
        """The next key of the own lane, and its position. It has left the file when this returns.

        Raises:
            PoolDry: the pool is dry.
        """
        with self._transaction():
            row = self._database.execute(
                "SELECT position, key FROM one_time_key WHERE lane = ? AND sequence <= ? ORDER BY position LIMIT 1",
                (self.own, self.counter("settled")),
            ).fetchone()
            if row is not None:
                self._database.execute("DELETE FROM one_time_key WHERE lane = ? AND position <= ?", (self.own, row[0]))
                self._raise(f"next {self.own}", row[0] + 1)
        if row is None:
            raise PoolDry(
                f"no key: the pool of authentication keys {self.path} is dry; give both ends a new pre-shared secret"
            )
        return int(row[0]), bytes(row[1])

    def look_up(self, position: int) -> bytes:
        """The key for a message of the peer's at this position, which stays until it is used up.

        Raises:
            ChannelError: it was used, is too far ahead, or is not there.
        """
        expected = self.counter(f"next {self.peer}")
        if not expected <= position < expected + WINDOW:
            raise ChannelError("a message was signed with a key that was used before, or is far from its turn")
        # Of a block that this end has not settled yet, too: the peer has, or it could not sign with that.
        row = self._database.execute(
            "SELECT key FROM one_time_key WHERE lane = ? AND position = ?", (self.peer, position)
        ).fetchone()
        if row is None:
            raise ChannelError("a message was signed with a key that this end does not have")
        return bytes(row[0])

    def use_up(self, position: int) -> None:
        """The peer's keys up to this position are gone; on disk before this returns."""
        with self._transaction():
            self._database.execute("DELETE FROM one_time_key WHERE lane = ? AND position <= ?", (self.peer, position))
            self._raise(f"next {self.peer}", position + 1)
