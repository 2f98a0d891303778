"""Agents and strongSwan, the real one, between two network namespaces."""

import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kronborg.network.encryptors.config import StrongSwan
from kronborg.network.encryptors.keeper import EncryptorError
from kronborg.network.encryptors.strongswan import StrongSwanConnection
from kronborg.network.key_pools import Key
from kronborg_sim.network.agents import ENDS, Agents
from kronborg_sim.network.tunnels import INNER, OUTER, StrongSwanTunnel

from ..kme.conftest import Running
from .conftest import until

QUICK = "rotate_seconds = 1.0\nlifetime_seconds = 60.0"
SHORT = "rotate_seconds = 1.0\nlifetime_seconds = 6.0"


@pytest.fixture(scope="module")
def tunnel(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrongSwanTunnel]:
    with StrongSwanTunnel(tmp_path_factory.mktemp("charon")) as found:
        yield found


@pytest.fixture
def agents(keys: Running, tunnel: StrongSwanTunnel) -> Iterator[Callable[[str], Agents]]:
    """Makes agents for the tunnel; they have opened it."""
    made: list[Agents] = []

    def make(lines: str = QUICK) -> Agents:
        for path in keys.pair.folder.glob("*agent*"):
            path.unlink()
        found = Agents(keys.pair, "strongswan", {"alice": tunnel.table(0), "bob": tunnel.table(1)}, lines)
        made.append(found)
        found.start()
        found.wait(lambda: found.open("alice") and found.open("bob"), "the tunnel opens")
        return found

    yield make
    for each in made:
        each.__exit__(None, None, None)


def connection(tunnel: StrongSwanTunnel, end: int, lifetime: float = 60.0) -> StrongSwanConnection:
    here, there = (OUTER[end], INNER[end]), (OUTER[1 - end], INNER[1 - end])
    settings = StrongSwan(
        vici=tunnel.vici(end),
        connection="tunnel",
        local=here[0],
        remote=there[0],
        local_id=here[0],
        remote_id=there[0],
        auth="psk",
        certificate=None,
        local_networks=(f"{here[1]}/32",),
        remote_networks=(f"{there[1]}/32",),
        ike_proposals=("aes256gcm16-prfsha384-ecp384",),
        esp_proposals=("aes256gcm16",),
        encap=True,
    )
    return StrongSwanConnection(settings, calls=end == 0, lifetime_seconds=lifetime)


@pytest.fixture
def ends(tunnel: StrongSwanTunnel) -> Iterator[list[StrongSwanConnection]]:
    """Both ends without agents."""
    found = [connection(tunnel, end) for end in range(2)]
    yield found
    for each in found:
        each.close()


def give(ends: list[StrongSwanConnection], key: Key) -> None:
    """As agents do."""
    for end in ends[::-1]:
        end.stage(key)
    for end in ends[::-1]:
        end.switch(key)
    for end in ends[::-1]:
        end.settle(key.id)


def new_key() -> Key:
    return Key(str(uuid.uuid4()), secrets.token_bytes(32))


def test_every_key_begins_a_new_ike_sa_with_ppk_and_packets_go_through_meanwhile(
    agents: Callable[..., Agents], tunnel: StrongSwanTunnel
) -> None:
    found = agents()
    before = len(found.changes("alice"))
    with tunnel.watched() as wire:
        sent = []
        for _ in until(lambda: len(found.changes("alice")) >= before + 2):
            sent.append(tunnel.ping(100, 0.01))
    changes = len(found.changes("alice")) - before
    # None, but that charon's threads may overtake each other: a packet, or more where the processor is busy.
    assert sum(each.lost for each in sent) <= changes * (1 + max(each.slowest_seconds for each in sent) / 0.01)
    # The last one may still have been under way; each key begins a session, which has a key each way.
    assert wire["handshakes"] >= changes - 1
    assert len([name for name in wire if name.startswith("session")]) >= 2 * (changes - 1)
    assert wire["clear"] == 0
    found.wait(lambda: [sa["ppk"] for end in range(2) for sa in tunnel.sas(end)] == [b"yes"] * 2, "one IKE_SA is left")
    found.wait(lambda: not (tunnel.loaded_keys(0) or tunnel.loaded_keys(1)), "charon holds no key")


def test_without_its_kme_the_tunnel_is_closed_and_nothing_leaves_in_the_clear(
    agents: Callable[..., Agents], tunnel: StrongSwanTunnel, keys: Running
) -> None:
    found = agents(SHORT)
    keys.stop("kme-a")
    try:
        assert tunnel.ping(50, 0.01).answered
        found.wait(lambda: not (found.open("alice") or found.open("bob")), "closed")
        assert (tunnel.sas(0), tunnel.sas(1)) == ([], [])
        assert (tunnel.loaded_keys(0), tunnel.loaded_keys(1)) == ([], [])
        with tunnel.watched() as wire:
            assert tunnel.ping(3, 0.05, wait=0.2).answered == 0
        assert wire["clear"] == 0
    finally:
        keys.start("kme-a")
    found.wait(lambda: tunnel.ping(2, 0.01, wait=0.2).lost == 0, "the tunnel opens again")


