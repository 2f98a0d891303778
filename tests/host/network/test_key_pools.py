"""Keys from block to delivery, at two ends whose messages get lost."""

import sqlite3
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kronborg.errors import InputError
from kronborg.network.block_check import PAD_BYTES, challenge, equal, halves
from kronborg.network.database import Database, StoreDamaged, StoreError
from kronborg.network.key_pools import KeyPools, KeysNotFound, NotEnoughKey, NotEntitled, Reservation
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg.network.material import CHUNK_BYTES, ITEMS, Conflict, Segment
from kronborg.network.sqlite import SQLite

from .conftest import LINK, fill, random_block

NOW = 1e9
HOUR = 3600.0


def reserve(
    pools: KeyPools, pool: int = 0, number: int = 1, key_bytes: int = 32, slaves: tuple[str, ...] = ("bob",)
) -> Reservation:
    return pools.reserve(
        LINK,
        pool,
        id=str(uuid.uuid4()),
        key_ids=[str(uuid.uuid4()) for _ in range(number)],
        key_bytes=key_bytes,
        master="alice",
        slaves=slaves,
        now=NOW,
        lifetime_seconds=HOUR,
    )


def test_both_ends_make_the_same_keys_of_the_same_place(any_ends: list[Database]) -> None:
    fill(any_ends, [10_000])
    a, b = map(KeyPools, any_ends)
    made = reserve(a, number=3, key_bytes=44)
    b.accept(made, NOW)
    sent = a.deliver_to_master(made.id, NOW)
    fetched = b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)
    assert sent == fetched
    assert b"".join(key.bits for key in sent) == random_block(1, 10_000).key[: 3 * 44]
    for pools in (a, b):
        pools.check()
        assert pools.account(LINK, 0) == {
            "pooled": 4992,
            "ready": 4992 - 132,
            "reserved": 0,
            "delivered": 132,
            "expired": 0,
            "voided": 0,
            "relayed": 0,
        }


def test_the_two_directions_share_no_bit_and_the_pad_becomes_no_key() -> None:
    key = random_block(1, 1001).key
    both = halves(key, 8 * 1001 + 3)
    assert both is not None
    assert b"".join(both) == key[: 1001 - PAD_BYTES - 1]
    assert [len(half) for half in both] == [492, 492]
    assert halves(bytes(17), 8 * 17 + 7) is None
    assert halves(bytes(18), 8 * 18) == (b"\0", b"\0")


def test_a_pool_is_used_to_its_last_byte_over_blocks_and_remainders(any_ends: list[Database]) -> None:
    fill(any_ends, [9001, 116, 18, 5000])
    a, b = map(KeyPools, any_ends)
    total, bits = a.available(LINK, 1), []
    while a.available(LINK, 1):
        made = reserve(a, 1, key_bytes=min(1237, a.available(LINK, 1)))
        b.accept(made, NOW)
        bits += [key.bits for key in a.deliver_to_master(made.id, NOW)]
    pooled = [halves(random_block(i, size).key, 8 * size + 3) for i, size in enumerate([9001, 116, 18, 5000], 1)]
    assert b"".join(bits) == b"".join(both[1] for both in pooled if both)
    assert total == sum(map(len, bits))
    assert b.available(LINK, 1) == 0


def test_too_little_material_makes_no_key_at_all_and_says_how_many_there_are(any_ends: list[Database]) -> None:
    fill(any_ends, [16 + 2 * 100])
    a = KeyPools(any_ends[0])
    with pytest.raises(NotEnoughKey) as caught:
        reserve(a, number=4)
    assert caught.value.available == 3
    assert a.available(LINK, 0) == 100


def test_a_key_is_delivered_once_to_each_end(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made = reserve(a)
    b.accept(made, NOW)
    a.deliver_to_master(made.id, NOW)
    with pytest.raises(KeysNotFound):
        a.deliver_to_master(made.id, NOW)
    b.deliver_to_slave(made.key_ids * 2, master="alice", slave="bob", now=NOW)
    with pytest.raises(KeysNotFound):
        b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)


