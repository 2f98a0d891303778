"""What a node's database, its path search and the news of other nodes cost: the figures of docs/scale.md."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kronborg.console.progress import RunProgress

from .outcome import Outcome, whole

if TYPE_CHECKING:
    from kronborg.network.relay.routing import Topology
    from kronborg.network.relay.store import RelayStore

EXTRA = "network"
KEY_BYTES = 32
BATCHES = (1, 128)
NODES = (10, 100, 1000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--requests", type=float, default=20, metavar="N", help="of each kind (default 20)")


@dataclass(frozen=True)
class Cost:
    """Of one request: rows written, transactions that the disk has to confirm, processor time, over all stores."""

    rows: float
    transactions: float
    cpu_ms: float


class Chain:
    """Stores of nodes in a row, in SQLite files with full synchronisation, and links full of key between them.

    Args:
        folder: for the files.
        nodes: how many.
        block_bytes: of the blocks that fill links.
    """

    def __init__(self, folder: Path, nodes: int, block_bytes: int) -> None:
        from kronborg.network.relay.store import Node, RelayStore
        from kronborg.network.sqlite import SQLite

        self.names = [f"n{i}" for i in range(nodes)]
        self.databases = [SQLite(folder / f"{name}.sqlite") for name in self.names]
        self.stores: list[RelayStore] = []
        for i, (name, database) in enumerate(zip(self.names, self.databases, strict=True)):
            links = {self.names[j]: f"l{min(i, j)}" for j in (i - 1, i + 1) if 0 <= j < nodes}
            self.stores.append(RelayStore(database, Node(name, links, lambda manifest: True)))
        self.sequence, self._block_bytes = 0, block_bytes

    def fill(self) -> None:
        """A block more on each link, pooled at both ends."""
        from kronborg.network.key_store import KeyBlock, KeyStore

        self.sequence += 1
        for i in range(len(self.names) - 1):
            link, key = f"l{i}", secrets.token_bytes(self._block_bytes)
            for end in (i, i + 1):
                KeyStore(self.databases[end]).add(KeyBlock(link, self.sequence, 8 * self._block_bytes, 1e-10, key))
            asked = self.stores[i].challenge(link, self.sequence)
            assert asked is not None
            assert self.stores[i + 1].compare(link, self.sequence, asked)
            self.stores[i].settle_check(link, self.sequence, True)

    def cost(self, requests: int, work: Callable[[], int]) -> Cost:
        """The cost of a piece of work, which says how many transactions it made."""
        before = sum(each.changes for each in self.databases)
        transactions, begun = 0, time.process_time()
        for _ in range(requests):
            transactions += work()
        spent = time.process_time() - begun
        rows = sum(each.changes for each in self.databases) - before
        return Cost(rows / requests, transactions / requests, 1e3 * spent / requests)

    def direct(self, number: int) -> int:
        """Keys over one link, from the request to both SAEs; each step is a transaction."""
        master, slave = self.stores[0], self.stores[1]
        names, now = [str(uuid.uuid4()) for _ in range(number)], time.time()
        made = master.reserve(
            "l0",
            0,
            id=str(uuid.uuid4()),
            key_ids=names,
            key_bytes=KEY_BYTES,
            master="m",
            slaves=["s"],
            now=now,
            lifetime_seconds=60.0,
        )
        slave.accept(made, now)
        master.deliver_to_master(made.id, now)
        slave.deliver_to_slave(names, master="m", slave="s", now=now)
        return 4

    def relayed(self, number: int) -> int:
        """Keys from the first node to the last, with the answer; each frame is a transaction at either end."""
        from kronborg.network.key_pools import Reservation
        from kronborg.network.relay.store import Leg, account_of

        names, now = tuple(str(uuid.uuid4()) for _ in range(number)), time.time()
        account = account_of(self.names[0])
        made = Reservation(str(uuid.uuid4()), account, 0, names, KEY_BYTES, (), "m", ("s",), 60.0)
        leg = Leg(self.names[-1], ("s",), (tuple(self.names),), secrets.token_bytes(number * KEY_BYTES))
        self.stores[0].originate(made, leg.payload, [leg], now=now)
        last = len(self.names) - 1
        ways = [(i, i + 1) for i in range(last)] + [(i + 1, i) for i in reversed(range(last))]
        for here, there in ways:
            link = f"l{min(here, there)}"
            (frame,) = self.stores[here].outbox(link)
            assert self.stores[there].receive(link, self.names[here], frame.body, now).outcome == "accepted"
            self.stores[here].taken([frame.id])
        self.stores[0].deliver_to_master(made.id, now)
        self.stores[-1].deliver_to_slave(names, master="m", slave="s", now=now)
        return 3 + 2 * len(ways)

    def close(self) -> None:
        """Let go of the files."""
        for database in self.databases:
            database.close()


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Measure, in this process alone: no TLS, no messages.

    Raises:
        InputError: a number out of range.
    """
    requests = whole(options.requests, 5, 1e5, "requests")
    figures: dict[str, Any] = {"key_bits": 8 * KEY_BYTES, "requests": requests}
    table = []
    with (
        tempfile.TemporaryDirectory() as folder,
        progress.stage("stores, paths and news", 3) as stage,
        ExitStack() as held,
    ):
        hops = 5
        # Half of a block is for each direction; frames take a pad and a key of their tag.
        chain = Chain(Path(folder), hops + 1, 1024 + 2 * requests * (max(BATCHES) * KEY_BYTES + 64))
        held.callback(chain.close)
        chain.fill()
        for number in BATCHES:
            for name, work in (("direct", chain.direct), ("relayed", chain.relayed)):
                cost = chain.cost(requests, lambda w=work, n=number: w(n))  # type: ignore[misc]
                chain.fill()
                figures[f"{name}_{number}"] = {**vars(cost), "rows_per_key": cost.rows / number}
                what = f"{name}, {number} key{'s' * (number > 1)}"
                where = f"at {2 if name == 'direct' else hops + 1} nodes"
                counted = (
                    f"{cost.rows:.0f} rows, {cost.transactions:.0f} transactions, {cost.cpu_ms:.1f} ms of processor"
                )
                table.append((what, f"{counted}, {where}"))
        figures["relayed_hops"] = hops
        stage.advance()
        for nodes in NODES:
            figures[f"paths_ms_{nodes}"] = cost_ms = 1e3 * _paths_seconds(nodes)
            table.append((f"two paths, {nodes} nodes", f"{cost_ms:.1f} ms of processor"))
        stage.advance()
        figures["news_bytes"], figures["news_ms"] = _news(Path(folder))
        table.append(("news of a node", f"{figures['news_bytes']} bytes, {figures['news_ms']:.2f} ms to read and note"))
        stage.advance()
    figures["load_average"] = round(os.getloadavg()[0], 1)
    table.append(("machine", f"load {figures['load_average']}; times are of the processor, not of the clock"))
    return Outcome(figures, table)


