"""Paths over what nodes say of their links."""

import asyncio
import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from kronborg.network.kme.config import read_config
from kronborg.network.kme.peer_api import Adverts
from kronborg.network.kme.terms import Terms
from kronborg.network.kme.wire import Refused, parse
from kronborg.network.local.files import config_of
from kronborg.network.local.plan import EXAMPLE, Plan, read_plan
from kronborg.network.relay.routing import (
    ADVERT_SECONDS,
    AHEAD_NS,
    PENALTY_SECONDS,
    Advert,
    LinkState,
    Topology,
    Wish,
    disjoint,
    routes,
    shortest,
)
from kronborg.network.relay.service import NO_PATH, Relay, _advert_to_json

Graph = dict[str, dict[str, float]]


def graph_of(links: list[tuple[str, str]], cost: float = 1.0) -> Graph:
    graph: Graph = {}
    for one, other in links:
        graph.setdefault(one, {})[other] = cost
        graph.setdefault(other, {})[one] = cost
    return graph


def topology(
    links: list[tuple[str, str]], own: str, stored: dict[tuple[str, str], int] | None = None, now: float = 0.0
) -> Topology:
    made = Topology(own)
    nodes = {node for ends in links for node in ends}
    for node in sorted(nodes):
        states = [
            LinkState(other, True, (stored or {}).get((this, other), 10**9))
            for ends in links
            for this, other in (ends, ends[::-1])
            if this == node
        ]
        if node == own:
            made.tell(states, "", now)
        else:
            made.hear([Advert(node, 1, tuple(states))], now)
    return made


RING = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
TRAP = [("s", "a"), ("a", "b"), ("b", "t"), ("s", "c"), ("c", "b"), ("a", "d"), ("d", "t")]
"""The shortest path blocks every other one: the first unit of flow has to be led elsewhere."""


def test_the_shortest_path_has_the_fewest_links() -> None:
    graph = graph_of([*RING, ("d", "e")])
    assert shortest(graph, "b", "d") == ("b", "a", "d")
    assert shortest(graph, "a", "e") == ("a", "d", "e")
    assert shortest(graph, "a", "x") is None


def test_a_ring_has_two_disjoint_paths_and_a_line_has_not() -> None:
    assert disjoint(graph_of(RING), "a", "c") == (("a", "b", "c"), ("a", "d", "c"))
    assert disjoint(graph_of(RING[:3]), "a", "d") is None
    assert disjoint(graph_of([*RING, ("c", "e")]), "a", "e") is None


def test_a_short_path_that_blocks_all_others_is_led_elsewhere() -> None:
    graph = graph_of(TRAP)
    graph["s"]["a"] = graph["a"]["b"] = graph["b"]["t"] = 0.5
    pair = disjoint(graph, "s", "t")
    assert pair is not None
    assert sorted(pair) == [("s", "a", "d", "t"), ("s", "c", "b", "t")]


def every_path(graph: Graph, start: str, end: str) -> list[tuple[str, ...]]:
    found, waiting = [], [(start,)]
    while waiting:
        path = waiting.pop()
        if path[-1] == end:
            found.append(path)
            continue
        waiting += [(*path, peer) for peer in graph.get(path[-1], {}) if peer not in path]
    return found


@pytest.mark.parametrize("seed", range(60))
def test_paths_are_the_cheapest_of_all_there_are(seed: int) -> None:
    draw = random.Random(seed)
    nodes = "abcdefg"
    links = [pair for pair in itertools.combinations(nodes, 2) if draw.random() < 0.4]
    graph = graph_of(links)
    for node, peers in graph.items():
        for peer in peers:
            graph[node][peer] = draw.choice([1.0, 1.5, 2.0, 9.0])

    def cost(path: tuple[str, ...]) -> float:
        return sum(graph[one][other] for one, other in itertools.pairwise(path))

    paths = every_path(graph, "a", "g")
    found = shortest(graph, "a", "g")
    assert (found is None) == (not paths)
    if found:
        assert cost(found) == min(map(cost, paths))
    pairs = [
        cost(one) + cost(other)
        for one, other in itertools.combinations(paths, 2)
        if not set(one[1:-1]) & set(other[1:-1])
    ]
    pair = disjoint(graph, "a", "g")
    assert (pair is None) == (not pairs)
    if pair:
        assert not set(pair[0][1:-1]) & set(pair[1][1:-1])
        assert cost(pair[0]) + cost(pair[1]) == min(pairs)