def test_several_slaves_have_the_same_key_each_once_and_then_it_is_gone(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made = reserve(a, slaves=("bob", "carol"))
    b.accept(made, NOW)
    first = b.deliver_to_slave(made.key_ids, master="alice", slave="carol", now=NOW)
    with pytest.raises(KeysNotFound):
        b.deliver_to_slave(made.key_ids, master="alice", slave="carol", now=NOW)
    assert b.account(LINK, 0)["reserved"] == 32
    assert b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW) == first
    assert b.account(LINK, 0)["reserved"] == 0
    assert any_ends[1].rows("SELECT bits FROM delivery_key") == [(None,)]
    b.check()


def test_a_key_is_for_those_who_were_named(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made, other = reserve(a), reserve(a, slaves=("mallory",))
    b.accept(made, NOW)
    b.accept(other, NOW)
    with pytest.raises(NotEntitled):
        b.deliver_to_slave(made.key_ids, master="alice", slave="mallory", now=NOW)
    with pytest.raises(NotEntitled):
        b.deliver_to_slave([*other.key_ids, *made.key_ids], master="alice", slave="mallory", now=NOW)
    for master, name in (("mallory", made.key_ids[0]), ("alice", str(uuid.uuid4()))):
        with pytest.raises(KeysNotFound):
            b.deliver_to_slave([name], master=master, slave="bob", now=NOW)
    # Nothing of what was refused has been used up.
    assert len(b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)) == 1
    assert len(b.deliver_to_slave(other.key_ids, master="alice", slave="mallory", now=NOW)) == 1


def test_all_or_none_of_several_keys(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made = reserve(a, number=2)
    b.accept(made, NOW)
    with pytest.raises(KeysNotFound):
        b.deliver_to_slave([*made.key_ids, str(uuid.uuid4())], master="alice", slave="bob", now=NOW)
    assert len(b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)) == 2


def test_a_key_that_nobody_fetched_is_erased_when_its_time_is_over(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made = reserve(a)
    b.accept(made, NOW)
    a.deliver_to_master(made.id, NOW)
    assert b.expire(NOW + HOUR - 1) == 0
    with pytest.raises(KeysNotFound):
        b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW + HOUR)
    assert b.expire(NOW + HOUR) == 1
    assert b.account(LINK, 0)["expired"] == 32
    assert any_ends[1].rows("SELECT bits FROM delivery_key") == [(None,)]
    b.check()


def test_a_reservation_that_waited_too_long_is_not_delivered_to_the_master(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a = KeyPools(any_ends[0])
    made = reserve(a)
    with pytest.raises(KeysNotFound):
        a.deliver_to_master(made.id, NOW + HOUR)
    assert a.expire(NOW + HOUR) == 1
    assert [name for name, *_ in a.to_void(LINK)] == [made.id]
    a.check()


def test_a_message_that_comes_twice_counts_once(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made = reserve(a)
    b.accept(made, NOW)
    b.accept(made, NOW)
    assert b.account(LINK, 0)["reserved"] == 32
    b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)
    assert len(b.database.rows("SELECT id FROM delivery_key")) == 1


def test_two_reservations_never_hold_the_same_bits(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made = reserve(a)
    b.accept(made, NOW)
    fields = {name: getattr(made, name) for name in made.__dataclass_fields__}
    for change in ({"id": "x"}, {"id": "x", "key_ids": ("y",)}, {"slaves": ("mallory",)}):
        with pytest.raises(Conflict):
            b.accept(Reservation(**(fields | change)), NOW)
    b.check()


def test_what_the_other_end_never_heard_of_goes_back(any_ends: list[Database]) -> None:
    fill(any_ends, [3 * CHUNK_BYTES])
    a, b = map(KeyPools, any_ends)
    before = a.account(LINK, 0)
    made = reserve(a, number=5, key_bytes=1000)
    a.release(made.id)
    assert a.account(LINK, 0) == before
    a.check()
    again = reserve(a, number=5, key_bytes=1000)
    assert again.segments == made.segments
    b.accept(again, NOW)
    assert a.deliver_to_master(again.id, NOW) == b.deliver_to_slave(again.key_ids, master="alice", slave="bob", now=NOW)


@pytest.mark.parametrize("arrived", ["before", "after", "never"])
def test_a_reservation_without_an_answer_is_void_at_both_ends(any_ends: list[Database], arrived: str) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made = reserve(a)
    if arrived == "before":
        b.accept(made, NOW)
    assert a.abandon_open() == 1
    ((name, pool, segments),) = a.to_void(LINK)
    for _ in range(2):
        b.void(name, LINK, pool, segments, NOW)
    a.close([name])
    assert a.to_void(LINK) == []
    if arrived == "after":
        with pytest.raises(Conflict):
            b.accept(made, NOW)
    with pytest.raises(KeysNotFound):
        a.deliver_to_master(made.id, NOW)
    with pytest.raises(KeysNotFound):
        b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)
    for pools in (a, b):
        assert (pools.account(LINK, 0)["voided"], pools.account(LINK, 0)["ready"]) == (32, 492 - 32)
        pools.check()


def test_what_came_over_one_link_is_not_voided_over_another(any_ends: list[Database]) -> None:
    """Whoever did that had the accounts wrong, and at its next start the store was taken for damaged."""
    fill(any_ends, [2000])
    made = reserve(KeyPools(any_ends[0]))
    slave = KeyPools(any_ends[1])
    slave.accept(made, now=NOW)
    other = KeyBlock("another", 1, 8 * 2000, 1e-10, bytes(2000))
    KeyStore(any_ends[1]).add(other)
    assert slave.compare("another", 1, challenge(other.key, other.bits))
    slave.accept(replace(made, id="r2", link="another", key_ids=("k2",)), now=NOW)
    for link, pool in (("another", 0), (LINK, 1)):
        slave.void(made.id, link, pool, made.segments, NOW)
    slave.check()
    assert slave.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)


