"""The store's half of relay: every step of a frame is one transaction.

A node that takes a frame has, in the transaction that says so: its material used up, its name noted, and either the
next frame in the outbox, encrypted for the next link, or the keys in place and the answer in the outbox. A frame in the
outbox may be sent again as it is, for the same bits under the same pad tell nothing new; the other end takes it once.
So a node may die at any point. What is never taken is *voided* as reservations are: the neighbour is told until it
answers whether it used the material (then it is booked as relayed at both ends) or will never (voided at both).

Keys that are relayed have an account of their own at either end, under the name ``relay/`` and the ID of their
master's KME: all that were made there, and here all that arrived.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..database import Database
from ..key_pools import KeyPools, NotEnoughKey, Reservation, joined, split
from ..material import Conflict, Segment
from . import frames
from .frames import TAG_KEY_BYTES, Frame, FrameRefused, Kind
from .manifest import AnswerManifest, KeysManifest, Manifest, read, write
from .routing import Path

KEYS_SECONDS = 5.0
"""So long a frame with keys is sent again where the neighbour does not answer, before it is given up."""
ANSWER_SECONDS = 30.0
"""So long an answer is."""


def account_of(kme: str) -> str:
    """The account of keys that are relayed from a master's KME; no link can have this name."""
    return f"relay/{kme}"


@dataclass(frozen=True)
class Node:
    """What a node knows of itself.

    Attributes:
        id: of this KME.
        links: name of the link to each neighbour.
        takes: whether keys for such slaves of such a master may be left here.
        unmask: what a KEM's secret adds to keys, None where it cannot be had.
        longest_seconds: how long keys that arrive may wait for their slaves, whatever their origin says.
    """

    id: str
    links: Mapping[str, str]
    takes: Callable[[KeysManifest], bool] = lambda manifest: False
    unmask: Callable[[KeysManifest], bytes | None] = lambda manifest: None
    longest_seconds: float = 1e9

    def pool_to(self, peer: str) -> int:
        """The direction towards a neighbour."""
        return 0 if self.id < peer else 1


@dataclass(frozen=True)
class Leg:
    """The way of a reservation's keys to one KME.

    Attributes:
        kme: that KME.
        slaves: those there.
        paths: one, or two for shares.
        payload: what is sent, as long as the keys.
        kem: see KeysManifest.
    """

    kme: str
    slaves: tuple[str, ...]
    paths: tuple[Path, ...]
    payload: bytes = field(repr=False)
    kem: str | None = None


@dataclass(frozen=True)
class Waiting:
    """A frame in the outbox."""

    id: str
    kind: Kind
    body: bytes
    expires: float


@dataclass(frozen=True)
class Taken:
    """What came of a frame.

    Attributes:
        outcome: `accepted`, `repeated`, `later` (send it again) or `refused`.
        reason: of the latter two, one word.
        kind, session: what it was for.
        confirmed: at the keys' origin: whether all of them have arrived (True), or some never will (False).
        stopped: where they stopped.
        onward: the link over which something goes on from here.
    """

    outcome: str
    reason: str = ""
    kind: Kind | None = None
    session: str = ""
    confirmed: bool | None = None
    stopped: tuple[str, str] | None = None
    onward: str = ""


