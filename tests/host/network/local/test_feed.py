"""What feeds the simulated links of a network."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kronborg.network.key_store import KeyStore
from kronborg.network.local.files import Files, make_stores
from kronborg_sim.network.feed import Feed

PLAN = """
[network]
name = "two sites"
[light]
slice_seconds = 0.1
distil_symbols = 0
[[site]]
id = "a"
[[site]]
id = "b"
[[link]]
ends = ["a", "b"]
length_km = 3
"""


def test_a_store_that_is_busy_for_long_holds_a_link_up_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A KME that starts holds its store while it checks it."""
    monkeypatch.setattr("kronborg.network.sqlite.BUSY_SECONDS", 0.1)
    files = Files(tmp_path)
    files.plan.write_text(PLAN)
    made = files.read_plan()
    for site in made.sites:
        files.site(site).mkdir(parents=True)
    make_stores(files, made)
    (link,) = made.links
    with closing(sqlite3.connect(files.store("a"), isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        rounds = iter([False, False, True])
        feed = Feed(tmp_path)
        feed.run(lambda: next(rounds))
        busy.execute("ROLLBACK")
    assert "database is locked" in capsys.readouterr().err
    rounds = iter([False, False, True])
    feed.run(lambda: next(rounds))
    for end in made.sites:
        with KeyStore(files.store(end)) as store:
            assert store.last_ready(link) > 0
        feed._stores[end].database.close()
