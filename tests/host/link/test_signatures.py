"""A link that begins without a secret: signatures until its first key, and no way back to them."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kronborg.errors import InputError
from kronborg.link import messages
from kronborg.link.channel import HEADER, MAGIC, SIGNED, Channel
from kronborg.link.key_pool import ChannelError, KeyPool
from kronborg.link.signatures import SIGNATURE_BYTES, SigningKeys, make_signing_key

Keys = dict[str, SigningKeys]
SECRET = bytes(range(256)) * 8


class Ends:
    """Alice's channel and Bob's, and an attacker between them who passes Alice's messages on by hand."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.pools = KeyPool(folder / "a", "alice"), KeyPool(folder / "b", "bob")
        self.keys = keys
        self.open: list[Channel | socket.socket] = []
        self.connect()

    def connect(self, hers: str | None = "alice", his: str | None = "bob") -> None:
        self.close()
        mine, self.from_alice = socket.socketpair()
        self.to_bob, yours = socket.socketpair()
        self.alice = Channel(mine, self.pools[0], 5.0, self.keys[hers] if hers else None)
        self.bob = Channel(yours, self.pools[1], 5.0, self.keys[his] if his else None)
        self.open = [self.alice, self.bob, self.from_alice, self.to_bob]

    def close(self) -> None:
        for each in self.open:
            each.close()

    def say(self, message: messages.Message, alter: Callable[[bytes], bytes] = lambda message: message) -> bytes:
        """Alice says it; returns the message as it was, and Bob gets it as it is after `alter`."""
        self.alice.send(message)
        header = self._take(HEADER.size)
        magic, _, _, length, _ = HEADER.unpack(header)
        said = header + self._take(length + (SIGNATURE_BYTES if magic == SIGNED else 16))
        self.to_bob.sendall(alter(said))
        return said

    def greet(self) -> bytes:
        """Greetings, each end with the other's nonce; returns Alice's."""
        said = self.say(messages.AliceHello("link", self.alice.nonce, 0, 0, 1.0, 1.0))
        assert isinstance(self.bob.receive(), messages.AliceHello)
        self.bob._peers_nonce, self.alice._peers_nonce = self.alice.nonce, self.bob.nonce
        return said

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self.from_alice.recv(count - len(data))
        return data


@pytest.fixture
def ends(tmp_path: Path, signing_keys: Keys) -> Iterator[Ends]:
    made = Ends(tmp_path, signing_keys)
    yield made
    made.close()
    for pool in made.pools:
        pool.__exit__(None, None, None)


def test_signed_messages_arrive_and_take_nothing_from_the_pool(ends: Ends) -> None:
    said = ends.greet()
    assert said[:2] == SIGNED
    for index in range(5):
        ends.say(messages.Decoded(index, True))
        assert ends.bob.receive() == messages.Decoded(index, True)
    assert ends.alice.signed
    assert ends.bob.peer_signs
    assert ends.bob.traffic.signatures == ends.bob.traffic.messages == 6
    assert ends.bob.traffic.forgery_probability == 0  # of tags; signatures are another assumption
    assert not any(pool.begun for pool in ends.pools)


@pytest.mark.parametrize("place", [2, 3, 8, 16, HEADER.size, HEADER.size + 20, -1, -SIGNATURE_BYTES])
def test_a_signed_message_that_was_changed_anywhere_ends_the_connection(ends: Ends, place: int) -> None:
    ends.greet()

    def flip(said: bytes) -> bytes:
        changed = bytearray(said)
        changed[place] ^= 1
        return bytes(changed) + bytes(4)  # a length that grew does not wait for more

    ends.say(messages.Refused("a reason long enough to be changed"), flip)
    ends.to_bob.shutdown(socket.SHUT_WR)
    with pytest.raises(ChannelError):
        ends.bob.receive()


def test_a_stranger_with_another_key_is_not_alice(ends: Ends) -> None:
    ends.connect(hers="stranger")
    ends.say(messages.AliceHello("link", ends.alice.nonce, 0, 0, 1.0, 1.0))
    with pytest.raises(ChannelError, match="wrong signature"):
        ends.bob.receive()


def test_what_was_signed_on_another_connection_is_refused(ends: Ends) -> None:
    """A greeting that is played again is taken for one, but nothing can follow it."""
    greeting = ends.greet()
    later = ends.say(messages.Done())
    ends.bob.receive()
    ends.connect()
    ends.to_bob.sendall(greeting)
    assert isinstance(ends.bob.receive(), messages.AliceHello)
    assert ends.bob.peer_signs
    ends.to_bob.sendall(later)
    with pytest.raises(ChannelError, match="wrong signature"):
        ends.bob.receive()