def test_links_with_too_little_key_or_that_are_down_or_avoided_are_not_used() -> None:
    stored = {("a", "b"): 100}
    wish = Wish(101)
    assert routes(topology(RING, "a", stored), "c", wish, 1, 0.0) == [("a", "d", "c")]
    assert routes(topology(RING, "a", stored), "c", Wish(100), 2, 0.0) == [("a", "b", "c"), ("a", "d", "c")]
    assert routes(topology(RING, "a"), "c", Wish(1, {"b"}), 2, 0.0) == [("a", "d", "c")]
    assert routes(topology(RING, "a"), "c", Wish(1, {"b", "d"}), 2, 0.0) == []
    down = topology(RING, "a")
    down.hear([Advert("c", 2, (LinkState("b", False, 10**9), LinkState("d", True, 10**9)))], 0.0)
    assert routes(down, "c", Wish(1), 2, 0.0) == [("a", "d", "c")]


def test_key_is_taken_where_there_is_more_of_it() -> None:
    assert routes(topology(RING, "a", {("a", "b"): 1000}), "c", Wish(64), 1, 0.0) == [("a", "d", "c")]
    assert routes(topology(RING, "a", {("d", "c"): 1000}), "c", Wish(64), 1, 0.0) == [("a", "b", "c")]
    # So much that the longer way round is the cheaper one.
    assert routes(topology(RING, "a", {("a", "b"): 1000}), "b", Wish(64), 1, 0.0) == [("a", "d", "c", "b")]


def test_a_direct_link_is_not_split_and_not_used_where_it_must_not_be() -> None:
    assert routes(topology(RING, "a"), "b", Wish(1), 2, 0.0) == [("a", "b")]
    assert routes(topology(RING, "a"), "b", Wish(1, indirect=True), 2, 0.0) == [("a", "d", "c", "b")]


def test_paths_that_are_too_long_are_not_used() -> None:
    five = [("a", "b"), ("b", "c"), ("a", "x"), ("x", "y"), ("y", "c")]
    assert len(routes(topology(five, "a"), "c", Wish(1, max_hops=3), 2, 0.0)) == 2
    assert routes(topology(five, "a"), "c", Wish(1, max_hops=2), 2, 0.0) == [("a", "b", "c")]
    assert routes(topology(five, "a"), "c", Wish(1, max_hops=1), 2, 0.0) == []


def test_a_link_that_one_end_alone_speaks_of_is_none() -> None:
    made = Topology("a")
    made.tell([LinkState("b", True, 100)], "", 0.0)
    assert routes(made, "b", Wish(1), 1, 0.0) == []
    made.hear([Advert("b", 1, (LinkState("a", True, 100), LinkState("z", True, 100)))], 0.0)
    assert routes(made, "b", Wish(1), 1, 0.0) == [("a", "b")]
    assert routes(made, "z", Wish(1), 1, 0.0) == []


def test_the_newest_word_counts_and_an_old_one_does_not() -> None:
    made = topology(RING, "a")
    made.hear([Advert("b", 3, ())], 1.0)
    made.hear([Advert("b", 2, (LinkState("a", True, 100),))], 1.0)
    assert routes(made, "c", Wish(1), 2, 1.0) == [("a", "d", "c")]
    assert len(made.known(1.0)) == 4
    assert [each.node for each in made.known(1.0 + ADVERT_SECONDS - 0.1)] == ["b"]
    assert made.known(1.0 + ADVERT_SECONDS) == []


def test_what_is_left_of_an_earlier_process_does_not_outlive_it() -> None:
    """Its clock went back: what it says now has to count for more than what it said then."""
    made = Topology("a")
    first = made.tell([], "", 0.0)
    made.hear([Advert("a", first.sequence + 10**15, (LinkState("b", True, 1),))], 0.0)
    assert made.tell([], "", 0.0).sequence > first.sequence + 10**15
    assert made.known(0.0)[0].links == ()


def test_a_link_where_keys_were_held_up_is_avoided_for_a_while() -> None:
    made = topology(RING, "a")
    made.penalise([("b", "c")], 0.0)
    assert routes(made, "c", Wish(1), 1, 0.0) == [("a", "d", "c")]
    assert routes(made, "c", Wish(1), 1, PENALTY_SECONDS) == [("a", "b", "c")]
    # Where there is no other way it is used all the same.
    assert routes(made, "c", Wish(1, {"d"}), 1, 0.0) == [("a", "b", "c")]


def test_a_path_is_simulated_where_one_of_its_links_is() -> None:
    made = Topology("a")
    made.tell([LinkState("b", True, 100)], "", 0.0)
    made.hear([Advert("b", 1, (LinkState("a", True, 100), LinkState("c", True, 100, True)))], 0.0)
    assert made.simulated(("a", "b", "c"), 0.0)
    assert not made.simulated(("a", "b"), 0.0)


