"""No key twice, whatever is killed; both ends hold the same keys at the same places."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from kronborg.errors import InputError, NoKeyError, ProtocolError
from kronborg.link.key_pool import KEY_BYTES, WINDOW, KeyPool

SECRET = bytes(i * 7 % 256 for i in range(64 * 2 * KEY_BYTES))


def pools(folder: Path, secret: bytes = SECRET) -> tuple[KeyPool, KeyPool]:
    both = KeyPool(folder / "a" / "pool", "alice"), KeyPool(folder / "b" / "pool", "bob")
    for pool in both:
        pool.share(secret)
    return both


def test_what_one_end_signs_with_the_other_finds_and_lanes_share_nothing(tmp_path):
    alice, bob = pools(tmp_path)
    seen = set()
    for signer, reader in ((alice, bob), (bob, alice)):
        for expected in range(20):
            position, key = signer.take()
            assert position == expected
            assert len(key) == KEY_BYTES
            assert reader.look_up(position) == key
            reader.use_up(position)
            seen.add(key)
    assert len(seen) == len({SECRET[i : i + 32] for i in range(0, 20 * 64, 32)})


def test_a_key_is_gone_from_the_file_before_it_is_used(tmp_path):
    """Killed right after: the next process goes on behind it, and the file does not hold it any more."""
    secret = bytes(range(64)) * 64
    alice, _ = pools(tmp_path, secret=b"".join(i.to_bytes(32, "big") for i in range(1, 129)))
    position, key = alice.take()
    again = KeyPool(tmp_path / "a" / "pool", "alice")  # while the first still has the file open
    assert again.take()[0] == position + 1
    again.share(secret)  # a pool that has begun takes no second one
    with sqlite3.connect(tmp_path / "a" / "pool") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        kept = {row[0] for row in database.execute("SELECT key FROM one_time_key")}
    assert key not in kept
    assert len(kept) == 128 - 2


def test_positions_that_were_used_are_refused_for_ever_and_later_ones_accepted(tmp_path):
    alice, bob = pools(tmp_path)
    for _ in range(3):
        position, _ = alice.take()  # two of them never arrive
    bob.use_up(position)
    for old in range(position + 1):
        with pytest.raises(ProtocolError, match="used before"):
            KeyPool(tmp_path / "b" / "pool", "bob").look_up(old)
    later, key = alice.take()
    assert bob.look_up(later) == key
    with pytest.raises(ProtocolError, match="far from its turn"):
        bob.look_up(later + WINDOW)
    with pytest.raises(ProtocolError, match="does not have"):
        bob.look_up(64)


def test_a_key_that_was_looked_up_for_a_forgery_still_serves(tmp_path):
    alice, bob = pools(tmp_path)
    position, key = alice.take()
    assert bob.look_up(position) == bob.look_up(position) == key


def test_a_dry_pool_says_so_in_one_line(tmp_path):
    alice, _ = pools(tmp_path)
    for _ in range(64):
        alice.take()
    with pytest.raises(NoKeyError, match="dry") as caught:
        alice.take()
    assert "\n" not in str(caught.value)
    assert alice.left("alice") == 0
    assert alice.left("bob") == 64


def test_what_a_block_feeds_serves_once_the_block_is_settled(tmp_path):
    alice, bob = pools(tmp_path)
    fed = bytes(255 - i % 251 for i in range(10 * 2 * KEY_BYTES))
    alice.feed(1, fed)
    assert alice.left("alice") == 64
    bob.feed(1, fed)
    bob.settle(1)
    assert bob.left("bob") == 74
    for _ in range(74):
        position, key = bob.take()
        # Bob may be ahead by the word that his block is stored: Alice has the keys all the same.
        assert alice.look_up(position) == key
        alice.use_up(position)
    alice.settle(1)
    assert alice.left("alice") == 74


def test_what_a_void_block_would_have_fed_is_void_and_places_stay_the_same(tmp_path):
    alice, bob = pools(tmp_path)
    lost, kept = bytes(10 * 64), bytes(range(64)) * 5
    for _ in range(64):  # nothing but the new keys is left
        bob.use_up(alice.take()[0])
    alice.feed(1, lost)  # Bob was killed before he stored the block
    alice.settle(0)
    alice.feed(1, kept)
    bob.feed(1, kept)
    for pool in (alice, bob):
        pool.settle(1)
    position, key = alice.take()
    assert position == 64
    assert key == kept[:32]
    assert bob.look_up(position) == key


def test_feeding_the_same_block_again_replaces_it(tmp_path):
    alice, _ = pools(tmp_path)
    alice.feed(1, bytes(640))
    alice.feed(1, bytes(128))
    alice.settle(1)
    assert alice.left("alice") == 66


def test_counters_only_rise(tmp_path):
    alice, _ = pools(tmp_path)
    alice.raise_counter("frame", 7)
    alice.raise_counter("frame", 3)
    assert KeyPool(tmp_path / "a" / "pool", "alice").counter("frame") == 7


def test_too_short_a_secret_and_files_that_are_no_pool_are_refused(tmp_path):
    with pytest.raises(InputError, match="too short"):
        KeyPool(tmp_path / "pool", "alice").share(bytes(1023))
    (tmp_path / "text").write_text("a pool" * 1000)
    with pytest.raises(InputError, match="cannot open the pool"):
        KeyPool(tmp_path / "text", "alice")
    with pytest.raises(InputError, match="cannot open the pool"):
        KeyPool(tmp_path, "alice")


def test_the_file_is_its_owners_alone(tmp_path):
    pools(tmp_path)
    assert stat.S_IMODE((tmp_path / "a" / "pool").stat().st_mode) == 0o600
