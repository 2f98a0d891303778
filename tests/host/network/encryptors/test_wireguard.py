"""Agents and WireGuard, the real one, between two network namespaces."""

import base64
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kronborg.network.encryptors.config import WireGuard
from kronborg.network.encryptors.keeper import EncryptorError, StateFile, boot_seconds
from kronborg.network.encryptors.wireguard import WireGuardPeer
from kronborg.network.key_pools import Key
from kronborg.network.tables import Address
from kronborg_sim.network.agents import ENDS, Agents
from kronborg_sim.network.tunnels import INNER, OUTER, PORT, WireGuardTunnel, run

from ..kme.conftest import Running
from .conftest import until

QUICK = "rotate_seconds = 1.0\nlifetime_seconds = 60.0"
SHORT = "rotate_seconds = 1.0\nlifetime_seconds = 12.0"
SLOW = "rotate_seconds = 600.0\nlifetime_seconds = 3600.0"


@pytest.fixture
def tunnel(programs: None) -> Iterator[WireGuardTunnel]:
    with WireGuardTunnel() as found:
        yield found


@pytest.fixture
def agents(keys: Running, tunnel: WireGuardTunnel) -> Iterator[Callable[..., Agents]]:
    """Makes agents for the tunnel; they are started and have opened it."""
    made: list[Agents] = []

    def make(lines: str = QUICK, *, at_once: bool = True, start: bool = True) -> Agents:
        tables = {"alice": tunnel.table(0, at_once=at_once), "bob": tunnel.table(1, at_once=at_once)}
        for path in keys.pair.folder.glob("*agent*"):
            path.unlink()
        found = Agents(keys.pair, "wireguard", tables, lines)
        made.append(found)
        if start:
            found.start()
            found.wait(lambda: same_key(tunnel) and both(found, found.open), "the tunnel opens")
        return found

    yield make
    for each in made:
        each.__exit__(None, None, None)


def both(agents: Agents, so: Callable[[str], bool]) -> bool:
    return all(so(name) for name in ENDS)


def psk(tunnel: WireGuardTunnel, end: int) -> str:
    return tunnel.show(end, "preshared-keys")


def same_key(tunnel: WireGuardTunnel) -> bool:
    found = psk(tunnel, 0)
    return found not in ("", "(none)") and found == psk(tunnel, 1)


def test_a_tunnel_opens_changes_its_keys_and_loses_no_more_than_what_is_under_way(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel
) -> None:
    found = agents()
    before = len(found.changes("alice"))
    with tunnel.watched() as wire:
        sent = []
        for _ in until(lambda: len(found.changes("alice")) >= before + 3):
            sent.append(tunnel.ping(100, 0.01))
    changes = len(found.changes("alice")) - before
    # What is on its way to the master when its session is replaced: one packet, or more where answers take long.
    slowest = max(each.slowest_seconds for each in sent)
    assert sum(each.lost for each in sent) <= changes * (1 + slowest / 0.01)
    sessions = [name for name in wire if name.startswith("session")]
    # One each way; each key begins a session with a handshake, and the last one may still have been under way.
    assert len(sessions) >= 2 * (changes - 1)
    assert wire["handshakes"] >= changes - 1
    assert wire["clear"] == 0
    assert found.changes("alice")[:before] == found.changes("bob")[:before]


def test_where_keys_count_from_the_next_handshake_no_packet_is_lost(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel
) -> None:
    found = agents(at_once=False)
    before, first = len(found.changes("alice")), psk(tunnel, 0)
    for _ in until(lambda: len(found.changes("alice")) >= before + 2):
        assert tunnel.ping(100, 0.01, wait=20.0).lost == 0
    found.wait(lambda: psk(tunnel, 0) != first and same_key(tunnel), "another key")


def test_without_its_kme_the_tunnel_goes_on_until_the_keys_lifetime_and_is_then_closed(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel, keys: Running
) -> None:
    found = agents(SHORT)
    keys.stop("kme-b")
    try:
        stopped = time.monotonic()
        while time.monotonic() < stopped + 1.5:
            assert tunnel.ping(5, 0.01).answered
        found.wait(lambda: not (found.open("alice") or found.open("bob")), "closed")
        assert time.monotonic() - stopped > 1.5
        assert (tunnel.peers(0), tunnel.peers(1)) == (0, 0)
        with tunnel.watched() as wire:
            assert tunnel.ping(3, 0.05, wait=0.2).answered == 0
        assert wire["clear"] == 0
        # A KME gives no key whose slave's KME is gone.
        assert any(json.loads(line).get("outcome") == "kme" for line in lines(found.log("alice")))
    finally:
        keys.start("kme-b")
    found.wait(lambda: same_key(tunnel) and tunnel.ping(5, 0.01).answered > 0, "the tunnel opens again")