def test_what_was_signed_on_this_connection_is_refused_a_second_time_or_out_of_turn(ends: Ends) -> None:
    ends.greet()
    first = ends.say(messages.Decoded(1, True))
    ends.bob.receive()
    ends.to_bob.sendall(first)
    with pytest.raises(ChannelError, match="replayed"):
        ends.bob.receive()

    ends.connect()
    ends.greet()
    ends.say(messages.Decoded(1, True), lambda said: b"")
    ends.say(messages.Decoded(2, True))
    with pytest.raises(ChannelError, match="left out"):
        ends.bob.receive()


def test_a_first_message_that_is_not_number_nought_is_refused(ends: Ends) -> None:
    ends.alice._sent = 3
    ends.say(messages.AliceHello("link", ends.alice.nonce, 0, 0, 1.0, 1.0))
    with pytest.raises(ChannelError, match="left out"):
        ends.bob.receive()


def test_an_ends_own_message_does_not_come_back_as_the_other_ends(ends: Ends, signing_keys: Keys) -> None:
    """The signature's context says whose message it is, even where both ends had the same key."""
    ends.greet()
    data = b"message"
    signature = signing_keys["alice"].sign("alice", data)
    assert signing_keys["bob"].is_signed("alice", signature, data)
    assert not signing_keys["bob"].is_signed("bob", signature, data)
    assert not signing_keys["bob"].is_signed("alice", signature[:-1], data)


@pytest.mark.parametrize("begun", ["with a secret", "with a key of the other end's"])
def test_once_one_time_keys_have_begun_signatures_are_refused(ends: Ends, begun: str) -> None:
    """Alice's pool was lost, or someone can forge signatures by now: Bob does not step back."""
    pool = ends.pools[1]
    if begun == "with a secret":
        pool.share(SECRET)
    else:
        pool.feed(1, SECRET)
        pool.settle(1)
        pool.use_up(0)
    ends.connect()
    assert not ends.bob._signs
    ends.say(messages.AliceHello("link", ends.alice.nonce, 0, 0, 1.0, 1.0))
    with pytest.raises(ChannelError, match="one-time keys have begun"):
        ends.bob.receive()


def test_a_pool_that_ran_dry_does_not_step_back_to_signatures(ends: Ends) -> None:
    pool = ends.pools[0]
    pool.feed(1, SECRET)
    pool.settle(1)
    while pool.left("alice"):
        pool.take()
    ends.connect()
    with pytest.raises(ValueError, match="is dry"):
        ends.alice.send(messages.Done())


def test_on_one_connection_nobody_changes_the_way_of_signing(ends: Ends) -> None:
    for pool in ends.pools:
        pool.feed(1, SECRET)  # known to both, and not settled at Alice's end: she signs
    ends.connect()
    ends.greet()
    ends.pools[0].settle(1)
    ends.pools[0].take()  # the next one has the number that Bob waits for
    ends.alice._signs = False
    assert ends.say(messages.Done())[:2] == MAGIC
    with pytest.raises(ChannelError, match="not the one that follows"):
        ends.bob.receive()


def test_an_end_that_was_given_no_key_says_so(ends: Ends) -> None:
    ends.connect(his=None)
    ends.say(messages.AliceHello("link", ends.alice.nonce, 0, 0, 1.0, 1.0))
    with pytest.raises(ChannelError, match="not given its public one"):
        ends.bob.receive()


def test_a_key_file_is_for_its_owner_and_never_written_over(tmp_path: Path) -> None:
    fingerprint = make_signing_key(tmp_path / "north")
    assert len(fingerprint.replace(" ", "")) == 64
    assert stat.S_IMODE((tmp_path / "north.key").stat().st_mode) == 0o600
    assert "PRIVATE" not in (tmp_path / "north.pub").read_text()
    with pytest.raises(InputError, match="not written over"):
        make_signing_key(tmp_path / "north")
    with pytest.raises(InputError, match="cannot write"):
        make_signing_key(tmp_path / "nowhere" / "north")


def test_files_that_are_no_keys_are_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("north", "south"):
        make_signing_key(tmp_path / name)
    own, peer = tmp_path / "north.key", tmp_path / "south.pub"
    SigningKeys.load(own, peer)
    (tmp_path / "junk").write_text("junk")
    for private, public, said in (
        (tmp_path / "none", peer, "cannot read"),
        (own, tmp_path / "none", "cannot read"),
        (own, tmp_path / "junk", "ML-DSA-87"),
        (peer, own, "ML-DSA-87"),
        (own, tmp_path / "north.pub", "this end's own"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            SigningKeys.load(private, public)
        assert "\n" not in str(caught.value)
        assert "PRIVATE" not in str(caught.value)
