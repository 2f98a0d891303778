"""What is particular to SQLCipher and to PostgreSQL; that they keep keys as SQLite does is in test_key_pools."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kronborg.errors import InputError
from kronborg.network import postgresql as module
from kronborg.network.backends import StoreSettings
from kronborg.network.database import StoreDamaged, StoreError
from kronborg.network.key_pools import KeyPools
from kronborg.network.key_store import KeyStore
from kronborg.network.postgresql import PostgreSQL
from kronborg.network.sqlcipher import SQLCipher
from kronborg.network.sqlite import SQLite

from .conftest import LINK, fill, random_block

NOW = 1e9


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "store.key"
    path.touch(0o600)
    path.write_bytes(os.urandom(32))
    return path


# --- SQLCipher


def test_an_encrypted_store_has_no_key_in_its_files_and_opens_again(tmp_path: Path, key: Path) -> None:
    block = random_block(1, 5000)
    with KeyStore(SQLCipher(tmp_path / "x.db", key)) as store:
        store.add(block)
        raw = b"".join(path.read_bytes() for path in tmp_path.glob("x.db*"))
        assert not any(block.key[at : at + 6] in raw for at in range(0, 4900, 5))
        assert b"CREATE TABLE" not in raw
        assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600
    with KeyStore(SQLCipher(tmp_path / "x.db", key)) as store:
        assert store.blocks(LINK) == [block]


def test_without_its_key_an_encrypted_store_says_nothing(tmp_path: Path, key: Path) -> None:
    SQLCipher(tmp_path / "x.db", key).close()
    right = key.read_bytes()
    key.write_bytes(os.urandom(32))
    with pytest.raises(InputError, match=r"cannot open the key store .* with the key") as caught:
        SQLCipher(tmp_path / "x.db", key)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"another program made this file|not a database"):
        SQLite(tmp_path / "x.db")
    key.write_bytes(right)
    SQLCipher(tmp_path / "x.db", key).close()


def test_key_files_that_cannot_be(tmp_path: Path, key: Path) -> None:
    with pytest.raises(InputError, match="cannot read the key of the key store"):
        SQLCipher(tmp_path / "x.db", tmp_path / "nothing")
    key.write_bytes(b"short")
    with pytest.raises(InputError, match="has 5 bytes and not 32"):
        SQLCipher(tmp_path / "x.db", key)
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    with pytest.raises(InputError, match="others may read the key of the key store: chmod 600"):
        SQLCipher(tmp_path / "x.db", key)


def test_a_page_that_was_changed_is_noticed(tmp_path: Path, key: Path) -> None:
    database = SQLCipher(tmp_path / "x.db", key)
    KeyStore(database).add(random_block(1, 50_000))
    database.purge()
    database.close()
    raw = bytearray((tmp_path / "x.db").read_bytes())
    raw[-5000] ^= 1
    (tmp_path / "x.db").write_bytes(raw)
    database = SQLCipher(tmp_path / "x.db", key)
    with pytest.raises(StoreDamaged, match="does not serve"):
        KeyPools(database).check()
    database.close()


# --- PostgreSQL


def kill(url: str, database: PostgreSQL) -> None:
    """End a store's connection as a crash of the server would."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (database._connection.info.backend_pid,))


def test_a_lost_connection_undoes_what_was_under_way_and_is_made_anew(schemas: Callable[[], str]) -> None:
    url = schemas()
    database = PostgreSQL(url)
    fill([database], [1000])
    pools = KeyPools(database)
    before = pools.account(LINK, 0)

    def lose() -> None:
        with database.transaction():
            pools.reserve(
                LINK, 0, id="r", key_ids=["k"], key_bytes=32, master="a", slaves=["b"], now=NOW, lifetime_seconds=9
            )
            kill(url, database)

    with pytest.raises(StoreError, match="cannot use the key store"):
        lose()
    with database.transaction():
        assert pools.account(LINK, 0) == before
    pools.check()
    database.close()


def test_a_store_on_a_server_serves_one_kme_also_after_its_connection_was_lost(schemas: Callable[[], str]) -> None:
    url = schemas()
    one, other = PostgreSQL(url), PostgreSQL(url)
    one.claim()
    with pytest.raises(StoreError, match="another KME serves"):
        other.claim()
    kill(url, one)
    with pytest.raises(StoreError):
        one.rows("SELECT 1")
    with one.transaction():
        pass
    with pytest.raises(StoreError, match="another KME serves"):
        other.claim()
    one.close()
    other.claim()
    other.close()


def test_a_kme_that_lost_its_claim_to_another_serves_no_more(
    schemas: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLAIM_SECONDS", 0.0)
    url = schemas()
    one, other = PostgreSQL(url), PostgreSQL(url)
    one.claim()
    kill(url, one)
    monkeypatch.setattr(module, "CLAIM_SECONDS", 30.0)
    other.claim()
    monkeypatch.setattr(module, "CLAIM_SECONDS", 0.0)
    with pytest.raises(StoreError):
        one.rows("SELECT 1")
    for _ in range(3):
        with pytest.raises(StoreError, match="another KME serves"), one.transaction():
            pass
    other.close()
    monkeypatch.setattr(module, "CLAIM_SECONDS", 30.0)
    with one.transaction():
        pass
    one.close()


def test_writers_on_a_server_take_turns(schemas: Callable[[], str]) -> None:
    url = schemas()
    one, other = PostgreSQL(url), PostgreSQL(url)
    other.rows("SET lock_timeout = 100")
    with one.transaction(), pytest.raises(StoreError, match="lock timeout"), other.transaction():
        pass
    with other.transaction():
        pass
    one.close()
    other.close()


def test_no_value_is_in_an_error_of_the_server(schemas: Callable[[], str]) -> None:
    database = PostgreSQL(schemas())
    with pytest.raises(StoreError) as caught:
        database.rows(
            "INSERT INTO chunk (link, sequence, pool, start, bits, sum) VALUES (?, 1, 7, 0, ?, 0)", LINK, b"SECRET"
        )
    assert "\n" not in str(caught.value)
    assert "chunk" in str(caught.value)
    for form in ("SECRET", b"SECRET".hex()):
        assert form not in str(caught.value)
    database.close()


def test_servers_that_cannot_be_used_are_refused_without_their_password(
    schemas: Callable[[], str], postgresql_url: str
) -> None:
    with pytest.raises(InputError, match=r"cannot open the key store kme at 127\.0\.0\.1") as caught:
        PostgreSQL("postgresql://kme:tell-nobody@127.0.0.1:1/kme")
    assert "tell-nobody" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "tell-nobody" not in repr(StoreSettings("postgresql", url="postgresql://kme:tell-nobody@h/kme"))
    with pytest.raises(InputError, match="not one of PostgreSQL"):
        PostgreSQL("mysql://kme")
    url = schemas()
    database = PostgreSQL(url)
    database.rows("UPDATE kronborg_version SET version = 99")
    database.close()
    with pytest.raises(InputError, match="tables are of version 99"):
        PostgreSQL(url)