class RelayStore(KeyPools):
    """Pools that frames come from and go to.

    Args:
        database: the store.
        node: who this is.
    """

    def __init__(self, database: Database, node: Node) -> None:
        super().__init__(database)
        self.node = node

    # --- out

    def originate(self, made: Reservation, bits: bytes, legs: Sequence[Leg], *, now: float) -> None:
        """Make keys of new bits and send them on their ways; they are reserved until all legs are confirmed.

        Args:
            made: their names; of this node's own account, without segments.
            bits: the keys, one after the other.
            legs: their ways.
            now: the time.

        Raises:
            NotEnoughKey: a first link has too little.
        """
        with self.database.transaction():
            self._enter(made, "master", now, bits)
            self._book(made.link, made.pool, pooled=made.size, reserved=made.size)
            for leg in legs:
                self.database.rows(
                    "INSERT INTO leg (reservation, kme, paths, confirmed) VALUES (?, ?, ?, 0)",
                    made.id,
                    leg.kme,
                    json.dumps(leg.paths),
                )
                shares = _shares(leg.payload, len(leg.paths))
                for number, (path, share) in enumerate(zip(leg.paths, shares, strict=True)):
                    manifest = KeysManifest(
                        session=made.id,
                        path=list(path),
                        share=number,
                        shares=len(shares),
                        key_ids=list(made.key_ids),
                        key_bytes=made.key_bytes,
                        master=made.master,
                        slaves=list(leg.slaves),
                        lifetime_seconds=made.lifetime_seconds,
                        extension=dict(made.extension),
                        kem=leg.kem,
                    )
                    self._send(Kind.KEYS, manifest, share, now + KEYS_SECONDS)

    def _send(self, kind: Kind, manifest: Manifest, payload: bytes, expires: float) -> str:
        """Seal a frame for the next node of its path, and put it into the outbox; returns its link."""
        peer = manifest.after(self.node.id)
        link = self.node.links.get(peer or "")
        if peer is None or link is None:
            raise Conflict("the path does not follow links")
        pool, size = self.node.pool_to(peer), TAG_KEY_BYTES + len(payload)
        ready = self.available(link, pool)
        if size > ready:
            raise NotEnoughKey(ready // size)
        segments = self._oldest(link, pool, size)
        frame, tag = frames.seal(kind, link, pool, segments, self._take(link, pool, segments), write(manifest), payload)
        body = frame.encode() + tag
        if len(body) > frames.MOST_FRAME_BYTES:
            raise Conflict("the frame is too long")
        self._book(link, pool, ready=-size, relayed=size)
        self._note(frame, "out", tag, expires, body)
        return link

    def _note(self, frame: Frame, way: str, tag: bytes, expires: float, body: bytes | None) -> None:
        self.database.rows(
            "INSERT INTO frame (id, link, pool, way, kind, state, segments, size, tag, body, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            frame.id,
            frame.link,
            frame.pool,
            way,
            int(frame.kind),
            "closed" if body is None else "open",
            joined(frame.segments),
            sum(each.length for each in frame.segments),
            tag,
            body,
            expires,
        )

    def outbox(self, link: str, most_bytes: int = frames.MOST_FRAME_BYTES) -> list[Waiting]:
        """Frames that wait to be taken at the other end of a link: the oldest that fit into one message."""
        rows = self.database.rows(
            "SELECT id, kind, body, expires FROM frame WHERE state = 'open' AND link = ? ORDER BY expires LIMIT 16",
            link,
        )
        found = [Waiting(name, Kind(kind), bytes(body), expires) for name, kind, body, expires in rows]
        while sum(len(each.body) for each in found) > most_bytes:
            found.pop()
        return found

    def taken(self, names: Sequence[str]) -> None:
        """Note that the other end has these frames."""
        self.database.each(
            "UPDATE frame SET state = 'closed', body = NULL WHERE id = ? AND state = 'open'",
            [(each,) for each in names],
        )

    def give_up(self, name: str, now: float) -> Taken | None:
        """Send a frame no more; its material is void unless the other end has it. Keys turn back with FAIL.

        Returns: at their origin, what that means for them.
        """
        with self.database.transaction():
            found = self.database.rows("SELECT body FROM frame WHERE id = ? AND state = 'open'", name)
            if not found:
                return None
            frame, _ = frames.parse(bytes(found[0][0]))
            self.database.rows("UPDATE frame SET state = 'voiding', body = NULL WHERE id = ?", name)
            if frame.kind is not Kind.KEYS:
                return None
            manifest = read(KeysManifest, frame.manifest)
            try:
                return self._turn_back(manifest, now)
            except NotEnoughKey:
                return None  # the origin's patience ends by itself

    def _turn_back(self, manifest: KeysManifest, now: float) -> Taken:
        """Tell the origin that keys do not get there."""
        here = self.node.id
        stopped = (here, manifest.after(here) or here)
        if manifest.path[0] == here:
            return Taken("accepted", "", Kind.FAIL, manifest.session, False, stopped)
        answer = AnswerManifest(session=manifest.session, path=manifest.back_from(here), stopped=list(stopped))
        link = self._send(Kind.FAIL, answer, b"", now + ANSWER_SECONDS)
        return Taken("accepted", "", Kind.KEYS, manifest.session, onward=link)

    # --- in

    def receive(self, link: str, peer: str, body: bytes, now: float) -> Taken:
        """Take a frame that a neighbour sent, and do what it is for. A frame that comes again changes nothing.

        Args:
            link: the link that it came over.
            peer: the neighbour, as its certificate says.
            body: as it came.
            now: the time.

        Returns: what came of it; nothing has changed unless it is `accepted`.
        """
        try:
            with self.database.transaction():
                return self._receive(link, peer, body, now)
        except FrameRefused as error:
            return Taken("refused", error.reason)
        except Conflict:
            return Taken("refused", "material")
        except NotEnoughKey:
            return Taken("later", "key")

    def _receive(self, link: str, peer: str, body: bytes, now: float) -> Taken:
        frame, tag = frames.parse(body)
        if frame.link != link or frame.pool != 1 - self.node.pool_to(peer):
            raise FrameRefused("link")
        known = self.database.rows("SELECT way, tag FROM frame WHERE id = ?", frame.id)
        if known:
            if known[0][0] == "in" and bytes(known[0][1]) == tag:
                return Taken("repeated")
            raise FrameRefused("altered")
        if self.database.rows("SELECT 1 FROM reservation WHERE id = ?", frame.id):
            raise FrameRefused("void")
        self._pool_blocks(link, frame.segments)
        payload = frames.open_(frame, tag, self._take(link, frame.pool, frame.segments))
        size = TAG_KEY_BYTES + len(payload)
        self._book(link, frame.pool, ready=-size, relayed=size)
        self._note(frame, "in", tag, now, None)
        if frame.kind is Kind.KEYS:
            return self._keys_frame(frame, peer, payload, now)
        return self._answer_frame(frame, peer, payload, now)

    def _on_its_way(self, manifest: Manifest, peer: str) -> bool:
        """Whether a frame goes on from here; it has to have come as its path says."""
        if manifest.after(peer) != self.node.id:
            raise FrameRefused("path")
        return manifest.path[-1] != self.node.id

    def _keys_frame(self, frame: Frame, peer: str, payload: bytes, now: float) -> Taken:
        manifest = read(KeysManifest, frame.manifest)
        if len(payload) != len(manifest.key_ids) * manifest.key_bytes or manifest.share >= manifest.shares:
            raise FrameRefused("manifest")
        if not self._on_its_way(manifest, peer):
            return self._arrive(manifest, payload, now)
        try:
            with self.database.transaction():
                link = self._send(Kind.KEYS, manifest, payload, now + KEYS_SECONDS)
        except (NotEnoughKey, Conflict):
            return self._turn_back(manifest, now)
        return Taken("accepted", "", Kind.KEYS, manifest.session, onward=link)

    def _arrive(self, manifest: KeysManifest, payload: bytes, now: float) -> Taken:
        """Put a share aside or, with the last one, the keys in their place, and answer."""
        session, account = manifest.session, account_of(manifest.path[0])
        here = Taken("accepted", "", Kind.KEYS, session)
        if self.database.rows("SELECT 1 FROM reservation WHERE id = ?", session):
            return here  # voided before it came
        if not self.node.takes(manifest):
            return self._turn_back(manifest, now)
        combined = payload
        if manifest.shares > 1:
            others = self.database.rows("SELECT number, manifest, bits, sum FROM share WHERE reservation = ?", session)
            if not others:
                self._keep_share(manifest, payload, now)
                return here
            ((number, text, bits, checksum),) = others
            if number == manifest.share or not manifest.same_keys(read(KeysManifest, bytes(text))):
                return self._turn_back(manifest, now)
            combined = frames.exclusive_or(payload, self._sound(bytes(bits), checksum, "a share"))
            self.database.rows("DELETE FROM share WHERE reservation = ?", session)
        if manifest.kem is not None:
            mask = self.node.unmask(manifest)
            if mask is None:
                return self._turn_back(manifest, now)
            combined = frames.exclusive_or(combined, mask)
        marks = ", ".join("?" * len(manifest.key_ids))
        if self.database.rows(f"SELECT 1 FROM delivery_key WHERE id IN ({marks})", *manifest.key_ids):
            return self._turn_back(manifest, now)
        made = Reservation(
            session,
            account,
            0,
            tuple(manifest.key_ids),
            manifest.key_bytes,
            (),
            manifest.master,
            tuple(manifest.slaves),
            min(manifest.lifetime_seconds, self.node.longest_seconds),
            manifest.extension,
        )
        self._enter(made, "slave", now, combined)
        self._book(account, 0, pooled=made.size, reserved=made.size)
        return replace(here, onward=self._placed(manifest, now))

    def _placed(self, manifest: KeysManifest, now: float) -> str:
        """Confirm keys that are in their place; returns the link that the answer goes over."""
        answer = AnswerManifest(session=manifest.session, path=manifest.path[::-1])
        return self._send(Kind.CONFIRM, answer, b"", now + ANSWER_SECONDS)

    def _keep_share(self, manifest: KeysManifest, payload: bytes, now: float) -> None:
        self.database.rows(
            "INSERT INTO share (reservation, number, manifest, bits, sum, expires) VALUES (?, ?, ?, ?, ?, ?)",
            manifest.session,
            manifest.share,
            write(manifest),
            payload,
            zlib.crc32(payload),
            now + ANSWER_SECONDS,
        )

    def _answer_frame(self, frame: Frame, peer: str, payload: bytes, now: float) -> Taken:
        manifest = read(AnswerManifest, frame.manifest)
        if payload:
            raise FrameRefused("manifest")
        if self._on_its_way(manifest, peer):
            try:
                with self.database.transaction():
                    link = self._send(frame.kind, manifest, b"", now + ANSWER_SECONDS)
            except Conflict:
                link = ""  # the way back is gone: the origin's patience ends by itself
            return Taken("accepted", "", frame.kind, manifest.session, onward=link)
        session = manifest.session
        if frame.kind is Kind.VOID:
            self.database.rows("DELETE FROM share WHERE reservation = ?", session)
            known = self.database.rows("SELECT link FROM reservation WHERE id = ?", session)
            account = account_of(manifest.path[0])
            if not known or known[0][0] == account:
                self.void(session, account, 0, (), now)
            return Taken("accepted", "", frame.kind, session)
        stopped = (manifest.stopped[0], manifest.stopped[1]) if manifest.stopped else None
        return self._answered(frame.kind, session, manifest.path[0], stopped)

    def _answered(self, kind: Kind, session: str, kme: str, stopped: tuple[str, str] | None) -> Taken:
        waiting = self.database.rows(
            "SELECT l.kme, l.confirmed FROM leg l JOIN reservation r ON r.id = l.reservation"
            " WHERE r.id = ? AND r.role = 'master' AND r.state = 'open'",
            session,
        )
        confirmed: bool | None = None
        if waiting and kind is Kind.FAIL:
            confirmed = False
        elif waiting:
            self.database.rows("UPDATE leg SET confirmed = 1 WHERE reservation = ? AND kme = ?", session, kme)
            confirmed = all(done for each, done in waiting if each != kme) or None
        return Taken("accepted", "", kind, session, confirmed, stopped)

    def arrived(self, session: str) -> bool:
        """Whether the KMEs of all slaves have confirmed a reservation's keys."""
        rows = self.database.rows("SELECT confirmed FROM leg WHERE reservation = ?", session)
        return bool(rows) and all(done for (done,) in rows)

    # --- void

    def to_void(self, link: str, most: int = 100) -> list[tuple[str, int, tuple[Segment, ...]]]:
        """Reservations and frames that the other end of a link has yet to be told to void."""
        found = super().to_void(link, most)
        rows = self.database.rows(
            "SELECT id, pool, segments FROM frame WHERE state = 'voiding' AND link = ? ORDER BY expires LIMIT ?",
            link,
            most - len(found),
        )
        return found + [(name, pool, split(text)) for name, pool, text in rows]

    def close(self, reservations: Sequence[str], used: Sequence[str] = ()) -> None:
        """Note that the other end has voided these, and that it had used some frames among them."""
        with self.database.transaction():
            super().close(reservations)
            for name in reservations:
                for link, pool, size in self.database.rows(
                    "SELECT link, pool, size FROM frame WHERE id = ? AND state = 'voiding'", name
                ):
                    if name not in used:
                        self._book(link, pool, relayed=-size, voided=size)
                    self.database.rows("UPDATE frame SET state = 'closed' WHERE id = ?", name)

    def void(self, reservation: str, link: str, pool: int, segments: Sequence[Segment], now: float) -> bool:
        """Erase what the other end will never deliver; returns whether it was a frame that has been taken."""
        with self.database.transaction():
            if self.database.rows("SELECT 1 FROM frame WHERE id = ? AND way = 'in'", reservation):
                return True
            return super().void(reservation, link, pool, segments, now)

    def sessions_to_void(self) -> list[tuple[str, list[tuple[str, list[Path]]]]]:
        """Reservations of relayed keys that their far KMEs have yet to be told to void, with KMEs and paths."""
        rows = self.database.rows(
            "SELECT r.id, l.kme, l.paths FROM reservation r JOIN leg l ON l.reservation = r.id WHERE r.id IN"
            # All KMEs of a reservation at once: it is closed then.
            " (SELECT id FROM reservation WHERE state = 'voiding' AND link = ? ORDER BY expires LIMIT 100)"
            " ORDER BY r.expires",
            account_of(self.node.id),
        )
        found: dict[str, list[tuple[str, list[Path]]]] = {}
        for session, kme, paths in rows:
            found.setdefault(session, []).append((kme, [tuple(path) for path in json.loads(paths)]))
        return list(found.items())

    def void_session(self, session: str, paths: Sequence[Path], now: float) -> None:
        """Tell far KMEs, each by its path, that keys are void. Raises NotEnoughKey, and nothing is told."""
        with self.database.transaction():
            for path in paths:
                self._send(Kind.VOID, AnswerManifest(session=session, path=list(path)), b"", now + ANSWER_SECONDS)
            super().close([session])

    # --- time

    def expire(self, now: float) -> int:
        """Erase what nobody fetched in time, and shares whose others never came."""
        with self.database.transaction():
            self.database.rows("DELETE FROM share WHERE expires <= ?", now)
            # What could not be told to the far end has expired there by now.
            self.database.rows(
                "UPDATE reservation SET state = 'closed' WHERE state = 'voiding' AND link = ? AND expires <= ?",
                account_of(self.node.id),
                now,
            )
            return super().expire(now)

    def forget(self, before: float) -> None:
        """Drop names of frames and keys that are gone since."""
        with self.database.transaction():
            self.database.rows("DELETE FROM frame WHERE state = 'closed' AND expires < ?", before)
            self.database.rows(
                "DELETE FROM leg WHERE reservation IN"
                " (SELECT id FROM reservation WHERE state = 'closed' AND expires < ?)",
                before,
            )
            super().forget(before)


def _shares(bits: bytes, number: int) -> list[bytes]:
    """Bits as so many shares of which all but all say nothing: one, or two."""
    if number == 1:
        return [bits]
    blind = secrets.token_bytes(len(bits))
    return [blind, frames.exclusive_or(bits, blind)]
