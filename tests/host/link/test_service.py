"""Two ends over a real connection: killed at every message, tapped, refused. The link goes on, no key serves twice."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kronborg.errors import NoKeyError, ProtocolError
from kronborg.link import messages, wire
from kronborg.link.channel import HEADER, SIGNED, Channel
from kronborg.link.key_pool import KeyPool, PoolDry
from kronborg.link.light import Tap
from kronborg.link.service import NEXT_FRAME, ONE_TIME_KEYS, SIGNATURES, AliceService, BobService, End
from kronborg.link.signatures import SigningKeys
from kronborg.network.key_store import KeyStore
from kronborg.postprocessing.budget import Epsilons

FRAMES = 4
SECRET = bytes(range(256)) * 64
Opened = Callable[..., End]
pytestmark = pytest.mark.usefixtures("short_code")


class Killed(BaseException):
    """What SIGKILL is to a process: nothing of it runs any more; its files stay as they are."""


class Wire:
    """Counts what is sent and received, and kills an end at a given place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: Counter[str] = Counter()
        self.kill: tuple[str, str, int] | None = None
        self.signed: list[tuple[str, int]] = []
        self.sent: list[messages.Message] = []
        send, receive = Channel.send, Channel.receive
        take = KeyPool.take

        def counted_take(pool):  # type: ignore[no-untyped-def]
            position, key = take(pool)
            self.signed.append((pool.own, position))
            return position, key

        def counted_send(channel, message):  # type: ignore[no-untyped-def]
            self._at(channel, "before")
            send(channel, message)
            self.sent.append(message)
            self._at(channel, "after")

        def counted_receive(channel):  # type: ignore[no-untyped-def]
            message = receive(channel)
            self._at(channel, "received")
            return message

        monkeypatch.setattr(Channel, "send", counted_send)
        monkeypatch.setattr(Channel, "receive", counted_receive)
        monkeypatch.setattr(KeyPool, "take", counted_take)

    def _at(self, channel: Channel, place: str) -> None:
        who = channel._pool.own
        self.events[f"{who} {place}"] += 1
        if self.kill == (who, place, self.events[f"{who} {place}"]):
            channel.close()
            raise Killed


@contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        yield server, server.getsockname()[1]


def bob_service(end: End) -> BobService:
    return BobService(end, FRAMES, 0.02, Epsilons.within(1e-9))


def run(alice: End, bob: BobService, rounds: int) -> list[str]:
    """Both ends until Bob has so many rounds, or one of them is killed or gives up. Returns what they said."""
    said: list[str] = []
    with listening() as (server, port):

        def lead() -> None:
            with suppress(Killed, ProtocolError, TimeoutError, NoKeyError):
                connection, _ = server.accept()
                try:
                    bob.lead(connection, rounds, said.append)
                finally:
                    connection.close()

        thread = threading.Thread(target=lead)
        thread.start()
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        with suppress(Killed, ProtocolError, NoKeyError):
            AliceService(alice).serve(connection, said.append)
        connection.close()
        thread.join()
    return said


def blocks(end: End) -> list[tuple[int, bytes]]:
    with KeyStore(end.store) as store:
        return [(block.sequence, block.key) for block in store.blocks(end.link)]


def pool_rows(end: End) -> dict[tuple[str, int], bytes]:
    rows = end.pool._database.execute("SELECT lane, position, key FROM one_time_key").fetchall()
    return {(lane, position): bytes(key) for lane, position, key in rows}


