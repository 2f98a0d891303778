"""Change keys in WireGuard and strongSwan under a stream of packets, kill their agents meanwhile, and count."""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kronborg.console.progress import RunProgress
from kronborg.errors import KronborgError

from .outcome import Outcome, whole

if TYPE_CHECKING:
    from collections import Counter

    from ...network.agents import Agents
    from ...network.pair import Pair
    from ...network.tunnels import Ping, StrongSwanTunnel, WireGuardTunnel

EXTRA = "network"
INTERVAL_SECONDS = 0.01
QUICK = "rotate_seconds = 1.0\nlifetime_seconds = 60.0"
SLOW = "rotate_seconds = 60.0\nlifetime_seconds = 600.0"
LONGEST_LIFE = 2.5
"""Seconds from when a tunnel works to when an agent is killed, at most: two changes of keys."""
CONVERGE_SECONDS = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="with a key a second (default 20)")
    parser.add_argument(
        "--next-seconds",
        type=float,
        default=260,
        metavar="S",
        help="of WireGuard with keys that count from its next handshake, one every 120 s (default 260, 0 for none)",
    )
    parser.add_argument("--kills", type=float, default=20, metavar="N", help="of agents (default 20)")
    parser.add_argument("--seed", type=float, default=1, metavar="N", help="of the moments (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Two KMEs, two agents and two encryptors between network namespaces; packets every 10 ms.

    Raises:
        InputError: a number out of range, a program is missing, or this user may not make namespaces.
        KronborgError: a KME or an agent does not start.
    """
    seconds, longer = whole(options.seconds, 3, 3600, "seconds"), whole(options.next_seconds, 0, 3600, "seconds")
    kills, seed = whole(options.kills, 0, 10_000, "kills"), whole(options.seed, 0, 2**63, "as seed")
    # They bring the extra `network`, which no other bench needs.
    from ...network.pair import make_pair
    from ...network.processes import Processes
    from ...network.tunnels import StrongSwanTunnel, WireGuardTunnel

    with tempfile.TemporaryDirectory() as name:
        pair = make_pair(Path(name))
        with Processes(pair) as kmes:
            kmes.fill(32 * (4 * seconds + longer + 20 * kills + 100))
            figures: dict[str, Any] = {}
            with WireGuardTunnel() as tunnel:
                with progress.stage("WireGuard, at once", 1), _agents(pair, "wireguard", tunnel, QUICK) as agents:
                    figures["wireguard_at_once"] = _stream(agents, tunnel, seconds)
                if longer:
                    how = _agents(pair, "wireguard", tunnel, SLOW, at_once=False)
                    with progress.stage("WireGuard, next handshake", 1), how as agents:
                        figures["wireguard_next"] = _stream(agents, tunnel, longer)
                how = _agents(pair, "wireguard", tunnel, QUICK)
                with progress.stage("kills", max(kills, 1)) as stage, how as agents:
                    figures["kills"] = _kill(agents, tunnel, kills, random.Random(seed), stage.advance)
            charon = StrongSwanTunnel(Path(name))
            with progress.stage("strongSwan", 1), charon, _agents(pair, "strongswan", charon, QUICK) as agents:
                figures["strongswan"] = _stream(agents, charon, seconds)
    figures |= {"cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
    return Outcome(figures, _table(figures), _fault(figures))


@contextmanager
def _agents(
    pair: Pair, kind: str, tunnel: WireGuardTunnel | StrongSwanTunnel, lines: str, **how: bool
) -> Iterator[Agents]:
    from ...network.agents import ENDS, Agents

    for path in pair.folder.glob("*agent*"):
        path.unlink()
    tables = {name: tunnel.table(end, **how) for end, name in enumerate(ENDS)}
    with Agents(pair, kind, tables, lines) as agents:
        agents.start()
        agents.wait(lambda: agents.open("alice") and agents.open("bob"), "the tunnel opens")
        yield agents


def _stream(agents: Agents, tunnel: WireGuardTunnel | StrongSwanTunnel, seconds: int) -> dict[str, Any]:
    """Packets for so long; what became of them, and by which keys they were encrypted."""
    before = len(agents.changes("alice"))
    with tunnel.watched() as wire:
        sent = tunnel.stream(seconds, INTERVAL_SECONDS)
    changes = len(agents.changes("alice")) - before
    return _figures(sent, changes, wire)


def _figures(sent: Ping, changes: int, wire: Counter[str]) -> dict[str, Any]:
    return {
        "key_changes": changes,
        "packets_sent": sent.sent,
        "packets_lost": sent.lost,
        "slowest_ms": round(1e3 * sent.slowest_seconds, 1),
        "handshakes": wire["handshakes"],
        "session_keys_on_the_cable": len([name for name in wire if name.startswith("session")]),
        "packets_in_the_clear": wire["clear"],
    }


def _kill(
    agents: Agents, tunnel: WireGuardTunnel, kills: int, draw: random.Random, advance: Callable[[], object]
) -> dict[str, Any]:
    """SIGKILL to one agent or both at random moments; how long until packets go through under one key again."""
    longest, unlike, converged = 0.0, 0, 0
    for _ in range(kills):
        time.sleep(draw.uniform(0, LONGEST_LIFE))
        names = draw.sample(["alice", "bob"], draw.choice([1, 1, 2]))
        for name in names:
            agents.kill(name)
        unlike += tunnel.show(0, "preshared-keys") != tunnel.show(1, "preshared-keys")
        changed = len(agents.changes("alice"))
        began = time.monotonic()
        agents.start(*names)

        def works(changed: int = changed) -> bool:
            keys = [tunnel.show(end, "preshared-keys") for end in range(2)]
            fresh = len(agents.changes("alice")) > changed
            return fresh and keys[0] == keys[1] and not tunnel.ping(2, INTERVAL_SECONDS, wait=0.2).lost

        try:
            agents.wait(works, "packets go through again", CONVERGE_SECONDS)
        except KronborgError:
            break
        converged += 1
        longest = max(longest, time.monotonic() - began)
        advance()
    ids = [agents.changes(name) for name in ("alice", "bob")]
    return {
        "kills": kills,
        "different_keys_after_kill": unlike,
        "converged": converged,
        "longest_seconds": round(longest, 1),
        "key_changes": len(ids[1]),
        "keys_used_twice": sum(len(each) - len(set(each)) for each in ids),
    }


def _table(figures: dict[str, Any]) -> list[tuple[str, str]]:
    names = {
        "wireguard_at_once": "WireGuard, a session with each key",
        "wireguard_next": "WireGuard, keys from the next handshake",
        "strongswan": "strongSwan, make before break",
    }
    table = [
        (
            name,
            f"{found['key_changes']} keys, {found['packets_lost']} of {found['packets_sent']} packets lost, "
            f"{found['handshakes']} handshakes, {found['packets_in_the_clear']} in the clear",
        )
        for key, name in names.items()
        if (found := figures.get(key))
    ]
    found = figures["kills"]
    table.append(
        (
            "agents killed",
            f"{found['kills']} times, {found['different_keys_after_kill']} times between the two ends' changes; "
            f"packets go through again within {found['longest_seconds']} s",
        )
    )
    return [*table, ("machine", f"{figures['cores']} cores for all, load {figures['load_average']}")]


def _fault(figures: dict[str, Any]) -> str:
    streams = [each for each in figures.values() if isinstance(each, dict) and "packets_sent" in each]
    if any(each["packets_in_the_clear"] for each in streams):
        return "packets left in the clear"
    if figures["kills"]["converged"] < figures["kills"]["kills"]:
        return f"{CONVERGE_SECONDS:g} s after an agent was killed and started again nothing goes through"
    if figures["kills"]["keys_used_twice"]:
        return "a key was used twice"
    if any(each["handshakes"] < 1 or each["key_changes"] < 1 for each in streams):
        return f"keys did not change: {json.dumps(streams)}"
    return ""