def test_names_are_forgotten_when_they_are_of_no_use_and_material_is_not(any_ends: list[Database]) -> None:
    fill(any_ends, [1000])
    a, b = map(KeyPools, any_ends)
    made, open_still = reserve(a), reserve(a)
    b.accept(made, NOW)
    b.accept(open_still, NOW)
    a.deliver_to_master(made.id, NOW)
    b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)
    a.forget(NOW + 2 * HOUR)
    assert [name for (name,) in a.database.rows("SELECT id FROM reservation")] == [open_still.id]
    assert a.database.rows("SELECT * FROM delivery") == []
    b.expire(NOW + HOUR)
    b.forget(NOW + 2 * HOUR)
    assert b.database.rows("SELECT * FROM reservation") == []
    for pools in (a, b):
        pools.check()


# --- blocks at both ends


def test_blocks_that_differ_are_void_at_both_ends(any_ends: list[Database]) -> None:
    for end, seed in zip(any_ends, (1, 2), strict=True):
        KeyStore(end).add(random_block(1, 1000, seed))
    a, b = map(KeyPools, any_ends)
    asked = a.challenge(LINK, 1)
    assert asked is not None
    assert b.compare(LINK, 1, asked) is False
    a.settle_check(LINK, 1, False)
    assert b.compare(LINK, 1, asked) is False
    for end in any_ends:
        assert end.rows("SELECT state, key FROM block") == [("void", None)]
    assert (a.available(LINK, 0), KeyStore(any_ends[0]).last_ready(LINK)) == (0, 1)