def test_rounds_leave_the_same_keys_at_both_ends_and_fill_the_pools(open_end: Opened) -> None:
    alice, bob = open_end("alice"), open_end("bob")
    before = bob.pool.left("bob")
    service = bob_service(bob)
    said = run(alice, service, 3)
    assert [done.dropped for done in service.rounds] == ["", "", ""], said
    assert blocks(alice) == blocks(bob)
    assert [sequence for sequence, _ in blocks(bob)] == [1, 2, 3]
    for done, (_, key) in zip(service.rounds, blocks(bob), strict=True):
        assert len(key) == -(-(done.key_bits - done.pool_bits) // 8)
        assert done.pool_bits > 0
        assert dict(done.epsilons)["forged messages (authentication)"] > 0
        assert sum(value for _, value in done.epsilons) == pytest.approx(done.epsilon, rel=1e-12)
    assert pool_rows(alice) == pool_rows(bob)
    assert bob.pool.left("bob") > before
    assert service.forgery_probability < 1e-20


def test_what_feeds_the_pool_is_not_delivered(open_end: Opened) -> None:
    alice, bob = open_end("alice"), open_end("bob")
    run(alice, bob_service(bob), 1)
    delivered = blocks(bob)[0][1]
    for key in pool_rows(bob).values():
        assert key[:16] not in delivered


@pytest.mark.parametrize("part", range(6))
def test_either_end_may_be_killed_at_any_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_end: Opened, part: int
) -> None:
    """After each kill the ends are opened from their files; then one round must work, and all must still agree."""
    tap = Wire(monkeypatch)
    alice, bob = open_end("alice"), open_end("bob")
    service = bob_service(bob)
    run(alice, service, 1)
    who, place = [(who, place) for who in ("alice", "bob") for place in ("before", "after", "received")][part]
    count = tap.events[f"{who} {place}"]
    assert count > 8
    used = set()
    for number in range(1, count + 1):
        tap.events.clear()
        tap.kill = (who, place, number)
        run(alice, bob_service(bob), 1)
        tap.kill = None
        for end in (alice, bob):
            end.pool.__exit__(None, None, None)
        alice, bob = open_end("alice"), open_end("bob")
    keys_before = len(blocks(bob))
    service = bob_service(bob)
    said = run(alice, service, 1)
    assert service.rounds[-1].dropped == "", said
    assert blocks(alice) == blocks(bob)
    assert len(blocks(bob)) == keys_before + 1
    hers, his = pool_rows(alice), pool_rows(bob)
    assert all(his[place] == key for place, key in hers.items() if place in his)
    assert len(set(hers) & set(his)) > 100
    assert len(tap.signed) == len(set(tap.signed))
    emitted = [message.first for message in tap.sent if isinstance(message, messages.Emit)]
    for first in emitted:
        assert first not in used
        used.add(first)


