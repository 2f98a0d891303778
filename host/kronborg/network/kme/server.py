"""A KME as a process: store, interfaces, metrics, signals, from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from prometheus_client import start_http_server

from ...errors import InputError
from ..backup import refuse_older
from ..border.api import BorderApi
from ..border.service import Gateway
from ..border.store import GatewayStore
from ..certificates import check_taken, identity_of, load
from ..hybrid import MOST_KEY_BYTES, Kem, mask
from ..identity import Identity
from ..relay.manifest import KeysManifest
from ..relay.service import Relay
from ..relay.store import Node
from ..relay.transport import HttpsTransport, Transport
from ..tasks import hang_up_waits
from .channel import Channel
from .config import Address, KmeConfig, read_config
from .etsi014 import Etsi014
from .log import AuditLog, event
from .metrics import Metrics
from .peer_api import PeerApi
from .service import KeyService
from .tls import Credentials, connection_class
from .worker import Worker

RENEWAL_SECONDS = 5.0
"""How often files of certificates are looked at."""
KEEP_ALIVE_SECONDS = 75
MOST_CONNECTIONS = 1000
END_SECONDS = 5


class _Server(uvicorn.Server):
    """One of several in a process: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Kme:
    """A KME that serves from :meth:`serve` until :meth:`stop`.

    Raises:
        InputError: a file of its configuration cannot be used, or its store is damaged or served by another process.
    """

    def __init__(self, config: KmeConfig) -> None:
        self.config = config
        self.metrics = Metrics()
        self._stop: Callable[[], None] = lambda: None
        self._held = ExitStack()
        try:
            self._open()
        except BaseException:
            self._held.close()
            raise

    def _open(self) -> None:
        config = self.config
        self._credentials = Credentials(config.certificate, config.key, config.ca, config.crl)
        self._own_certificate()
        self._tell_expiry()
        self._servers: dict[str, _Server] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        database = config.store.open()
        self._held.callback(database.close)
        database.claim()
        self._neighbours = {link.peer: name for name, link in config.links.items()}
        kem = Kem(config.certificate, config.key) if config.relay is not None else None
        unmask = functools.partial(_unmask, kem, config.id)
        pools = GatewayStore(
            database, Node(config.id, self._neighbours, self._takes, unmask, config.keys.lifetime_seconds)
        )
        pools.check()
        refuse_older(database, config.audit_log)
        self._audit = AuditLog(config.audit_log)
        self._held.callback(self._audit.close)
        self.sockets = {
            "sae": self._listen("listen", config.listen),
            "peer": self._listen("peer_listen", config.peer_listen),
        }
        self._worker = Worker(database)
        self._held.callback(self._worker.close)
        self._channels = {name: Channel(link, self._credentials) for name, link in config.links.items()}
        self.service = KeyService(config, pools, self._worker, self._channels, self._audit, self.metrics)
        if kem is not None:
            transport = self._transport()
            self.service.relay = Relay(config, pools, self.service.store, self._channels, transport, kem, self.metrics)
        if config.border is not None and self.service.relay is not None:
            border = config.border
            self.sockets["border"] = self._listen("border listen", border.listen)
            self._abroad = Credentials(config.certificate, config.key, border.ca, border.crl)
            self.service.gateway = Gateway(config, pools, self.service.relay, self._abroad, self._audit)
        if config.metrics_listen:
            self._serve_metrics(config.metrics_listen)

    def _transport(self) -> Transport:
        """What carries frames of relayed keys. Raises InputError where what it needs is not installed."""
        config = self.config
        if config.relay is None or config.relay.nats is None:
            return HttpsTransport(config.links, self._credentials)
        try:
            from ..relay.nats import NatsTransport
        except ImportError:
            raise InputError("transport = \"nats\" needs the extra 'nats': pip install 'kronborg[nats]'") from None
        return NatsTransport(config.id, config.relay.nats, config.links, self._credentials)

    def _takes(self, manifest: KeysManifest) -> bool:
        """Whether relayed keys are for SAEs here, from their master's KME, and hybrid where they have to be."""
        config, master, slaves = self.config, manifest.master, manifest.slaves
        abroad = set(config.border.saes) & set(slaves) if config.border else set()
        return (
            config.saes.get(master) == manifest.path[0]
            and abroad in (set(), set(slaves))
            and all(config.saes.get(slave) == config.id for slave in slaves)
            and all(manifest.kem is not None or not config.hybrid(master, slave) for slave in slaves)
        )

    def _own_certificate(self) -> None:
        """See that the certificate names this KME, and was issued by its authority. Raises InputError."""
        if identity_of(load(self.config.certificate)) != Identity("kme", self.config.id):
            raise InputError(f"{self.config.certificate} is not the certificate of KME {self.config.id}")
        check_taken(self.config.certificate, self.config.ca)

    def _tell_expiry(self) -> None:
        self.metrics.certificate_expiry.set(load(self.config.certificate).not_valid_after_utc.timestamp())

    def _listen(self, key: str, address: Address) -> socket.socket:
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
            self._held.callback(listener.close)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            # uvicorn takes it over; what comes in before waits.
            listener.listen(128)
            return listener
        except OSError as error:
            reason = error.strerror or "it cannot be resolved"
            raise InputError(f"{self.config.file}: [kme] {key}: cannot listen at {address}: {reason}") from None

    def _serve_metrics(self, address: Address) -> None:
        try:
            server, thread = start_http_server(address.port, address.host, self.metrics.registry)
        except OSError as error:
            where = f"{self.config.file}: [kme] metrics_listen"
            raise InputError(f"{where}: cannot listen at {address}: {error.strerror}") from None

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._held.callback(end)

    def _server(self, name: str, app: FastAPI) -> _Server:
        def note(reason: str) -> None:
            self.metrics.refused.labels(name, reason).inc()

        def context(config: uvicorn.Config, default: Callable[[], Any]) -> Any:
            return (self._abroad if name == "border" else self._credentials).server(note)

        return _Server(
            uvicorn.Config(
                app,
                http=connection_class(note, self.config.request_seconds),
                ws="none",
                lifespan="off",
                loop="asyncio",
                ssl_context_factory=context,
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=END_SECONDS,
                limit_concurrency=MOST_CONNECTIONS,
            )
        )

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until stopped; `ready` is called once all is open. Everything is closed when it returns."""
        loop, ending = asyncio.get_running_loop(), asyncio.Event()

        def stop() -> None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(ending.set)

        self._stop = stop
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, ending.set)
            loop.add_signal_handler(signal.SIGHUP, self.renew)
        try:
            servers = self._servers = {
                "sae": self._server("sae", Etsi014(self.service, self.metrics).app),
                "peer": self._server("peer", PeerApi(self.service, self.metrics).app),
            }
            if self.service.gateway is not None:
                servers["border"] = self._server("border", BorderApi(self.service.gateway, self.metrics).app)
            self._loop = loop
            await self.service.recover()
            serving = [
                asyncio.create_task(server.serve(sockets=[self.sockets[name]])) for name, server in servers.items()
            ]
            while not all(server.started for server in servers.values()):
                await asyncio.sleep(0.01)
            house = [asyncio.create_task(self.service.keep_house()), asyncio.create_task(self._keep_certificates())]
            event(logging.INFO, "KME serves", kme=self.config.id, saes=str(self.config.listen))
            ready()
            await ending.wait()
            event(logging.INFO, "KME ends", kme=self.config.id)
            for task in house:
                task.cancel()
            for server in servers.values():
                server.should_exit = True
            await asyncio.gather(*serving)
            await asyncio.gather(*house, return_exceptions=True)
            if self.service.gateway is not None:
                await self.service.gateway.close()
            if self.service.relay is not None:
                await self.service.relay.close()
            for channel in self._channels.values():
                await channel.close()
        finally:
            self._held.close()

    def stop(self) -> None:
        """End :meth:`serve`, from any thread."""
        self._stop()

    def renew(self) -> None:
        """Take renewed certificates and a changed configuration; go on in a new audit log if the old one was moved."""
        with suppress(InputError):
            self._audit.reopen()
        self._renew_certificates()
        self._reload()

    def _reload(self) -> None:
        """Go on by the configuration as it is now, if that takes no restart; connections and other links stand."""
        try:
            config = read_config(self.config.file)
        except InputError as error:
            event(logging.ERROR, "configuration not reloaded", reason=str(error))
            return
        if config == self.config:
            return
        changed = config.extends(self.config)
        if changed:
            event(logging.ERROR, "configuration not reloaded", reason=f"{changed} changed, which takes a restart")
            return
        new = {name: link for name, link in config.links.items() if name not in self.config.links}
        channels = {name: Channel(link, self._credentials) for name, link in new.items()}
        self._channels.update(channels)
        self._neighbours.update({link.peer: name for name, link in new.items()})
        self.config = config
        self.service.take_on(config, channels)
        event(logging.INFO, "configuration reloaded", links=len(config.links), saes=len(config.saes))

    def _renew_certificates(self) -> None:
        border = self.config.border
        if border is not None and self.service.gateway is not None:
            self._renew(self._abroad, {border.ca, border.crl}, ("border",))
        if self._renew(self._credentials, {self.config.ca, self.config.crl}, ("sae", "peer")):
            self._tell_expiry()

    def _renew(self, credentials: Credentials, trust: Set[Path | None], interfaces: Sequence[str]) -> bool:
        """Take files that have changed; returns whether there were any. One that does not fit holds no others up."""
        try:
            changed = credentials.renew(self._own_certificate)
        except InputError as error:
            event(logging.ERROR, "certificates not renewed", reason=str(error))
            return False
        if changed:
            event(logging.INFO, "certificates renewed", kme=self.config.id)
        if changed & trust and self._loop is not None:
            self._loop.call_soon_threadsafe(self._hang_up, interfaces)
        return bool(changed)

    def _hang_up(self, interfaces: Sequence[str]) -> None:
        """End connections once they are idle. Whoever has one shows again who it is: it may have been revoked."""
        for name in interfaces:
            for connection in list(self._servers[name].server_state.connections):
                connection.shutdown()

    async def _keep_certificates(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            self._renew_certificates()


def _unmask(kem: Kem | None, own: str, manifest: KeysManifest) -> bytes | None:
    """What the secret that came with keys adds to them; None where it cannot be had."""
    secret = kem.open(manifest.kem or "") if kem is not None else None
    if secret is None or manifest.key_bytes > MOST_KEY_BYTES:
        return None
    return mask(secret, manifest.key_ids, manifest.key_bytes, manifest.master, own)


def serve(config: KmeConfig, ready: Callable[[], None] = lambda: None) -> None:
    """Run a KME until SIGTERM or SIGINT.

    Raises:
        InputError: it cannot start; the message says why.
    """
    # The image of a process that crashed would hold keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with hang_up_waits() as came:
        kme = Kme(config)

        def begin() -> None:
            if came():
                kme.renew()
            ready()

        started = time.monotonic()
        asyncio.run(kme.serve(begin))
    event(logging.INFO, "KME ended", kme=config.id, seconds=round(time.monotonic() - started))
