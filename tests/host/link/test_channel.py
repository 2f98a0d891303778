"""The signed channel: what an attacker between the ends can do ends the connection, and nothing is acted upon."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kronborg.errors import ProtocolError
from kronborg.link import messages, wire
from kronborg.link.channel import HEADER, NONCE_BYTES, TAG_BYTES, Channel, Disconnected, forgery_probability
from kronborg.link.key_pool import ChannelError, KeyPool

SECRET = bytes(i * 11 % 256 for i in range(1 << 14))


class Ends:
    """Both ends of one connection, and what went over the wire, one item a message of Alice's."""

    def __init__(self, folder: Path, *, secrets: tuple[bytes, bytes] = (SECRET, SECRET)) -> None:
        self.pools = KeyPool(folder / "a", "alice"), KeyPool(folder / "b", "bob")
        for pool, secret in zip(self.pools, secrets, strict=True):
            pool.share(secret)
        self.connect()

    def connect(self) -> None:
        # What Alice sends can be changed on its way; what Bob sends goes straight.
        hers, self.from_alice = socket.socketpair()
        self.to_bob, his = socket.socketpair()
        self.alice, self.bob = Channel(hers, self.pools[0], 5.0), Channel(his, self.pools[1], 5.0)
        self.said: list[bytes] = []

    def greet(self) -> None:
        """Each with the other's nonce, the greetings passed on by hand."""
        self.alice.send(messages.AliceHello("link", self.alice.nonce, 0, 0, 1.0, 1.0))
        self.pass_on()
        assert isinstance(self.bob.receive(), messages.AliceHello)
        self.bob._peers_nonce, self.alice._peers_nonce = self.alice.nonce, self.bob.nonce

    def pass_on(self, alter: Callable[[bytes], bytes] = lambda message: message) -> bytes:
        """One message of Alice's, as the attacker lets it through."""
        header = self._take(HEADER.size)
        message = header + self._take(HEADER.unpack(header)[3] + TAG_BYTES)
        self.said.append(message)
        self.to_bob.sendall(alter(message))
        return message

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self.from_alice.recv(count - len(data))
        return data

    def close(self) -> None:
        for each in (self.alice, self.bob, self.from_alice, self.to_bob, *self.pools):
            if isinstance(each, KeyPool):
                each.__exit__(None, None, None)
            else:
                each.close()


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    made = Ends(tmp_path)
    yield made
    made.close()


def test_messages_arrive_whole_and_in_order(ends: Ends) -> None:
    ends.greet()
    for index in range(20):
        ends.alice.send(messages.Decoded(index, bool(index % 2)))
        ends.pass_on()
        assert ends.bob.receive() == messages.Decoded(index, bool(index % 2))
    assert ends.bob.traffic.messages == ends.alice.traffic.messages == 21
    assert ends.bob.traffic == ends.alice.traffic
    assert 0 < ends.bob.traffic.forgery_probability < 1e-25


def test_real_greetings_bind_both_nonces(tmp_path: Path) -> None:
    alice_socket, bob_socket = socket.socketpair()
    pools = KeyPool(tmp_path / "a", "alice"), KeyPool(tmp_path / "b", "bob")
    for pool in pools:
        pool.share(SECRET)
    alice, bob = Channel(alice_socket, pools[0], 5.0), Channel(bob_socket, pools[1], 5.0)
    hello = messages.AliceHello("link", alice.nonce, 0, 0, 1.0, 1.0)
    thread = threading.Thread(target=lambda: bob.greet(messages.BobHello("link", bob.nonce, 0, 0)))
    thread.start()
    answer = alice.greet(hello)
    thread.join()
    assert isinstance(answer, messages.BobHello)
    assert answer.nonce == bob.nonce == alice._peers_nonce
    assert bob._peers_nonce == alice.nonce
    assert len(alice.nonce) == NONCE_BYTES
    thread = threading.Thread(target=lambda: bob.send(messages.Done()) if bob.receive() else None)
    thread.start()
    assert alice.ask(messages.SumsRequest()) == messages.Done()
    thread.join()
    for each in (alice, bob):
        each.close()


def flip(place: int, bit: int = 1) -> Callable[[bytes], bytes]:
    def alter(message: bytes) -> bytes:
        changed = bytearray(message)
        changed[place] ^= bit
        return bytes(changed)

    return alter


# Every byte but those of the length: a longer one waits for bytes that never come, see below.
PLACES = [place for place in range(HEADER.size + 5 + TAG_BYTES) if not 5 <= place < 12]


@pytest.mark.parametrize("place", PLACES)
def test_no_byte_can_be_changed(ends: Ends, place: int) -> None:
    ends.greet()
    ends.alice.send(messages.Decoded(3, True))
    ends.pass_on(flip(place))
    if place == 4:  # a length of 4 instead of 5: the tag is cut out of the wrong place
        ends.to_bob.close()
    with pytest.raises(ChannelError):
        ends.bob.receive()