@pytest.fixture
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some keys of the short code are shorter than what a pool begins with."""
    monkeypatch.setattr("kronborg.link.service.FIRST_KEYS", 20)


Keys = dict[str, SigningKeys]


@pytest.mark.usefixtures("small_pool")
def test_without_a_secret_the_first_round_is_signed_and_fills_the_pool(open_end: Opened, signing_keys: Keys) -> None:
    alice, bob = (open_end(name, keys=signing_keys[name]) for name in ("alice", "bob"))
    led, said = bob_service(bob), []
    with listening() as (server, port):
        thread = threading.Thread(target=led.listen, args=(server, 3, said.append))
        thread.start()
        AliceService(alice).run("127.0.0.1", port, said.append)
        thread.join()
    assert [done.authentication for done in led.rounds] == [SIGNATURES, *2 * [ONE_TIME_KEYS]], said
    assert all(done.key_bits > done.pool_bits > 0 for done in led.rounds)
    assert "forged messages (authentication)" not in dict(led.rounds[0].epsilons)
    assert dict(led.rounds[1].epsilons)["forged messages (authentication)"] > 0
    assert blocks(alice) == blocks(bob)
    assert pool_rows(alice) == pool_rows(bob)
    assert sum("no more signatures" in line for line in said) == 1


def test_a_first_key_too_short_for_a_pool_leaves_it_empty_and_rounds_signed(
    monkeypatch: pytest.MonkeyPatch, open_end: Opened, signing_keys: Keys
) -> None:
    monkeypatch.setattr("kronborg.link.service.FIRST_KEYS", 500)
    alice, bob = (open_end(name, keys=signing_keys[name]) for name in ("alice", "bob"))
    led = bob_service(bob)
    run(alice, led, 2)
    assert [(done.authentication, done.pool_bits) for done in led.rounds] == 2 * [(SIGNATURES, 0)]
    assert blocks(alice) == blocks(bob)
    assert not alice.pool.begun


@pytest.mark.usefixtures("small_pool")
@pytest.mark.parametrize(
    ("who", "place"), [("alice", "before"), ("alice", "received"), ("bob", "after"), ("bob", "received")]
)
def test_whoever_is_killed_in_the_first_round_the_pool_begins_with_the_same_keys(
    monkeypatch: pytest.MonkeyPatch, open_end: Opened, signing_keys: Keys, who: str, place: str
) -> None:
    """At the messages that hand the key over."""
    tap = Wire(monkeypatch)

    def both(folder: str) -> tuple[End, End]:
        alice, bob = (open_end(name, keys=signing_keys[name], place=folder) for name in ("alice", "bob"))
        return alice, bob

    run(*((ends := both("whole"))[0], bob_service(ends[1])), 1)
    count = tap.events[f"{who} {place}"]
    last = count - 1 if place != "before" and (who, place) != ("bob", "received") else count  # a goodbye comes after
    for number in (last - 1, last):
        tap.events.clear()
        tap.kill = (who, place, number)
        alice, bob = both(str(number))
        run(alice, bob_service(bob), 1)
        tap.kill = None
        said: list[str] = []
        for _ in range(3):  # a connection may end because the pool has begun
            for end in (alice, bob):
                end.pool.__exit__(None, None, None)
            alice, bob = both(str(number))
            led = bob_service(bob)
            said += run(alice, led, 1)
            if led.rounds and led.rounds[-1].authentication == ONE_TIME_KEYS:
                break
        assert led.rounds[-1].authentication == ONE_TIME_KEYS, said
        assert blocks(alice) == blocks(bob)
        hers, his = pool_rows(alice), pool_rows(bob)
        assert all(his[position] == key for position, key in hers.items() if position in his)


@pytest.mark.usefixtures("small_pool")
def test_an_old_greeting_of_bobs_voids_nothing_at_alices_end(
    monkeypatch: pytest.MonkeyPatch, open_end: Opened, signing_keys: Keys
) -> None:
    """Bob has the first block, and is killed before he says so. Alice's waits; his first greeting knew of none."""
    alice, bob = (open_end(name, keys=signing_keys[name]) for name in ("alice", "bob"))
    ask = Channel.ask

    def killed_before_stored(channel: Channel, message: messages.Message) -> messages.Message:
        if isinstance(message, messages.Stored):
            raise Killed
        return ask(channel, message)

    with monkeypatch.context() as patch:
        patch.setattr(Channel, "ask", killed_before_stored)
        run(alice, bob_service(bob), 1)
    assert (len(blocks(bob)), blocks(alice)) == (1, [])

    code, body = wire.encode(messages.BobHello("link", bytes(16), 0, 0))
    header = HEADER.pack(SIGNED, wire.VERSION, code, len(body), 0)
    with listening() as (server, port):
        connection = socket.create_connection(("127.0.0.1", port))
        forger, _ = server.accept()
        forger.sendall(header + body + signing_keys["bob"].sign("bob", header + body))
        forger.shutdown(socket.SHUT_WR)
        said: list[str] = []
        with pytest.raises(ProtocolError, match="has gone"):
            AliceService(alice).serve(connection, said.append)
        forger.close()
    assert said == ["connected to Bob"]
    run(alice, bob_service(bob), 1)
    assert blocks(alice) == blocks(bob)
    assert blocks(bob)


def test_a_tap_in_mid_run_leaves_no_key_from_that_round_on_and_the_link_alive(open_end: Opened) -> None:
    tap = {"tap": Tap(2 * FRAMES, 0.9)}
    alice, bob = open_end("alice", **tap), open_end("bob", **tap)
    service = bob_service(bob)
    said = run(alice, service, 5)
    assert [bool(done.key_bits) for done in service.rounds] == [True, True, False, False, False]
    for done in service.rounds[2:]:
        assert done.dropped.startswith("no key: ")
        assert "\n" not in done.dropped
    assert len(blocks(alice)) == len(blocks(bob)) == 2
    assert sum("dropped" in line for line in said) >= 3


def test_a_frame_is_never_emitted_twice(open_end: Opened) -> None:
    alice, bob = open_end("alice"), open_end("bob")
    run(alice, bob_service(bob), 1)
    assert alice.pool.counter(NEXT_FRAME) == bob.pool.counter(NEXT_FRAME) == FRAMES
    service = AliceService(alice)
    with pytest.raises(ProtocolError, match="used before"):
        service._emit(messages.Emit(FRAMES - 1, 2))
    with pytest.raises(ProtocolError, match="none is asked for"):
        service._emit(messages.Emit(FRAMES, 0))


