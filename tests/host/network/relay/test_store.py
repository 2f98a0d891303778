"""Relay without its messages: what each step leaves in the stores, and what is lost between them."""

import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kronborg.network.database import Database
from kronborg.network.key_pools import Key, KeysNotFound, NotEnoughKey, Reservation
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg.network.relay import frames
from kronborg.network.relay.frames import TAG_KEY_BYTES, Kind
from kronborg.network.relay.manifest import AnswerManifest, KeysManifest, read, write
from kronborg.network.relay.store import KEYS_SECONDS, Leg, Node, RelayStore, Taken, account_of
from kronborg.network.sqlite import SQLite

NOW = 1e9
Ends = tuple[str, str]
RING: list[Ends] = [("a", "b"), ("b", "c"), ("a", "d"), ("d", "c")]


def own_pool(node: str, peer: str) -> int:
    return 0 if node < peer else 1


class Chain:
    """Stores of nodes, and the frames between them, which a test moves as it likes."""

    def __init__(self, folder: Path, links: Sequence[Ends], size: int = 20_000) -> None:
        self.links = {frozenset(ends): "-".join(ends) for ends in links}
        self.databases: dict[str, Database] = {}
        self.stores: dict[str, RelayStore] = {}
        for name in sorted({name for ends in links for name in ends}):
            self.databases[name] = SQLite(folder / f"{name}.sqlite")
            self.stores[name] = RelayStore(self.databases[name], self.node(name))
        for ends in links:
            self.fill(ends, size)
        self.heard: list[tuple[str, Taken]] = []

    def node(self, name: str) -> Node:
        links = {next(iter(ends - {name})): link for ends, link in self.links.items() if name in ends}
        return Node(name, links, lambda manifest: manifest.slaves[0].endswith(name))

    def fill(self, ends: Ends, size: int, sequence: int = 1) -> None:
        link = self.links[frozenset(ends)]
        key = np.random.default_rng([sequence, *map(ord, link)]).bytes(size)
        for name in ends:
            KeyStore(self.databases[name]).add(KeyBlock(link, sequence, 8 * size, 1e-10, key))
        asked = self.stores[ends[0]].challenge(link, sequence)
        assert asked is not None
        assert self.stores[ends[1]].compare(link, sequence, asked)
        self.stores[ends[0]].settle_check(link, sequence, True)

    def send(
        self, paths: dict[str, list[tuple[str, ...]]], number: int = 2, now: float = NOW, bits: bytes | None = None
    ) -> Reservation:
        origin = next(iter(paths.values()))[0][0]
        bits = bits or np.random.default_rng(number).bytes(32 * number)
        made = Reservation(
            str(uuid.uuid4()), account_of(origin), 0, tuple(str(uuid.uuid4()) for _ in range(number)), 32, (),
            f"sae-{origin}", tuple(f"sae-{kme}" for kme in paths), 60.0, {"hops": 2},
        )  # fmt: skip
        legs = [Leg(kme, (f"sae-{kme}",), tuple(each), bits) for kme, each in paths.items()]
        self.stores[origin].originate(made, bits, legs, now=now)
        return made

    def waiting(self) -> list[tuple[str, str, str, str, bytes]]:
        """Frames in all outboxes: from, to, link, id, body."""
        return [
            (name, peer, link, each.id, each.body)
            for name, store in self.stores.items()
            for peer, link in store.node.links.items()
            for each in store.outbox(link)
        ]

    def move(self, here: str, there: str, link: str, name: str, body: bytes, *, now: float = NOW) -> Taken:
        """One frame, without loss."""
        taken = self.stores[there].receive(link, here, body, now)
        if taken.outcome in ("accepted", "repeated"):
            self.stores[here].taken([name])
        self.heard.append((there, taken))
        return taken

    def move_all(self, now: float = NOW) -> None:
        for _ in range(100):
            waiting = self.waiting()
            if not waiting:
                return
            for each in waiting:
                self.move(*each, now=now)
        raise AssertionError("frames do not come to rest")

    def settle(self, now: float = NOW) -> None:
        """Tell both ends of links what is void."""
        for store in self.stores.values():
            for peer, link in store.node.links.items():
                names = [each for each in store.to_void(link)]
                used = [each for each, pool, places in names if self.stores[peer].void(each, link, pool, places, now)]
                store.close([each for each, *_ in names], used)

    def check(self) -> None:
        """All stores are sound, and both ends of each link say the same of every byte."""
        for store in self.stores.values():
            store.check()
        for ends, link in self.links.items():
            one, other = sorted(ends)
            for pool in (0, 1):
                assert self.stores[one].account(link, pool) == self.stores[other].account(link, pool), (link, pool)

    def fetch(self, made: Reservation, node: str) -> list[Key]:
        return self.stores[node].deliver_to_slave(made.key_ids, master=made.master, slave=f"sae-{node}", now=NOW)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, [("a", "b"), ("b", "c")])
    yield made
    for database in made.databases.values():
        database.close()


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, RING)
    yield made
    for database in made.databases.values():
        database.close()


