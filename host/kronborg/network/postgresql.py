"""PostgreSQL, for a node that keeps its keys on a replicated pair of servers within its walls.

One writer at a time, as with SQLite: a transaction begins by taking the store's advisory lock. A connection that is
lost is made anew with the next transaction; what was under way is undone or, if the loss fell on its commit, done
without anybody having been told: keys are lost then, never used twice. Needs the extra `postgresql`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from .database import TABLES, VERSION, Database, StoreDamaged, StoreError

LOCK = 0x4B524E42
"""Of writers to a schema; the next number is that of the KME that serves from it."""
CLAIM_SECONDS = 2.0
"""So long a server may take to notice that a process has gone."""
TYPES = {" BLOB": " BYTEA", " INTEGER": " BIGINT", " REAL": " DOUBLE PRECISION"}


class PostgreSQL(Database):
    """A key store in a database of its own, or in a schema that the URL's search path names.

    Args:
        url: ``postgresql://USER@HOST/DATABASE``. A password belongs into the file that PGPASSFILE names.

    Raises:
        StoreError: it cannot be reached, or does not keep what it has committed.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._claimed = url, False
        try:
            parts = conninfo_to_dict(url)
        except psycopg.Error:
            raise StoreError("the key store's URL is not one of PostgreSQL") from None
        # The rest may hold a password.
        self.name = f"{parts.get('dbname', '')} at {parts.get('host', 'localhost')}"
        self._connection = self._connect()
        try:
            self._open()
        except StoreError:
            self._connection.close()
            raise

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
            connection.execute("SET synchronous_commit = on")
            return connection
        except psycopg.Error as error:
            raise StoreError(f"cannot open the key store {self.name}: {_first_line(error)}") from None

    def _open(self) -> None:
        ((fsync,),) = self.rows("SHOW fsync")
        if fsync != "on":
            raise StoreError(f"the key store {self.name} may forget what it committed: its server runs with fsync off")
        with self.transaction():
            ((there,),) = self.rows("SELECT to_regclass('kronborg_version') IS NOT NULL")
            if not there:
                text = TABLES
                for ours, theirs in TYPES.items():
                    text = text.replace(ours, theirs)
                for statement in text.split(";\n"):
                    if statement.strip():
                        self.rows(statement)
                self.rows("CREATE TABLE kronborg_version (version BIGINT NOT NULL)")
                self.rows("INSERT INTO kronborg_version (version) VALUES (?)", VERSION)
            ((version,),) = self.rows("SELECT version FROM kronborg_version")
            if version != VERSION:
                raise StoreError(
                    f"cannot open the key store {self.name}: its tables are of version {version}, this program knows"
                    f" {VERSION}; name another database, the links fill a new one"
                )

    @property
    def in_transaction(self) -> bool:
        """Whether the database has a transaction open."""
        return self._connection.info.transaction_status in (
            pq.TransactionStatus.INTRANS,
            pq.TransactionStatus.INERROR,
        )

    def _begin(self) -> None:
        if self._connection.closed:
            self._connection = self._connect()
            if self._claimed:
                try:
                    self.claim()
                except StoreError:
                    # A connection without the claim must not serve: the next transaction tries again.
                    self._connection.close()
                    raise
        self.rows("BEGIN")
        try:
            self.rows("SELECT pg_advisory_xact_lock(?, hashtext(current_schema()))", LOCK)
        except StoreError:
            self._rollback()
            raise

    def _rollback(self) -> None:
        with suppress(psycopg.Error):
            self._connection.execute("ROLLBACK")

    def _failure(self, error: psycopg.Error) -> StoreError:
        # XX: what the server finds wrong with its own files. The rest of a message may quote the row.
        if (error.sqlstate or "").startswith("XX"):
            return StoreDamaged(self.name, _first_line(error))
        return StoreError(f"cannot use the key store {self.name}: {_first_line(error)}")

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Carry a statement out and return its rows, if it has any. Raises StoreError."""
        try:
            cursor = self._connection.execute(statement.replace("?", "%s").encode(), values or None)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise self._failure(error) from None

    def each(self, statement: str, many: Sequence[tuple[Any, ...]]) -> None:
        """Carry a statement out for each tuple of values. Raises StoreError."""
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(statement.replace("?", "%s").encode(), many)
        except psycopg.Error as error:
            raise self._failure(error) from None

    def check(self) -> None:
        """See that the server checks its pages as it reads them: who reads all rows checks all. Raises StoreError."""
        ((checksums,),) = self.rows("SHOW data_checksums")
        if checksums != "on":
            raise StoreError(f"the key store {self.name} needs a server with data checksums: pg_checksums --enable")

    def claim(self) -> None:
        """Be the one KME that serves from this store; the claim goes with the connection. Raises StoreError."""
        end = time.monotonic() + CLAIM_SECONDS
        while self.rows("SELECT pg_try_advisory_lock(?, hashtext(current_schema()))", LOCK + 1) != [(True,)]:
            if time.monotonic() > end:
                raise StoreError(f"another KME serves from the key store {self.name}")
            time.sleep(0.1)
        self._claimed = True

    def purge(self) -> None:
        """Free erased rows. Their bits go when pages and the server's log are written over: encrypt both."""
        for table in ("block", "chunk", "delivery_key"):
            self.rows(f"VACUUM {table}")

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


def _first_line(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error).partition("\n")[0] or type(error).__name__).strip()
