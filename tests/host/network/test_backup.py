"""A store is saved and begun anew: no bit leaves it, and no key comes back."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kronborg.cli import main
from kronborg.errors import InputError
from kronborg.network import backup
from kronborg.network.backup import Renunciation
from kronborg.network.database import Database
from kronborg.network.key_pools import KeyPools
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg.network.sqlite import SQLite
from kronborg_sim.network.pair import LINK as PAIR_LINK

from .conftest import LINK, fill, random_block
from .kme.conftest import Running, running, wait_for

NOW = 1_000_000.0


def reserve(pools: KeyPools, name: str, pool: int = 0, number: int = 3) -> list[str]:
    ids = [f"{name}-{each}" for each in range(number)]
    pools.reserve(
        LINK,
        pool,
        id=name,
        key_ids=ids,
        key_bytes=32,
        master="alice",
        slaves=["bob"],
        now=NOW,
        lifetime_seconds=60.0,
    )
    return ids


def test_a_store_that_begins_anew_holds_nothing_and_its_accounts_add_up(any_ends: list[Database]) -> None:
    database = any_ends[0]
    fill(any_ends, [3000, 2000])
    KeyStore(database).add(random_block(3, 500))
    pools = KeyPools(database)
    for name in ("delivered", "open", "lost"):
        reserve(pools, name)
    pools.deliver_to_master("delivered", NOW)
    pools.abandon("lost")
    before = [pools.account(LINK, pool) for pool in (0, 1)]
    assert before[0]["ready"] > 0
    assert before[0]["reserved"] == 96

    backup.restore(database, [LINK], None)

    pools.check()
    for pool, was in enumerate(before):
        now = pools.account(LINK, pool)
        assert (now["ready"], now["reserved"]) == (0, 0)
        assert now["voided"] == was["voided"] + was["ready"] + was["reserved"]
        assert now["delivered"] == was["delivered"]
    assert KeyStore(database).blocks(LINK) == []
    assert database.rows("SELECT COUNT(*) FROM delivery_key WHERE bits IS NOT NULL") == [(0,)]
    # Numbers of blocks are not used again.
    assert KeyStore(database).last_ready(LINK) == 3
    assert Renunciation(database).to_tell() == [LINK]


def test_what_is_saved_holds_no_bit_of_a_key_and_counts_on_in_an_empty_store(
    ends: list[Database], tmp_path: Path
) -> None:
    fill(ends, [3000])
    pools = KeyPools(ends[0])
    reserve(pools, "r")
    keys = pools.deliver_to_master("r", NOW)
    file = tmp_path / "numbers.json"
    saved = backup.save(ends[0], "kme-a", file)
    text = file.read_text()
    whole = random_block(1, 3000).key
    for secret in (*(key.bits for key in keys), whole[1000:1032]):
        assert secret.hex() not in text
    assert len(text) < 2000

    new = SQLite(tmp_path / "new.sqlite")
    try:
        backup.restore(new, [LINK], backup.read(file, "kme-a"))
        account = KeyPools(new).account(LINK, 0)
        assert account["delivered"] == 96
        assert account["voided"] == saved["accounts"][0]["ready"]
        assert account["ready"] == 0
        assert KeyStore(new).last_ready(LINK) == 1
        KeyPools(new).check()
    finally:
        new.close()
    with pytest.raises(InputError, match="is of KME kme-a, not of kme-b"):
        backup.read(file, "kme-b")
    file.write_text(text.replace('"delivered": 96', '"delivered": -1'))
    with pytest.raises(InputError, match="is no file that"):
        backup.read(file, "kme-a")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.mark.parametrize("how", ["copied back", "empty"])
def test_a_store_that_was_lost_begins_anew_with_its_neighbour(network: Running, tmp_path: Path, how: str) -> None:
    network.fill(20_000)
    store, config = network.pair.config("kme-a").store.path, str(network.pair.files["kme-a"])
    assert main(["keys", "backup", config, "--output", str(tmp_path / "numbers.json")]) == 0
    network.stop("kme-a")
    shutil.copy(store, tmp_path / "copy.sqlite")
    network.start("kme-a")
    # Since the copy was made, a key goes out, whose other half the slave has not fetched yet.
    got = network.enc(number=2).json()["keys"]
    network.stop("kme-a")
    store.unlink()
    if how == "copied back":
        shutil.copy(tmp_path / "copy.sqlite", store)
    assert main(["keys", "restore", config, "--numbers", str(tmp_path / "numbers.json")]) == 0

    network.start("kme-a")
    wait_for(lambda: network.stored("bob", "alice", "kme-b") == 0)
    # The slave gets nothing of what was before, and neither do new masters, at either end.
    assert network.dec([got[0]["key_ID"]]).status_code == 400
    assert network.enc().status_code == 503
    assert network.enc("bob", "alice", "kme-b").status_code == 503

    # New blocks have new numbers, and their keys are served.
    with KeyStore(store) as mine, KeyStore(network.pair.config("kme-b").store.path) as theirs:
        wait_for(lambda: mine.last_ready(PAIR_LINK) == theirs.last_ready(PAIR_LINK) > 0)
    network.fill(20_000)
    key = network.enc().json()["keys"][0]
    assert network.dec([key["key_ID"]]).json()["keys"] == [key]


def test_a_copy_that_was_put_back_is_noticed_by_the_audit_log(network: Running, tmp_path: Path) -> None:
    network.fill(20_000)
    got = network.enc(number=2).json()["keys"]
    store = network.pair.config("kme-b").store.path
    network.stop("kme-b")
    shutil.copy(store, tmp_path / "copy.sqlite")
    network.start("kme-b")
    assert network.dec([got[0]["key_ID"]]).status_code == 200
    network.stop("kme-b")
    shutil.copy(tmp_path / "copy.sqlite", store)
    with pytest.raises(InputError, match="is older than the audit log"):
        network.start("kme-b")
    assert main(["keys", "restore", str(network.pair.files["kme-b"])]) == 0
    network.start("kme-b")
    assert network.dec([got[0]["key_ID"]]).status_code == 400


def test_a_store_that_a_kme_serves_from_is_not_begun_anew(network: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "restore", str(network.pair.files["kme-a"])]) == 2
    assert "another KME serves from the key store" in capsys.readouterr().err


def test_numbers_of_blocks_go_on_behind_the_neighbours(ends: list[Database]) -> None:
    anew = Renunciation(ends[0])
    anew.begin_anew([LINK])
    anew.told(LINK, 17)
    assert KeyStore(ends[0]).last_ready(LINK) == 17
    assert anew.to_tell() == []
    KeyStore(ends[0]).add(KeyBlock(LINK, 18, 800, 1e-10, bytes(100)))
