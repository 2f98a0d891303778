"""Material of keys: blocks come in, are compared with the other end's, and lie in pools until keys are made of them.

Each link has two pools, one a direction. Material has an address, (link, block, byte), that is the same at both ends.
`account` keeps the sums of what became of it, and :meth:`Material.check` holds them against the rows: each byte that
ever entered a pool is ready, reserved, delivered, expired, voided or relayed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import block_check
from .database import Database, StoreDamaged, StoreError

CHUNK_BYTES = 4096
"""Rows in which a pool's material lies: a key costs one of them to be written again, not a block."""

ITEMS = ("pooled", "ready", "reserved", "delivered", "expired", "voided", "relayed")
"""Of the account, in bytes. `pooled` is what ever entered, and the sum of the others; `relayed` went into frames."""


class Conflict(StoreError):
    """The other end asks for material that is not there to be taken."""


@dataclass(frozen=True)
class Segment:
    """Where material lies: bytes `start` to `start + length` of block `sequence`."""

    sequence: int
    start: int
    length: int


class Material:
    """The pools in a database. Every method is one transaction; a caller may put several into one of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # --- blocks come in

    def blocks_to_check(self, link: str) -> list[int]:
        """Numbers of the blocks that the link has finished and that were not compared with the other end's."""
        query = "SELECT sequence FROM block WHERE link = ? AND state = 'ready' ORDER BY sequence"
        return [sequence for (sequence,) in self.database.rows(query, link)]

    def challenge(self, link: str, sequence: int) -> bytes | None:
        """The challenge for a block, the same each time; None (and the block void) where it is too small to use."""
        with self.database.transaction():
            key, bits, asked = self._ready_block(link, sequence)
            if block_check.halves(key, bits) is None:
                self._void_block(link, sequence)
                return None
            if asked is None:
                asked = block_check.challenge(key, bits)
                self.database.rows(
                    "UPDATE block SET challenge = ? WHERE link = ? AND sequence = ?", asked, link, sequence
                )
            return asked

    def compare(self, link: str, sequence: int, asked: bytes) -> bool | None:
        """Answer a challenge, and pool the block or void it by the answer; None where the block has not come yet.

        A challenge that comes again has the same answer; another one for a block that is decided is answered no.
        """
        with self.database.transaction():
            found = self.database.rows(
                "SELECT state, key, bits, challenge FROM block WHERE link = ? AND sequence = ?", link, sequence
            )
            if not found or found[0][0] == "pending":
                return None
            ((state, key, bits, before),) = found
            if state != "ready":
                return bool(state == "pooled" and before is not None and bytes(before) == asked)
            if block_check.halves(bytes(key), bits) is None or not block_check.equal(bytes(key), bits, asked):
                self._void_block(link, sequence)
                return False
            self.database.rows("UPDATE block SET challenge = ? WHERE link = ? AND sequence = ?", asked, link, sequence)
            self._pool(link, sequence, bytes(key), bits)
            return True

    def settle_check(self, link: str, sequence: int, same: bool) -> None:
        """Note the other end's answer: pool the block, or void it. Nothing if that has been done."""
        with self.database.transaction():
            if sequence not in self.blocks_to_check(link):
                return
            if same:
                key, bits, _ = self._ready_block(link, sequence)
                self._pool(link, sequence, key, bits)
            else:
                self._void_block(link, sequence)

    def _ready_block(self, link: str, sequence: int) -> tuple[bytes, int, bytes | None]:
        found = self.database.rows(
            "SELECT key, bits, challenge FROM block WHERE link = ? AND sequence = ? AND state = 'ready'", link, sequence
        )
        if not found:
            raise Conflict(f"block {sequence} of link {link!r} is not one to compare")
        ((key, bits, asked),) = found
        return bytes(key), bits, None if asked is None else bytes(asked)

    def _void_block(self, link: str, sequence: int) -> None:
        self.database.rows(
            "UPDATE block SET state = 'void', key = NULL WHERE link = ? AND sequence = ?", link, sequence
        )

    def _pool(self, link: str, sequence: int, key: bytes, bits: int) -> None:
        both = block_check.halves(key, bits)
        if both is None:
            raise Conflict(f"block {sequence} of link {link!r} is too small to use")
        self.database.rows(
            "UPDATE block SET state = 'pooled', key = NULL WHERE link = ? AND sequence = ?", link, sequence
        )
        for pool, half in enumerate(both):
            self._put(link, pool, sequence, pool * len(half), half)
            self._book(link, pool, pooled=len(half), ready=len(half))

    # --- material

    def _put(self, link: str, pool: int, sequence: int, start: int, bits: bytes) -> None:
        pieces = [(start + at, bits[at : at + CHUNK_BYTES]) for at in range(0, len(bits), CHUNK_BYTES)]
        self.database.each(
            "INSERT INTO chunk (link, pool, sequence, start, bits, sum) VALUES (?, ?, ?, ?, ?, ?)",
            [(link, pool, sequence, at, piece, zlib.crc32(piece)) for at, piece in pieces],
        )

    def _sound(self, bits: bytes, checksum: int, where: str) -> bytes:
        """The bits, if they are what was written: a disk that changed one would make two ends' keys differ."""
        if zlib.crc32(bits) != checksum:
            raise StoreDamaged(self.database.name, f"{where} has changed on the disk")
        return bits

    def _take(self, link: str, pool: int, segments: Sequence[Segment]) -> bytes:
        """Remove material from a pool. Raises Conflict where some of it is not there."""
        taken = []
        for segment in segments:
            at, end = segment.start, segment.start + segment.length
            rows = self.database.rows(
                "SELECT start, bits, sum FROM chunk WHERE link = ? AND pool = ? AND sequence = ?"
                " AND start > ? AND start < ? ORDER BY start",
                link,
                pool,
                segment.sequence,
                at - CHUNK_BYTES,
                end,
            )
            for start, blob, checksum in rows:
                bits = self._sound(bytes(blob), checksum, f"block {segment.sequence} of link {link!r}")
                if start + len(bits) <= at:
                    continue
                if start > at:
                    break
                until = min(end, start + len(bits))
                taken.append(bits[at - start : until - start])
                place = (link, pool, segment.sequence, start)
                self.database.rows(
                    "DELETE FROM chunk WHERE link = ? AND pool = ? AND sequence = ? AND start = ?", *place
                )
                if at > start:
                    self._put(link, pool, segment.sequence, start, bits[: at - start])
                if until < start + len(bits):
                    self._put(link, pool, segment.sequence, until, bits[until - start :])
                at = until
            if at < end:
                raise Conflict(f"bytes {at} to {end} of block {segment.sequence} of link {link!r} are not there")
        return b"".join(taken)

    def _oldest(self, link: str, pool: int, size: int) -> list[Segment]:
        """Where the oldest `size` bytes of a pool lie; the pool holds as many."""
        found: list[Segment] = []
        rows = self.database.rows(
            "SELECT sequence, start, length(bits) FROM chunk WHERE link = ? AND pool = ? ORDER BY sequence, start"
            " LIMIT ?",
            link,
            pool,
            # Chunks are whole but for the ends of blocks and what keys left of them: most often this is enough.
            2 * (size // CHUNK_BYTES) + 4,
        )
        if sum(length for *_, length in rows) < size:
            rows = self.database.rows(
                "SELECT sequence, start, length(bits) FROM chunk WHERE link = ? AND pool = ? ORDER BY sequence, start",
                link,
                pool,
            )
        for sequence, start, length in rows:
            used = min(length, size)
            last = found[-1] if found else None
            if last and (last.sequence, last.start + last.length) == (sequence, start):
                found[-1] = Segment(sequence, last.start, last.length + used)
            else:
                found.append(Segment(sequence, start, used))
            size -= used
            if not size:
                return found
        raise StoreDamaged(self.database.name, f"a pool of link {link!r} holds less than its account says")

    # --- accounts, health

    def available(self, link: str, pool: int) -> int:
        """Bytes of a pool that nobody has taken."""
        return self.account(link, pool)["ready"]

    def _book(self, link: str, pool: int, **changes: int) -> None:
        for item, change in changes.items():
            self.database.rows(
                "INSERT INTO account (link, pool, item, bytes) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
                link,
                pool,
                item,
            )
            self.database.rows(
                "UPDATE account SET bytes = bytes + ? WHERE link = ? AND pool = ? AND item = ?",
                change,
                link,
                pool,
                item,
            )

    def account(self, link: str, pool: int) -> dict[str, int]:
        """Bytes of a pool by what became of them: ITEMS."""
        rows = self.database.rows("SELECT item, bytes FROM account WHERE link = ? AND pool = ?", link, pool)
        return dict.fromkeys(ITEMS, 0) | {item: int(size) for item, size in rows}

    def check(self) -> None:
        """See that the store holds what it ever wrote: pages, checksums and sums.

        Raises:
            StoreDamaged: it does not.
        """
        self.database.check()
        with self.database.transaction():
            sums: dict[tuple[str, int, str], int] = {}
            for link, pool, item, bits, checksum in self._held():
                self._sound(bytes(bits), checksum, f"a piece of link {link!r}")
                sums[link, pool, item] = sums.get((link, pool, item), 0) + len(bits)
            for link, pool in self.database.rows("SELECT DISTINCT link, pool FROM account"):
                account = self.account(link, pool)
                if account["pooled"] != sum(account[item] for item in ITEMS[1:]):
                    raise StoreDamaged(self.database.name, f"the account of link {link!r} does not add up")
                for item in ("ready", "reserved"):
                    if sums.pop((link, pool, item), 0) != account[item]:
                        raise StoreDamaged(self.database.name, f"link {link!r} has not the bytes that are {item}")
            if sums:
                raise StoreDamaged(self.database.name, "there is key material without an account")

    def _held(self) -> Iterator[tuple[str, int, str, bytes, int]]:
        yield from self.database.rows("SELECT link, pool, 'ready', bits, sum FROM chunk")
        yield from self.database.rows(
            "SELECT r.link, r.pool, 'reserved', k.bits, k.sum FROM delivery_key k"
            " JOIN reservation r ON r.id = k.reservation WHERE k.state <> 'erased'"
        )
