"""Kill KMEs at random moments under load: no key may be delivered twice, differ, or get lost uncounted."""

from __future__ import annotations

import argparse
import http.client
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import InputError, KronborgError

from .outcome import Outcome, whole

if TYPE_CHECKING:
    from ...network.harms import Harm
    from ...network.pair import Pair
    from ...network.processes import Processes
    from ...network.web import Web

EXTRA = "network"
KEY_BYTES = 32
LIFETIME_SECONDS = 2
LOW_BYTES, REFILL_BYTES = 1 << 17, 1 << 19
COUPLES = (("alice", "kme-a", "bob", "kme-b"), ("bob", "kme-b", "alice", "kme-a"), ("carol", "kme-a", "dave", "kme-b"))
"""Masters and slaves: there are masters at both ends."""
RING = (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"))
RING_COUPLES = tuple((f"sae-{one}", one, f"sae-{other}", other) for one, other in ("ac", "ca", "db", "ab"))
"""Over either of two nodes, over both, and over a direct link."""
SERVER_ERROR = "503: error on server side"
"""What a KME says when it does not know what went wrong; a store or a peer that is gone has words of its own."""
PAUSE_SECONDS = 0.05
"""After a refusal."""
SERVES_SECONDS = 120.0
"""So long the network may take to hand out keys, on a machine that has other things to do."""
LONGEST_LIFE = 0.6
"""Seconds from when a KME answers to when it is killed, at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--kills", type=float, default=200, metavar="N", help="(default 200)")
    parser.add_argument("--seed", type=float, default=1, metavar="N", help="of the moments (default 1)")
    parser.add_argument("--relay", action="store_true", help="a ring of four KMEs whose keys go over others")
    parser.add_argument("--nats", action="store_true", help="that ring, its frames by a NATS server that is killed too")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--postgresql", action="store_true", help="keys in PostgreSQL, which is killed too")
    what.add_argument("--disk-full", action="store_true", help="disks of KMEs fill up too (needs root)")
    what.add_argument("--clocks", action="store_true", help="clocks of KMEs are set too, by up to half a day")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Kill one or two KMEs with SIGKILL, again and again, while SAEs at both ends fetch keys; then count.

    With a harm, half of the rounds have it, in place of one of the KMEs: some kill a KME as well, some do not.

    Raises:
        InputError: a number out of range.
        KronborgError: a KME does not start again.
    """
    kills, seed = whole(options.kills, 1, 1e6, "kills"), whole(options.seed, 0, 2**63, "as seed")
    # They bring the extra `network`, which no other bench needs.
    from ...network.harms import SetClocks
    from ...network.pair import Pair
    from ...network.processes import Processes

    if (options.relay or options.nats) and (options.postgresql or options.disk_full or options.clocks):
        raise InputError("the ring's KMEs are killed, and its NATS server: leave out --relay and --nats")
    draw, struck = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        pair, harm = _network(Path(folder), options, held)
        _fill(pair)
        with ExitStack() as running:
            kmes = running.enter_context(Processes[Any](pair, clocks=options.clocks))
            _wait_for_key(pair)
            load = Load(kmes, COUPLES if isinstance(pair, Pair) else RING_COUPLES)
            # Where a KME does not start again, its load would go on for ever.
            running.callback(load.end)
            load.await_key()
            with progress.stage("kills", kills) as stage:
                for _ in range(kills):
                    struck += _round(kmes, draw, harm)
                    load.refill()
                    stage.advance()
            load.await_key()
            load.end()
            if isinstance(harm, SetClocks):
                harm.rest()
            unsettled = _settle(pair)
        return load.outcome(pair, kills, seed, unsettled, struck)


def _round(kmes: Processes[Any], draw: random.Random, harm: Harm | None) -> bool:
    """Kill one or two KMEs, or have a harm in place of one of them; returns whether it was there."""
    time.sleep(draw.uniform(0, LONGEST_LIFE))
    everybody = sorted(kmes.pair.files)
    names = draw.sample(everybody, draw.choice([1, 1, 2]))
    strikes = harm is not None and draw.random() < 0.5
    if harm is not None and strikes:
        harm.strike(draw)
        names = names[1:]
    for name in names:
        kmes.kill(name)
    time.sleep(draw.uniform(0, LONGEST_LIFE / 2))
    if harm is not None and strikes:
        harm.mend()
    for name in names:
        kmes.begin(name)
    # Whoever had a harm and was not killed serves again by itself.
    for name in everybody if strikes else names:
        kmes.wait(name, serves=strikes)
    return strikes


def _network(folder: Path, options: argparse.Namespace, held: ExitStack) -> tuple[Pair | Web, Harm | None]:
    """The KMEs, not started, and what else happens to them. Raises InputError."""
    from ...network.harms import NatsKilled, SetClocks, SmallDisks
    from ...network.pair import KMES, make_pair
    from ...network.web import make_web

    keys = f"lifetime_seconds = {LIFETIME_SECONDS}"
    if options.relay or options.nats:
        web = make_web(folder, RING, keys=keys, relay="timeout_seconds = 2.0", nats=options.nats)
        if not options.nats:
            return web, None
        from ...network.nats import NatsServer

        return web, NatsKilled(held.enter_context(NatsServer(web)))
    if options.postgresql:
        from ...network.postgresql import PostgreSQLServer

        server = held.enter_context(PostgreSQLServer())
        urls = {name: server.store(name.replace("-", "_")) for name in KMES}
        stores = {name: f'backend = "postgresql"\nurl = "{url}"' for name, url in urls.items()}
        return make_pair(folder, keys=keys, stores=stores), server
    if options.disk_full:
        disks = held.enter_context(SmallDisks(folder, KMES))
        return make_pair(folder, keys=keys, stores={name: disks.store(name) for name in KMES}), disks
    return make_pair(folder, keys=keys), SetClocks(folder, KMES) if options.clocks else None


class Load:
    """SAEs that fetch keys without a pause, and remember each."""

    def __init__(self, kmes: Processes[Any], couples: Sequence[tuple[str, str, str, str]]) -> None:
        self._kmes = kmes
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self.to_masters: list[tuple[str, bytes]] = []
        self.to_slaves: list[tuple[str, bytes]] = []
        self.refused: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._fetch, args=each) for each in couples for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _fetch(self, master_name: str, master_kme: str, slave_name: str, slave_kme: str) -> None:
        from ...network.processes import Refusal, Sae

        master, slave = Sae(self._kmes.pair, master_name, master_kme), Sae(self._kmes.pair, slave_name, slave_kme)
        while not self._ending.is_set():
            try:
                keys = master.get_keys(slave_name, 3, 8 * KEY_BYTES)
                with self._lock:
                    self.to_masters += keys.items()
                fetched = slave.get_keys_with_ids(master_name, list(keys))
                with self._lock:
                    self.to_slaves += fetched.items()
                # Whoever asks again gets nothing.
                with suppress(Refusal):
                    again = slave.get_keys_with_ids(master_name, list(keys)[:1])
                    with self._lock:
                        self.to_slaves += again.items()
            except Refusal as error:
                with self._lock:
                    self.refused[str(error)] += 1
                time.sleep(PAUSE_SECONDS)
            except (OSError, http.client.HTTPException, ValueError):
                with self._lock:
                    self.refused["no answer"] += 1
                time.sleep(PAUSE_SECONDS)
        master.close()
        slave.close()

    def await_key(self) -> None:
        """Wait until another key has got to both its SAEs. Raises KronborgError where none does."""
        before, end = len(self.to_slaves), time.monotonic() + SERVES_SECONDS
        while len(self.to_slaves) == before:
            if time.monotonic() > end:
                raise KronborgError("all KMEs run, and no key gets to its SAEs")
            time.sleep(PAUSE_SECONDS)

    def refill(self) -> None:
        """Add blocks where the pools run low; it is part of the load."""
        from ...network.accounts import accounts, links_of

        network = self._kmes.pair
        for link, ends in links_of(network).items():
            low = min(account["ready"] for kme in ends for account in accounts(network, kme, link))
            if low < LOW_BYTES:
                _fill(network, link)

    def end(self) -> None:
        """Stop fetching."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def outcome(self, pair: Pair | Web, kills: int, seed: int, unsettled: str, struck: int = 0) -> Outcome:
        """Count, once all KMEs have come to rest; `struck` rounds had a harm beside the kills."""
        from ...network.accounts import unaccounted as find_unaccounted

        masters, slaves = Counter(self.to_masters), Counter(self.to_slaves)
        bits_of_masters = Counter(bits for _, bits in self.to_masters)
        twice = sum(number - 1 for counted in (masters, slaves, bits_of_masters) for number in counted.values())
        told = dict(self.to_masters)
        mismatched = sum(told.get(name) != bits for name, bits in slaves)
        unaccounted = find_unaccounted(pair, [name for name, _ in masters], [name for name, _ in slaves], KEY_BYTES)
        figures = {
            "kills": kills,
            "harms": struck,
            "delivered_twice": twice,
            "mismatched": mismatched,
            "unaccounted": unaccounted,
            "keys_to_masters": len(masters),
            "keys_to_slaves": len(slaves),
            "server_errors": self.refused[SERVER_ERROR],
            "refusals": dict(self.refused.most_common()),
            "seed": seed,
        }
        table = [
            ("kills", grouped(kills) + (f", {grouped(struck)} with something else" if struck else "")),
            ("keys", f"{grouped(len(masters))} to masters, {grouped(len(slaves))} to slaves"),
            ("refusals", f"{grouped(self.refused.total())}"),
            ("delivered twice", str(twice)),
            ("mismatched", str(mismatched)),
            ("unaccounted", str(unaccounted)),
        ]
        wrong = [name for name in ("delivered_twice", "mismatched", "unaccounted") if figures[name]]
        fault = f"keys are {', '.join(wrong)}" if wrong else unsettled
        if figures["server_errors"]:
            fault = fault or f"a KME could not say why it refused: {SERVER_ERROR}"
        return Outcome(figures, table, fault or ("" if masters and slaves else "no key was delivered at all"))


def _fill(network: Pair | Web, link: str = "") -> None:
    """Add a block to one link, or to all."""
    from ...network.web import Web, link_name

    if isinstance(network, Web):
        network.fill(2 * REFILL_BYTES, [ends for ends in network.links if link in ("", link_name(ends))])
    else:
        network.fill([2 * REFILL_BYTES])


def _wait_for_key(network: Pair | Web) -> None:
    """Wait until the KMEs have taken up what their links have. Raises KronborgError."""
    from ...network.accounts import accounts, links_of

    end = time.monotonic() + 60
    while not all(
        account["ready"]
        for link, ends in links_of(network).items()
        for kme in ends
        for account in accounts(network, kme, link)
    ):
        if time.monotonic() > end:
            raise KronborgError("the KMEs do not take up the blocks of their links")
        time.sleep(0.1)


def _settle(network: Pair | Web) -> str:
    """Wait until what was void or expired is noted at all ends; says what is not."""
    from ...network.accounts import settled

    end = time.monotonic() + 60 + LIFETIME_SECONDS
    while time.monotonic() < end:
        if settled(network):
            return ""
        time.sleep(0.5)
    return "the ends do not agree on what is left"
