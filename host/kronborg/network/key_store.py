"""Where links leave their keys: blocks, one transaction a block.

A block is stored whole or not at all. Two stores cannot change in one instant, so the end that stores first keeps its
block pending until the other end has it: a block that is ready at one end exists at the other. The node's KME takes it
on from there (:mod:`kronborg.network.key_pools`), in the same database.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from ..errors import InputError
from .database import Database, StoreError
from .sqlite import SQLite


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
    """Blocks of one end of one or more links. Use as a context manager.

    Args:
        where: an SQLite file, or a database that is open.

    Raises:
        InputError: the file cannot be opened or is no key store.
    """

    def __init__(self, where: Path | Database) -> None:
        self.database = where if isinstance(where, Database) else SQLite(where)

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()

    def last_ready(self, link: str) -> int:
        """Number of the link's last block that is at both ends, even if its keys are used up; 0 without any."""
        query = "SELECT MAX(sequence) FROM block WHERE link = ? AND state <> 'pending'"
        ((last,),) = self.database.rows(query, link)
        return int(last or 0)

    def settle(self, link: str, last_at_peer: int) -> None:
        """Decide what is pending by the last block that the other end has: ready up to its number, void beyond."""
        with self.database.transaction():
            self.database.rows(
                "UPDATE block SET state = 'ready' WHERE link = ? AND state = 'pending' AND sequence <= ?",
                link,
                last_at_peer,
            )
            self.database.rows("DELETE FROM block WHERE link = ? AND state = 'pending'", link)

    def add(self, block: KeyBlock, *, pending: bool = False) -> None:
        """Store a block, whole or not at all; `pending` until :meth:`settle` finds it at the other end.

        Raises:
            InputError: the number is taken, or the disk refuses.
        """
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        try:
            with self.database.transaction():
                self.database.rows(
                    "INSERT INTO block (link, sequence, bits, epsilon, state, created, key)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    block.link,
                    block.sequence,
                    block.bits,
                    block.epsilon,
                    "pending" if pending else "ready",
                    created,
                    block.key,
                )
        except StoreError as error:
            raise StoreError(f"block {block.sequence} of link {block.link!r} was not stored: {error}") from None

    def blocks(self, link: str) -> list[KeyBlock]:
        """All blocks of a link that are ready and that no KME has taken on, in order."""
        query = (
            "SELECT link, sequence, bits, epsilon, key FROM block WHERE link = ? AND state = 'ready' ORDER BY sequence"
        )
        return [
            KeyBlock(name, sequence, bits, epsilon, bytes(key))
            for name, sequence, bits, epsilon, key in self.database.rows(query, link)
        ]


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
