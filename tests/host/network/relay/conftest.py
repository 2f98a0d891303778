"""Networks of several KMEs, each in a thread with its own loop, over real TLS."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kronborg.network.relay.routing import Wish
from kronborg.network.relay.store import Node as StoreNode
from kronborg.network.relay.store import RelayStore, account_of
from kronborg_sim.network.nats import NatsServer
from kronborg_sim.network.web import Ends, Web, link_name, make_web

from ..kme.conftest import Running, wait_for


class RunningWeb(Running):
    """A web that runs. SAEs are called by their KME's name."""

    pair: Web
    nats: NatsServer

    def ask(self, master: str, slave: str, **body: Any) -> Any:
        return self.enc(f"sae-{master}", f"sae-{slave}", master, **body)

    def fetch(self, key_ids: list[str], slave: str, master: str) -> Any:
        return self.dec(key_ids, f"sae-{slave}", f"sae-{master}", slave)

    def end(self) -> None:
        # All at once: each waits for its neighbours' connections.
        for kme in self.kmes.values():
            kme.stop()
        super().end()

    def knows(self, node: str, nodes: int, links: int) -> bool:
        """Whether a node has heard of so many nodes, and of so many links that are up at both ends with key."""
        relay = self.kmes[node].service.relay
        assert relay is not None
        graph = relay.topology.costs(Wish(1), time.monotonic())
        return len(relay.topology.known(time.monotonic())) == nodes and sum(map(len, graph.values())) == 2 * links

    def settled(self) -> None:
        """Wait until every node knows of every link."""
        nodes = len(self.pair.files)
        wait_for(lambda: all(self.knows(node, nodes, len(self.pair.links)) for node in self.kmes), 120)

    def accounts(self, node: str, ends: Ends) -> list[dict[str, int]]:
        database = self.pair.config(node).store.open()
        try:
            return [RelayStore(database, StoreNode(node, {})).account(link_name(ends), pool) for pool in (0, 1)]
        finally:
            database.close()

    def relayed(self, node: str, origin: str) -> dict[str, int]:
        database = self.pair.config(node).store.open()
        try:
            return RelayStore(database, StoreNode(node, {})).account(account_of(origin), 0)
        finally:
            database.close()


@contextmanager
def web(folder: Path, links: Sequence[Ends], size: int = 40_000, **tables: Any) -> Iterator[RunningWeb]:
    network = RunningWeb(make_web(folder, links, **tables))
    network.pair.fill(size)
    with ExitStack() as held:
        if tables.get("nats"):
            network.nats = held.enter_context(NatsServer(network.pair))
        held.callback(network.end)
        for name in network.pair.files:
            network.start(name)
        network.settled()
        yield network


Make = Callable[..., RunningWeb]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes webs that end with the test."""
    # Neighbours' connections stay open: nobody has to wait for them here.
    monkeypatch.setattr("kronborg.network.kme.server.END_SECONDS", 1)
    with ExitStack() as held:
        yield lambda links, size=40_000, **tables: held.enter_context(web(tmp_path, links, size, **tables))
