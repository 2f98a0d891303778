"""What two agents say to each other: names of keys, never keys. One line of JSON each way, over mutual TLS.

    hello    here is the name of the key in force at the master's end, or null    the slave answers with its own
    prepare  fetch the key of this name from your KME and be ready for it         name of the key that is ready, or null
    switch   use it                                                               name of the key in force, or null

All may come twice. Whoever answers with null says why, in one of REASONS. Certificates are those of the SAEs, and each
end talks to the one SAE that its configuration names.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from pydantic import Field

from ...errors import KronborgError
from ..identity import Identity, of_certificate
from ..kme.log import event
from ..kme.wire import Refused, Strict, parse
from ..tables import Address
from ..tasks import cancelled
from .kme_client import KEY_ID

MOST_LINE_BYTES = 1024
HANDSHAKE_SECONDS = 5.0
IDLE_SECONDS = 60.0
"""So long a connection on which nothing is said stays."""
ANSWER_SECONDS = 20.0
"""The slave's KME may be slow to answer."""
MOST_CONNECTIONS = 8
"""One is enough; others are those of an agent that was killed, and of strangers until they have shown who they are."""

REASONS = ("kme", "audit", "encryptor", "unknown")
"""The KME gave no key; the audit log or the encryptor failed; no key of that name waits."""


class Message(Strict):
    """What the master says."""

    do: Literal["hello", "prepare", "switch"]
    key_id: str | None = Field(default=None, pattern=f"^{KEY_ID}$", max_length=36)


class Answer(Strict):
    """What the slave says to it."""

    key_id: str | None = Field(default=None, pattern=f"^{KEY_ID}$", max_length=36)
    reason: Literal["kme", "audit", "encryptor", "unknown"] | None = None


class PeerFails(KronborgError):
    """The other agent cannot be reached or does not answer as it should; it may have done what it was asked."""


def line_of(message: Message | Answer) -> bytes:
    """A message as it travels."""
    return json.dumps(message.model_dump(exclude_none=True)).encode() + b"\n"


class Caller:
    """The master's way to the slave's agent, kept open."""

    def __init__(self, address: Address, peer: str, context: ssl.SSLContext) -> None:
        self._address, self._peer, self._context = address, Identity("sae", peer), context
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def say(self, do: Literal["hello", "prepare", "switch"], key_id: str | None) -> Answer:
        """Say something, and return the answer. Raises PeerFails."""
        try:
            return await asyncio.wait_for(self._exchange(Message(do=do, key_id=key_id)), ANSWER_SECONDS)
        except PeerFails:
            self.close()
            raise
        except (OSError, EOFError, ValueError, asyncio.TimeoutError, asyncio.LimitOverrunError, Refused):
            self.close()
            raise PeerFails(f"the agent of {self._peer.id} does not answer at {self._address}") from None

    async def _exchange(self, message: Message) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                self._address.host,
                self._address.port,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                limit=MOST_LINE_BYTES,
            )
        reader, writer = self._streams
        if of_certificate(writer.get_extra_info("peercert")) != self._peer:
            raise PeerFails(f"who answers at {self._address} is not SAE {self._peer.id}")
        writer.write(line_of(message))
        await writer.drain()
        return parse(Answer, await reader.readuntil(b"\n"))

    def close(self) -> None:
        """Hang up; what is said next has a new connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


class Listener:
    """The slave's ear.

    Args:
        peer: the SAE that may call.
        context: TLS for the server.
        answer: what to say to a message.
        refused: told why a connection was cut: `identity`, `oversize`, `slow`, `malformed`, `crowd`.
    """

    def __init__(
        self,
        peer: str,
        context: ssl.SSLContext,
        answer: Callable[[Message], Awaitable[Answer]],
        refused: Callable[[str], None],
    ) -> None:
        self._peer, self._context, self._answer, self._refused = Identity("sae", peer), context, answer, refused
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self, address: Address) -> None:
        """Begin. Raises OSError."""
        self._server = await asyncio.start_server(
            self._serve,
            address.host,
            address.port,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            limit=MOST_LINE_BYTES,
        )

    def hang_up(self) -> None:
        """End all connections; others may follow."""
        for task in self._open:
            task.cancel()

    async def close(self) -> None:
        """End, and hang up."""
        if self._server is not None:
            self._server.close()
        await cancelled(self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            why = await self._talk(reader, writer)
            if why:
                self._refused(why)
                event(logging.WARNING, "connection cut", reason=why)
        except (OSError, asyncio.CancelledError):
            pass  # it has hung up, or we end
        finally:
            self._open.discard(task)
            with suppress(OSError, RuntimeError):
                writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Answer until the other end hangs up; returns why it was cut, empty if it was not."""
        if of_certificate(writer.get_extra_info("peercert")) != self._peer:
            return "identity"
        if len(self._open) > MOST_CONNECTIONS:
            return "crowd"
        while True:
            try:
                line = await asyncio.wait_for(reader.readuntil(b"\n"), IDLE_SECONDS)
                message = parse(Message, line)
            except asyncio.IncompleteReadError:
                return ""
            except asyncio.LimitOverrunError:
                return "oversize"
            except asyncio.TimeoutError:
                return "slow"
            except Refused:
                return "malformed"
            writer.write(line_of(await self._answer(message)))
            await writer.drain()
