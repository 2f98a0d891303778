"""Two KMEs on one link, each in a thread with its own loop, over real TLS."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kronborg.network.identity import Identity
from kronborg.network.kme.server import Kme
from kronborg_sim.network.pair import KMES, Pair, make_pair
from kronborg_sim.network.web import Web


class Running:
    """KMEs that run, and clients of them."""

    def __init__(self, pair: Pair | Web) -> None:
        self.pair = pair
        self.kmes: dict[str, Kme] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._clients: dict[tuple[str, str, ssl.SSLContext | None], httpx.Client] = {}

    def start(self, name: str) -> Kme:
        kme, ready = Kme(self.pair.config(name)), threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(kme.serve(ready.set)), name=name)
        thread.start()
        assert ready.wait(60)
        self.kmes[name], self._threads[name] = kme, thread
        return kme

    def stop(self, name: str) -> None:
        for key in [key for key in self._clients if key[1] == name]:
            self._clients.pop(key).close()
        self.kmes.pop(name).stop()
        self._threads.pop(name).join(60)

    def end(self) -> None:
        for name in list(self.kmes):
            self.stop(name)

    def client(self, identity: str, kme: str, context: ssl.SSLContext | None = None) -> httpx.Client:
        """A client with the certificate of `KIND ID`, or in a context of its own; kept until the KME stops."""
        key = (identity, kme, context)
        if key not in self._clients:
            kind, _, name = identity.rpartition(" ")
            context = context or self.pair.context(Identity(kind or "sae", name))
            self._clients[key] = httpx.Client(base_url=f"https://{self.pair.address(kme)}", verify=context, timeout=60)
        return self._clients[key]

    def enc(self, master: str = "alice", slave: str = "bob", kme: str = "kme-a", **body: Any) -> httpx.Response:
        return self.client(master, kme).post(f"/api/v1/keys/{slave}/enc_keys", json=body)

    def dec(self, key_ids: list[str], slave: str = "bob", master: str = "alice", kme: str = "kme-b") -> httpx.Response:
        body = {"key_IDs": [{"key_ID": key_id} for key_id in key_ids]}
        return self.client(slave, kme).post(f"/api/v1/keys/{master}/dec_keys", json=body)

    def stored(self, master: str = "alice", slave: str = "bob", kme: str = "kme-a") -> int:
        return int(self.client(master, kme).get(f"/api/v1/keys/{slave}/status").json()["stored_key_count"])

    def fill(self, size: int) -> None:
        """Add a block and wait until both ends have it in their pools."""
        both = (("alice", "bob", "kme-a"), ("bob", "alice", "kme-b"))
        before = [self.stored(*each) for each in both]
        assert isinstance(self.pair, Pair)
        self.pair.fill([size])
        wait_for(lambda: all(self.stored(*each) > old for each, old in zip(both, before, strict=True)))


def wait_for(met: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


@contextmanager
def running(folder: Path, **tables: Any) -> Iterator[Running]:
    network = Running(make_pair(folder, **tables))
    try:
        for name in KMES:
            network.start(name)
        yield network
    finally:
        network.end()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two KMEs for the tests of a module, with plenty of key."""
    with running(tmp_path_factory.mktemp("network")) as found:
        found.fill(100_000)
        yield found


@pytest.fixture
def own_network(tmp_path: Path) -> Iterator[Running]:
    """Two KMEs for one test, with some key."""
    with running(tmp_path) as found:
        found.fill(20_000)
        yield found
