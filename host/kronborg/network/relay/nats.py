"""Frames by way of NATS JetStream, for networks of more than a few nodes. Needs the extra `nats`.

A frame goes into the stream `kronborg-frames`, which keeps it until the neighbour has taken it, and the neighbour says
what came of it by a receipt. The server and its disk see who sends to whom: frames are encrypted and tagged. What is
kept, lost or repeated there changes nothing: nodes resend until there is a receipt, and take each frame once.

Subjects are ``kronborg.frames.TO.FROM.LINK`` and ``kronborg.receipts.TO.FROM``; a server that maps certificates to
users (`verify_and_map`) lets each node publish in its own name alone (:func:`permissions`). Who publishes in another's
could hold keys up, and read none.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from ..kme.channel import PeerAbsent, PeerSilent
from ..kme.config import Address, Link
from ..kme.log import LOGGER, event
from ..kme.tls import Credentials
from ..tasks import cancelled
from .frames import MOST_FRAME_BYTES
from .transport import Receive, Transport, outcomes

STREAM = "kronborg-frames"
KEEP_SECONDS = 60.0
"""So long a frame waits in the stream: its sender has given it up by then."""
STORED_SECONDS = 2.0
RECEIPT_SECONDS = 5.0
RETRY_SECONDS = 1.0
REDELIVER_SECONDS = 5.0
FETCH_SECONDS = 10.0
MOST_MESSAGE_BYTES = 2 * MOST_FRAME_BYTES
HEADER = "Kronborg-Receipt"


def token(id: str) -> str:
    """An ID as one part of a subject, where a dot would make it two."""
    return id.replace("~", "~0").replace(".", "~1")


def permissions(kme: str) -> dict[str, dict[str, list[str]]]:
    """What a server's user for a KME has to be allowed, and no more, as its configuration writes it."""
    own = token(kme)
    return {
        "publish": {
            "allow": [f"kronborg.frames.*.{own}.*", f"kronborg.receipts.*.{own}", "$JS.API.>", "$JS.ACK.>"],
        },
        "subscribe": {"allow": [f"kronborg.receipts.{own}.*", "_INBOX.>"]},
    }


