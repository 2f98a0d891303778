"""The default backend: SQLite, in one file that its owner alone can read.

A write-ahead log with full synchronisation survives a process that is killed and a machine that loses power; what is
erased is overwritten with zeros in the file, and the log is emptied by :meth:`SQLite.purge`.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .database import TABLES, VERSION, Database, StoreDamaged, StoreError

APPLICATION = 0x4B524E42
"""Marks a file as ours: "KRNB"."""
BUSY_SECONDS = 5.0
"""A link that stores a block and a KME that serves keys take turns."""


class SQLite(Database):
    """A key store's file.

    Raises:
        StoreError: it cannot be opened, or is something else.
    """

    module: Any = sqlite3
    """SQLCipher has one of the same shape."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.name = path, str(path)
        self._claim = -1
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Created closed to others before SQLite writes a byte; its log files inherit the mode. One that is there is
            # not opened: a process that closes a file loses all locks that it has on it, those of SQLite among them.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            os.chmod(path, 0o600)
            # Whoever shares a connection between threads sees to it that one at a time uses it.
            self._connection = self.module.connect(
                str(path), isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
            )
        except (OSError, self.module.Error) as error:
            raise StoreError(f"cannot open the key store {path}: {error}") from None
        try:
            self._open()
        except self.module.Error as error:
            self._connection.close()
            if "malformed" in str(error):
                raise StoreDamaged(self.name, str(error)) from None
            raise StoreError(f"cannot open the key store {path}: {error}") from None
        except StoreError:
            self._connection.close()
            raise

    def _unlock(self) -> None:
        """Give the key of an encrypted file."""

    def _open(self) -> None:
        execute = self._connection.execute
        self._unlock()
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA secure_delete = ON")
        execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            ((application,),) = self.rows("PRAGMA application_id")
            ((version,),) = self.rows("PRAGMA user_version")
            ((tables,),) = self.rows("SELECT COUNT(*) FROM sqlite_master")
            if tables and application != APPLICATION:
                raise StoreError(f"cannot open the key store {self.path}: another program made this file")
            if tables and version != VERSION:
                raise StoreError(
                    f"cannot open the key store {self.path}: its tables are of version {version}, this program knows"
                    f" {VERSION}; move it away, the links fill a new one"
                )
            if not tables:
                for statement in TABLES.split(";\n"):
                    if statement.strip():
                        strict = " STRICT" if "CREATE TABLE" in statement else ""
                        execute(statement.rstrip() + strict)
                execute(f"PRAGMA application_id = {APPLICATION}")
                execute(f"PRAGMA user_version = {VERSION}")

    @property
    def in_transaction(self) -> bool:
        """Whether the database has a transaction open."""
        return bool(self._connection.in_transaction)

    @property
    def changes(self) -> int:
        """Rows written since it was opened."""
        return int(self._connection.total_changes)

    def _begin(self) -> None:
        self.rows("BEGIN IMMEDIATE")

    def _rollback(self) -> None:
        with suppress(self.module.Error):
            self._connection.execute("ROLLBACK")

    def _failure(self, error: Exception) -> StoreError:
        if isinstance(error, self.module.DatabaseError) and "malformed" in str(error):
            return StoreDamaged(self.name, str(error))
        return StoreError(f"cannot use the key store {self.name}: {error}")

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Carry a statement out and return its rows, if it has any. Raises StoreError."""
        try:
            return list(self._connection.execute(statement, values))
        except self.module.Error as error:
            raise self._failure(error) from None

    def each(self, statement: str, many: Sequence[tuple[Any, ...]]) -> None:
        """Carry a statement out for each tuple of values. Raises StoreError."""
        try:
            self._connection.executemany(statement, many)
        except self.module.Error as error:
            raise self._failure(error) from None

    def check(self) -> None:
        """Read every page, every index and every reference between tables. Raises StoreDamaged."""
        try:
            found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(1)")]
            if found == ["ok"]:
                found = [f"a row of {row[0]} lacks its parent" for row in self.rows("PRAGMA foreign_key_check")]
        except self.module.Error as error:
            found = [str(error)]
        if found and found != ["ok"]:
            raise StoreDamaged(self.name, " ".join(found[0].split()))

    def claim(self) -> None:
        """Be the one KME that serves from this store; the claim goes with the process. Raises StoreError."""
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            self._claim = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another KME serves from the key store {self.name}") from None
        except OSError as error:
            raise StoreError(f"cannot use the key store {self.name}: {error.strerror}") from None

    def purge(self) -> None:
        """Move the log into the file, where erased rows are zeros, and cut it to nothing."""
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()
        if self._claim >= 0:
            os.close(self._claim)
            self._claim = -1
