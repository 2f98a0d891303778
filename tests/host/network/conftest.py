from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

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
    """Databases of two KMEs."""
    databases: list[Database] = [SQLite(tmp_path / f"{end}.sqlite") for end in "ab"]
    yield databases
    for database in databases:
        database.close()


@pytest.fixture
def reopened() -> Callable[[Database], Database]:
    def again(database: Database) -> Database:
        assert isinstance(database, SQLite)
        database.close()
        return SQLite(database.path)

    return again