def test_keys_arrive_and_are_confirmed_and_each_link_pays_for_its_frames(chain: Chain) -> None:
    made = chain.send({"c": [("a", "b", "c")]})
    chain.move_all()
    assert chain.heard[-1] == ("a", Taken("accepted", "", Kind.CONFIRM, made.id, True))
    keys = chain.stores["a"].deliver_to_master(made.id, NOW)
    assert chain.fetch(made, "c") == keys
    assert keys[0].extension == {"hops": 2}
    chain.check()
    for link, (there, back) in {"a-b": (0, 1), "b-c": (0, 1)}.items():
        for store in (chain.stores[name] for name in link.split("-")):
            assert store.account(link, there)["relayed"] == 2 * 32 + TAG_KEY_BYTES
            assert store.account(link, back)["relayed"] == TAG_KEY_BYTES
    for name in "ac":
        account = chain.stores[name].account(account_of("a"), 0)
        assert (account["pooled"], account["delivered"]) == (64, 64)
    assert chain.stores["b"].account(account_of("a"), 0)["pooled"] == 0


def test_keys_wait_no_longer_than_the_kme_of_their_slave_allows(chain: Chain) -> None:
    far = chain.stores["c"]
    far.node = replace(far.node, longest_seconds=10.0)
    made = chain.send({"c": [("a", "b", "c")]})
    chain.move_all()
    assert far.expire(NOW + 11.0) == 1
    with pytest.raises(KeysNotFound):
        chain.fetch(made, "c")


def test_a_node_between_keeps_nothing_of_a_key(chain: Chain) -> None:
    bits = bytes(range(64))
    chain.send({"c": [("a", "b", "c")]}, bits=bits)
    for each in chain.waiting():
        chain.move(*each)
    chain.databases["b"].purge()
    chain.databases["a"].purge()
    for node, found in (("a", True), ("b", False)):
        text = b"".join(path.read_bytes() for path in Path(chain.databases[node].name).parent.glob(f"{node}.sqlite*"))
        assert (bits[:16] in text) == found


def test_two_shares_make_the_keys_and_neither_says_anything_of_them(ring: Chain) -> None:
    bits = bytes(64)
    made = ring.send({"c": [("a", "b", "c"), ("a", "d", "c")]}, bits=bits)
    shares = [read(KeysManifest, frames.parse(body)[0].manifest) for *_, body in ring.waiting()]
    assert sorted(each.share for each in shares) == [0, 1]
    # Each node between sees its share as it is.
    seen = {}
    for here, there, link, name, body in ring.waiting():
        frame, tag = frames.parse(body)
        with suppress(KeyError), ring.databases[there].transaction():
            seen[there] = frames.open_(frame, tag, ring.stores[there]._take(link, frame.pool, frame.segments))
            raise KeyError  # it was only a look
        ring.move(here, there, link, name, body)
    assert seen["b"] != bits != seen["d"]
    assert frames.exclusive_or(seen["b"], seen["d"]) == bits
    ring.move_all()
    assert [key.bits for key in ring.fetch(made, "c")] == [bytes(32)] * 2
    assert ring.stores["a"].arrived(made.id)
    ring.check()


