"""Which way keys go: what nodes say of their links, and the shortest paths over them.

Each node tells what it sees of its own links: whether the other end answers, and how much key it has to send there.
The word goes from neighbour to neighbour; the newest of each node counts, for so long. A link that only one of its ends
speaks of is none. All of it is metadata: who lies can lead keys astray or hold them up, but sees only what passes
through nodes that are trusted anyway.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

Path = tuple[str, ...]
"""Nodes from the first to the last."""
Edge = tuple[str, str]

MOST_NODES = 10_000
"""More than these are not listened to."""
AHEAD_NS = 50 * 365 * 86_400 * 10**9
"""A word that is so much newer than now is none. What a node tells after an echo is newer than that, and fits into a
message."""
ADVERT_SECONDS = 10.0
"""So long a node's word counts."""
PENALTY_SECONDS = 3.0
PENALTY = 1000.0
"""So long and so much more a link costs after keys were held up there: it is used if there is no other way."""
SCARCE_BYTES = 65_536
"""A link with this much key costs as much as one hop more; one with half of it, two."""
MOST_SCARCITY = 8.0


@dataclass(frozen=True)
class LinkState:
    """What a node says of a link of its own.

    Attributes:
        peer: the node at its other end.
        up: that node answers.
        stored_bytes: key that can be used to send there.
        simulated: its keys are no secrets.
    """

    peer: str
    up: bool
    stored_bytes: int
    simulated: bool = False


@dataclass(frozen=True)
class Advert:
    """A node's word.

    Attributes:
        node: whose.
        sequence: of two, the larger is the newer.
        links: its links.
        notice: what else it tells, as it wrote it: see :mod:`kronborg.network.hybrid`.
    """

    node: str
    sequence: int
    links: tuple[LinkState, ...]
    notice: str = ""


@dataclass(frozen=True)
class Wish:
    """What a path has to be.

    Attributes:
        need_bytes: key that each of its links has to have.
        avoid: nodes that it must not pass through.
        max_hops: links that it may have; 0 for any number.
        indirect: it must not be the direct link.
    """

    need_bytes: int
    avoid: Collection[str] = ()
    max_hops: int = 0
    indirect: bool = False


@dataclass
class Topology:
    """The network as one node knows it.

    Attributes:
        own: that node.
    """

    own: str
    _heard: dict[str, tuple[Advert, float]] = field(default_factory=dict)
    _penalties: dict[Edge, float] = field(default_factory=dict)

    def tell(self, links: Sequence[LinkState], notice: str, now: float) -> Advert:
        """Note this node's own links; returns what to tell of them."""
        before = self._heard.get(self.own)
        # After a restart the clock takes it on from before; if it went back, `hear` learns what the others still hold.
        sequence = max(time.time_ns(), before[0].sequence + 1 if before else 0)
        advert = Advert(self.own, sequence, tuple(links), notice)
        self._heard[self.own] = (advert, now)
        return advert

    def hear(self, adverts: Sequence[Advert], now: float) -> None:
        """Note what a neighbour says, where it is news."""
        for advert in adverts:
            before = self._heard.get(advert.node)
            if advert.sequence > time.time_ns() + AHEAD_NS:
                # Hardly anything could follow it: the node that it names would be heard no more.
                continue
            if before is not None and advert.sequence <= before[0].sequence:
                continue
            if advert.node == self.own:
                # An echo from before this process: what it tells next has to be newer.
                if before is not None:
                    self._heard[self.own] = (Advert(self.own, advert.sequence, before[0].links, before[0].notice), now)
                continue
            if before is not None or len(self._heard) < MOST_NODES:
                self._heard[advert.node] = (advert, now)

    def known(self, now: float) -> list[Advert]:
        """All that counts now."""
        self._heard = {node: (advert, at) for node, (advert, at) in self._heard.items() if now - at < ADVERT_SECONDS}
        return [advert for advert, _ in self._heard.values()]

    def notice_of(self, node: str, now: float) -> str:
        """What a node tells beside its links; empty where it is not heard of."""
        return next((advert.notice for advert in self.known(now) if advert.node == node), "")

    def penalise(self, edges: Sequence[Edge], now: float) -> None:
        """Keep off links for a while."""
        for edge in edges:
            self._penalties[edge] = now + PENALTY_SECONDS

    def simulated(self, path: Path, now: float) -> bool:
        """Whether a link of a path says that its keys are no secrets."""
        said = {(advert.node, link.peer): link.simulated for advert in self.known(now) for link in advert.links}
        return any(said.get(edge, False) or said.get(edge[::-1], False) for edge in itertools.pairwise(path))

    def costs(self, wish: Wish, now: float) -> dict[str, dict[str, float]]:
        """What each usable link costs, from node to node: one a hop, and more where key is scarce."""
        self._penalties = {edge: until for edge, until in self._penalties.items() if until > now}
        said = {(advert.node, link.peer): link for advert in self.known(now) for link in advert.links}
        graph: dict[str, dict[str, float]] = {}
        for (node, peer), link in said.items():
            back = said.get((peer, node))
            if back is None or not (link.up and back.up):
                continue
            # The far end's answer takes key of the other direction.
            if link.stored_bytes < wish.need_bytes or back.stored_bytes < ANSWER_BYTES:
                continue
            if {node, peer} & set(wish.avoid):
                continue
            scarcity = min(MOST_SCARCITY, SCARCE_BYTES / (link.stored_bytes + 1))
            penalty = PENALTY if (node, peer) in self._penalties else 0.0
            graph.setdefault(node, {})[peer] = 1 + scarcity + penalty
        return graph


