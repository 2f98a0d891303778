"""A key store is saved and begun anew without a key that could be delivered twice.

A copy of a store is no backup: keys were delivered since it was made, and one-time pads used, and nobody can say which.
So no key is ever brought back. What is saved are numbers: which blocks there were, and what became of how many bytes;
no bit of a key, so the file is no secret. A store that begins anew, on a new disk, from numbers or in place of one that
was copied back, holds nothing. Each neighbour is told to void what it holds of the link, and until it has said that it
did, no block is taken on: both ends begin behind the last number that either has used.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..console.atomic import write_text
from ..errors import InputError
from .database import Database
from .material import ITEMS, Material

FORMAT = "kronborg key store numbers, 1"
MOST_AUDIT_BYTES = 64 << 20
"""Of the audit log's end: some two hundred thousand deliveries, more than wait to be fetched at once."""


class Renunciation(Material):
    """What is given up of a store, and of which link both ends begin anew."""

    def give_up(self, link: str) -> int:
        """Void all that this end holds of a link, delivered or not; returns the number of its last block.

        Blocks keep their numbers, which are not used again. What an SAE has not fetched by now it will not get.
        """
        with self.database.transaction():
            for name, pool in self.database.rows(
                "SELECT id, pool FROM reservation WHERE link = ? AND state <> 'closed'", link
            ):
                self._void_keys(name, link, pool)
            for pool in (0, 1):
                ready = self.available(link, pool)
                self._book(link, pool, ready=-ready, voided=ready)
            self.database.rows("DELETE FROM chunk WHERE link = ?", link)
            self.database.rows("UPDATE frame SET state = 'closed', body = NULL WHERE link = ?", link)
            self.database.rows(
                "UPDATE block SET state = 'void', key = NULL WHERE link = ? AND state IN ('pending', 'ready')", link
            )
            return self.last(link)

    def _void_keys(self, reservation: str, account: str, pool: int) -> None:
        """Erase the keys of a reservation; those that an SAE has had count as delivered."""
        rows = self.database.rows(
            "SELECT state, SUM(length) FROM delivery_key WHERE reservation = ? AND state <> 'erased' GROUP BY state",
            reservation,
        )
        for state, size in rows:
            item = "delivered" if state == "delivered" else "voided"
            self._book(account, pool, reserved=-int(size), **{item: int(size)})
        self.database.rows(
            "UPDATE delivery_key SET state = 'erased', bits = NULL WHERE reservation = ? AND state <> 'erased'",
            reservation,
        )
        self.database.rows("UPDATE reservation SET state = 'closed', fate = 'voided' WHERE id = ?", reservation)

    def last(self, link: str) -> int:
        """Number of the last block of a link, whatever became of it; 0 without any."""
        ((found,),) = self.database.rows("SELECT MAX(sequence) FROM block WHERE link = ?", link)
        return int(found or 0)

    def skip(self, link: str, last: int) -> None:
        """See that no block is given a number up to this one."""
        with self.database.transaction():
            if last > self.last(link):
                self.database.rows(
                    "INSERT INTO block (link, sequence, bits, epsilon, state, created)"
                    " VALUES (?, ?, 1, 0.0, 'void', ?)",
                    link,
                    last,
                    _now(),
                )

    def begin_anew(self, links: Collection[str], numbers: dict[str, Any] | None = None) -> None:
        """Give everything up, and remember of which links the neighbours have yet to hear it.

        Args:
            links: of the KME.
            numbers: what :func:`save` wrote, for a store that has none of its own.
        """
        with self.database.transaction():
            fresh = not self.database.rows("SELECT 1 FROM account LIMIT 1")
            for link in links:
                self.give_up(link)
                self.database.rows("INSERT INTO anew (link) VALUES (?) ON CONFLICT DO NOTHING", link)
            # Relayed keys, which lie in accounts of their own.
            for name, account, pool in self.database.rows(
                "SELECT id, link, pool FROM reservation WHERE state <> 'closed'"
            ):
                self._void_keys(name, account, pool)
            self.database.rows("DELETE FROM share")
            self.database.rows("UPDATE handover SET state = 'closed' WHERE state <> 'closed'")
            for link, last in numbers["last_blocks"].items() if numbers else ():
                self.skip(link, last)
            if numbers and fresh:
                self._take_over(numbers["accounts"])

    def _take_over(self, accounts: list[dict[str, Any]]) -> None:
        for each in accounts:
            # What was there when the numbers were saved is gone.
            items = {item: each[item] for item in ITEMS if item not in ("ready", "reserved")}
            items["voided"] += each["ready"] + each["reserved"]
            self._book(each["account"], each["pool"], **items)

    def to_tell(self) -> list[str]:
        """Links whose neighbours have yet to hear that this end begins anew."""
        return [link for (link,) in self.database.rows("SELECT link FROM anew")]

    def told(self, link: str, last: int) -> None:
        """Note that the neighbour has voided all that it held, up to its last block; this end does once more."""
        with self.database.transaction():
            self.give_up(link)
            self.skip(link, last)
            self.database.rows("DELETE FROM anew WHERE link = ?", link)


