"""Kill KMEs at random moments under load: no key may be delivered twice, differ, or get lost uncounted."""

from __future__ import annotations

import argparse
import http.client
import random
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped

from .outcome import Outcome, whole

if TYPE_CHECKING:
    from ...network.pair import Pair
    from ...network.processes import Processes

EXTRA = "network"
KEY_BYTES = 32
LIFETIME_SECONDS = 2
LOW_BYTES, REFILL_BYTES = 1 << 17, 1 << 19
COUPLES = (("alice", "kme-a", "bob", "kme-b"), ("bob", "kme-b", "alice", "kme-a"), ("carol", "kme-a", "dave", "kme-b"))
"""Masters and slaves: there are masters at both ends."""
PAUSE_SECONDS = 0.05
"""After a refusal."""
LONGEST_LIFE = 0.6
"""Seconds from when a KME answers to when it is killed, at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--kills", type=float, default=200, metavar="N", help="(default 200)")
    parser.add_argument("--seed", type=float, default=1, metavar="N", help="of the moments (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Kill one KME or both with SIGKILL, again and again, while SAEs at both ends fetch keys; then count.

    Raises:
        InputError: a number out of range.
        KronborgError: a KME does not start again.
    """
    kills, seed = whole(options.kills, 1, 1e6, "kills"), whole(options.seed, 0, 2**63, "as seed")
    # They bring the extra `network`, which no other bench needs.
    from ...network.pair import make_pair
    from ...network.processes import Processes

    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        pair = make_pair(Path(folder), keys=f"lifetime_seconds = {LIFETIME_SECONDS}")
        with Processes(pair) as kmes:
            kmes.fill(REFILL_BYTES)
            load = Load(kmes)
            with progress.stage("kills", kills) as stage:
                for _ in range(kills):
                    time.sleep(draw.uniform(0, LONGEST_LIFE))
                    names = draw.choice([["kme-a"], ["kme-b"], ["kme-a", "kme-b"]])
                    for name in names:
                        kmes.kill(name)
                    time.sleep(draw.uniform(0, LONGEST_LIFE / 2))
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

    def __init__(self, kmes: Processes[Pair]) -> None:
        self._kmes = kmes
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self.to_masters: list[tuple[str, bytes]] = []
        self.to_slaves: list[tuple[str, bytes]] = []
        self.refused: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._fetch, args=each) for each in COUPLES for _ in range(2)]
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
        low = min(_accounts(self._kmes.pair, kme)[pool]["ready"] for kme in ("kme-a", "kme-b") for pool in (0, 1))
        if low < LOW_BYTES:
            self._kmes.pair.fill([2 * REFILL_BYTES])

    def end(self) -> None:
        """Stop fetching."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def outcome(self, pair: Pair, kills: int, seed: int, unsettled: str) -> Outcome:
        """Count, once both KMEs have ended."""
        masters, slaves = Counter(self.to_masters), Counter(self.to_slaves)
        bits_of_masters = Counter(bits for _, bits in self.to_masters)
        twice = sum(number - 1 for counted in (masters, slaves, bits_of_masters) for number in counted.values())
        told = dict(self.to_masters)
        mismatched = sum(told.get(name) != bits for name, bits in slaves)
        unaccounted = _unaccounted(pair, len(masters), len(slaves))
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


def _accounts(pair: Pair, kme: str) -> list[dict[str, int]]:
    from kronborg.network.key_pools import KeyPools

    from ...network.pair import LINK

    database = pair.config(kme).store.open()
    try:
        return [KeyPools(database).account(LINK, pool) for pool in (0, 1)]
    finally:
        database.close()


def _settle(pair: Pair) -> str:
    """Wait until what was void or expired is noted at both ends; says what is not."""
    end = time.monotonic() + 30 + LIFETIME_SECONDS
    while time.monotonic() < end:
        ends = [_accounts(pair, kme) for kme in ("kme-a", "kme-b")]
        pending = any(account["reserved"] for accounts in ends for account in accounts)
        if not pending and all(ends[0][pool]["ready"] == ends[1][pool]["ready"] for pool in (0, 1)):
            return ""
        time.sleep(0.2)
    return "the ends do not agree on what is left"


def _unaccounted(pair: Pair, to_masters: int, to_slaves: int) -> int:
    """Keys (of KEY_BYTES) of which the two ends' accounts do not say the same, or that are in none.

    Raises:
        StoreDamaged: a store fails its check.
    """
    from kronborg.network.key_pools import KeyPools

    ends = []
    for kme in ("kme-a", "kme-b"):
        database = pair.config(kme).store.open()
        KeyPools(database).check()
        ((blocks,),) = database.rows("SELECT SUM((bits / 8 - 16) / 2) FROM block WHERE state = 'pooled'")
        database.close()
        ends.append((_accounts(pair, kme), int(blocks)))
    off = 0
    for pool in (0, 1):
        master, slave = ends[pool][0][pool], ends[1 - pool][0][pool]
        off += sum(abs(accounts[pool]["pooled"] - blocks) for accounts, blocks in ends)
        # `pooled` is the sum of all others.
        off += sum(abs(2 * account["pooled"] - sum(account.values())) for account in (master, slave))
        off += abs(master["ready"] - slave["ready"])
        # The slave's end may have seen expire what the master's end voids; nothing else may be booked otherwise.
        off += max(0, slave["delivered"] - master["delivered"]) + max(0, slave["voided"] - master["voided"])
    # More may be booked as delivered than arrived: an answer that was cut off. Never less.
    booked = [sum(ends[(pool + role) % 2][0][pool]["delivered"] for pool in (0, 1)) for role in (0, 1)]
    off += sum(max(0, KEY_BYTES * number - size) for number, size in zip((to_masters, to_slaves), booked, strict=True))
    return -(-off // KEY_BYTES)
