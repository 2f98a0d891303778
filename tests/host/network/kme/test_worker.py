"""Work of many in one transaction: each piece all or nothing, and answered when it is on disk."""

import asyncio
import threading
from pathlib import Path

import pytest

from kronborg.network.database import StoreError
from kronborg.network.kme.worker import Worker
from kronborg.network.sqlite import SQLite


def insert(database: SQLite, name: str) -> str:
    database.rows("INSERT INTO account (link, pool, item, bytes) VALUES (?, 0, 'ready', 1)", name)
    return name


def names(path: Path) -> list[str]:
    other = SQLite(path)
    try:
        return [name for (name,) in other.rows("SELECT link FROM account ORDER BY link")]
    finally:
        other.close()


async def blocked(worker: Worker, database: SQLite) -> threading.Event:
    """Keep the worker busy until the event is set, so that what comes next waits together."""
    go, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go.wait()

    task = asyncio.create_task(worker.run(wait))
    # What came before the worker has begun would not wait, but be done together with this.
    await asyncio.get_running_loop().run_in_executor(None, begun.wait)
    assert not task.done()
    return go


def test_one_piece_that_fails_is_undone_alone(tmp_path: Path) -> None:
    database = SQLite(tmp_path / "x.sqlite")
    begun = []
    begin = database._begin

    def count() -> None:
        begun.append(1)
        begin()

    database._begin = count  # type: ignore[method-assign]
    worker = Worker(database)

    def failing() -> None:
        insert(database, "lost")
        raise ZeroDivisionError

    async def work() -> list[object]:
        go = await blocked(worker, database)
        waiting = [
            worker.run(lambda: insert(database, "a")),
            worker.run(failing),
            worker.run(lambda: insert(database, "b")),
        ]
        gathered = asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0.05)
        go.set()
        found = await gathered
        # On disk by the time that it is answered: another connection sees it.
        assert names(database.path) == ["a", "b"]
        return found

    one, failed, two = asyncio.run(work())
    assert (one, two) == ("a", "b")
    assert isinstance(failed, ZeroDivisionError)
    assert len(begun) == 2
    worker.close()
    database.close()


def test_when_the_commit_fails_nobody_is_told_that_it_was_done(tmp_path: Path) -> None:
    database = SQLite(tmp_path / "x.sqlite")
    worker = Worker(database)
    rows = database.rows

    def refuse(statement: str, *values: object) -> list[tuple[object, ...]]:
        if statement == "COMMIT":
            raise StoreError("disk full")
        return rows(statement, *values)

    async def work() -> list[object]:
        go = await blocked(worker, database)
        gathered = asyncio.gather(
            worker.run(lambda: insert(database, "a")), worker.run(lambda: insert(database, "b")), return_exceptions=True
        )
        await asyncio.sleep(0.05)
        database.rows = refuse  # type: ignore[method-assign]
        go.set()
        return await gathered

    assert all(isinstance(each, StoreError) for each in asyncio.run(work()))
    database.rows = rows  # type: ignore[method-assign]
    assert names(database.path) == []
    worker.close()
    database.close()


def test_a_database_that_undid_everything_fails_everybody(tmp_path: Path) -> None:
    database = SQLite(tmp_path / "x.sqlite")
    worker = Worker(database)

    def undo() -> None:
        database.rows("ROLLBACK")  # as SQLite does by itself on a full disk
        raise StoreError("full")

    async def work() -> list[object]:
        go = await blocked(worker, database)
        gathered = asyncio.gather(
            worker.run(lambda: insert(database, "a")), worker.run(undo), worker.run(lambda: insert(database, "b")),
            return_exceptions=True,
        )  # fmt: skip
        await asyncio.sleep(0.05)
        go.set()
        return await gathered

    assert all(isinstance(each, StoreError) for each in asyncio.run(work()))
    assert names(database.path) == []
    assert asyncio.run(worker.run(lambda: insert(database, "c"))) == "c"
    worker.close()
    database.close()


def test_work_alone_is_outside_of_a_transaction_and_in_turn(tmp_path: Path) -> None:
    database = SQLite(tmp_path / "x.sqlite")
    worker = Worker(database)

    async def work() -> None:
        await worker.run(lambda: insert(database, "a"))
        await worker.run(database.purge, alone=True)
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0, alone=True)

    asyncio.run(work())
    assert (tmp_path / "x.sqlite-wal").stat().st_size == 0
    worker.close()
    database.close()
