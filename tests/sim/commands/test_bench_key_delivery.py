"""The benches of key delivery, short; and that the crash bench sees what it is there for."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from kronborg.network.key_pools import KeyPools
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg_sim.commands.bench.crash import Load
from kronborg_sim.network.accounts import unaccounted
from kronborg_sim.network.pair import LINK, Pair, make_pair

from .conftest import Bench

NOW = 1e9


def test_bench_kme_measures_rates_and_latency(bench: Bench) -> None:
    finished = bench("kme", "--seconds", "1", "--clients", "2", "--plain")
    assert finished.code == 0, finished.err
    assert finished.figures["keys_per_second"] > 0
    assert finished.figures["requests_per_second"] > 0
    assert 0 < finished.figures["median_ms"] <= finished.figures["p99_ms"]


@pytest.mark.parametrize(("harm", "seed"), [("--postgresql", "8"), ("--disk-full", "8"), ("--clocks", "2")])
def test_bench_crash_finds_nothing_wrong_whatever_happens_beside_kills(bench: Bench, harm: str, seed: str) -> None:
    # With these seeds the harm is all that happens in the first round.
    finished = bench("crash", harm, "--kills", "1", "--seed", seed, "--plain")
    assert finished.code == 0, finished.err
    figures = finished.figures
    assert (figures["kills"], figures["delivered_twice"], figures["mismatched"], figures["unaccounted"]) == (1, 0, 0, 0)
    assert (figures["harms"], figures["server_errors"]) == (1, 0)


def test_the_crash_bench_does_not_mix_the_ring_with_harms_of_the_pair(bench: Bench) -> None:
    finished = bench("crash", "--nats", "--clocks", "--plain")
    assert finished.code == 2
    assert "leave out --relay and --nats" in finished.err


def test_bench_crash_finds_nothing_wrong_with_relayed_keys(bench: Bench) -> None:
    finished = bench("crash", "--relay", "--kills", "1", "--seed", "3", "--plain")
    assert finished.code == 0, finished.err
    figures = finished.figures
    assert (figures["delivered_twice"], figures["mismatched"], figures["unaccounted"]) == (0, 0, 0)


def test_bench_relay_measures_how_long_a_key_takes(bench: Bench) -> None:
    finished = bench("relay", "--hops", "2", "--keys", "10", "--number", "3", "--plain")
    assert finished.code == 0, finished.err
    assert (finished.figures["hops"], finished.figures["keys"]) == (2, 30)
    assert 0 < finished.figures["median_ms"] <= finished.figures["p99_ms"]


def test_bench_scale_counts_what_a_store_writes_and_how_a_search_grows(bench: Bench) -> None:
    finished = bench("scale", "--requests", "5", "--plain")
    assert finished.code == 0, finished.err
    figures = finished.figures
    # Reserved, delivered and erased at both ends, and the accounts of it.
    assert 10 < figures["direct_1"]["rows"] < 40
    assert figures["direct_128"]["rows_per_key"] < 0.5 * figures["direct_1"]["rows_per_key"]
    assert figures["relayed_1"]["transactions"] == 3 + 2 * 2 * figures["relayed_hops"]
    assert figures["paths_ms_1000"] > 10 * figures["paths_ms_100"] > 0
    assert 2000 < figures["news_bytes"] < 10_000


@pytest.mark.parametrize(
    "arguments",
    [["relay", "--hops", "0"], ["kme", "--clients", "0"], ["crash", "--kills", "0.5"], ["fuzz", "--minutes", "0"]],
)
def test_numbers_out_of_range_are_wrong_input(bench: Bench, arguments: list[str]) -> None:
    finished = bench(*arguments, "--plain")
    assert finished.code == 2
    assert len(finished.err.splitlines()) == 1


@pytest.fixture
def served(tmp_path: Path) -> tuple[Pair, SimpleNamespace]:
    """Stores of two ends after one key was delivered at both, and what the SAEs saw."""
    pair = make_pair(tmp_path)
    databases = [pair.config(kme).store.open() for kme in ("kme-a", "kme-b")]
    for database in databases:
        KeyStore(database).add(KeyBlock(LINK, 1, 8000, 1e-10, bytes(range(250)) * 4))
    a, b = map(KeyPools, databases)
    asked = a.challenge(LINK, 1)
    assert asked is not None
    assert b.compare(LINK, 1, asked)
    a.settle_check(LINK, 1, True)
    made = a.reserve(
        LINK, 0, id="r", key_ids=["k"], key_bytes=32, master="alice", slaves=["bob"], now=NOW, lifetime_seconds=9
    )
    b.accept(made, NOW)
    keys = [(key.id, key.bits) for key in a.deliver_to_master("r", NOW)]
    b.deliver_to_slave(["k"], master="alice", slave="bob", now=NOW)
    for database in databases:
        database.close()
    return pair, SimpleNamespace(to_masters=keys, to_slaves=list(keys), refused=Counter())


def test_the_crash_bench_does_not_take_an_error_that_nobody_understands_for_a_refusal(
    served: tuple[Pair, SimpleNamespace],
) -> None:
    pair, seen = served
    assert not Load.outcome(seen, pair, 1, 1, "").fault  # type: ignore[arg-type]
    seen.refused["503: error on server side"] += 1
    assert "error on server side" in Load.outcome(seen, pair, 1, 1, "").fault  # type: ignore[arg-type]


def counted(pair: Pair, seen: SimpleNamespace) -> tuple[int, int, int]:
    figures = Load.outcome(seen, pair, 1, 1, "").figures  # type: ignore[arg-type]
    return figures["delivered_twice"], figures["mismatched"], figures["unaccounted"]


def test_a_sound_pair_has_nothing_to_report(served: tuple[Pair, SimpleNamespace]) -> None:
    assert counted(*served) == (0, 0, 0)


def test_the_crash_bench_sees_a_key_that_went_out_twice(served: tuple[Pair, SimpleNamespace]) -> None:
    pair, seen = served
    seen.to_slaves *= 2
    assert counted(pair, seen)[0] == 1
    seen.to_masters.append(("other name", seen.to_masters[0][1]))
    assert counted(pair, seen)[0] == 2


def test_the_crash_bench_sees_a_key_that_differs(served: tuple[Pair, SimpleNamespace]) -> None:
    pair, seen = served
    seen.to_slaves = [("k", bytes(32))]
    assert counted(pair, seen)[1] == 1


def test_the_crash_bench_sees_keys_that_no_account_knows(served: tuple[Pair, SimpleNamespace]) -> None:
    pair, seen = served
    seen.to_masters.append(("k2", bytes(32)))
    assert counted(pair, seen)[2] == 1
    seen.to_masters.pop()
    database = pair.config("kme-b").store.open()
    KeyPools(database).reserve(
        LINK, 1, id="x", key_ids=["y"], key_bytes=64, master="bob", slaves=["alice"], now=NOW, lifetime_seconds=9
    )
    database.close()
    assert counted(pair, seen)[2] == 2


@pytest.mark.parametrize(
    ("kme", "change"),
    [
        # Sums over all keys would not see any of these where another key makes up for it.
        ("kme-a", "UPDATE reservation SET fate = 'voided'; DELETE FROM delivery"),
        ("kme-b", "UPDATE reservation SET fate = 'voided'; DELETE FROM delivery"),
        ("kme-b", "DELETE FROM delivery; DELETE FROM delivery_key"),
        ("kme-a", "DELETE FROM delivery; DELETE FROM delivery_key"),
    ],
)
def test_the_crash_bench_sees_a_key_whose_ends_contradict_each_other(
    served: tuple[Pair, SimpleNamespace], kme: str, change: str
) -> None:
    pair, seen = served
    seen.to_masters, seen.to_slaves = [], []
    assert counted(pair, seen)[2] == 0
    database = pair.config(kme).store.open()
    for statement in change.split(";"):
        database.rows(statement)
    database.close()
    assert counted(pair, seen)[2] == 1


def test_a_key_that_expired_at_one_end_may_be_void_at_the_other(tmp_path: Path) -> None:
    """The answer was lost, and time was over at the slave's end before the master's could tell it."""
    pair = make_pair(tmp_path)
    databases = [pair.config(kme).store.open() for kme in ("kme-a", "kme-b")]
    a, b = map(KeyPools, databases)
    for database in databases:
        KeyStore(database).add(KeyBlock(LINK, 1, 8000, 1e-10, bytes(1000)))
    asked = a.challenge(LINK, 1)
    assert asked is not None
    a.settle_check(LINK, 1, bool(b.compare(LINK, 1, asked)))
    made = a.reserve(
        LINK, 0, id="r", key_ids=["k"], key_bytes=32, master="alice", slaves=["bob"], now=NOW, lifetime_seconds=9
    )
    b.accept(made, NOW)
    a.abandon("r")
    b.expire(NOW + 10)
    for _, pool, segments in a.to_void(LINK):
        b.void("r", LINK, pool, segments, NOW + 10)
    for database in databases:
        database.close()
    assert unaccounted(pair, [], [], 32) == 0
    assert unaccounted(pair, ["k"], [], 32) == unaccounted(pair, [], ["k"], 32) == 1
