import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kronborg.errors import InputError
from kronborg.network.key_store import KeyBlock, KeyStore, locked


def block(sequence: int, link: str = "a", byte: int = 7) -> KeyBlock:
    return KeyBlock(link, sequence, 12, 1e-10, bytes([byte, 0x50]))


def test_gives_back_what_was_added_in_order_and_by_link(tmp_path: Path) -> None:
    with KeyStore(tmp_path / "keys.sqlite") as store:
        for each in (block(2), block(1), block(1, link="b")):
            store.add(each)
        assert store.blocks("a") == [block(1), block(2)]
        assert store.last_ready("a") == 2
        assert store.last_ready("c") == 0


def test_a_pending_block_is_seen_by_nobody_until_the_other_end_has_it(tmp_path: Path) -> None:
    with KeyStore(tmp_path / "keys.sqlite") as store:
        store.add(block(1))
        store.add(block(2), pending=True)
        store.add(block(2, link="b"), pending=True)
        assert (store.blocks("a"), store.last_ready("a")) == ([block(1)], 1)
        store.settle("a", last_at_peer=2)
        assert store.blocks("a") == [block(1), block(2)]
        assert store.blocks("b") == []


def test_a_pending_block_that_the_other_end_never_got_is_void(tmp_path: Path) -> None:
    with KeyStore(tmp_path / "keys.sqlite") as store:
        store.add(block(1))
        store.add(block(2), pending=True)
        store.settle("a", last_at_peer=1)
        assert store.blocks("a") == [block(1)]
        store.add(block(2, byte=9))
        assert store.blocks("a") == [block(1), block(2, byte=9)]


ELSEWHERE = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    print(len(connection.execute("SELECT * FROM block").fetchall()))
connection.close()
"""


def blocks_seen_elsewhere(file: Path) -> int:
    """Rows that another process finds."""
    return int(subprocess.run([sys.executable, "-c", ELSEWHERE, str(file)], capture_output=True, check=True).stdout)


def test_a_process_may_open_a_store_twice_and_loses_nothing(tmp_path: Path) -> None:
    """A file that is closed takes all locks of its process with it; the next to come then took the log away."""
    file = tmp_path / "keys.sqlite"
    with KeyStore(file) as store:
        store.add(block(1))
        with KeyStore(file):
            assert blocks_seen_elsewhere(file) == 1
            store.add(block(2))
            assert blocks_seen_elsewhere(file) == 2


def test_keeps_its_blocks_when_it_is_opened_again(tmp_path: Path) -> None:
    with KeyStore(tmp_path / "keys.sqlite") as store:
        store.add(block(1))
    with KeyStore(tmp_path / "keys.sqlite") as store:
        assert store.blocks("a") == [block(1)]


def test_refuses_a_number_that_is_taken_and_keeps_the_first(tmp_path: Path) -> None:
    with KeyStore(tmp_path / "keys.sqlite") as store:
        store.add(block(1))
        with pytest.raises(InputError, match="block 1 of link 'a' was not stored"):
            store.add(block(1, byte=9))
        assert store.blocks("a") == [block(1)]


def test_refuses_a_key_of_the_wrong_length(tmp_path: Path) -> None:
    with KeyStore(tmp_path / "keys.sqlite") as store, pytest.raises(InputError):
        store.add(KeyBlock("a", 1, 100, 1e-10, b"short"))


def test_is_for_its_owner_alone(tmp_path: Path) -> None:
    with KeyStore(tmp_path / "new" / "keys.sqlite") as store:
        store.add(block(1))
        for path in (tmp_path / "new").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_file_that_is_no_key_store_is_refused_in_one_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    path.write_bytes(b"not a database, but a letter " * 100)
    with pytest.raises(InputError, match="cannot open the key store") as caught:
        KeyStore(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes().startswith(b"not a database")


def test_the_key_is_not_in_the_repr() -> None:
    assert "key=" not in repr(block(1))


def test_a_writer_killed_at_any_moment_leaves_whole_blocks(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from kronborg.network.key_store import *\n"
        "with KeyStore(Path(sys.argv[1])) as store:\n"
        "    while True:\n"
        "        store.add(KeyBlock('a', store.last_ready('a') + 1, 800_000, 1e-10, bytes(100_000)))\n"
        "        print(flush=True)\n"
    )
    path = tmp_path / "keys.sqlite"
    for pause in (0.0, 0.003, 0.011):
        writer = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(pause)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        with KeyStore(path) as store:
            blocks = store.blocks("a")
        assert [each.sequence for each in blocks] == list(range(1, len(blocks) + 1))
        assert all(len(each.key) == 100_000 for each in blocks)


def test_a_folder_serves_one_run_at_a_time(tmp_path: Path) -> None:
    again = locked(tmp_path / "keys")
    with locked(tmp_path / "keys"), pytest.raises(InputError, match="another run uses the key stores"), again:
        pass
    with locked(tmp_path / "keys"):
        pass


def test_an_existing_file_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    path.touch(mode=0o644)
    with KeyStore(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_programs_table_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE block (height INTEGER)")
    with pytest.raises(InputError, match="cannot open the key store") as caught:
        KeyStore(path)
    assert "\n" not in str(caught.value)


def test_a_store_that_another_process_holds_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    with KeyStore(path) as store:
        store.database._connection.execute("PRAGMA busy_timeout = 10")
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(InputError, match="database is locked"):
            store.settle("a", 1)
        with pytest.raises(InputError, match="database is locked"):
            store.add(block(1))
        holder.close()
        store.add(block(1))