def test_one_share_alone_is_no_key_and_is_erased_in_time(ring: Chain) -> None:
    made = ring.send({"c": [("a", "b", "c"), ("a", "d", "c")]})
    lost = next(each for each in ring.waiting() if each[1] == "d")
    ring.stores["a"].give_up(lost[3], NOW)
    ring.move_all()
    with pytest.raises(KeysNotFound):
        ring.fetch(made, "c")
    assert ring.databases["c"].rows("SELECT COUNT(*) FROM share") == [(1,)]
    ring.stores["c"].expire(NOW + 100)
    assert ring.databases["c"].rows("SELECT COUNT(*) FROM share") == [(0,)]
    ring.settle()
    ring.check()


def test_keys_for_several_kmes_are_ready_when_all_have_them(ring: Chain) -> None:
    made = ring.send({"b": [("a", "b")], "c": [("a", "d", "c")]})
    (first,) = (each for each in ring.waiting() if each[1] == "b")
    ring.move(*first)
    (answer,) = (each for each in ring.waiting() if each[0] == "b")
    assert ring.move(*answer).confirmed is None
    assert not ring.stores["a"].arrived(made.id)
    ring.move_all()
    assert ring.heard[-1][1].confirmed
    assert [key.bits for key in ring.fetch(made, "b")] == [key.bits for key in ring.fetch(made, "c")]


def test_a_frame_that_comes_again_changes_nothing(chain: Chain) -> None:
    chain.send({"c": [("a", "b", "c")]})
    (frame,) = chain.waiting()
    chain.move(*frame)
    before = [chain.stores[name].account(link, pool) for name in "abc" for link in ("a-b", "b-c") for pool in (0, 1)]
    assert chain.move(*frame).outcome == "repeated"
    after = [chain.stores[name].account(link, pool) for name in "abc" for link in ("a-b", "b-c") for pool in (0, 1)]
    assert before == after
    assert len(chain.waiting()) == 1
    # Long after, when its name is forgotten, its material is gone.
    chain.stores["b"].forget(NOW + 1)
    assert chain.move(*frame) == Taken("refused", "material")