def test_what_alice_refuses_drops_the_round_and_not_the_link(open_end: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, spoilt = Channel.ask, []

    def spoil(channel: Channel, message: messages.Message) -> messages.Message:
        if isinstance(message, messages.CodeBlock) and not spoilt:
            spoilt.append(message)
            message = replace(message, syndrome=b"short")
        return ask(channel, message)

    monkeypatch.setattr(Channel, "ask", spoil)
    alice, bob = open_end("alice"), open_end("bob")
    service = bob_service(bob)
    said = run(alice, service, 2)
    assert "Alice refused CodeBlock: block" in service.rounds[0].dropped
    assert service.rounds[1].key_bits > 0
    assert "dropped what was under way" in " ".join(said) or any("round 1 dropped" in line for line in said)
    assert blocks(alice) == blocks(bob)


def test_symbols_that_are_no_numbers_drop_the_round_and_not_the_link(open_end: Opened) -> None:
    alice, bob = open_end("alice"), open_end("bob")
    receive, calls = bob.light.receive, []

    def once_nan(first: int, count: int):  # type: ignore[no-untyped-def]
        frames = dict(receive(first, count))
        if not calls:
            frames[first] = frames[first] * float("nan")
        calls.append(first)
        return frames

    bob.light.receive = once_nan  # type: ignore[method-assign]
    service = bob_service(bob)
    run(alice, service, 2)
    assert "finite" in service.rounds[0].dropped
    assert service.rounds[1].key_bits > 0


def test_a_pool_that_runs_dry_is_said_in_one_line(open_end: Opened) -> None:
    alice, bob = open_end("alice", secret=SECRET[:1024]), open_end("bob", secret=SECRET[:1024])
    for end in (alice, bob):
        end.pool._database.execute("DELETE FROM one_time_key WHERE position >= 5")
    service = bob_service(bob)
    with listening() as (server, port):
        caught: list[BaseException] = []

        def lead() -> None:
            connection, _ = server.accept()
            try:
                service.lead(connection, 1, lambda line: None)
            except (NoKeyError, ProtocolError) as error:
                caught.append(error)

        thread = threading.Thread(target=lead)
        thread.start()
        with suppress(ProtocolError, NoKeyError):
            AliceService(alice).serve(socket.create_connection(("127.0.0.1", port)), lambda line: None)
        thread.join()
    assert isinstance(caught[0], PoolDry | ProtocolError)
    assert "\n" not in str(caught[0])
    assert blocks(bob) == []


@pytest.mark.parametrize("store", ["alice", "bob"])
def test_a_store_of_another_link_is_refused(open_end: Opened, store: str) -> None:
    alice, bob = open_end("alice"), open_end("bob")
    run(alice, bob_service(bob), 1)
    (alice if store == "alice" else bob).store.unlink()
    said = run(alice, bob_service(bob), 1)
    if store == "bob":
        assert blocks(bob) == []
        assert not any("round" in line for line in said)


def test_links_of_different_names_do_not_meet(open_end: Opened) -> None:
    alice, bob = open_end("alice", link="north"), open_end("bob", link="south")
    service = bob_service(bob)
    run(alice, service, 1)
    assert service.rounds == []


def test_a_stranger_at_bobs_door_ends_nothing_but_his_own_connection(open_end: Opened) -> None:
    alice, bob = open_end("alice"), open_end("bob")
    service, said = bob_service(bob), []
    with listening() as (server, port):
        thread = threading.Thread(target=service.listen, args=(server, 1, said.append))
        thread.start()
        for text in (
            b"GET / HTTP/1.1\r\nHost: bob\r\n\r\n",
            b"",
            b"Kb\x07\x01" + bytes(16),
            b"Kb\x01\x01" + b"\xff" * 16,
        ):
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(text)
                stranger.shutdown(socket.SHUT_WR)
                with suppress(ConnectionResetError):
                    while stranger.recv(4096):
                        pass
        AliceService(alice).run("127.0.0.1", port, said.append)
        thread.join()
    assert service.rounds[-1].key_bits > 0
    assert sum("ended:" in line for line in said) == 4


def test_a_stranger_who_says_nothing_does_not_keep_alice_out(open_end: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kronborg.link.channel.GREETING_SECONDS", 0.3)
    alice, bob = open_end("alice"), open_end("bob")
    service, said = bob_service(bob), []
    with listening() as (server, port):
        thread = threading.Thread(target=service.listen, args=(server, 1, said.append))
        thread.start()
        with socket.create_connection(("127.0.0.1", port)):
            while not any("says nothing" in line for line in said):
                thread.join(0.05)
        AliceService(alice).run("127.0.0.1", port, said.append)
        thread.join()
    assert service.rounds[-1].key_bits > 0
