"""The authenticated channel between two processes: messages over TCP, each signed with a one-time key.

A message on the wire is a header of 20 bytes (magic, version, code, length of the body, position of the key), the body
(`link.wire`) and a Poly1305 tag of 16 bytes over header, body and the receiver's nonce. The key, r and s, is used for
this one message (Wegman & Carter 1981; Bernstein 2005): a forger who knows everything but the keys succeeds, for a body
of L bytes, with probability at most 8 ceil((L + 36) / 16) / 2**106, whatever his computing power.

An end whose pool has not begun signs with its long-term key instead (`link.signatures`): another magic, the message's
number on this connection as its position, a signature for the tag. Which of both an end takes from the other one is its
own pool's decision, never the message's: once a one-time key of the other end's was used, or both began with a secret,
signatures are refused.

Within a connection positions follow each other without a gap, and tags bind both nonces, which are new on every
connection. So what is replayed, reordered, left out, cut short or forged ends the connection: nothing of it is acted
upon.
"""

from __future__ import annotations

import secrets
import socket
import struct
import threading
from dataclasses import dataclass

from ..errors import InputError
from . import messages, wire
from .key_pool import ChannelError, KeyPool
from .signatures import SIGNATURE_BYTES, SigningKeys

MAGIC = b"Kb"
SIGNED = b"Ks"
"""Magic of a message with a signature."""

HEADER = struct.Struct("<2sBBQQ")
TAG_BYTES = 16
NONCE_BYTES = 16
GREETING_SECONDS = 15.0
"""How long the peer may take to greet."""

_PIECE = 1 << 20


class Disconnected(ChannelError):
    """The other end has gone, or the connection broke."""


@dataclass
class Traffic:
    """What went over a connection.

    Attributes:
        messages: signed, both ways.
        bytes: both ways.
        signatures: of them, how many have a signature for a tag.
        forgery_probability: bound on the chance that any of the others, at either end, was not the peer's.
    """

    messages: int = 0
    bytes: int = 0
    signatures: int = 0
    forgery_probability: float = 0.0


