"""The gateway's half of the store: what was handed to the other operator, and what it handed to us.

Keys for an SAE abroad arrive as relayed keys do, and are not confirmed to their origin before the other operator has
acknowledged them; until then no master has them. Keys from abroad are sent to their KMEs as keys that are made here,
and are acknowledged once all of these have confirmed. Either way a row of `handover` says how far it has got, changed
in the transaction that does it; what a process that died left open is void, and the other operator is told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..key_pools import Reservation
from ..material import Segment
from ..relay.manifest import KeysManifest, read, write
from ..relay.store import Leg, RelayStore, Taken

RELAYED, VOIDED, FAILED = "relayed", "voided", "failed"
"""What an acknowledgement says."""


@dataclass(frozen=True)
class Handover:
    """Keys that cross the border.

    Attributes:
        session: the reservation.
        initiator: the SAE that asked for them.
        targets: those that they are for.
        key_ids: their names.
        keys: their bits, one a name; only where they are to be sent.
        answer: what to tell of them.
    """

    session: str
    initiator: str
    targets: tuple[str, ...]
    key_ids: tuple[str, ...]
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    answer: str = ""


class GatewayStore(RelayStore):
    """A store of a node with a border.

    Attributes:
        abroad: SAEs behind the border.
        patience_seconds: how long the other operator may take to acknowledge.
    """

    abroad: frozenset[str] = frozenset()
    patience_seconds: float = 5.0

    # --- out

    def _placed(self, manifest: KeysManifest, now: float) -> str:
        if not set(manifest.slaves) <= self.abroad:
            return super()._placed(manifest, now)
        left = [[name, slave] for name in manifest.key_ids for slave in manifest.slaves]
        self._open_handover(manifest.session, "out", "sending", write(manifest), left, now)
        return ""

    def _open_handover(
        self, session: str, way: str, state: str, manifest: bytes, left: list[list[str]], now: float
    ) -> None:
        self.database.rows(
            "INSERT INTO handover (reservation, way, state, manifest, remaining, answer, expires)"
            " VALUES (?, ?, ?, ?, ?, '', ?)",
            session,
            way,
            state,
            manifest,
            json.dumps(left),
            now + self.patience_seconds,
        )

    def _in_state(self, way: str, state: str) -> list[tuple[KeysManifest, str]]:
        rows = self.database.rows(
            "SELECT manifest, answer FROM handover WHERE way = ? AND state = ? ORDER BY expires LIMIT 64", way, state
        )
        return [(read(KeysManifest, bytes(manifest)), answer) for manifest, answer in rows]

    def _set(self, session: str, state: str, answer: str = "") -> None:
        self.database.rows("UPDATE handover SET state = ?, answer = ? WHERE reservation = ?", state, answer, session)

    def to_hand_over(self) -> list[Handover]:
        """Keys that the other operator has yet to be given."""
        found = []
        with self.database.transaction():
            for manifest, _ in self._in_state("out", "sending"):
                keys = {key.id: key.bits for key in self._keys(manifest.session)}
                if len(keys) == len(manifest.key_ids):
                    found.append(_handover(manifest, tuple(keys[name] for name in manifest.key_ids)))
        return found

    def handed_over(self, session: str, now: float) -> None:
        """Note that the other operator has keys, and will acknowledge them or not."""
        self.database.rows(
            "UPDATE handover SET state = 'waiting', expires = ? WHERE reservation = ? AND state = 'sending'",
            now + self.patience_seconds,
            session,
        )

    def acknowledged(self, key_ids: Sequence[str], target: str, status: str, now: float) -> list[str]:
        """Note what the other operator says of keys for one SAE. With the last word their origin is told.

        Returns: the links over which something goes on.
        """
        onward = []
        with self.database.transaction():
            for name in key_ids:
                rows = self.database.rows(
                    "SELECT h.reservation, h.manifest, h.remaining FROM handover h JOIN delivery_key k"
                    " ON k.reservation = h.reservation"
                    " WHERE k.id = ? AND h.way = 'out' AND h.state IN ('sending', 'waiting')",
                    name,
                )
                for session, text, remaining in rows:
                    left = [pair for pair in json.loads(remaining) if pair != [name, target]]
                    if status != RELAYED:
                        if len(left) != len(json.loads(remaining)):
                            onward.append(self.fail(session, now).onward)
                        continue
                    self.database.rows(
                        "UPDATE handover SET remaining = ? WHERE reservation = ?", json.dumps(left), session
                    )
                    if not left:
                        onward.append(self._arrived_abroad(read(KeysManifest, bytes(text)), now))
        return onward

    def _arrived_abroad(self, manifest: KeysManifest, now: float) -> str:
        ((link, pool),) = self.database.rows("SELECT link, pool FROM reservation WHERE id = ?", manifest.session)
        self.database.each(
            "INSERT INTO delivery (key_id, sae, at) VALUES (?, ?, ?)",
            [(name, slave, now) for name in manifest.key_ids for slave in manifest.slaves],
        )
        self._erase(manifest.session, link, pool, "delivered", "closed")
        self._set(manifest.session, "closed")
        return super()._placed(manifest, now)

    def fail(self, session: str, now: float) -> Taken:
        """Give keys up that the other operator does not take: they are void, it is told, and their origin too."""
        with self.database.transaction():
            found = self.database.rows(
                "SELECT h.manifest, r.link, r.pool FROM handover h JOIN reservation r ON r.id = h.reservation"
                " WHERE h.reservation = ? AND h.state IN ('sending', 'waiting')",
                session,
            )
            if not found:
                return Taken("repeated")
            ((text, link, pool),) = found
            self._erase(session, link, pool, "voided", "closed")
            self._set(session, "voiding")
            return self._turn_back(read(KeysManifest, bytes(text)), now)

    def overdue(self, now: float) -> list[str]:
        """Keys whose acknowledgement is overdue."""
        rows = self.database.rows(
            "SELECT reservation FROM handover WHERE way = 'out' AND state IN ('sending', 'waiting') AND expires < ?",
            now,
        )
        return [session for (session,) in rows]

    def to_void_abroad(self) -> list[Handover]:
        """Keys that the other operator has yet to be told to void."""
        return [_handover(manifest) for manifest, _ in self._in_state("out", "voiding")]

    def settle_handover(self, session: str) -> None:
        """Note that the other operator has been told the last word on keys."""
        self._set(session, "closed")

    def void(self, reservation: str, link: str, pool: int, segments: Sequence[Segment], now: float) -> bool:
        """Erase what will never be delivered; what went abroad is to be void there too."""
        with self.database.transaction():
            self.database.rows(
                "UPDATE handover SET state = 'voiding' WHERE reservation = ? AND way = 'out'", reservation
            )
            return super().void(reservation, link, pool, segments, now)

    # --- in

    def take_in(self, made: Reservation, bits: bytes, legs: Sequence[Leg], now: float) -> None:
        """Send keys from abroad to their KMEs, and remember to acknowledge them. Raises as `originate`."""
        manifest = KeysManifest(
            session=made.id,
            path=[self.node.id, legs[0].kme],
            share=0,
            shares=1,
            key_ids=list(made.key_ids),
            key_bytes=made.key_bytes,
            master=made.master,
            slaves=list(made.slaves),
            lifetime_seconds=made.lifetime_seconds,
            extension={},
        )
        with self.database.transaction():
            self.originate(made, bits, legs, now=now)
            self._open_handover(made.id, "in", "waiting", write(manifest), [], now)

    def known(self, key_ids: Sequence[str]) -> bool:
        """Whether a name is taken."""
        marks = ", ".join("?" * len(key_ids))
        return bool(self.database.rows(f"SELECT 1 FROM delivery_key WHERE id IN ({marks})", *key_ids))

    def to_acknowledge(self, now: float) -> list[Handover]:
        """Keys from abroad of which the other operator can be told, and what."""
        with self.database.transaction():
            rows = self.database.rows(
                "SELECT h.reservation, h.expires, r.state FROM handover h JOIN reservation r ON r.id = h.reservation"
                " WHERE h.way = 'in' AND h.state = 'waiting'"
            )
            for session, expires, state in rows:
                if state == "open" and self.arrived(session):
                    self.deliver_to_master(session, now)
                    self._set(session, "answering", RELAYED)
                elif state != "open" or expires < now:
                    self.abandon(session)
                    self._set(session, "answering", FAILED)
            return [_handover(manifest, answer=answer) for manifest, answer in self._in_state("in", "answering")]

    def void_in(self, key_ids: Sequence[str] | None) -> None:
        """Void keys from abroad, all of them where none is named: those that no SAE has fetched yet are gone."""
        with self.database.transaction():
            rows = self.database.rows(
                "SELECT DISTINCT h.reservation, k.id FROM handover h"
                " JOIN delivery_key k ON k.reservation = h.reservation"
                " WHERE h.way = 'in' AND h.answer <> ?",
                VOIDED,
            )
            for session in {session for session, name in rows if key_ids is None or name in key_ids}:
                self.abandon(session)
                # Those that had arrived are void where they are.
                self.database.rows("UPDATE reservation SET state = 'voiding' WHERE id = ?", session)
                self._set(session, "answering", VOIDED)

    def forget(self, before: float) -> None:
        """Drop names of keys that are gone since."""
        with self.database.transaction():
            self.database.rows("DELETE FROM handover WHERE state = 'closed' AND expires < ?", before)
            super().forget(before)


def _handover(manifest: KeysManifest, keys: tuple[bytes, ...] = (), answer: str = "") -> Handover:
    return Handover(manifest.session, manifest.master, tuple(manifest.slaves), tuple(manifest.key_ids), keys, answer)
