"""Mutual TLS: contexts that take renewed certificates while they serve, connections that are cut when they dawdle."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ...errors import InputError
from .log import event
from .wire import error_body

MOST_HEAD_BYTES = 16 * 1024
"""Of request line and headers."""
MOST_FRAMING_BYTES = 512 * 1024
"""Of a request beside its body, what is read at once included; chunks may have eight more for each byte of a body."""

Note = Callable[[str], None]
"""Is told why a connection was cut."""


class Standing(ssl.SSLContext):
    """Stands for a context that is made anew when files change: each connection begins in the one of that moment.

    OpenSSL only ever adds to what a context trusts. An authority that was taken out of its file would be trusted as
    before, and of two lists of revoked certificates that of the later second would count, not the one that came last.

    Attributes:
        made: the context as the files are now.
    """

    made: ssl.SSLContext

    def wrap_socket(self, *args: Any, **named: Any) -> ssl.SSLSocket:
        """See ssl.SSLContext."""
        return self.made.wrap_socket(*args, **named)

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        """See ssl.SSLContext."""
        return self.made.wrap_bio(*args, **named)


def made_of(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context in which a connection would begin now: another one after files have changed."""
    return context.made if isinstance(context, Standing) else context


class Credentials:
    """A KME's certificate, key, authority and list of revoked certificates, read again when their files change.

    Args:
        certificate, key, ca, crl: the files.

    Raises:
        InputError: one of them cannot be used; the message says which.
    """

    def __init__(self, certificate: Path, key: Path, ca: Path, crl: Path | None) -> None:
        self.certificate, self.key, self.ca, self.crl = certificate, key, ca, crl
        self._contexts: list[tuple[Standing, Callable[[], ssl.SSLContext]]] = []
        self._stamp = self._stamps()
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # what cannot be used is better found before it is

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        try:
            found = {path: path.stat() for path in (self.certificate, self.key, self.ca, self.crl) if path}
        except OSError as error:
            raise InputError(f"cannot read {error.filename}: {error.strerror}") from None
        return {path: (each.st_mtime_ns, each.st_ino) for path, each in found.items()}

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError):
            raise InputError(f"{self.certificate} and {self.key} are no certificate and its key in PEM form") from None
        for path in (self.ca, self.crl):
            try:
                if path:
                    context.load_verify_locations(path)
            except OSError:
                raise InputError(f"{path} cannot be read as certificates in PEM form") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        # A certificate that other authorities of the system signed is nobody's here.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if self.crl:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

    def server(self, note: Note) -> Standing:
        """A context for a server, which asks every client for its certificate."""

        def make() -> ssl.SSLContext:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._load(context)
            context.options |= ssl.OP_NO_TICKET  # a resumed session would outlive a revoked certificate
            context.num_tickets = 0
            context.sslobject_class = _noting(note)
            return context

        return self._standing(ssl.PROTOCOL_TLS_SERVER, make)

    def client(self) -> Standing:
        """A context for a client, which checks the server's host name."""

        def make() -> ssl.SSLContext:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._load(context)
            return context

        return self._standing(ssl.PROTOCOL_TLS_CLIENT, make)

    def _standing(self, protocol: int, make: Callable[[], ssl.SSLContext]) -> Standing:
        context = Standing(protocol)
        context.made = make()
        self._contexts.append((context, make))
        return context

    def renew(self, check: Callable[[], None] = lambda: None) -> frozenset[Path]:
        """Take files that have changed since, all or none. Connections that stand go on. Returns those files.

        Args:
            check: sees that the files are those of this bearer; raises InputError.

        Raises:
            InputError: they cannot be used; what was in use stays in use.
        """
        stamp = self._stamps()
        changed = frozenset(path for path, each in stamp.items() if each != self._stamp[path])
        if changed:
            check()
            made = [make() for _, make in self._contexts]
            for (context, _), new in zip(self._contexts, made, strict=True):
                context.made = new
            self._stamp = stamp
        return changed


def _no_password() -> str:
    raise ValueError("the key has a passphrase")


def _noting(note: Note) -> type[ssl.SSLObject]:
    class Noting(ssl.SSLObject):
        """Tells of a handshake that failed: an intruder without a certificate of ours ends here."""

        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLSyscallError, ssl.SSLEOFError):
                raise
            except ssl.SSLError as error:
                event(logging.WARNING, "TLS handshake refused", reason=error.reason or "unknown")
                note("tls")
                raise

    return Noting


def connection_class(note: Note, request_seconds: float) -> type[HttpToolsProtocol]:
    """The class of a server's connections.

    Each request finds the client's verified certificate in ``request.state.peercert``. A request whose head is too
    long, that is not HTTP, or that is not complete in time is refused, and its connection closed.
    """

    class Connection(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _size = _body = 0
        _in_head = True

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            tls = transport.get_extra_info("ssl_object")
            self.app_state: dict[str, Any] = {**self.app_state, "peercert": tls.getpeercert() if tls else None}
            super().connection_made(transport)
            self._wait()

        def _wait(self) -> None:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(request_seconds, self._too_slow)

        def _done(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _too_slow(self) -> None:
            self._timer = None
            event(logging.WARNING, "connection cut", reason="slow")
            note("slow")
            self.transport.abort()

        def data_received(self, data: bytes) -> None:
            self._size += len(data)
            super().data_received(data)
            # What comes behind a body in chunks is kept like a head.
            most = MOST_HEAD_BYTES if self._in_head else MOST_FRAMING_BYTES + 9 * self._body
            if self._size > most and not self.transport.is_closing():
                event(logging.WARNING, "connection cut", reason="oversize")
                note("oversize")
                self._refuse(431, "Request Header Fields Too Large", "the request's head is too long")

        def on_message_begin(self) -> None:
            self._wait()
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._body += len(body)
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._done()
            self._in_head, self._size, self._body = True, 0, 0
            super().on_message_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._done()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, "Bad Request", "the request is not valid HTTP")

        def _refuse(self, status: int, phrase: str, message: str) -> None:
            body = json.dumps(error_body(message)).encode()
            head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\nConnection: close\r\n"
            self.transport.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            self.transport.close()

    return Connection
