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
from typing import TYPE_CHECKING, Any, cast

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import KronborgError

from .outcome import Outcome, whole

if TYPE_CHECKING:
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
PAUSE_SECONDS = 0.05
"""After a refusal."""
LONGEST_LIFE = 0.6
"""Seconds from when a KME answers to when it is killed, at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--kills", type=float, default=200, metavar="N", help="(default 200)")
    parser.add_argument("--seed", type=float, default=1, metavar="N", help="of the moments (default 1)")
    parser.add_argument("--relay", action="store_true", help="a ring of four KMEs whose keys go over others")
    parser.add_argument("--nats", action="store_true", help="that ring, its frames by a NATS server that is killed too")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Kill one or two KMEs with SIGKILL, again and again, while SAEs at both ends fetch keys; then count.

    Raises:
        InputError: a number out of range.
        KronborgError: a KME does not start again.
    """
    kills, seed = whole(options.kills, 1, 1e6, "kills"), whole(options.seed, 0, 2**63, "as seed")
    # They bring the extra `network`, which no other bench needs.
    from ...network.pair import make_pair
    from ...network.processes import Processes
    from ...network.web import make_web

    draw, keys = random.Random(seed), f"lifetime_seconds = {LIFETIME_SECONDS}"
    with tempfile.TemporaryDirectory() as folder:
        pair: Pair | Web = (
            make_web(Path(folder), RING, keys=keys, relay="timeout_seconds = 2.0", nats=options.nats)
            if options.relay or options.nats
            else make_pair(Path(folder), keys=keys)
        )
        _fill(pair)
        processes: Any = Processes  # of either
        with ExitStack() as held:
            server: Any = None
            if options.nats:
                from ...network.nats import NatsServer

                server = held.enter_context(NatsServer(cast("Web", pair)))
            kmes = held.enter_context(processes(pair))
            _wait_for_key(pair)
            load = Load(kmes, RING_COUPLES if options.relay or options.nats else COUPLES)
            # Where a KME does not start again, its load would go on for ever.
            held.callback(load.end)
            with progress.stage("kills", kills) as stage:
                for _ in range(kills):
                    time.sleep(draw.uniform(0, LONGEST_LIFE))
                    names = draw.sample(sorted(pair.files), draw.choice([1, 1, 2]))
                    if server is not None and draw.random() < 0.5:
                        server.end()
                        names = names[1:]
                    for name in names:
                        kmes.kill(name)
                    time.sleep(draw.uniform(0, LONGEST_LIFE / 2))
                    if server is not None and not server.running:
                        server.begin()
                    for name in names:
                        kmes.begin(name)
                    for name in names:
                        kmes.wait(name)
                    load.refill()
                    stage.advance()
            load.end()
            unsettled = _settle(pair)
        return load.outcome(pair, kills, seed, unsettled)


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

    def outcome(self, pair: Pair | Web, kills: int, seed: int, unsettled: str) -> Outcome:
        """Count, once all KMEs have ended."""
        from ...network.accounts import unaccounted as find_unaccounted

        masters, slaves = Counter(self.to_masters), Counter(self.to_slaves)
        bits_of_masters = Counter(bits for _, bits in self.to_masters)
        twice = sum(number - 1 for counted in (masters, slaves, bits_of_masters) for number in counted.values())
        told = dict(self.to_masters)
        mismatched = sum(told.get(name) != bits for name, bits in slaves)
        unaccounted = find_unaccounted(pair, [name for name, _ in masters], [name for name, _ in slaves], KEY_BYTES)
        figures = {
            "kills": kills,
            "delivered_twice": twice,
            "mismatched": mismatched,
            "unaccounted": unaccounted,
            "keys_to_masters": len(masters),
            "keys_to_slaves": len(slaves),
            "refusals": dict(self.refused.most_common()),
            "seed": seed,
        }
        table = [
            ("kills", grouped(kills)),
            ("keys", f"{grouped(len(masters))} to masters, {grouped(len(slaves))} to slaves"),
            ("refusals", f"{grouped(self.refused.total())}"),
            ("delivered twice", str(twice)),
            ("mismatched", str(mismatched)),
            ("unaccounted", str(unaccounted)),
        ]
        wrong = [name for name in ("delivered_twice", "mismatched", "unaccounted") if figures[name]]
        fault = f"keys are {', '.join(wrong)}" if wrong else unsettled
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