def _paths_seconds(nodes: int) -> float:
    """Processor time of a search for two paths without a common node, half-way around a ring with chords."""
    from kronborg.network.relay.routing import Wish, routes

    topology = _ring(nodes)
    turns = max(1, 300 // nodes)
    begun = time.process_time()
    for _ in range(turns):
        found = routes(topology, f"n{nodes // 2}", Wish(64), 2, 0.0)
        assert len(found) == 2
    return (time.process_time() - begun) / turns


def _ring(nodes: int) -> Topology:
    """A ring, every fifth node of which has a link across to one a quarter around."""
    from kronborg.network.relay.routing import Advert, LinkState, Topology

    peers: dict[int, set[int]] = {i: {(i - 1) % nodes, (i + 1) % nodes} for i in range(nodes)}
    for i in range(0, nodes, 5):
        j = (i + nodes // 4) % nodes
        peers[i].add(j)
        peers[j].add(i)
    topology = Topology("n0")
    states = {i: tuple(LinkState(f"n{j}", True, 1 << 20) for j in sorted(peers[i])) for i in peers}
    topology.tell(states[0], "", 0.0)
    topology.hear([Advert(f"n{i}", 1, states[i]) for i in range(1, nodes)], 0.0)
    return topology


def _news(folder: Path) -> tuple[int, float]:
    """Bytes of what a node with three links tells once a second, and processor milliseconds to read and note it."""
    from kronborg.network.certificates import Authority
    from kronborg.network.hybrid import Kem
    from kronborg.network.identity import Identity
    from kronborg.network.kme.peer_api import Adverts
    from kronborg.network.kme.wire import parse
    from kronborg.network.relay.routing import Advert, LinkState, Topology

    issued = Authority.create(folder / "pki", "bench").issue(Identity("kme", "n1"), ["localhost"])
    notice = Kem(issued.certificate, issued.key).notice()
    states: Sequence[dict[str, Any]] = [
        {"peer": f"n{i}", "up": True, "stored_bytes": 1 << 20, "simulated": False} for i in range(3)
    ]
    body = json.dumps({"adverts": [{"node": "n1", "sequence": 1, "links": states, "notice": notice}]}).encode()
    topology, turns = Topology("n0"), 200
    begun = time.process_time()
    for turn in range(turns):
        (item,) = parse(Adverts, body).adverts
        links = tuple(LinkState(each.peer, each.up, each.stored_bytes, each.simulated) for each in item.links)
        topology.hear([Advert(item.node, turn + 1, links, item.notice)], 0.0)
    return len(body), 1e3 * (time.process_time() - begun) / turns