def test_a_length_beyond_any_message_is_refused_before_memory_is_taken(ends: Ends) -> None:
    ends.greet()
    ends.alice.send(messages.Done())
    ends.pass_on(flip(11, 0x80))
    with pytest.raises(ChannelError, match="longer than any"):
        ends.bob.receive()


@pytest.mark.parametrize("kept", [1, HEADER.size - 1, HEADER.size, HEADER.size + 3, HEADER.size + 5 + TAG_BYTES - 1])
def test_a_message_that_is_cut_short_is_none(ends: Ends, kept: int) -> None:
    ends.greet()
    ends.alice.send(messages.Decoded(3, True))
    ends.pass_on(lambda message: message[:kept])
    ends.to_bob.close()
    with pytest.raises(Disconnected, match="has gone"):
        ends.bob.receive()


def test_a_message_that_comes_twice_is_refused(ends: Ends) -> None:
    ends.greet()
    ends.alice.send(messages.Decoded(3, True))
    ends.pass_on(lambda message: message + message)
    assert ends.bob.receive() == messages.Decoded(3, True)
    with pytest.raises(ChannelError, match="replayed"):
        ends.bob.receive()


def test_messages_in_another_order_or_one_that_is_missing_are_refused(ends: Ends) -> None:
    ends.greet()
    ends.alice.send(messages.Decoded(1, True))
    ends.alice.send(messages.Decoded(2, True))
    ends.pass_on(lambda message: b"")
    ends.pass_on(lambda message: message + ends.said[-2])
    with pytest.raises(ChannelError, match="left out"):
        ends.bob.receive()


def test_nothing_of_an_older_connection_serves_in_a_new_one_even_if_it_never_arrived(ends: Ends) -> None:
    ends.greet()
    ends.alice.send(messages.Decoded(1, True))
    withheld = ends.pass_on(lambda message: b"")
    for each in (ends.alice, ends.bob, ends.from_alice, ends.to_bob):
        each.close()
    ends.connect()
    # The attacker lets the greeting of the new connection wait and sends the old message after one of its own place.
    ends.alice.send(messages.AliceHello("link", ends.alice.nonce, 0, 0, 1.0, 1.0))
    ends.pass_on(lambda message: withheld)
    with pytest.raises(ChannelError, match="wrong tag"):
        ends.bob.receive()


def test_an_old_greeting_that_arrived_is_refused(ends: Ends) -> None:
    ends.greet()
    greeting = ends.said[0]
    for each in (ends.alice, ends.bob, ends.from_alice, ends.to_bob):
        each.close()
    ends.connect()
    ends.to_bob.sendall(greeting)
    with pytest.raises(ChannelError, match="used before"):
        ends.bob.receive()


def test_ends_with_different_secrets_do_not_talk(tmp_path: Path) -> None:
    made = Ends(tmp_path, secrets=(SECRET, SECRET[::-1]))
    made.alice.send(messages.AliceHello("link", made.alice.nonce, 0, 0, 1.0, 1.0))
    made.pass_on()
    with pytest.raises(ChannelError, match="different secrets"):
        made.bob.receive()
    made.close()


def test_another_version_and_another_protocol_are_named(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "VERSION", 9)
    ends.alice.send(messages.Done())
    monkeypatch.undo()
    ends.pass_on()
    with pytest.raises(ProtocolError, match="version 9 of the protocol and this one 2: install the same"):
        ends.bob.receive()
    ends.to_bob.sendall(b"GET / HTTP/1.1\r\n\r\n  ")
    with pytest.raises(ProtocolError, match="is that a Kronborg link"):
        ends.bob.receive()


def test_a_peer_that_says_nothing_is_gone(ends: Ends) -> None:
    ends.bob._socket.settimeout(0.05)
    with pytest.raises(Disconnected, match="says nothing"):
        ends.bob.receive()


def test_every_message_has_a_key_of_its_own(ends: Ends) -> None:
    ends.greet()
    for _ in range(10):
        ends.alice.send(messages.Done())
        ends.pass_on()
        ends.bob.receive()
    positions = [HEADER.unpack(message[: HEADER.size])[4] for message in ends.said]
    assert positions == list(range(11))
    tags = {message[-TAG_BYTES:] for message in ends.said}
    assert len(tags) == 11  # ten of them of the same message


def test_the_bound_counts_all_that_is_signed() -> None:
    assert forgery_probability(0) == 8 * 3 / 2**106
    assert forgery_probability(1 << 22) == 8 * ((1 << 18) + 3) / 2**106