def test_a_single_bit_anywhere_is_noticed() -> None:
    rng = np.random.default_rng(7)
    key = rng.bytes(200)
    asked = challenge(key, 1600)
    assert equal(key, 1600, asked)
    for bit in range(0, 1600, 7):
        other = bytearray(key)
        other[bit // 8] ^= 1 << bit % 8
        assert not equal(bytes(other), 1600, asked)
    assert not equal(key, 1600, asked[:-1])


def test_a_challenge_is_kept_since_its_pad_serves_once(any_ends: list[Database]) -> None:
    KeyStore(any_ends[0]).add(random_block(1, 1000))
    a = KeyPools(any_ends[0])
    assert a.challenge(LINK, 1) == a.challenge(LINK, 1)
    assert challenge(bytes(100), 800) != challenge(bytes(100), 800)


def test_a_block_that_has_not_come_is_asked_for_again(any_ends: list[Database]) -> None:
    KeyStore(any_ends[0]).add(random_block(1, 1000))
    a, b = map(KeyPools, any_ends)
    asked = a.challenge(LINK, 1)
    assert asked is not None
    assert b.compare(LINK, 1, asked) is None
    KeyStore(any_ends[1]).add(random_block(1, 1000), pending=True)
    assert b.compare(LINK, 1, asked) is None
    KeyStore(any_ends[1]).settle(LINK, 1)
    assert b.compare(LINK, 1, asked) is True
    assert b.compare(LINK, 1, asked) is True
    assert b.compare(LINK, 1, bytes(32)) is False
    assert a.blocks_to_check(LINK) == [1]


def test_a_lost_answer_is_made_good_by_the_first_reservation(any_ends: list[Database]) -> None:
    for end in any_ends:
        KeyStore(end).add(random_block(1, 1000))
    a, b = map(KeyPools, any_ends)
    asked = a.challenge(LINK, 1)
    assert asked is not None
    assert b.compare(LINK, 1, asked)
    made = reserve(b, 1)
    a.accept(made, NOW)
    assert a.available(LINK, 1) == 492 - 32
    a.settle_check(LINK, 1, True)
    assert a.available(LINK, 1) == 492 - 32
    a.check()


def test_material_of_a_block_that_was_not_compared_is_not_given(any_ends: list[Database]) -> None:
    fill(any_ends[1:], [1000])
    KeyStore(any_ends[0]).add(random_block(1, 1000))
    a, b = map(KeyPools, any_ends)
    with pytest.raises(Conflict):
        a.accept(reserve(b, 1), NOW)
    assert a.blocks_to_check(LINK) == [1]


def test_a_block_too_small_to_use_is_void(any_ends: list[Database]) -> None:
    KeyStore(any_ends[0]).add(random_block(1, 17))
    a = KeyPools(any_ends[0])
    assert a.challenge(LINK, 1) is None
    assert a.blocks_to_check(LINK) == []


# --- the disk


def files(database: Database) -> bytes:
    assert isinstance(database, SQLite)
    return b"".join(path.read_bytes() for path in database.path.parent.glob(f"{database.path.name}*"))


def test_erased_keys_leave_no_trace_in_the_files(ends: list[Database]) -> None:
    fill(ends, [2 * CHUNK_BYTES])
    a, b = map(KeyPools, ends)
    made = reserve(a, number=20, key_bytes=64)
    b.accept(made, NOW)
    keys = a.deliver_to_master(made.id, NOW)
    b.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)
    rest = random_block(1, 2 * CHUNK_BYTES).key[20 * 64 : 20 * 64 + 24]
    for end in ends:
        end.purge()
        raw = files(end)
        assert rest in raw
        assert not any(key.bits[at : at + 8] in raw for key in keys for at in range(0, 56, 4))


def test_a_damaged_page_is_refused_with_the_way_out(ends: list[Database]) -> None:
    fill(ends, [50_000])
    database = ends[0]
    assert isinstance(database, SQLite)
    database.close()
    raw = bytearray(database.path.read_bytes())
    ((root, page),) = sqlite3.connect(database.path).execute(
        "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'chunk'"
    )
    raw[(root - 1) * page : root * page] = bytes(page)
    database.path.write_bytes(raw)
    again = SQLite(database.path)
    with pytest.raises(StoreDamaged, match="does not serve; move it away and call `kronborg keys restore`") as caught:
        KeyPools(again).check()
    assert "\n" not in str(caught.value)
    again.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE chunk SET bits = zeroblob(length(bits))",
        "UPDATE delivery_key SET bits = zeroblob(length)",
        "DELETE FROM chunk WHERE pool = 1",
        "UPDATE account SET bytes = bytes + 1 WHERE item = 'pooled'",
        "DELETE FROM account",
    ],
)
def test_what_is_not_as_it_was_written_is_refused(ends: list[Database], change: str) -> None:
    fill(ends, [1000])
    a = KeyPools(ends[0])
    made = reserve(a)
    a.check()
    ends[0].rows(change)
    with pytest.raises(StoreDamaged):
        a.check()
    if "zeroblob(length)" in change:
        with pytest.raises(StoreDamaged):
            a.deliver_to_master(made.id, NOW)