def relay_of(folder: Path, plan: Plan, site: str, links: list[tuple[str, str]]) -> Relay:
    """What a site's KME knows when these links alone are up; it has nothing to send keys with."""
    (folder / f"{site}.toml").write_text(config_of(plan, plan.sites[site]))
    nothing: Any = None
    config = read_config(folder / f"{site}.toml")
    relay = Relay(config, nothing, nothing, {}, nothing, nothing, nothing)
    relay.topology = topology(links, site, now=time.monotonic())
    return relay


def test_with_any_one_node_or_link_of_the_ten_down_there_is_a_path_where_there_can_be_one_and_else_it_is_said(
    tmp_path: Path,
) -> None:
    plan = read_plan(EXAMPLE)
    every = [link.ends for link in plan.links.values()]
    assert (len(plan.sites), len(every)) == (10, 11)
    served, refused = 0, 0
    for lost in [*({site} for site in plan.sites), *(set(ends) for ends in every)]:
        links = [ends for ends in every if not (lost <= set(ends))]
        here = sorted(set(plan.sites) - lost) if len(lost) == 1 else sorted(plan.sites)
        for start in here:
            relay = relay_of(tmp_path, plan, start, links)
            for end in here:
                if start == end:
                    continue
                ways, slaves = every_path(graph_of(links), start, end), {end: [f"sae-{end}"]}
                if not ways:
                    with pytest.raises(Refused) as raised:
                        relay._paths(slaves, 32, Terms())
                    assert (raised.value.status, raised.value.message) == (503, NO_PATH)
                    refused += 1
                    continue
                (paths,) = relay._paths(slaves, 32, Terms()).values()
                assert set(paths) <= set(ways)
                # Two wherever two share no node between them.
                apart = any(not set(one[1:-1]) & set(other[1:-1]) for one, other in itertools.combinations(ways, 2))
                assert len(paths) == (2 if apart and len(paths[0]) > 2 else 1)
                served += 1
    # Without Sorø 16, without Ku 28, without Dtu and without Foreign 16 each, for their gateways; without the line's
    # first link 32, without its second 18, and as many without the link of either gateway.
    assert (served, refused) == (1710 - 162, 162)


def test_nodes_that_somebody_makes_up_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kronborg.network.relay.routing.MOST_NODES", 20)
    made = topology(RING, "a")
    made.hear([Advert(f"x{i}", 1, ()) for i in range(100)], 0.0)
    assert len(made.known(0.0)) == 20
    made.hear([Advert("b", 2, ())], 0.0)
    assert routes(made, "b", Wish(1), 1, 0.0) == []


def test_no_word_is_the_last_that_a_node_can_say() -> None:
    """Whoever said it in another's name had that one refused by its neighbours until it was started again."""
    made, other = topology(RING, "a"), topology(RING, "b")
    for sequence in (time.time_ns() + AHEAD_NS, (1 << 62) - 1):
        made.hear([Advert("a", sequence, ())], 0.0)
        other.hear([Advert("a", sequence, ())], 0.0)
    said = made.tell((), "new", 0.0)
    assert parse(Adverts, json.dumps({"adverts": [_advert_to_json(said)]}).encode())
    other.hear([said], 0.0)
    assert other.notice_of("a", 0.0) == "new"


def test_what_neighbours_were_told_is_forgotten_with_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = read_plan(EXAMPLE)
    site = next(iter(plan.sites))
    relay = relay_of(tmp_path, plan, site, [])
    link = next(iter(relay.config.links.values()))

    class Heard:
        async def tell(self, adverts: object) -> None:
            """Hears anything."""

    relay._channels = {link.name: Heard()}  # type: ignore[dict-item]
    monkeypatch.setattr("kronborg.network.relay.service.LOOK_SECONDS", 0.0)
    for number in range(50):
        relay.topology._heard = {f"x{number}": (Advert(f"x{number}", 1, ()), time.monotonic())}
        asyncio.run(relay._tell(link))
    assert len(relay._told[link.name]) == 1


def test_a_link_that_is_called_as_it_ends_ends(tmp_path: Path) -> None:
    """Before Python 3.12 a KME could go on for ever after SIGTERM."""
    plan = read_plan(EXAMPLE)
    relay = relay_of(tmp_path, plan, next(iter(plan.sites)), [])
    link = next(iter(relay.config.links.values()))

    async def main() -> None:
        async def nothing(work: object) -> list[object]:
            return []

        relay._store = nothing
        relay._calls[link.name] = called = asyncio.Event()
        task = asyncio.create_task(relay._again("frames", relay._move, link))
        await asyncio.sleep(0.05)
        called.set()
        await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        task.cancel()
        assert task in done

    asyncio.run(main())
