"""Two KMEs that agree, or do not: what becomes of keys then."""

import asyncio
import fcntl
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kronborg.errors import InputError
from kronborg.network.identity import Identity
from kronborg.network.key_pools import KeyPools, Reservation
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg.network.kme.channel import Connection, PeerAbsent, PeerSilent
from kronborg.network.kme.config import Address
from kronborg.network.kme.server import Kme
from kronborg_sim.network.pair import LINK, make_pair

from .conftest import Running, running, wait_for
from .test_etsi014 import error_of, keys_of


def accounts(network: Running, kme: str) -> list[dict[str, int]]:
    """Of both pools at one end, read beside the KME."""
    database = network.pair.config(kme).store.open()
    try:
        return [KeyPools(database).account(LINK, pool) for pool in (0, 1)]
    finally:
        database.close()


def post(network: Running, bearer: str, path: str, body: Any) -> Any:
    """A message to the peer port of KME B."""
    kind, name = bearer.split()
    if not network.pair.authority.files(Identity(kind, name))[0].exists():
        network.pair.authority.issue(Identity(kind, name), ["x"])
    client = network.client(bearer, "kme-b")
    return client.post(f"https://{network.pair.config('kme-b').peer_listen}/peer/v1/links/{path}", json=body)


def reservation(pool: int = 0, **changes: Any) -> dict[str, Any]:
    made = {
        "id": "00000000-0000-4000-8000-00000000000a",
        "pool": pool,
        "key_ids": ["00000000-0000-4000-8000-000000000001"],
        "key_bytes": 32,
        "segments": [[1, 9000, 32]],
        "master": "alice",
        "slaves": ["bob"],
        "lifetime_seconds": 60,
    }
    return made | changes


def test_a_peer_that_cannot_be_reached_costs_no_key(own_network: Running) -> None:
    own_network.stop("kme-b")
    before = accounts(own_network, "kme-a")[0]
    for _ in range(3):
        assert "cannot be reached" in error_of(own_network.enc(), 503)["message"]
    assert accounts(own_network, "kme-a")[0] == before
    status = own_network.client("alice", "kme-a").get("/api/v1/keys/bob/status").json()
    assert status["status_extension"]["kronborg_peer_up"] is False
    own_network.start("kme-b")
    wait_for(lambda: own_network.enc().status_code == 200)


def lose(answer: bool) -> Callable[..., Any]:
    """An exchange whose request, or whose answer, is lost."""
    real = Connection._exchange

    def exchange(self: Connection, connection: Any, path: str, data: bytes) -> Any:
        if answer and path.endswith("reservations"):
            real(self, connection, path, data)
        if path.endswith("reservations"):
            raise ConnectionResetError
        return real(self, connection, path, data)

    return exchange


