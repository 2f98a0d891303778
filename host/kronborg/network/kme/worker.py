"""One thread for one database: whatever waits when it is free becomes one transaction, one write to the disk."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from ..database import Database

T = TypeVar("T")
MOST = 64
"""Pieces of work in one transaction."""

Piece = tuple[Callable[[], Any], "asyncio.Future[Any]", bool]


class Worker:
    """Carries work out on a database, in order, in a thread of its own.

    Each piece of work is all or nothing, whatever happens to those beside it; none is answered before all are on disk.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="key store", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[], T], *, alone: bool = False) -> T:
        """Carry work out and wait until it is on disk; raises what it raises, or what undid all of it.

        Args:
            work: what to do; it is in a transaction.
            alone: it is not, and nothing else is done meanwhile.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put((work, future, alone))
        # What has begun is finished, whether or not anybody waits for it any more.
        return await asyncio.shield(future)

    def close(self) -> None:
        """Finish what waits, and end the thread. The database stays open."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < MOST and batch[-1] is not None and not batch[-1][2]:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            pieces = [piece for piece in batch if piece is not None]
            self._together([piece for piece in pieces if not piece[2]])
            for work, future, alone in pieces:
                if alone:
                    try:
                        self._answer(future, work(), None)
                    except Exception as error:
                        self._answer(future, None, error)
            if batch[-1] is None:
                return

    def _together(self, batch: list[Piece]) -> None:
        outcomes: list[tuple[Any, Exception | None]] = []
        try:
            if batch:
                with self._database.transaction():
                    outcomes = [self._attempt(work) for work, *_ in batch]
        except Exception as error:
            outcomes = [(None, error)] * len(batch)
        for (_, future, _), outcome in zip(batch, outcomes, strict=True):
            self._answer(future, *outcome)

    def _answer(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        # The loop may have ended: then nobody waits.
        with suppress(RuntimeError):
            future.get_loop().call_soon_threadsafe(_settle, future, result, error)

    def _attempt(self, work: Callable[[], Any]) -> tuple[Any, Exception | None]:
        try:
            with self._database.transaction():
                return work(), None
        except Exception as error:
            # If the database has undone the work of all, the commit fails, and nobody is told that theirs was done.
            return None, error


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