class NatsTransport(Transport):
    """Frames by way of a NATS server.

    Args:
        own: ID of this KME.
        server: where the NATS server listens, with TLS.
        links: of this node.
        credentials: of this KME.
    """

    def __init__(self, own: str, server: Address, links: Mapping[str, Link], credentials: Credentials) -> None:
        self._own, self._server, self._links = own, server, dict(links)
        # One for all connections: a server that is gone is called each second, and a context stays.
        self._context = credentials.client()
        self._client = Client()
        self._receipts: dict[str, tuple[Link, asyncio.Future[object]]] = {}
        self._work: asyncio.Task[None] | None = None
        self._ready = False

    def take_on(self, link: Link) -> None:
        """See Transport."""
        self._links[link.name] = link

    async def start(self, receive: Receive) -> None:
        """See Transport. A server that is not there yet is waited for."""
        self._work = asyncio.create_task(self._keep(receive))

    async def _keep(self, receive: Receive) -> None:
        while True:
            try:
                await self._connect()
                await self._take(receive)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                event(logging.WARNING, "no NATS server", server=str(self._server), reason=type(error).__name__)
            self._ready = False
            with suppress(Exception):
                await self._client.close()
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self) -> None:
        self._client = Client()

        async def say(error: Exception) -> None:
            event(logging.WARNING, "NATS", reason=type(error).__name__)

        await self._client.connect(
            [f"tls://{self._server}"],
            tls=self._context,
            name=self._own,
            # Whatever breaks, a new connection is made from the beginning.
            allow_reconnect=False,
            connect_timeout=2,
            ping_interval=5,
            max_outstanding_pings=2,
            error_cb=say,
        )
        await self._client.subscribe(f"kronborg.receipts.{token(self._own)}.*", cb=self._receipt)
        await self._client.jetstream().add_stream(
            StreamConfig(
                STREAM,
                subjects=["kronborg.frames.>"],
                retention=RetentionPolicy.WORK_QUEUE,
                max_age=KEEP_SECONDS,
                max_msg_size=MOST_MESSAGE_BYTES,
            )
        )

    async def _take(self, receive: Receive) -> None:
        own = token(self._own)
        subscription = await self._client.jetstream().pull_subscribe(
            f"kronborg.frames.{own}.>",
            durable=f"to-{own}",
            stream=STREAM,
            config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=REDELIVER_SECONDS),
        )
        self._ready = True
        event(logging.INFO, "NATS server found", server=str(self._server))
        while self._client.is_connected:
            try:
                messages = await subscription.fetch(8, FETCH_SECONDS)
            except asyncio.TimeoutError:
                continue
            for message in messages:
                await self._one(message, receive)

    async def _one(self, message: Msg, receive: Receive) -> None:
        """Take what one message brings. What cannot be taken now comes again; what is no message of ours does not."""
        link, bodies = self._read(message)
        receipt = (message.headers or {}).get(HEADER, "")
        if link is None or not receipt:
            event(logging.WARNING, "frame refused", link="", reason="malformed")
            await message.term()
            return
        try:
            said = await receive(link, bodies)
        except Exception:
            LOGGER.exception("relay failed", extra={"fields": {"what": "nats", "link": link.name}})
            await message.nak(delay=RETRY_SECONDS)
            return
        answer = json.dumps({"receipt": receipt, "outcomes": said}).encode()
        await self._client.publish(f"kronborg.receipts.{token(link.peer)}.{token(self._own)}", answer)
        await message.ack()

    def _read(self, message: Msg) -> tuple[Link | None, list[bytes]]:
        return read_message(message.subject, message.data, self._links)

    async def _receipt(self, message: Msg) -> None:
        said = read_receipt(message.data)
        link, waiting = self._receipts.get(said[0], (None, None)) if said else (None, None)
        if said is None or link is None or waiting is None or waiting.done():
            return
        if message.subject.rpartition(".")[2] == token(link.peer):
            waiting.set_result(said[1])

    async def send(self, link: Link, bodies: Sequence[bytes]) -> list[str]:
        """See Transport."""
        if not self._ready or not self._client.is_connected:
            raise PeerAbsent(f"the NATS server cannot be reached at {self._server}")
        name, waiting = str(uuid.uuid4()), asyncio.get_running_loop().create_future()
        self._receipts[name] = (link, waiting)
        try:
            await self._client.jetstream().publish(
                f"kronborg.frames.{token(link.peer)}.{token(self._own)}.{token(link.name)}",
                json.dumps([base64.b64encode(each).decode() for each in bodies]).encode(),
                timeout=STORED_SECONDS,
                headers={HEADER: name},
            )
            return outcomes(await asyncio.wait_for(waiting, RECEIPT_SECONDS), len(bodies), link)
        except (NatsError, asyncio.TimeoutError, OSError):
            raise PeerSilent(f"KME {link.peer} did not answer") from None
        finally:
            del self._receipts[name]

    async def close(self) -> None:
        """See Transport."""
        if self._work is not None:
            await cancelled([self._work])
        with suppress(Exception):
            await self._client.close()


def read_message(subject: str, data: bytes, links: Mapping[str, Link]) -> tuple[Link | None, list[bytes]]:
    """The link that a message of frames came over, and the frames; no link where it is no such message."""
    parts = subject.split(".")
    link = next(
        (link for link in links.values() if parts[3:] == [token(link.peer), token(link.name)] and len(parts) == 5), None
    )
    found = _json(data)
    if link is None or not isinstance(found, list) or len(found) > 16:
        return None, []
    try:
        return link, [base64.b64decode(each, validate=True) for each in found]
    except (ValueError, TypeError):
        return None, []


def read_receipt(data: bytes) -> tuple[str, object] | None:
    """A receipt's name, and the outcomes that it tells; None where it is none."""
    found = _json(data)
    if not isinstance(found, dict) or not isinstance(found.get("receipt"), str):
        return None
    return found["receipt"], found.get("outcomes")


def _json(data: bytes) -> Any:
    if len(data) > MOST_MESSAGE_BYTES:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
