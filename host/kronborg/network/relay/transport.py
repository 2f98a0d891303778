"""How frames get to a neighbour. Whatever carries them learns who sends to whom and how much, and no bit of a key."""

from __future__ import annotations

import asyncio
import base64
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..kme.channel import Connection, PeerSilent
from ..kme.config import Link
from ..kme.tls import Credentials

OUTCOMES = ("accepted", "repeated", "later", "refused")
"""What the other end says of a frame."""

Receive = Callable[[Link, Sequence[bytes]], Awaitable[list[str]]]
"""Takes frames that came over a link; returns the outcome of each."""


class Transport(ABC):
    """Carries frames to the other ends of a node's links, one message a link at a time."""

    @abstractmethod
    async def start(self, receive: Receive) -> None:
        """Begin to take what comes in by this transport."""

    @abstractmethod
    async def send(self, link: Link, bodies: Sequence[bytes]) -> list[str]:
        """Have the other end take frames; returns the outcome of each, of OUTCOMES.

        Raises:
            PeerAbsent: it cannot be reached.
            PeerSilent: it may have taken them or not.
        """

    @abstractmethod
    def take_on(self, link: Link) -> None:
        """Carry frames of another link as well."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of all connections."""


class HttpsTransport(Transport):
    """Frames in requests to the neighbour's peer port, over mutual TLS. What comes in, the peer API takes."""

    def __init__(self, links: Mapping[str, Link], credentials: Credentials) -> None:
        self._credentials = credentials
        self._connections: dict[str, Connection] = {}
        # A thread for each, so that a neighbour that does not answer holds up nobody else's frames.
        self._threads: dict[str, ThreadPoolExecutor] = {}
        for link in links.values():
            self.take_on(link)

    def take_on(self, link: Link) -> None:
        """See Transport."""
        self._connections[link.name] = Connection(link.address, link.peer, self._credentials.client())
        self._threads[link.name] = ThreadPoolExecutor(1, thread_name_prefix=f"frames to {link.peer}")

    async def start(self, receive: Receive) -> None:
        """Nothing: the peer API is served by the KME."""

    async def send(self, link: Link, bodies: Sequence[bytes]) -> list[str]:
        """See Transport."""
        body = {"frames": [base64.b64encode(each).decode() for each in bodies]}
        answer = await asyncio.get_running_loop().run_in_executor(
            self._threads[link.name], self._connections[link.name].post, f"/peer/v1/links/{link.name}/frames", body
        )
        return outcomes(answer.get("outcomes"), len(bodies), link)

    async def close(self) -> None:
        """See Transport."""
        for name, connection in self._connections.items():
            self._threads[name].shutdown()
            connection.close()


def outcomes(said: object, number: int, link: Link) -> list[str]:
    """What the other end said of frames. Raises PeerSilent where it is not one of OUTCOMES for each."""
    if not isinstance(said, list) or len(said) != number or not all(each in OUTCOMES for each in said):
        raise PeerSilent(f"KME {link.peer} did not answer")
    return said