def test_a_frame_that_was_changed_is_refused_and_costs_nothing(chain: Chain) -> None:
    chain.send({"c": [("a", "b", "c")]})
    (frame,) = chain.waiting()
    before = chain.stores["b"].account("a-b", 0)
    body = frame[4]
    for at in range(0, 8 * len(body), 7):
        changed = bytearray(body)
        changed[at // 8] ^= 1 << at % 8
        taken = chain.stores["b"].receive("a-b", "a", bytes(changed), NOW)
        assert taken.outcome == "refused", at
        assert taken.reason in ("malformed", "tag", "material", "link", "oversize")
    assert chain.stores["b"].account("a-b", 0) == before
    assert chain.move(*frame).outcome == "accepted"
    changed = bytearray(body)
    changed[-1] ^= 1
    assert chain.stores["b"].receive("a-b", "a", bytes(changed), NOW).reason == "altered"


def test_a_frame_on_the_wrong_link_or_from_the_wrong_side_is_refused(ring: Chain) -> None:
    ring.send({"c": [("a", "b", "c")]})
    (frame,) = ring.waiting()
    assert ring.stores["b"].receive("b-c", "c", frame[4], NOW).reason == "link"
    assert ring.stores["a"].receive("a-b", "b", frame[4], NOW).reason == "link"


def forged(
    chain: Chain, here: str, there: str, kind: Kind, manifest: KeysManifest | AnswerManifest, payload: bytes
) -> Taken:
    """A frame that a node makes of the link's own key, whatever it says."""
    store, link = chain.stores[here], chain.links[frozenset((here, there))]
    pool, size = own_pool(here, there), TAG_KEY_BYTES + len(payload)
    places = store._oldest(link, pool, size)
    frame, tag = frames.seal(kind, link, pool, places, store._take(link, pool, places), write(manifest), payload)
    store._book(link, pool, ready=-size, relayed=size)
    return chain.stores[there].receive(link, here, frame.encode() + tag, NOW)


def manifest(**changes: object) -> KeysManifest:
    made = KeysManifest(
        session=str(uuid.uuid4()), path=["a", "b"], share=0, shares=1, key_ids=[str(uuid.uuid4())], key_bytes=32,
        master="sae-a", slaves=["sae-b"], lifetime_seconds=60.0, extension={},
    )  # fmt: skip
    return made.model_copy(update=changes)


def test_what_a_neighbour_may_not_say_is_refused_though_its_tag_is_right(chain: Chain) -> None:
    assert forged(chain, "a", "b", Kind.KEYS, manifest(), bytes(32)).onward == "a-b"
    for changes, size, reason in (
        ({}, 31, "manifest"),
        ({"share": 1}, 32, "manifest"),
        ({"path": ["c", "b"]}, 32, "path"),
        ({"path": ["b", "a"]}, 32, "path"),
    ):
        assert forged(chain, "a", "b", Kind.KEYS, manifest(**changes), bytes(size)).reason == reason
    answer = AnswerManifest(session=str(uuid.uuid4()), path=["a", "b"])
    assert forged(chain, "a", "b", Kind.CONFIRM, answer, b"x").reason == "manifest"
    assert forged(chain, "a", "b", Kind.KEYS, answer, b"").reason == "manifest"
    assert forged(chain, "a", "b", Kind.CONFIRM, manifest(), b"").reason == "manifest"


def test_keys_that_are_not_for_here_turn_back(chain: Chain) -> None:
    made = manifest(slaves=["sae-z"])
    assert forged(chain, "a", "b", Kind.KEYS, made, bytes(32)).outcome == "accepted"
    ((here, there, _, _, body),) = chain.waiting()
    frame, _ = frames.parse(body)
    assert (here, there, frame.kind) == ("b", "a", Kind.FAIL)
    assert read(AnswerManifest, frame.manifest).stopped == ["b", "b"]


def test_a_name_that_is_taken_turns_back(chain: Chain) -> None:
    one = manifest()
    assert forged(chain, "a", "b", Kind.KEYS, one, bytes(32)).outcome == "accepted"
    other = manifest(key_ids=one.key_ids)
    forged(chain, "a", "b", Kind.KEYS, other, bytes(32))
    kinds = [frames.parse(body)[0].kind for *_, body in chain.waiting()]
    assert kinds == [Kind.CONFIRM, Kind.FAIL]


def test_shares_that_do_not_belong_together_turn_back(ring: Chain) -> None:
    one = manifest(path=["b", "c"], master="sae-b", slaves=["sae-c"], shares=2)
    assert forged(ring, "b", "c", Kind.KEYS, one, bytes(32)).outcome == "accepted"
    for changes in ({"share": 0}, {"share": 1, "key_ids": [str(uuid.uuid4())]}):
        other = one.model_copy(update={"path": ["d", "c"], **changes})
        assert forged(ring, "d", "c", Kind.KEYS, other, bytes(32)).onward == "d-c"
    assert ring.databases["c"].rows("SELECT COUNT(*) FROM delivery_key") == [(0,)]


def test_a_confirmation_counts_from_the_kme_that_the_keys_went_to(chain: Chain) -> None:
    made = chain.send({"c": [("a", "b", "c")]})
    answer = AnswerManifest(session=made.id, path=["b", "a"])
    assert forged(chain, "b", "a", Kind.CONFIRM, answer, b"").confirmed is None
    assert not chain.stores["a"].arrived(made.id)


def spend(chain: Chain, node: str, peer: str) -> None:
    """Leave a node without key to send to a neighbour."""
    store, link, pool = chain.stores[node], chain.links[frozenset((node, peer))], own_pool(node, peer)
    size = store.available(link, pool)
    store._take(link, pool, store._oldest(link, pool, size))
    store._book(link, pool, ready=-size, voided=size)


def test_keys_that_a_node_has_no_key_for_turn_back(chain: Chain) -> None:
    spend(chain, "b", "c")
    made = chain.send({"c": [("a", "b", "c")]})
    chain.move_all()
    assert chain.heard[-1] == ("a", Taken("accepted", "", Kind.FAIL, made.id, False, ("b", "c")))


def test_a_frame_that_cannot_even_be_answered_is_not_taken_and_may_come_again(chain: Chain) -> None:
    spend(chain, "b", "c")
    spend(chain, "b", "a")
    chain.send({"c": [("a", "b", "c")]})
    (frame,) = chain.waiting()
    before = chain.stores["b"].account("a-b", 0)
    assert chain.move(*frame) == Taken("later", "key")
    assert chain.stores["b"].account("a-b", 0) == before
    chain.fill(("b", "c"), 1000, 2)
    assert chain.move(*frame).onward == "b-c"


def test_an_origin_without_key_makes_no_keys(chain: Chain) -> None:
    with pytest.raises(NotEnoughKey):
        chain.send({"c": [("a", "b", "c")]}, number=400)
    assert chain.databases["a"].rows("SELECT COUNT(*) FROM reservation") == [(0,)]
    chain.check()


@pytest.mark.parametrize("arrived", [False, True])
def test_a_frame_that_is_given_up_is_booked_alike_at_both_ends(chain: Chain, arrived: bool) -> None:
    made = chain.send({"c": [("a", "b", "c")]})
    (frame,) = chain.waiting()
    if arrived:
        chain.stores["b"].receive("a-b", "a", frame[4], NOW)
    taken = chain.stores["a"].give_up(frame[3], NOW)
    assert taken == Taken("accepted", "", Kind.FAIL, made.id, False, ("a", "b"))
    chain.stores["a"].abandon(made.id)
    chain.settle()
    item = "relayed" if arrived else "voided"
    for name in "ab":
        assert chain.stores[name].account("a-b", 0)[item] == 96
    assert chain.stores["b"].receive("a-b", "a", frame[4], NOW).reason == ("" if arrived else "void")
    chain.move_all()
    chain.check()


def test_keys_that_their_master_never_gets_are_void_at_the_far_end(chain: Chain) -> None:
    made = chain.send({"c": [("a", "b", "c")]})
    chain.move_all()
    chain.stores["a"].abandon(made.id)
    ((session, legs),) = chain.stores["a"].sessions_to_void()
    assert (session, legs) == (made.id, [("c", [("a", "b", "c")])])
    chain.stores["a"].void_session(session, [legs[0][1][0]], NOW)
    assert chain.stores["a"].sessions_to_void() == []
    chain.move_all()
    with pytest.raises(KeysNotFound):
        chain.fetch(made, "c")
    for name in "ac":
        assert chain.stores[name].account(account_of("a"), 0)["voided"] == 64
    chain.check()


def test_of_many_reservations_each_is_voided_at_all_its_kmes(chain: Chain) -> None:
    far: dict[str, list[tuple[str, ...]]] = {"b": [("a", "b")], "c": [("a", "b", "c")]}
    made = [chain.send({"c": far["c"]}, 1), *(chain.send(far, 1) for _ in range(60))]
    for each in made:
        chain.stores["a"].abandon(each.id)
    found = dict(chain.stores["a"].sessions_to_void())
    assert [len(found[each.id]) for each in made] == [1, *([2] * 60)]


def test_a_void_that_overtakes_its_keys_holds(ring: Chain) -> None:
    made = ring.send({"c": [("a", "b", "c")]})
    ring.stores["a"].abandon(made.id)
    ring.stores["a"].void_session(made.id, [("a", "d", "c")], NOW)
    for _ in range(2):
        for each in ring.waiting():
            if "d" in each[:2]:
                ring.move(*each)
    ring.move_all()
    with pytest.raises(KeysNotFound):
        ring.fetch(made, "c")
    assert ring.stores["c"].account(account_of("a"), 0)["pooled"] == 0
    ring.check()


def test_only_the_kme_that_made_keys_voids_them(ring: Chain) -> None:
    made = ring.send({"c": [("a", "b", "c")]})
    ring.move_all()
    forged(ring, "d", "c", Kind.VOID, AnswerManifest(session=made.id, path=["d", "c"]), b"")
    assert len(ring.fetch(made, "c")) == 2


@pytest.mark.parametrize("seed", range(3))
def test_with_nodes_that_die_and_frames_that_are_lost_and_repeated_all_is_accounted_for(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    chain = Chain(tmp_path, RING, 60_000)
    sent: list[Reservation] = []
    seen: list[tuple[str, str, str, str, bytes]] = []
    to_master: dict[str, bytes] = {}
    now = NOW
    for _ in range(150):
        now += 0.5
        move = draw.randrange(8)
        if move == 0:
            paths = draw.choice([[("a", "b", "c")], [("a", "d", "c")], [("a", "b", "c"), ("a", "d", "c")]])
            if draw.random() < 0.5:
                paths = [path[::-1] for path in paths]
            number = draw.choice([1, 3])
            sent.append(chain.send({paths[0][-1]: paths}, number, now, draw.randbytes(32 * number)))
        elif move == 1:
            for made in sent:
                origin = chain.stores[made.master[-1]]
                if origin.arrived(made.id):
                    with suppress(KeysNotFound):
                        to_master |= {key.id: key.bits for key in origin.deliver_to_master(made.id, now)}
        elif move == 2 and draw.random() < 0.5:
            # A process dies: what it had open is void, all else is as it is on the disk.
            name = draw.choice("abcd")
            chain.databases[name].close()
            chain.databases[name] = SQLite(tmp_path / f"{name}.sqlite")
            chain.stores[name] = RelayStore(chain.databases[name], chain.node(name))
            chain.stores[name].abandon_open()
        elif move == 3:
            for store in chain.stores.values():
                for session, legs in store.sessions_to_void():
                    store.void_session(session, [paths[0] for _, paths in legs], now)
                for link in store.node.links.values():
                    for each in store.outbox(link):
                        if each.expires < now:
                            store.give_up(each.id, now)
        elif move == 4:
            chain.settle(now)
        else:
            waiting = chain.waiting()
            seen += waiting
            for here, there, link, name, body in waiting:
                fate = draw.random()
                if fate < 0.6:
                    chain.move(here, there, link, name, body, now=now)
                elif fate < 0.75:
                    chain.stores[there].receive(link, here, body, now)  # its answer is lost
            for here, there, link, _, body in draw.sample(seen, min(3, len(seen))):
                chain.stores[there].receive(link, here, body, now)
    for store in chain.stores.values():
        store.abandon_open()
    for _ in range(4):
        for store in chain.stores.values():
            for session, legs in store.sessions_to_void():
                store.void_session(session, [paths[0] for _, paths in legs], now)
        chain.move_all(now)
        chain.settle(now)
    chain.check()
    assert to_master
    for made in sent:
        delivered = [key_id in to_master for key_id in made.key_ids]
        far = chain.stores[made.slaves[0][-1]]
        if any(delivered):
            assert all(delivered)
            keys = far.deliver_to_slave(made.key_ids, master=made.master, slave=made.slaves[0], now=now - 1e6)
            assert {key.id: key.bits for key in keys} == {name: to_master[name] for name in made.key_ids}
        else:
            with pytest.raises(KeysNotFound):
                far.deliver_to_slave(made.key_ids, master=made.master, slave=made.slaves[0], now=now)
    assert len(set(to_master.values())) == len(to_master)
    for database in chain.databases.values():
        database.close()


def test_frames_cross_in_every_backend(any_ends: list[Database]) -> None:
    stores = [
        RelayStore(end, Node(name, {other: "link"}, lambda _: True))
        for end, name, other in zip(any_ends, "ab", "ba", strict=True)
    ]
    key = np.random.default_rng(1).bytes(4000)
    for end in any_ends:
        KeyStore(end).add(KeyBlock("link", 1, 32_000, 1e-10, key))
    asked = stores[0].challenge("link", 1)
    assert asked is not None
    assert stores[1].compare("link", 1, asked)
    stores[0].settle_check("link", 1, True)
    made = Reservation(
        str(uuid.uuid4()), account_of("a"), 0, (str(uuid.uuid4()),), 32, (), "alice", ("bob",), 60.0, {"x": 1}
    )
    stores[0].originate(made, b"k" * 32, [Leg("b", ("bob",), (("a", "b"),), b"k" * 32)], now=NOW)
    for here, there in ((0, 1), (1, 0)):
        (frame,) = stores[here].outbox("link")
        taken = stores[there].receive("link", "ab"[here], frame.body, NOW)
        assert taken.outcome == "accepted"
        stores[here].taken([frame.id])
    (key_,) = stores[1].deliver_to_slave(made.key_ids, master="alice", slave="bob", now=NOW)
    assert key_ == Key(made.key_ids[0], b"k" * 32, {"x": 1})
    assert stores[0].deliver_to_master(made.id, NOW) == [key_]
    for store in stores:
        store.expire(NOW + KEYS_SECONDS + 100)
        store.forget(NOW + 1e6)
        store.check()