@pytest.mark.parametrize("killed", list(ENDS))
def test_an_agent_that_is_killed_takes_its_tunnel_over_again(
    agents: Callable[..., Agents], tunnel: StrongSwanTunnel, killed: str
) -> None:
    found = agents("rotate_seconds = 2.0\nlifetime_seconds = 60.0")
    found.kill(killed)
    assert tunnel.ping(20, 0.01).answered
    changed = len(found.changes("alice"))
    found.start(killed)
    found.wait(lambda: len(found.changes("alice")) > changed + 1, "keys change again")
    found.wait(lambda: tunnel.ping(20, 0.01).lost == 0, "packets go through")
    assert "tunnel taken over" in found.log(killed).read_text()


def test_ended_agents_leave_nothing_behind(agents: Callable[..., Agents], tunnel: StrongSwanTunnel) -> None:
    found = agents()
    assert [found.end(name) for name in ENDS] == [0, 0]
    for end in range(2):
        assert (tunnel.sas(end), tunnel.loaded_keys(end)) == ([], [])
        with tunnel.session(end) as session:
            assert session.get_conns()["conns"] == []
    text = "".join(path.read_text() for path in found.pair.folder.glob("*agent*"))
    assert json.dumps(found.changes("alice")[0]) in text


def test_with_different_keys_there_is_no_tunnel_and_the_old_one_stays(
    ends: list[StrongSwanConnection], tunnel: StrongSwanTunnel
) -> None:
    give(ends, new_key())
    assert tunnel.ping(3, 0.02).answered
    (old,) = (sa["uniqueid"] for sa in tunnel.sas(0))
    key = new_key()
    ends[0].stage(key)
    ends[1].stage(Key(key.id, secrets.token_bytes(32)))
    ends[1].switch(key)
    with pytest.raises(EncryptorError, match="its log says why"):
        ends[0].switch(key)
    assert [sa["uniqueid"] for sa in tunnel.sas(0)] == [old]
    assert tunnel.ping(3, 0.02).answered


def test_an_initiator_without_a_key_is_refused(ends: list[StrongSwanConnection], tunnel: StrongSwanTunnel) -> None:
    give(ends, new_key())
    ends[0].close()
    with tunnel.session(0) as session:
        bare = ends[0]._connection(None)
        bare["tunnel"]["ppk_required"] = "no"
        session.load_conn(bare)
        with pytest.raises(Exception, match="failed"):
            list(session.initiate({"ike": "tunnel", "child": "net", "timeout": "5000"}))
    assert tunnel.ping(2, 0.05, wait=0.2).answered == 0


def test_a_tunnel_whose_agents_are_gone_ends_by_itself(tunnel: StrongSwanTunnel) -> None:
    ends = [connection(tunnel, end, lifetime=2.0) for end in range(2)]
    give(ends, new_key())
    assert tunnel.ping(3, 0.02).answered
    for _ in until(lambda: not tunnel.ping(2, 0.02, wait=0.2).answered):
        time.sleep(0.1)
    assert not ends[0].intact()
    for end in ends:
        end.close()


def test_what_somebody_else_does_to_the_connection_is_seen(
    ends: list[StrongSwanConnection], tunnel: StrongSwanTunnel
) -> None:
    assert ends[0].intact()
    give(ends, new_key())
    assert [end.intact() for end in ends] == [True, True]
    assert time.time() - ends[0].exchanged_at() < 120
    with tunnel.session(1) as session:
        session.unload_conn({"name": "tunnel"})
    assert [end.intact() for end in ends] == [True, False]
    ends[1].close()
    # The master's charon has been told; a tunnel without an IKE_SA is no tunnel.
    for _ in until(lambda: not ends[0].intact()):
        time.sleep(0.02)
    ends[0].close()
    assert [end.intact() for end in ends] == [True, True]
    assert connection(tunnel, 0).adopt(None) is False


def test_without_charon_it_is_said_where_it_was_looked_for(tunnel: StrongSwanTunnel, tmp_path: Path) -> None:
    missing = connection(tunnel, 0)
    object.__setattr__(missing._settings, "vici", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="nowhere: is strongSwan running"):
        missing.check()
    assert not missing.intact()
    with pytest.raises(EncryptorError, match="does not answer"):
        missing.close()