def test_a_full_disk_loses_nothing_and_says_so(ends: list[Database]) -> None:
    fill(ends, [8000])
    database = ends[0]
    ((pages,),) = database.rows("PRAGMA page_count")
    database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(InputError, match=r"block 2 of link 'cph-odense' was not stored: .* full"):
        KeyStore(database).add(random_block(2, 100_000))
    a = KeyPools(database)
    with pytest.raises(StoreError, match="full"):
        reserve(a, number=1000, key_bytes=1)
    assert a.account(LINK, 0)["reserved"] == 0
    a.check()


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    SQLite(tmp_path / "keys.sqlite").close()
    with sqlite3.connect(tmp_path / "keys.sqlite") as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(InputError, match="tables are of version 99"):
        SQLite(tmp_path / "keys.sqlite")


def test_what_fails_inside_is_undone_alone(ends: list[Database]) -> None:
    fill(ends, [1000])
    a = KeyPools(ends[0])
    with ends[0].transaction():
        made = reserve(a)
        with pytest.raises(NotEnoughKey):
            reserve(a, number=1000)
        with suppress(ZeroDivisionError), ends[0].transaction():
            reserve(a)
            raise ZeroDivisionError
    assert a.database.rows("SELECT id FROM reservation") == [(made.id,)]
    a.check()


# --- everything together


@pytest.mark.parametrize("seed", range(2))
def test_with_messages_lost_and_repeated_no_bit_is_used_twice_and_all_are_accounted_for(
    any_ends: list[Database], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    fill(any_ends, [int(size) for size in rng.integers(18, 12_000, 4)])
    pools = [KeyPools(end) for end in any_ends]
    master: dict[str, bytes] = {}
    slave: dict[str, bytes] = {}
    late: list[Reservation] = []
    for _ in range(100):
        pool = int(rng.integers(2))
        near, far = pools[pool], pools[1 - pool]
        number, size = int(rng.integers(1, 6)), int(rng.integers(1, 200))
        if number * size > near.available(LINK, pool):
            continue
        made = reserve(near, pool, number, size)
        fate = rng.choice(["served", "refused", "request lost", "answer lost", "late"], p=[0.5, 0.2, 0.1, 0.1, 0.1])
        if fate == "refused":
            near.release(made.id)
            continue
        if fate in ("served", "answer lost"):
            far.accept(made, NOW)
        if fate == "late":
            late.append(made)
        if fate != "served":
            near.abandon(made.id)
            continue
        master |= {key.id: key.bits for key in near.deliver_to_master(made.id, NOW)}
        if rng.random() < 0.7:
            fetched = far.deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)
            slave |= {key.id: key.bits for key in fetched}
    for near, far in (pools, pools[::-1]):
        for name, pool, segments in near.to_void(LINK, 1000):
            far.void(name, LINK, pool, segments, NOW)
            near.close([name])
        far.expire(NOW + HOUR)
    for made in late:
        with pytest.raises(Conflict):
            pools[1 - made.pool].accept(made, NOW)
    assert slave.items() <= master.items()
    assert len(slave) > 20
    for pool in (0, 1):
        accounts = [each.account(LINK, pool) for each in pools]
        assert accounts[0]["ready"] == accounts[1]["ready"]
        assert accounts[0]["voided"] == accounts[1]["voided"]
        assert all(set(account) == set(ITEMS) for account in accounts)
        # Bytes of a pool that were not delivered are those that are accounted for as something else.
        blocks = b"".join(halves(random_block(i, n).key, 8 * n + 3)[pool] for i, n in sizes(any_ends[0]))  # type: ignore[index]
        assert accounts[pool]["pooled"] == len(blocks)
    for each in pools:
        each.check()


def sizes(database: Database) -> list[tuple[int, int]]:
    return [(sequence, bits // 8) for sequence, bits in database.rows("SELECT sequence, bits FROM block")]


def test_segments_say_where_bits_lie(any_ends: list[Database]) -> None:
    fill(any_ends, [116, 1016])
    a = KeyPools(any_ends[0])
    assert reserve(a, key_bytes=60).segments == (Segment(1, 0, 50), Segment(2, 0, 10))
    assert reserve(a, pool=1, key_bytes=50).segments == (Segment(1, 50, 50),)