def _poly1305(key: bytes, *parts: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives.poly1305 import Poly1305
    except ModuleNotFoundError:
        raise InputError("signing messages needs the extra 'link': pip install 'kronborg[link]'") from None
    mac = Poly1305(key)
    for part in parts:
        mac.update(part)
    return mac.finalize()


def forgery_probability(body_bytes: int) -> float:
    """Bound for one message, the nonce and the header counted."""
    return 8 * -(-(body_bytes + HEADER.size + NONCE_BYTES) // 16) / 2.0**106


class Channel:
    """One connection, from the first greeting to its end. Threads take turns with :meth:`ask`.

    Args:
        connection: a connected socket; the channel closes it.
        pool: this end's keys.
        timeout_seconds: how long to wait for the peer.
        keys: long-term ones, for a pool that has not begun.
    """

    def __init__(
        self,
        connection: socket.socket,
        pool: KeyPool,
        timeout_seconds: float = 600.0,
        keys: SigningKeys | None = None,
    ) -> None:
        self._socket, self._pool, self._keys = connection, pool, keys
        # For the whole connection, though its first key block begins the pool.
        self._signs = keys is not None and not pool.begun
        self._sent = 0
        self._peer_signs = False
        self._turn = threading.Lock()
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._peers_nonce = b""
        self._expected: int | None = None
        self.traffic = Traffic()
        self._timeout = timeout_seconds
        connection.settimeout(timeout_seconds)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            # Questions and answers take turns: nothing comes that a small packet could wait for.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def nonce(self) -> bytes:
        """What this end's greeting says, and the peer's later messages are signed with."""
        return self._nonce

    @property
    def signed(self) -> bool:
        """Whether either end signs with its long-term key on this connection."""
        return self._signs or self._peer_signs

    @property
    def peer_signs(self) -> bool:
        """Whether the peer does. Its greeting may then be an old one: only what follows binds this end's nonce."""
        return self._peer_signs

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def send(self, message: messages.Message) -> None:
        """Sign a message and send it.

        Raises:
            Disconnected: the peer has gone.
            PoolDry: no key is left.
        """
        code, body = wire.encode(message)
        if self._signs and self._keys:
            header = HEADER.pack(SIGNED, wire.VERSION, code, len(body), self._sent)
            tag = self._keys.sign(self._pool.own, b"".join((header, body, self._peers_nonce)))
            self._sent += 1
        else:
            position, key = self._pool.take()
            header = HEADER.pack(MAGIC, wire.VERSION, code, len(body), position)
            tag = _poly1305(key, header, body, self._peers_nonce)
        try:
            self._socket.sendall(header)
            self._socket.sendall(body)
            self._socket.sendall(tag)
        except OSError as error:
            raise Disconnected(f"the connection broke: {_reason(error)}") from None
        self._count(len(body), len(tag))

    def receive(self) -> messages.Message:
        """The next message, if it is the peer's.

        Raises:
            Disconnected: the peer has gone, between messages or within one.
            ChannelError: another protocol, or a message that is not the peer's next one.
            ProtocolError: it is the peer's next one, but no message.
        """
        header = self._take(HEADER.size)
        magic, version, code, length, position = HEADER.unpack(header)
        if magic not in (MAGIC, SIGNED):
            raise ChannelError("the other end speaks another protocol: is that a Kronborg link?")
        if version != wire.VERSION:
            raise ChannelError(
                f"the other end speaks version {version} of the protocol and this one {wire.VERSION}: install the same"
                " release at both"
            )
        if length > wire.MOST_BYTES:
            raise ChannelError("a message is longer than any of the protocol")
        signed, first = magic == SIGNED, self._expected is None
        if first:
            self._peer_signs = signed
            self._refuse_signatures(signed)
        expected = 0 if signed and first else self._expected
        if signed != self._peer_signs or (expected is not None and position != expected):
            raise ChannelError("a message is not the one that follows: replayed, reordered or left out")
        key = b"" if signed else self._pool.look_up(position)
        body, tag = self._take(length), self._take(SIGNATURE_BYTES if signed else TAG_BYTES)
        # The greeting comes before the peer can know this end's nonce.
        bound = b"" if first else self._nonce
        if signed:
            assert self._keys
            if not self._keys.is_signed(self._pool.peer, tag, b"".join((header, body, bound))):
                raise ChannelError("a message has a wrong signature: forged, or not by the key that this end was given")
        elif not secrets.compare_digest(_poly1305(key, header, body, bound), tag):
            raise ChannelError("a message has a wrong tag: forged, or the two ends hold different secrets")
        else:
            self._pool.use_up(position)
        self._expected = position + 1
        self._count(length, len(tag))
        return wire.decode(code, body)

    def _refuse_signatures(self, signed: bool) -> None:
        if signed and not self._pool.takes_signatures:
            raise ChannelError(
                "the other end signs with its long-term key, where one-time keys have begun: refused, and nothing that"
                " the other end can ask for"
            )
        if signed and self._keys is None:
            raise ChannelError("the other end signs with its long-term key, and this end was not given its public one")

    def greet(self, greeting: messages.Message) -> messages.Message:
        """Send this end's greeting and wait for the peer's; binds all that follows to both.

        Raises:
            ChannelError: see :meth:`receive`; or the answer is no greeting.
        """
        # A greeting takes no thought: whoever is silent here only keeps the peer out.
        self._socket.settimeout(min(self._timeout, GREETING_SECONDS))
        self.send(greeting)
        answer = self.receive()
        self._socket.settimeout(self._timeout)
        if not isinstance(answer, messages.AliceHello | messages.BobHello) or len(answer.nonce) != NONCE_BYTES:
            raise ChannelError("the other end did not greet: its first message is another one")
        self._peers_nonce = answer.nonce
        return answer

    def ask(self, message: messages.Message) -> messages.Message:
        """Send a message and wait for its answer."""
        with self._turn:
            self.send(message)
            return self.receive()

    def _take(self, count: int) -> bytes:
        parts: list[bytes] = []
        missing = count
        while missing:
            try:
                part = self._socket.recv(min(missing, _PIECE))
            except TimeoutError:
                raise Disconnected("the other end says nothing any more") from None
            except OSError as error:
                raise Disconnected(f"the connection broke: {_reason(error)}") from None
            if not part:
                raise Disconnected("the other end has gone" + (" in the middle of a message" if parts else ""))
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _count(self, body_bytes: int, tag_bytes: int) -> None:
        self.traffic.messages += 1
        self.traffic.bytes += HEADER.size + body_bytes + tag_bytes
        if tag_bytes == SIGNATURE_BYTES:
            self.traffic.signatures += 1
        else:
            self.traffic.forgery_probability += forgery_probability(body_bytes)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