ANSWER_BYTES = 64
"""Key that a link has to have for what comes back."""


def shortest(graph: Mapping[str, Mapping[str, float]], start: str, end: str) -> Path | None:
    """The cheapest path, the first in the order of names where several are (Dijkstra 1959); None without any."""
    best: dict[str, float] = {}
    queue: list[tuple[float, Path]] = [(0.0, (start,))]
    while queue:
        cost, path = heapq.heappop(queue)
        node = path[-1]
        if node == end:
            return path
        if node in best:
            continue
        best[node] = cost
        for peer, step in graph.get(node, {}).items():
            if peer not in best:
                heapq.heappush(queue, (cost + step, (*path, peer)))
    return None


def disjoint(graph: Mapping[str, Mapping[str, float]], start: str, end: str) -> tuple[Path, Path] | None:
    """The cheapest two paths that share no node but their ends; None without such a pair.

    A flow of two units through nodes that let one unit pass: each node between the ends is a way in and a way out, and
    the second unit may push the first one back (Suurballe 1974, by Bellman and Ford). A direct link is one of the two
    where there is one.
    """
    arcs: dict[tuple[str, str], float] = {}
    for node, peers in graph.items():
        for peer, cost in peers.items():
            if node != end and peer != start:
                arcs[_out(node, start), _in(peer, end)] = cost
    for node in {*graph, *(peer for peers in graph.values() for peer in peers)} - {start, end}:
        arcs[_in(node, end), _out(node, start)] = 0.0
    used: set[tuple[str, str]] = set()
    for _ in range(2):
        way = _cheapest_change(arcs, used, start, end)
        if way is None:
            return None
        for arc in itertools.pairwise(way):
            if arc[::-1] in used:
                used.remove(arc[::-1])
            else:
                used.add(arc)
    follow: dict[str, list[str]] = {}
    for tail, head in sorted(used):
        follow.setdefault(tail, []).append(head)
    found = []
    for first in follow[start]:
        path, at = [start], first
        while True:
            name = at.removesuffix("<").removesuffix(">")
            if path[-1] != name:
                path.append(name)
            if at == end:
                break
            (at,) = follow[at]
        found.append(tuple(path))
    one, other = sorted(found, key=lambda path: (len(path), path))
    return one, other


def _in(node: str, end: str) -> str:
    return node if node == end else f"{node}<"


def _out(node: str, start: str) -> str:
    return node if node == start else f"{node}>"


def _cheapest_change(
    arcs: Mapping[tuple[str, str], float], used: set[tuple[str, str]], start: str, end: str
) -> list[str] | None:
    steps = [(tail, head, cost) for (tail, head), cost in arcs.items() if (tail, head) not in used]
    steps += [(head, tail, -arcs[tail, head]) for tail, head in used]
    steps.sort()
    costs, before = {start: 0.0}, dict[str, str]()
    for _ in range(len(arcs)):
        changed = False
        for tail, head, cost in steps:
            if tail in costs and costs[tail] + cost < costs.get(head, float("inf")) - 1e-12:
                costs[head], before[head], changed = costs[tail] + cost, tail, True
        if not changed:
            break
    if end not in costs:
        return None
    way = [end]
    while way[-1] != start:
        way.append(before[way[-1]])
    return way[::-1]


def routes(topology: Topology, end: str, wish: Wish, paths: int, now: float) -> list[Path]:
    """The paths to use: two that share no node where the network has them and two are wanted, or one; none at all.

    A pair may be longer than the shortest path: that no node knows the key counts for more.
    """
    graph = topology.costs(replace(wish, avoid=set(wish.avoid) - {topology.own, end}), now)
    if wish.indirect:
        graph.get(topology.own, {}).pop(end, None)
    found: list[Path] = []
    if paths == 2:
        pair = disjoint(graph, topology.own, end)
        # On a path without a node between there is no node to keep the key from.
        found = list(pair[:1] if pair and len(pair[0]) == 2 else pair or ())
    if not found:
        path = shortest(graph, topology.own, end)
        found = [path] if path else []
    if wish.max_hops and any(len(path) - 1 > wish.max_hops for path in found):
        path = shortest({node: dict.fromkeys(peers, 1.0) for node, peers in graph.items()}, topology.own, end)
        found = [path] if path and len(path) - 1 <= wish.max_hops else []
    return found