@pytest.mark.parametrize("answer", [False, True])
def test_keys_whose_agreement_was_lost_are_void_at_both_ends(
    own_network: Running, monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_exchange", lose(answer))
        assert "did not confirm" in error_of(own_network.enc(number=2), 503)["message"]
    wait_for(lambda: all(accounts(own_network, kme)[0]["voided"] == 64 for kme in ("kme-a", "kme-b")))
    keys = keys_of(own_network.enc(number=2))
    assert keys_of(own_network.dec(list(keys))) == keys


def test_a_peer_that_does_not_have_the_material_gets_nothing_delivered(own_network: Running) -> None:
    """Its store was lost and replaced: the links go on with new blocks, and what it lacks is void."""
    own_network.stop("kme-b")
    own_network.pair.config("kme-b").store.path.unlink()
    own_network.start("kme-b")
    wait_for(lambda: "did not confirm" in error_of(own_network.enc(), 503)["message"])
    assert accounts(own_network, "kme-a")[0]["delivered"] == 0


def test_blocks_that_differ_are_never_served(own_network: Running) -> None:
    pair, before = own_network.pair, own_network.stored()
    for kme, byte in (("kme-a", 1), ("kme-b", 2)):
        with KeyStore(pair.config(kme).store.open()) as store:
            store.add(KeyBlock(LINK, 2, 8000, 1e-10, bytes([byte]) * 1000))
    kme = own_network.kmes["kme-a"]
    labels = {"link": LINK, "outcome": "unequal"}
    wait_for(lambda: kme.metrics.registry.get_sample_value("kronborg_kme_blocks_total", labels) == 1)
    assert own_network.stored() == before


def test_masters_at_both_ends_at_once_never_get_the_same_bits(own_network: Running) -> None:
    def fetch(arguments: tuple[str, str, str]) -> list[bytes]:
        return [key for _ in range(15) for key in keys_of(own_network.enc(*arguments, number=3)).values()]

    both = [
        ("alice", "bob", "kme-a"),
        ("bob", "alice", "kme-b"),
        ("carol", "dave", "kme-a"),
        ("dave", "carol", "kme-b"),
    ]
    for each in both:
        own_network.client(each[0], each[2])
    with ThreadPoolExecutor(4) as pool:
        keys = [key for found in pool.map(fetch, both) for key in found]
    assert len(set(keys)) == len(keys) == 4 * 45


def test_what_a_crash_left_open_is_void_after_the_restart(
    own_network: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(KeyPools, "deliver_to_master", lambda *_: (_ for _ in ()).throw(MemoryError))
        assert error_of(own_network.enc(), 503) == {"message": "error on server side"}
    assert [accounts(own_network, kme)[0]["reserved"] for kme in ("kme-a", "kme-b")] == [32, 32]
    own_network.stop("kme-a")
    own_network.start("kme-a")
    wait_for(lambda: all(accounts(own_network, kme)[0]["voided"] == 32 for kme in ("kme-a", "kme-b")))


def test_keys_that_nobody_fetches_expire(tmp_path: Path) -> None:
    with running(tmp_path, keys="lifetime_seconds = 1") as brief:
        brief.fill(1000)
        keys = keys_of(brief.enc())
        wait_for(lambda: accounts(brief, "kme-b")[0]["expired"] == 32)
        assert "not found" in error_of(brief.dec(list(keys)), 400)["message"]


# --- the interface between KMEs


def test_only_the_kme_at_the_other_end_of_a_link_is_answered(network: Running) -> None:
    body = {"reservations": []}
    assert post(network, "kme kme-a", f"{LINK}/reservations", body).status_code == 200
    for bearer, link in (
        ("sae bob", LINK),
        ("sae kme-a", LINK),
        ("kme kme-x", LINK),
        ("kme kme-a", "link-xy"),
        ("kme kme-b", LINK),
    ):
        error_of(post(network, bearer, f"{link}/reservations", body), 401)


def test_a_reservation_that_the_other_end_may_not_make_is_not_accepted(network: Running) -> None:
    for changes in (
        {"pool": 1, "segments": [[1, 60_000, 32]]},  # this end's own
        {"master": "bob"},
        {"master": "nobody"},
        {"slaves": ["alice"]},
        {"slaves": ["bob", "bob"]},
        {"segments": [[1, 9000, 31]]},
        {"segments": [[77, 0, 32]]},
        {"segments": [[1, 1 << 61, 32]]},
    ):
        answer = post(network, "kme kme-a", f"{LINK}/reservations", {"reservations": [reservation(**changes)]})
        assert (answer.status_code, answer.json()) == (200, {"accepted": []}), changes


@pytest.mark.parametrize(
    "changes",
    [{"pool": 2}, {"id": "x"}, {"key_ids": []}, {"key_bytes": 0}, {"slaves": []}, {"master": "a b"},
     {"segments": [[1, 2]]}, {"segments": [[1, -1, 32]]}, {"lifetime_seconds": 0}, {"lifetime_seconds": "1"},
     {"more": 1}],
)  # fmt: skip
def test_malformed_messages_between_kmes_are_bad_requests(network: Running, changes: dict[str, Any]) -> None:
    body = {"reservations": [reservation(**changes)]}
    error_of(post(network, "kme kme-a", f"{LINK}/reservations", body), 400)


def test_challenges_go_one_way_and_have_their_length(network: Running) -> None:
    error_of(post(network, "kme kme-a", f"{LINK}/blocks", {"challenges": [{"sequence": 1, "challenge": "AAAA"}]}), 400)
    error_of(post(network, "kme kme-a", f"{LINK}/blocks", {"challenges": [{"sequence": 1, "challenge": "!"}]}), 400)
    absent = {"challenges": [{"sequence": 999, "challenge": "A" * 42 + "=="}]}
    error_of(post(network, "kme kme-a", f"{LINK}/blocks", absent), 400)
    client = network.client("kme kme-b", "kme-a")
    path = f"https://{network.pair.config('kme-a').peer_listen}/peer/v1/links/{LINK}/blocks"
    error_of(client.post(path, json={"challenges": []}), 400)


def test_nothing_is_said_to_who_is_not_the_peer(own_network: Running) -> None:
    pair = own_network.pair
    context = pair.context(Identity("kme", "kme-a"))
    connection = Connection(pair.config("kme-b").peer_listen, "kme-c", context)
    with pytest.raises(PeerAbsent, match="is not KME kme-c"):
        connection.post("/", {})
    with pytest.raises(PeerAbsent, match="cannot be reached"):
        Connection(Address("127.0.0.1", 1), "kme-b", context).post("/", {})
    good = Connection(pair.config("kme-b").peer_listen, "kme-b", context)
    with pytest.raises(PeerSilent):
        good.post("/nowhere", {})
    good.close()


def test_a_connection_may_have_any_number_among_a_processs_files() -> None:
    """`select` knows 1024 of them: with as many encryptors connected, a link was lost for good."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    one, other = socket.socketpair()
    high = socket.socket(fileno=fcntl.fcntl(one, fcntl.F_DUPFD, 1024))
    try:
        assert high.fileno() >= 1024
        assert not Connection._ended(high)
        other.close()
        assert Connection._ended(high)
    finally:
        for each in (one, other, high):
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_an_answer_without_end_is_none(own_network: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = own_network.pair
    peer = Connection(pair.config("kme-b").peer_listen, "kme-b", pair.context(Identity("kme", "kme-a")))
    deep = b"[" * 100_000
    monkeypatch.setattr("http.client.HTTPResponse.read", lambda self, size: deep)
    with pytest.raises(PeerSilent):
        peer.post(f"/peer/v1/links/{LINK}/voids", {"reservations": list[Any]()})
    peer.close()


# --- starting


def test_a_kme_that_says_it_hangs_up_is_called_again(own_network: Running) -> None:
    pair = own_network.pair
    peer = Connection(pair.config("kme-b").peer_listen, "kme-b", pair.context(Identity("kme", "kme-a")))
    path, asked = f"/peer/v1/links/{LINK}/voids", {"reservations": list[Any]()}
    real = peer._connect()
    # What http.client does with its socket at an answer with `Connection: close`, as that of a KME that ends.
    real.close()
    assert real.sock is None
    assert peer.post(path, asked) == {"voided": [], "used": []}
    peer.close()


STARTING = """
import sys
from kronborg.cli import main
from kronborg.network.key_pools import KeyPools

check = KeyPools.check

def slow(self):
    print("checks", flush=True)
    sys.stdin.readline()
    check(self)

KeyPools.check = slow
sys.exit(main(["kme", sys.argv[1]]))
"""


def test_a_kme_that_is_told_to_read_its_files_while_it_starts_does_so_then(tmp_path: Path) -> None:
    """It was ended by that, and by systemd not started again."""
    pair = make_pair(tmp_path / "pair")
    file = pair.files["kme-a"]
    command = [sys.executable, "-c", STARTING, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as kme:
        assert kme.stdin is not None
        assert kme.stdout is not None
        assert kme.stderr is not None
        kme.stdout.readline()
        limits = Path(f"/proc/{kme.pid}/limits").read_text()
        kme.send_signal(signal.SIGHUP)
        file.write_text(file.read_text() + '\n[[sae]]\nid = "eve"\nkme = "kme-b"\n')
        kme.stdin.write(b"\n")
        kme.stdin.flush()
        while line := kme.stderr.readline():
            if b"configuration reloaded" in line:
                break
        kme.send_signal(signal.SIGTERM)
        said = line + kme.stderr.read()
    assert (b"configuration reloaded" in said, kme.returncode) == (True, 0)
    # What it knows is in no image of its memory either.
    assert re.search(r"Max core file size +0 +0 ", limits)


def test_a_peer_that_goes_with_a_message_in_its_hands_may_have_had_it(
    own_network: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To use the material again would be wrong: the other end may have set it aside."""
    pair = own_network.pair
    peer = Connection(pair.config("kme-b").peer_listen, "kme-b", pair.context(Identity("kme", "kme-a")))
    path, asked = f"/peer/v1/links/{LINK}/voids", {"reservations": list[Any]()}
    peer.post(path, asked)
    # Its hanging up is noticed only once the message is on its way.
    monkeypatch.setattr(Connection, "_ended", lambda *_: False)
    own_network.stop("kme-b")
    with pytest.raises(PeerSilent):
        peer.post(path, asked)
    with pytest.raises(PeerAbsent):
        peer.post(path, asked)


def test_keys_whose_time_is_over_before_their_peer_is_given_up_are_void_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, keys="lifetime_seconds = 1") as network:
        network.fill(20_000)

        async def absent(made: Reservation) -> None:
            while not accounts(network, "kme-a")[0]["voided"]:
                await asyncio.sleep(0.05)
            raise PeerAbsent("it cannot be reached")

        monkeypatch.setattr(network.kmes["kme-a"].service._channels[LINK], "reserve", absent)
        assert "cannot be reached" in error_of(network.enc(), 503)["message"]
        monkeypatch.undo()
        # The other end hears of it, and both have what they had but for this key.
        wait_for(lambda: accounts(network, "kme-b")[0]["voided"] == 32)
        assert accounts(network, "kme-a")[0] == accounts(network, "kme-b")[0]
        assert len(keys_of(network.enc())) == 1


def test_a_store_serves_one_kme(own_network: Running) -> None:
    with pytest.raises(InputError, match="another KME serves from the key store"):
        Kme(own_network.pair.config("kme-a"))


def test_a_damaged_store_does_not_start(tmp_path: Path) -> None:
    with running(tmp_path) as network:
        network.fill(1000)
        network.end()
        database = network.pair.config("kme-a").store.open()
        database.rows("UPDATE chunk SET sum = sum + 1")
        database.close()
        with pytest.raises(InputError, match=r"fails its integrity check .* move it away"):
            Kme(network.pair.config("kme-a"))


def test_a_store_that_is_damaged_while_it_serves_serves_no_more(own_network: Running) -> None:
    database = own_network.pair.config("kme-a").store.open()
    database.rows("UPDATE chunk SET sum = sum + 1 WHERE pool = 0")
    database.close()
    for _ in range(2):
        assert error_of(own_network.enc(), 503)["message"] == "the key store is damaged: ask the operator"
    error_of(own_network.client("alice", "kme-a").get("/api/v1/keys/bob/status"), 503)
    sound = own_network.kmes["kme-a"].metrics.registry.get_sample_value("kronborg_kme_store_sound")
    assert sound == 0


def test_a_port_that_is_taken_is_said_with_its_key(own_network: Running, tmp_path: Path) -> None:
    pair = own_network.pair
    text = pair.files["kme-a"].read_text().replace("kme-a.sqlite", "other.sqlite")
    pair.files["kme-a"].write_text(text)
    with pytest.raises(InputError, match=r"kme-a.toml: \[kme\] listen: cannot listen at 127.0.0.1"):
        Kme(pair.config("kme-a"))


def test_a_certificate_that_nobody_would_take_is_said_at_the_start(
    own_network: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = own_network.pair
    make_pair(tmp_path / "other")
    text = pair.files["kme-a"].read_text()
    theirs = text.replace('certificate = "pki', 'certificate = "other/pki').replace('key = "pki', 'key = "other/pki')
    for wrong in (theirs, text.replace("pki/ca.pem", "pki/kme-kme-b.pem")):
        pair.files["kme-a"].write_text(wrong)
        with pytest.raises(InputError, match=r"kme-kme-a.pem was not issued by an authority in .*: nobody here"):
            Kme(pair.config("kme-a"))
    pair.files["kme-a"].write_text(text)

    class Later(datetime):
        @classmethod
        def now(cls, zone: Any = None) -> datetime:
            return datetime.now(zone) + timedelta(days=91)

    monkeypatch.setattr("kronborg.network.certificates.datetime", Later)
    with pytest.raises(InputError, match=r"kme-kme-a.pem is valid from .* alone: `kronborg ca renew`"):
        Kme(pair.config("kme-a"))


def test_threads_end_with_their_kme(tmp_path: Path) -> None:
    before = threading.active_count()
    with running(tmp_path) as network:
        network.fill(1000)
        keys_of(network.enc())
    wait_for(lambda: threading.active_count() <= before)


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_costs_keys_at_most(
    own_network: Running, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    real = time.time
    keys = keys_of(own_network.enc(number=3))
    before = accounts(own_network, "kme-b")[0]
    # Both KMEs are in this process: both clocks jump, and not at the same moment of what is under way.
    monkeypatch.setattr("kronborg.network.kme.service.time.time", lambda: real() + jump)
    if jump > 0:
        wait_for(lambda: accounts(own_network, "kme-b")[0]["expired"] == before["reserved"] == 96)
        assert "not found" in error_of(own_network.dec(list(keys)), 400)["message"]
    else:
        assert keys_of(own_network.dec(list(keys))) == keys
        assert "not found" in error_of(own_network.dec(list(keys)), 400)["message"]
    again = keys_of(own_network.enc(number=3))
    monkeypatch.undo()
    assert not set(again.values()) & set(keys.values())
    if jump < 0:
        # Made in the past, they are too old now.
        assert "not found" in error_of(own_network.dec(list(again)), 400)["message"]
    else:
        assert keys_of(own_network.dec(list(again))) == again
