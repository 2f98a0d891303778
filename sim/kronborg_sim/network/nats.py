"""A NATS server on this machine, for one web."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from kronborg.errors import KronborgError
from kronborg.network.identity import Identity
from kronborg.network.relay.nats import permissions

from .pair import HOST
from .web import Web

START_SECONDS = 20.0


class NatsServer:
    """A server that knows the KMEs of a web by their certificates. Use as a context manager: it ends it.

    Args:
        web: made with ``nats=True``.

    Raises:
        KronborgError: it does not start.
    """

    def __init__(self, web: Web) -> None:
        self._folder, self.address = web.folder / "nats", web.nats
        identity = Identity("node", "nats")
        if not web.authority.files(identity)[0].exists():
            web.authority.issue(identity, [HOST, "localhost"])
        certificate, key = web.authority.files(identity)
        users = [{"user": Identity("kme", name).uri, "permissions": permissions(name)} for name in web.files]
        self._config = web.folder / "nats.conf"
        self._config.write_text(
            json.dumps(
                {
                    "listen": str(self.address),
                    "server_name": "kronborg",
                    "jetstream": {"store_dir": str(self._folder)},
                    "tls": {
                        "cert_file": str(certificate),
                        "key_file": str(key),
                        "ca_file": str(web.folder / "pki" / "ca.pem"),
                        "verify_and_map": True,
                        "timeout": 5,
                    },
                    "authorization": {"users": users},
                }
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> NatsServer:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM)

    def begin(self) -> None:
        """Start it, and wait until it listens."""
        with (self._folder.parent / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).parent / "nats-server", "-c", str(self._config)], stdout=log, stderr=log
            )
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((self.address.host, self.address.port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise KronborgError("the NATS server did not start") from None
                time.sleep(0.05)

    @property
    def running(self) -> bool:
        """Whether it has been begun and not ended."""
        return self._process is not None

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, at once by default."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None