def lines(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if line.startswith("{")]


def holding_wg(folder: Path) -> tuple[Path, Path]:
    """A `wg` that waits before it sets a key while a file is there, and then fails; as one that was killed would."""
    hold, bin_folder = folder / "hold", folder / "bin"
    bin_folder.mkdir()
    (bin_folder / "wg").write_text(
        f'#!/bin/sh\nif [ -e {hold} ] && [ "$1" = set ] && [ "$5" != remove -o $# -gt 5 ]; then touch {hold}.reached\n'
        f'while [ -e {hold} ]; do sleep 0.02; done; exit 1; fi\nexec {shutil.which("wg")} "$@"\n'
    )
    (bin_folder / "wg").chmod(0o755)
    return hold, bin_folder


@pytest.mark.parametrize("killed", ["alice", "bob"])
def test_an_agent_that_is_killed_while_keys_change_comes_to_the_same_key_again(
    agents: Callable[..., Agents],
    tunnel: WireGuardTunnel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed: str,
) -> None:
    hold, folder = holding_wg(tmp_path)
    found = agents("rotate_seconds = 2.0\nlifetime_seconds = 60.0", start=False)
    found.start("bob" if killed == "alice" else "alice")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        found.start(killed)
    found.wait(lambda: same_key(tunnel), "the tunnel opens")
    hold.touch()
    found.wait(lambda: hold.with_name("hold.reached").exists(), "a key is about to change")
    if killed == "alice":
        # The slave has the new key already, the master never gets it.
        assert not same_key(tunnel)
    found.kill(killed)
    hold.unlink()
    changed = len(found.changes("bob"))
    found.start(killed)
    found.wait(lambda: same_key(tunnel) and len(found.changes("bob")) > changed, "the same key")
    found.wait(lambda: tunnel.ping(5, 0.01).lost == 0, "packets go through")
    assert "tunnel taken over" in found.log(killed).read_text()


def test_an_agent_that_is_killed_leaves_the_tunnel_open_and_its_successor_takes_it_over(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel
) -> None:
    found = agents(SLOW)
    key = psk(tunnel, 0)
    for name in ENDS:
        found.kill(name)
    assert tunnel.ping(3, 0.01).lost == 0
    found.start()
    found.wait(lambda: both(found, found.open), "both run")
    # The slave said which key it has, so no new one was needed.
    assert psk(tunnel, 0) == psk(tunnel, 1) == key
    assert len(found.changes("alice")) == 1
    found.kill("alice")
    os.unlink(found.pair.folder / "alice.state.json")
    found.start("alice")
    # Nobody knows how old that key is: a new one.
    found.wait(lambda: same_key(tunnel) and psk(tunnel, 0) != key, "a new key")


def test_the_tunnel_of_an_agent_that_is_killed_and_has_no_successor_ends_with_its_key(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel
) -> None:
    found = agents("rotate_seconds = 5.0\nlifetime_seconds = 15.0")
    for name in ENDS:
        found.kill(name)
    ends = min(StateFile(found.pair.folder / f"{name}.state.json").read().ends for name in ENDS)  # type: ignore[union-attr]
    assert tunnel.ping(3, 0.01).answered or boot_seconds() > ends
    found.wait(lambda: (tunnel.peers(0), tunnel.peers(1)) == (0, 0), "closed")
    assert boot_seconds() >= ends
    for name in ENDS:
        found.wait(lambda name=name: "its agent was killed" in found.log(name).read_text(), "it is said")  # type: ignore[misc]
        assert not (found.pair.folder / f"{name}.state.json").exists()


def test_ended_an_agent_takes_its_peer_away_and_so_does_close(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel
) -> None:
    found = agents(SLOW)
    assert found.end("alice") == 0
    assert tunnel.peers(0) == 0
    assert tunnel.ping(2, 0.05, wait=0.2).answered == 0
    assert not (found.pair.folder / "alice.state.json").exists()
    found.kill("bob")
    assert tunnel.peers(1) == 1
    run(*found.command("bob", "--close"), seconds=120.0)
    assert tunnel.peers(1) == 0