def save(database: Database, kme: str, file: Path) -> dict[str, Any]:
    """Write a store's numbers to a file; returns them. The KME may be running. Raises InputError."""
    material = Renunciation(database)
    with database.transaction():
        links = [link for (link,) in database.rows("SELECT DISTINCT link FROM block")]
        places: Sequence[tuple[Any, ...]] = database.rows("SELECT DISTINCT link, pool FROM account ORDER BY link, pool")
        numbers = {
            "format": FORMAT,
            "kme": kme,
            "saved": _now(),
            "last_blocks": {link: material.last(link) for link in links},
            "accounts": [{"account": link, "pool": pool, **material.account(link, pool)} for link, pool in places],
        }
    write_text(file, json.dumps(numbers, indent=1) + "\n")
    return numbers


def read(file: Path, kme: str) -> dict[str, Any]:
    """Numbers that :func:`save` wrote for a KME. Raises InputError."""
    try:
        found = json.loads(file.read_text("utf-8"))
        whole = [*found["last_blocks"].values(), *(each[item] for each in found["accounts"] for item in ITEMS)]
        good = found["format"] == FORMAT and all(type(each) is int and each >= 0 for each in whole)
        good = good and all(isinstance(each["account"], str) and each["pool"] in (0, 1) for each in found["accounts"])
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise InputError(f"{file} is no file that `kronborg keys backup` wrote")
    if found["kme"] != kme:
        raise InputError(f"{file} is of KME {found['kme']}, not of {kme}")
    return dict(found)


def restore(database: Database, links: Collection[str], numbers: dict[str, Any] | None) -> None:
    """Begin a store anew: see :meth:`Renunciation.begin_anew`.

    Raises:
        InputError: a KME serves from it, or it is damaged.
    """
    database.claim()
    database.check()
    Renunciation(database).begin_anew(links, numbers)
    database.purge()


def refuse_older(database: Database, audit_log: Path) -> None:
    """See that no key that the audit log saw delivered waits in the store to be delivered.

    That is a copy that was put back. Whatever is delivered is in the store before the audit log has it.

    Raises:
        InputError: there is one.
    """
    waiting = dict(
        database.rows(
            "SELECT k.id, (SELECT COUNT(*) FROM delivery d WHERE d.key_id = k.id) FROM delivery_key k"
            " JOIN reservation r ON r.id = k.reservation WHERE k.state <> 'erased' AND r.role = 'slave'"
        )
    )
    if not waiting:
        return
    noted: dict[str, int] = {}
    try:
        with audit_log.open("rb") as lines:
            lines.seek(max(0, audit_log.stat().st_size - MOST_AUDIT_BYTES))
            for line in lines:
                for name in _delivered(line, waiting):
                    noted[name] = noted.get(name, 0) + 1
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"cannot read the audit log {audit_log}: {error.strerror}") from None
    if any(times > waiting[name] for name, times in noted.items()):
        raise InputError(
            f"the key store {database.name} is older than the audit log {audit_log}: a copy was put back, and some of"
            " its keys were delivered; `kronborg keys restore` voids what it holds"
        )


def _delivered(line: bytes, wanted: Collection[str]) -> list[str]:
    """Which of some keys a line of the audit log says that a slave was handed."""
    try:
        noted = json.loads(line)
        return [name for name in noted["key_ids"] if name in wanted] if noted["role"] == "slave" else []
    except (ValueError, KeyError, TypeError):
        return []  # the machine stopped while it was written, or it is about something else


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
