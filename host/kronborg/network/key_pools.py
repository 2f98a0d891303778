"""From blocks to delivered keys: the pools of a KME.

Each link has two pools, one a direction: the end that is master of a pool is the only one that takes from it, so two
masters can never take the same bits, whatever is lost between them. Material has an address, (link, block, byte), and
keys are made by moving it, in one transaction, from the pool into the rows of a reservation:

    ready (in the pool) -> reserved -> delivered (to some of those entitled) -> erased

Bits exist in one place at a time, and leave the database in the transaction that hands them out: a key that was handed
out, expired or was voided is a name without bits.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .database import StoreError
from .material import Conflict, Material, Segment


class NotEnoughKey(StoreError):
    """The pool holds less than was asked for; `available` is how many keys of that size it has."""

    def __init__(self, available: int) -> None:
        super().__init__("insufficient key material")
        self.available = available


class KeysNotFound(StoreError):
    """A key is unknown, expired, of another master, or was delivered to this SAE before."""


class NotEntitled(StoreError):
    """A key exists and is somebody else's."""


@dataclass(frozen=True)
class Reservation:
    """Keys of one request, by name and place. Holds no bits: this is what one KME tells the other.

    Attributes:
        id: name of the reservation (UUID).
        link: the link whose bits they are.
        pool: 0 or 1, the direction.
        key_ids: names of the keys (UUID), which are cut one after the other from the segments.
        key_bytes: length of each.
        segments: where they lie.
        master: the SAE that asked.
        slaves: the SAEs at the receiving end that are entitled, each once.
        lifetime_seconds: how long the slaves may take to fetch them.
        extension: what is said of the keys to SAEs.
    """

    id: str
    link: str
    pool: int
    key_ids: tuple[str, ...]
    key_bytes: int
    segments: tuple[Segment, ...]
    master: str
    slaves: tuple[str, ...]
    lifetime_seconds: float
    extension: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all its keys."""
        return len(self.key_ids) * self.key_bytes


@dataclass(frozen=True)
class Key:
    """A key on its way out, and what is said of it."""

    id: str
    bits: bytes = field(repr=False)
    extension: Mapping[str, Any] = field(default_factory=dict)


def joined(segments: Sequence[Segment]) -> str:
    """Segments as a row holds them."""
    return json.dumps([[each.sequence, each.start, each.length] for each in segments])


def split(text: str) -> tuple[Segment, ...]:
    """Segments of a row."""
    return tuple(Segment(*each) for each in json.loads(text))


class KeyPools(Material):
    """The pools of a KME, and the keys made of them. Times are seconds since the epoch, given by the caller."""

    # --- keys of the master's end

    def reserve(
        self,
        link: str,
        pool: int,
        *,
        id: str,
        key_ids: Sequence[str],
        key_bytes: int,
        master: str,
        slaves: Sequence[str],
        now: float,
        lifetime_seconds: float,
        extension: Mapping[str, Any] | None = None,
    ) -> Reservation:
        """Move the oldest material of a pool into new keys, all or none.

        Raises:
            NotEnoughKey: the pool does not hold as much.
        """
        with self.database.transaction():
            size, ready = len(key_ids) * key_bytes, self.available(link, pool)
            if size > ready:
                raise NotEnoughKey(ready // key_bytes)
            segments = tuple(self._oldest(link, pool, size))
            made = Reservation(
                id,
                link,
                pool,
                tuple(key_ids),
                key_bytes,
                segments,
                master,
                tuple(slaves),
                lifetime_seconds,
                extension or {},
            )
            self._open(made, "master", now)
            return made

    def _open(self, made: Reservation, role: str, now: float) -> None:
        self._enter(made, role, now, self._take(made.link, made.pool, made.segments))
        self._book(made.link, made.pool, ready=-made.size, reserved=made.size)

    def _enter(self, made: Reservation, role: str, now: float, bits: bytes) -> None:
        """Make the rows of keys whose bits are at hand."""
        self.database.rows(
            "INSERT INTO reservation (id, link, pool, role, state, master, slaves, segments, expires, extension)"
            " VALUES (?, ?, ?, ?, 'open', ?, ?, ?, ?, ?)",
            made.id,
            made.link,
            made.pool,
            role,
            made.master,
            json.dumps(made.slaves),
            joined(made.segments),
            now + made.lifetime_seconds,
            json.dumps(dict(made.extension)),
        )
        pieces = [bits[at : at + made.key_bytes] for at in range(0, len(bits), made.key_bytes)]
        self.database.each(
            "INSERT INTO delivery_key (id, reservation, place, state, length, bits, sum)"
            " VALUES (?, ?, ?, 'reserved', ?, ?, ?)",
            [
                (name, made.id, place, made.key_bytes, piece, zlib.crc32(piece))
                for place, (name, piece) in enumerate(zip(made.key_ids, pieces, strict=True))
            ],
        )

    def deliver_to_master(self, reservation: str, now: float) -> list[Key]:
        """Hand a reservation's keys to the SAE that asked, once; nothing of them stays here.

        Raises:
            KeysNotFound: it is not open any more (voided, expired, delivered).
        """
        with self.database.transaction():
            found = self.database.rows(
                "SELECT link, pool, master FROM reservation"
                " WHERE id = ? AND role = 'master' AND state = 'open' AND expires > ?",
                reservation,
                now,
            )
            if not found:
                raise KeysNotFound("the reservation is not open any more")
            ((link, pool, master),) = found
            keys = self._keys(reservation)
            self.database.each(
                "INSERT INTO delivery (key_id, sae, at) VALUES (?, ?, ?)", [(key.id, master, now) for key in keys]
            )
            self._erase(reservation, link, pool, "delivered", "closed")
            return keys

    def _keys(self, reservation: str) -> list[Key]:
        rows = self.database.rows(
            "SELECT k.id, k.bits, k.sum, r.extension FROM delivery_key k JOIN reservation r ON r.id = k.reservation"
            " WHERE k.reservation = ? AND k.state <> 'erased' ORDER BY k.place",
            reservation,
        )
        return [
            Key(name, self._sound(bytes(bits), checksum, f"key {name}"), json.loads(extension))
            for name, bits, checksum, extension in rows
        ]

    def _erase(self, reservation: str, link: str, pool: int, item: str, state: str) -> None:
        """Erase what is left of a reservation, and book it: what somebody has had is delivered, whatever `item`."""
        rows = self.database.rows(
            "SELECT state, SUM(length) FROM delivery_key WHERE reservation = ? AND state <> 'erased' GROUP BY state",
            reservation,
        )
        for key_state, size in rows:
            self._book(link, pool, reserved=-int(size))
            self._book(link, pool, **{"delivered" if key_state == "delivered" else item: int(size)})
        self.database.rows(
            "UPDATE delivery_key SET state = 'erased', bits = NULL WHERE reservation = ? AND state <> 'erased'",
            reservation,
        )
        self.database.rows("UPDATE reservation SET state = ?, fate = ? WHERE id = ?", state, item, reservation)

    def release(self, reservation: str) -> None:
        """Put a reservation's material back into the pool: the other end certainly never heard of it."""
        with self.database.transaction():
            found = self.database.rows(
                "SELECT link, pool, segments FROM reservation WHERE id = ? AND role = 'master' AND state = 'open'",
                reservation,
            )
            if not found:
                raise KeysNotFound("the reservation is not open any more")
            ((link, pool, text),) = found
            bits = b"".join(key.bits for key in self._keys(reservation))
            for segment in split(text):
                self._put(link, pool, segment.sequence, segment.start, bits[: segment.length])
                self._book(link, pool, reserved=-segment.length, ready=segment.length)
                bits = bits[segment.length :]
            self.database.rows("DELETE FROM delivery_key WHERE reservation = ?", reservation)
            self.database.rows("DELETE FROM reservation WHERE id = ?", reservation)

    def abandon(self, reservation: str) -> None:
        """Erase keys that were not delivered because the other end's answer is not known; it has to be told."""
        with self.database.transaction():
            found = self.database.rows(
                "SELECT link, pool FROM reservation WHERE id = ? AND role = 'master' AND state = 'open'", reservation
            )
            for link, pool in found:
                self._erase(reservation, link, pool, "voided", "voiding")

    def abandon_open(self) -> int:
        """Abandon all that was open when the last process died; returns how many."""
        with self.database.transaction():
            rows = self.database.rows("SELECT id FROM reservation WHERE role = 'master' AND state = 'open'")
            for (name,) in rows:
                self.abandon(name)
            return len(rows)

    def to_void(self, link: str, most: int = 100) -> list[tuple[str, int, tuple[Segment, ...]]]:
        """Reservations (name, pool, segments) that the other end of a link has yet to be told to void."""
        rows = self.database.rows(
            "SELECT id, pool, segments FROM reservation WHERE state = 'voiding' AND link = ? ORDER BY expires LIMIT ?",
            link,
            most,
        )
        return [(name, pool, split(text)) for name, pool, text in rows]

    def close(self, reservations: Sequence[str], used: Sequence[str] = ()) -> None:
        """Note that the other end has voided these; `used` are those that it had acted upon."""
        self.database.each(
            "UPDATE reservation SET state = 'closed' WHERE id = ? AND state = 'voiding'",
            [(name,) for name in reservations],
        )

    # --- keys of the slave's end

    def accept(self, made: Reservation, now: float) -> None:
        """Take the same material for a reservation that the other end made. Twice is once.

        Raises:
            Conflict: some of it is not there, or the reservation was voided before it came.
        """
        with self.database.transaction():
            before = self.database.rows(
                "SELECT role, state, segments, master, slaves FROM reservation WHERE id = ?", made.id
            )
            if before:
                same = ("slave", "open", joined(made.segments), made.master, json.dumps(made.slaves))
                if before[0] != same:
                    raise Conflict("the reservation is known and closed, or is another one")
                return
            self._pool_blocks(made.link, made.segments)
            taken = self.database.rows(
                f"SELECT COUNT(*) FROM delivery_key WHERE id IN ({', '.join('?' * len(made.key_ids))})", *made.key_ids
            )
            if taken[0][0] or len(set(made.key_ids)) != len(made.key_ids):
                raise Conflict("a key's name is taken")
            self._open(made, "slave", now)

    def _pool_blocks(self, link: str, segments: Sequence[Segment]) -> None:
        """Pool blocks that the other end takes from already: it found them equal, and its answer was lost."""
        for sequence in {segment.sequence for segment in segments}:
            rows = self.database.rows(
                "SELECT key, bits FROM block WHERE link = ? AND sequence = ? AND state = 'ready'"
                " AND challenge IS NOT NULL",
                link,
                sequence,
            )
            for key, bits in rows:
                self._pool(link, sequence, bytes(key), bits)

    def deliver_to_slave(self, key_ids: Sequence[str], *, master: str, slave: str, now: float) -> list[Key]:
        """Hand keys to an entitled SAE, all or none, each once.

        Raises:
            KeysNotFound: one is unknown, expired, of another master, or this SAE has had it.
            NotEntitled: all exist, and one is not for this SAE.
        """
        wanted = list(dict.fromkeys(key_ids))
        with self.database.transaction():
            rows = self._entitled(wanted, master, slave, now)
            keys = {
                row[0]: Key(row[0], self._sound(bytes(row[1]), row[2], f"key {row[0]}"), json.loads(row[7]))
                for row in rows
            }
            self.database.each(
                "INSERT INTO delivery (key_id, sae, at) VALUES (?, ?, ?)", [(name, slave, now) for name in wanted]
            )
            last = [row for row in rows if row[4] + 1 == len(json.loads(row[3]))]
            self.database.each("UPDATE delivery_key SET state = 'delivered' WHERE id = ?", [(row[0],) for row in rows])
            self.database.each(
                "UPDATE delivery_key SET state = 'erased', bits = NULL WHERE id = ?", [(row[0],) for row in last]
            )
            gone: dict[tuple[str, int], int] = {}
            for _, bits, _, _, _, link, pool, _ in last:
                gone[link, pool] = gone.get((link, pool), 0) + len(bits)
            for (link, pool), size in gone.items():
                self._book(link, pool, reserved=-size, delivered=size)
            return [keys[name] for name in wanted]

    def _entitled(
        self, wanted: list[str], master: str, slave: str, now: float
    ) -> list[tuple[str, bytes, int, str, int, str, int, str]]:
        marks = ", ".join("?" * len(wanted))
        rows = self.database.rows(
            "SELECT k.id, k.bits, k.sum, r.slaves,"
            " (SELECT COUNT(*) FROM delivery d WHERE d.key_id = k.id), r.link, r.pool,"
            " r.extension, (SELECT COUNT(*) FROM delivery d WHERE d.key_id = k.id AND d.sae = ?)"
            " FROM delivery_key k JOIN reservation r ON r.id = k.reservation"
            f" WHERE k.id IN ({marks}) AND k.state <> 'erased'"
            " AND r.role = 'slave' AND r.state = 'open' AND r.master = ? AND r.expires > ?",
            slave,
            *wanted,
            master,
            now,
        )
        if len(rows) != len(wanted):
            raise KeysNotFound("one or more keys specified are not found on KME")
        if any(slave not in json.loads(row[3]) for row in rows):
            raise NotEntitled("one or more keys are for other SAEs")
        if any(row[8] for row in rows):
            raise KeysNotFound("one or more keys specified are not found on KME")
        return [row[:8] for row in rows]

    def void(self, reservation: str, link: str, pool: int, segments: Sequence[Segment], now: float) -> bool:
        """Erase what the other end will never deliver; where it is unknown here, see that it stays so.

        Returns: whether that came too late, because it was a message that has been acted upon.
        """
        with self.database.transaction():
            known = self.database.rows("SELECT role, state, link, pool FROM reservation WHERE id = ?", reservation)
            if known:
                # A neighbour that names what came over another link has no say in it.
                if known[0] == ("slave", "open", link, pool):
                    self._erase(reservation, link, pool, "voided", "closed")
                return False
            self._pool_blocks(link, segments)
            try:
                with self.database.transaction():
                    bits = self._take(link, pool, segments)
                    self._book(link, pool, ready=-len(bits), voided=len(bits))
            except Conflict:
                pass  # a block that is not pooled, or is void: there is nothing to erase
            self.database.rows(
                "INSERT INTO reservation (id, link, pool, role, state, master, slaves, segments, expires, fate)"
                " VALUES (?, ?, ?, 'slave', 'closed', '', '[]', '[]', ?, 'voided')",
                reservation,
                link,
                pool,
                now,
            )
            return False

    # --- time

    def expire(self, now: float) -> int:
        """Erase what nobody fetched in time; returns how many reservations."""
        with self.database.transaction():
            rows = self.database.rows(
                "SELECT id, link, pool FROM reservation WHERE state = 'open' AND role = 'slave' AND expires <= ?", now
            )
            for name, link, pool in rows:
                self._erase(name, link, pool, "expired", "closed")
            stale = self.database.rows(
                "SELECT id FROM reservation WHERE state = 'open' AND role = 'master' AND expires <= ?", now
            )
            for (name,) in stale:
                self.abandon(name)
            return len(rows) + len(stale)

    def forget(self, before: float) -> None:
        """Drop the names of keys that are gone since; the audit log keeps them."""
        old = "SELECT id FROM reservation WHERE state = 'closed' AND expires < ?"
        keys = f"SELECT id FROM delivery_key WHERE reservation IN ({old})"
        with self.database.transaction():
            self.database.rows(f"DELETE FROM delivery WHERE key_id IN ({keys})", before)
            self.database.rows(f"DELETE FROM delivery_key WHERE reservation IN ({old})", before)
            self.database.rows("DELETE FROM reservation WHERE state = 'closed' AND expires < ?", before)