def test_what_somebody_else_does_to_the_peer_closes_the_tunnel_until_the_next_key(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel
) -> None:
    found = agents(SLOW)
    changes = len(found.changes("bob"))
    # Without a key WireGuard would go on with elliptic curves alone.
    run("wg", "set", tunnel.interfaces[1], "peer", tunnel.public_keys[0], "preshared-key", "/dev/null")
    assert psk(tunnel, 1) == "(none)"
    found.wait(lambda: psk(tunnel, 1) != "(none)", "the peer is not left without a key")
    found.wait(lambda: same_key(tunnel) and len(found.changes("bob")) > changes, "a new key")
    assert any(json.loads(line).get("reason") == "changed by somebody else" for line in lines(found.log("bob")))
    found.wait(lambda: tunnel.ping(5, 0.01).answered > 0, "packets go through")


def test_a_peer_that_somebody_adds_to_a_closed_tunnel_is_taken_away(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel
) -> None:
    found = agents(SLOW, start=False)
    found.start("alice")
    found.wait(lambda: "kronborg_encryptor_open" in found.metrics("alice"), "it runs")
    run("wg", "set", tunnel.interfaces[0], "peer", tunnel.public_keys[1], "allowed-ips", f"{INNER[1]}/32")
    found.wait(lambda: tunnel.peers(0) == 0, "it is taken away")


def test_with_different_keys_nothing_goes_through(tunnel: WireGuardTunnel) -> None:
    ends = [peer_of(tunnel, end) for end in range(2)]
    with tunnel.watched() as wire:
        ends[0].switch(Key("a", secrets.token_bytes(32)))
        ends[1].switch(Key("b", secrets.token_bytes(32)))
        assert tunnel.ping(3, 0.05, wait=0.3).answered == 0
    # It tries, and no session comes of it.
    assert wire["handshakes"] >= 1
    assert not [name for name in wire if name.startswith("session")]
    same = Key("c", secrets.token_bytes(32))
    for end in ends[::-1]:
        end.switch(same)
    assert tunnel.ping(3, 0.05).lost == 0


def peer_of(tunnel: WireGuardTunnel, end: int) -> WireGuardPeer:
    endpoint, inside = Address(OUTER[1 - end], PORT), (f"{INNER[1 - end]}/32",)
    settings = WireGuard(tunnel.interfaces[end], tunnel.public_keys[1 - end], endpoint, inside, 25, True)
    return WireGuardPeer(settings, renews=end == 0)


def test_keys_are_in_no_log_no_file_no_metric_and_no_command_line(
    agents: Callable[..., Agents], tunnel: WireGuardTunnel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, folder = tmp_path / "said", tmp_path / "bin"
    folder.mkdir()
    (folder / "wg").write_text(f'#!/bin/sh\necho "$0 $@" >> {said}\nexec {shutil.which("wg")} "$@"\n')
    (folder / "wg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    found = agents()
    seen: set[bytes] = set()
    for _ in until(lambda: len(seen) >= 3):
        seen.add(base64.b64decode(psk(tunnel, 0)))
    metrics = json.dumps([found.metrics(name) for name in ENDS]).encode()
    for name in ENDS:
        found.running[name].send_signal(signal.SIGHUP)
    files = [path for path in found.pair.folder.rglob("*agent*") if path.is_file()] + [said]
    files += [found.pair.folder / f"{name}.state.json" for name in ENDS]
    assert b"preshared-key /dev/stdin" in said.read_bytes()
    for path in files:
        assert not any(form in path.read_bytes() + metrics for key in seen for form in forms(key)), path
    for name in ("alice.state.json", "alice.agent-audit.jsonl"):
        assert (found.pair.folder / name).stat().st_mode & 0o777 == 0o600
    text = found.log("alice").read_text() + found.log("bob").read_text()
    assert all(key_id in text for key_id in found.changes("alice"))


def forms(key: bytes) -> list[bytes]:
    return [key, base64.b64encode(key), key.hex().encode(), key.hex().upper().encode()]


def test_what_wg_complains_of_is_told_without_the_key(tunnel: WireGuardTunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    peer, key = peer_of(tunnel, 0), secrets.token_bytes(31)
    with pytest.raises(EncryptorError, match=r"wg set: Key is not the correct length or format: `…'") as error:
        peer.switch(Key("a", key))
    assert base64.b64encode(key).decode() not in str(error.value)
    assert tunnel.peers(0) == 0
