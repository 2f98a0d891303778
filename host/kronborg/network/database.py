"""What a key store asks of a database, so that one set of statements serves SQLite, SQLCipher and PostgreSQL.

Statements use ``?`` for values and the types TEXT, INTEGER, REAL and BLOB. A backend translates both, opens a
transaction that excludes every other writer, and checks its own pages. Transactions nest: an inner one that fails is
undone alone, an outer one is on disk when its block ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import InputError

VERSION = 3
"""Of the tables. A store of another version is refused, not guessed at."""

TABLES = """
CREATE TABLE IF NOT EXISTS block (
    link TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    bits INTEGER NOT NULL CHECK (bits > 0),
    epsilon REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'pooled', 'void')),
    created TEXT NOT NULL,
    key BLOB CHECK (key IS NULL OR length(key) = (bits + 7) / 8),
    challenge BLOB,
    PRIMARY KEY (link, sequence),
    CHECK ((key IS NULL) = (state IN ('pooled', 'void')))
);
CREATE TABLE IF NOT EXISTS chunk (
    link TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    pool INTEGER NOT NULL CHECK (pool IN (0, 1)),
    start INTEGER NOT NULL,
    bits BLOB NOT NULL CHECK (length(bits) > 0),
    sum INTEGER NOT NULL,
    PRIMARY KEY (link, pool, sequence, start)
);
CREATE TABLE IF NOT EXISTS reservation (
    id TEXT NOT NULL PRIMARY KEY,
    link TEXT NOT NULL,
    pool INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('master', 'slave')),
    state TEXT NOT NULL CHECK (state IN ('open', 'voiding', 'closed')),
    master TEXT NOT NULL,
    slaves TEXT NOT NULL,
    segments TEXT NOT NULL,
    expires REAL NOT NULL,
    extension TEXT NOT NULL DEFAULT '{}',
    fate TEXT CHECK (fate IN ('delivered', 'expired', 'voided'))
);
CREATE INDEX IF NOT EXISTS reservation_by_state ON reservation (state, expires);
CREATE TABLE IF NOT EXISTS delivery_key (
    id TEXT NOT NULL PRIMARY KEY,
    reservation TEXT NOT NULL REFERENCES reservation (id),
    place INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'delivered', 'erased')),
    length INTEGER NOT NULL,
    bits BLOB CHECK (bits IS NULL OR length(bits) = length),
    sum INTEGER NOT NULL,
    CHECK ((bits IS NULL) = (state = 'erased'))
);
CREATE INDEX IF NOT EXISTS key_by_reservation ON delivery_key (reservation);
CREATE TABLE IF NOT EXISTS delivery (
    key_id TEXT NOT NULL REFERENCES delivery_key (id),
    sae TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (key_id, sae)
);
CREATE TABLE IF NOT EXISTS frame (
    id TEXT NOT NULL PRIMARY KEY,
    link TEXT NOT NULL,
    pool INTEGER NOT NULL,
    way TEXT NOT NULL CHECK (way IN ('out', 'in')),
    kind INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'voiding', 'closed')),
    segments TEXT NOT NULL,
    size INTEGER NOT NULL,
    tag BLOB NOT NULL,
    body BLOB,
    expires REAL NOT NULL,
    CHECK ((body IS NOT NULL) = (state = 'open'))
);
CREATE INDEX IF NOT EXISTS frame_by_state ON frame (state, link, expires);
CREATE TABLE IF NOT EXISTS leg (
    reservation TEXT NOT NULL REFERENCES reservation (id),
    kme TEXT NOT NULL,
    paths TEXT NOT NULL,
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    PRIMARY KEY (reservation, kme)
);
CREATE TABLE IF NOT EXISTS share (
    reservation TEXT NOT NULL,
    number INTEGER NOT NULL,
    manifest BLOB NOT NULL,
    bits BLOB NOT NULL,
    sum INTEGER NOT NULL,
    expires REAL NOT NULL,
    PRIMARY KEY (reservation, number)
);
CREATE TABLE IF NOT EXISTS handover (
    reservation TEXT NOT NULL PRIMARY KEY,
    way TEXT NOT NULL CHECK (way IN ('out', 'in')),
    state TEXT NOT NULL CHECK (state IN ('sending', 'waiting', 'answering', 'voiding', 'closed')),
    manifest BLOB NOT NULL,
    remaining TEXT NOT NULL,
    answer TEXT NOT NULL,
    expires REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS anew (
    link TEXT NOT NULL PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS account (
    link TEXT NOT NULL,
    pool INTEGER NOT NULL,
    item TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (link, pool, item)
);
"""


class StoreError(InputError):
    """The store could not do what was asked; nothing of it was done."""


class StoreDamaged(StoreError):
    """The store does not hold what it once wrote: nothing may be served from it any more."""

    def __init__(self, name: str, found: str) -> None:
        super().__init__(
            f"the key store {name} fails its integrity check ({found}): it does not serve; move it away and call "
            "`kronborg keys restore`: links fill it anew (never put a copy back: some of its keys were delivered)"
        )


class Database(ABC):
    """A connection that one thread at a time uses.

    Attributes:
        name: what messages call it; holds no secret.
    """

    name: str

    def __init__(self) -> None:
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. The outermost excludes other writers from its first statement on.

        Raises:
            StoreError: the database refuses; nothing of the transaction is kept.
        """
        depth = self._depth
        if depth and not self.in_transaction:
            # After some failures (a full disk) a database undoes everything by itself.
            raise StoreError(f"cannot use the key store {self.name}: the transaction was undone")
        self.rows(f"SAVEPOINT s{depth}") if depth else self._begin()
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth = depth
            if depth and self.in_transaction:
                self.rows(f"ROLLBACK TO SAVEPOINT s{depth}")
            elif not depth:
                self._rollback()
            raise
        self._depth = depth
        if depth:
            self.rows(f"RELEASE SAVEPOINT s{depth}")
            return
        try:
            self.rows("COMMIT")
        except StoreError:
            self._rollback()
            raise

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether the database has a transaction open."""

    @abstractmethod
    def _begin(self) -> None:
        """Open a transaction that no other writer can run beside."""

    @abstractmethod
    def _rollback(self) -> None:
        """Undo the transaction, if there still is one; never raises."""

    @abstractmethod
    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Carry a statement out and return its rows, if it has any.

        Raises:
            StoreError: one line, without any of the values.
        """

    @abstractmethod
    def each(self, statement: str, many: Sequence[tuple[Any, ...]]) -> None:
        """Carry a statement out for each tuple of values; raises as :meth:`rows`."""

    @abstractmethod
    def check(self) -> None:
        """Have the database read all of itself. Raises StoreDamaged."""

    @abstractmethod
    def claim(self) -> None:
        """Be the one KME that serves from this store, until closed. Raises StoreError where another one is."""

    @abstractmethod
    def purge(self) -> None:
        """Overwrite or drop what erased rows left in the database's logs, as far as the backend can."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""
