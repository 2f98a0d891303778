"""KMEs whose keys lie in SQLCipher and in PostgreSQL."""

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kronborg.errors import InputError
from kronborg.network.kme.server import Kme

from .conftest import running, wait_for
from .test_etsi014 import error_of, keys_of


def test_one_end_in_sqlcipher_and_the_other_in_postgresql(tmp_path: Path, schemas: Callable[[], str]) -> None:
    url = schemas()
    key = tmp_path / "store.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(32))
    stores = {
        "kme-a": 'backend = "sqlcipher"\npath = "a.db"\nkey_file = "store.key"',
        "kme-b": f'backend = "postgresql"\nurl = "{url}"',
    }
    with running(tmp_path, stores=stores) as network:
        network.fill(20_000)
        for master, slave, kme, other in (("alice", "bob", "kme-a", "kme-b"), ("bob", "alice", "kme-b", "kme-a")):
            keys = keys_of(network.enc(master, slave, kme, number=5))
            assert keys_of(network.dec(list(keys), slave, master, other)) == keys
        with pytest.raises(InputError, match="another KME serves"):
            Kme(network.pair.config("kme-b"))
        # The server ends all connections; the KME goes on with new ones, and no key is lost uncounted.
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        response = network.enc("bob", "alice", "kme-b")
        if response.status_code != 200:
            error_of(response, 503)
        wait_for(lambda: network.enc("bob", "alice", "kme-b").status_code == 200)
        keys = keys_of(network.enc(number=2))
        assert keys_of(network.dec(list(keys))) == keys
