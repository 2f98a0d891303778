"""To the KME at the other end of a link: who takes which material, what is void, whose blocks are equal. Metadata only.

Reservations that wait while a message is under way go into the next one together. What matters for keys is what is
known when a message fails: if the connection was never made, the other end knows nothing and the material can be used
again; if anything was sent, it may know, and the material is lost.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import select
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ...errors import KronborgError
from ..identity import Identity, of_certificate
from ..key_pools import Reservation
from ..material import Segment
from .config import Address, Link
from .tls import Credentials, made_of

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
RETRY_SECONDS = 1.0
"""So long nobody tries a peer that could not be reached."""
MOST_IN_ONE = 64
"""Reservations in one message."""
MOST_ANSWER_BYTES = 1 << 20


class PeerAbsent(KronborgError):
    """The other KME could not be reached: it knows nothing of what was meant for it."""


class PeerSilent(KronborgError):
    """The other KME did not answer as it should: it may have done what it was asked for, or not."""


class PeerRefuses(KronborgError):
    """The other KME answered no."""


class Connection:
    """A kept-alive connection to one KME, whose identity is checked before anything is sent. One thread at a time."""

    def __init__(self, address: Address, peer: str, context: ssl.SSLContext) -> None:
        self._address, self._peer, self._context = address, Identity("kme", peer), context
        self._connection: http.client.HTTPSConnection | None = None
        self._made = made_of(context)

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """Send a message, and return the answer.

        Raises:
            PeerAbsent: nothing was sent.
            PeerSilent: something was, and there is no good answer.
        """
        data = json.dumps(body).encode()
        if self._connection is not None and (
            self._made is not made_of(self._context) or self._ended(self._connection.sock)
        ):
            # Who was trusted when it began may not be any more.
            self.close()
        kept = self._connection is not None
        try:
            return self._exchange(self._connection or self._connect(), path, data)
        except PeerAbsent:
            raise
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            if not kept:
                raise PeerSilent(f"KME {self._peer.id} did not answer") from None
        # A connection that was idle may just have ended. All messages may come twice, so this one is sent again. If it
        # cannot be, the other end may all the same have had the first one, just before it went.
        try:
            return self._exchange(self._connect(), path, data)
        except (PeerAbsent, OSError, http.client.HTTPException, ValueError):
            self.close()
            raise PeerSilent(f"KME {self._peer.id} did not answer") from None

    @staticmethod
    def _ended(idle: socket.socket | None) -> bool:
        """Whether the other end has hung up: between messages there is nothing else to read.

        There is no socket where its last answer said that it would: http.client lets go of it then.
        """
        if idle is None:
            return True
        # Not `select`, which fails with the 1024th file that a process has open, and each time from then on.
        looked = select.poll()
        looked.register(idle, select.POLLIN)
        return bool(looked.poll(0))

    def _exchange(self, connection: http.client.HTTPSConnection, path: str, data: bytes) -> dict[str, Any]:
        connection.request("POST", path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read(MOST_ANSWER_BYTES)
        if response.status not in (200, 202):
            raise ValueError
        try:
            answer = json.loads(body or b"{}")
        except RecursionError:
            raise ValueError from None
        if not isinstance(answer, dict):
            raise ValueError
        return answer

    def _connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            self._address.host, self._address.port, timeout=CONNECT_SECONDS, context=self._context
        )
        try:
            self._made = made_of(self._context)
            connection.connect()
            if of_certificate(connection.sock.getpeercert()) != self._peer:
                raise PeerAbsent(f"who answers at {self._address} is not KME {self._peer.id}")
            connection.sock.settimeout(ANSWER_SECONDS)
        except PeerAbsent:
            connection.close()
            raise
        except (OSError, http.client.HTTPException):
            connection.close()
            raise PeerAbsent(f"KME {self._peer.id} cannot be reached at {self._address}") from None
        self._connection = connection
        return connection

    def close(self) -> None:
        """Let go of it; the next message makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Channel:
    """The way to the other end of a link.

    Attributes:
        link: which.
        up: whether the last message was answered.
    """

    def __init__(self, link: Link, credentials: Credentials) -> None:
        self.link, self.up = link, False
        self._connection = Connection(link.address, link.peer, credentials.client())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"to {link.peer}")
        self._waiting: list[tuple[Reservation, asyncio.Future[None]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._down_until = 0.0

    async def _post(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._post_now, what, body)

    def _post_now(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        if time.monotonic() < self._down_until:
            raise PeerAbsent(f"KME {self.link.peer} cannot be reached at {self.link.address}")
        try:
            answer = self._connection.post(f"/peer/v1/links/{self.link.name}/{what}", body)
        except PeerAbsent:
            self.up, self._down_until = False, time.monotonic() + RETRY_SECONDS
            raise
        except PeerSilent:
            self.up = False
            raise
        self.up = True
        return answer

    async def reserve(self, made: Reservation) -> None:
        """Have the other end set the same material aside.

        Raises:
            PeerAbsent: it never heard of it.
            PeerSilent: it may have.
            PeerRefuses: it says that it cannot.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((made, future))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_waiting())
        await asyncio.shield(future)

    async def _send_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_IN_ONE], self._waiting[MOST_IN_ONE:]
            failure: Exception | None = None
            accepted: set[str] = set()
            try:
                body = {"reservations": [reservation_to_json(made) for made, _ in batch]}
                accepted = _names((await self._post("reservations", body)).get("accepted"))
            except (PeerAbsent, PeerSilent) as error:
                failure = error
            except Exception:
                failure = PeerSilent(f"KME {self.link.peer} did not answer")
            for made, future in batch:
                if future.done():
                    continue
                if made.id in accepted:
                    future.set_result(None)
                else:
                    future.set_exception(failure or PeerRefuses(f"KME {self.link.peer} has not the same material"))

    async def void(self, reservations: Sequence[tuple[str, int, tuple[Segment, ...]]]) -> tuple[list[str], list[str]]:
        """Tell what will never be delivered. Raises as `reserve`.

        Returns: the names that the other end has settled, and those among them that it had acted upon before.
        """
        body = {
            "reservations": [
                {"id": name, "pool": pool, "segments": segments_to_json(segments)}
                for name, pool, segments in reservations
            ]
        }
        answer = await self._post("voids", body)
        return sorted(_names(answer.get("voided"))), sorted(_names(answer.get("used")))

    async def begin_anew(self) -> int:
        """Have the other end void all that it holds of the link; returns the number of its last block.

        Raises:
            PeerAbsent, PeerSilent: it may have done so or not.
        """
        last = (await self._post("anew", {})).get("last")
        if type(last) is not int or last < 0:
            raise PeerSilent(f"KME {self.link.peer} did not answer")
        return last

    async def tell(self, adverts: Sequence[dict[str, Any]]) -> None:
        """Tell what nodes say of their links. Raises as `reserve`."""
        await self._post("adverts", {"adverts": list(adverts)})

    async def compare(self, challenges: dict[int, bytes]) -> dict[int, bool]:
        """Whether blocks are the same at the other end; those that are not there yet are left out. Raises likewise."""
        body = {
            "challenges": [
                {"sequence": sequence, "challenge": base64.b64encode(asked).decode()}
                for sequence, asked in challenges.items()
            ]
        }
        answers = (await self._post("blocks", body)).get("answers")
        found: dict[int, bool] = {}
        for each in answers if isinstance(answers, list) else []:
            if isinstance(each, dict) and isinstance(each.get("same"), bool) and each.get("sequence") in challenges:
                found[each["sequence"]] = each["same"]
        return found

    async def close(self) -> None:
        """Let go of the connection."""
        if self._sender is not None:
            with suppress(asyncio.CancelledError):
                await self._sender
        self._thread.shutdown()
        self._connection.close()


def _names(found: object) -> set[str]:
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()


def segments_to_json(segments: Sequence[Segment]) -> list[list[int]]:
    """Segments as the interface writes them: [sequence, start, length]."""
    return [[each.sequence, each.start, each.length] for each in segments]


def reservation_to_json(made: Reservation) -> dict[str, Any]:
    """A reservation as the interface writes it; the link is in the path."""
    return {
        "id": made.id,
        "pool": made.pool,
        "key_ids": list(made.key_ids),
        "key_bytes": made.key_bytes,
        "segments": segments_to_json(made.segments),
        "master": made.master,
        "slaves": list(made.slaves),
        "lifetime_seconds": made.lifetime_seconds,
    }
