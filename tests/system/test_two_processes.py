"""`kronborg bob` and `kronborg alice`: two processes, either killed without a warning and started again."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kronborg_sim.network.pair import HOST, free_ports

OPTIONS = ("--distance", "1", "--detector-efficiency", "1", "--electronic-noise", "0.01", "--symbols", "1.7e6")


class Ends:
    """Processes of both ends in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "secret").write_bytes(os.urandom(65536))
        self.address = f"{HOST}:{free_ports(1)[0]}"
        self.running: list[subprocess.Popen[str]] = []
        self.beginning: dict[str, tuple[str, ...]] = {}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        beginning = self.beginning.get(arguments[0], ("--secret", "secret"))
        command = (sys.executable, "-m", "kronborg.cli", *arguments, *beginning, *OPTIONS)
        log = (self.folder / f"{arguments[0]}.log").open("a")
        process = subprocess.Popen(command, cwd=self.folder, stderr=log, stdout=log, text=True)
        log.close()
        self.running.append(process)
        return process

    def bob(self, rounds: int) -> subprocess.Popen[str]:
        return self.start("bob", "--listen", self.address, "--rounds", str(rounds), "--json", "bob.json")

    def alice(self) -> subprocess.Popen[str]:
        return self.start("alice", "--connect", self.address, "--patience", "60")

    def wait_for(self, end: str, words: str, times: int = 1) -> None:
        deadline = time.monotonic() + 120
        while (self.folder / f"{end}.log").read_text().count(words) < times:
            assert time.monotonic() < deadline, self.said(end)
            time.sleep(0.05)

    def said(self, end: str) -> str:
        return (self.folder / f"{end}.log").read_text()

    def blocks(self, end: str) -> list[tuple[int, str, bytes]]:
        with closing(sqlite3.connect(self.folder / "keys" / end / f"{end}.sqlite")) as store:
            return store.execute("SELECT sequence, state, key FROM block ORDER BY sequence").fetchall()


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    made = Ends(tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_either_end_is_killed_and_the_link_resumes(ends: Ends) -> None:
    bob, alice = ends.bob(9), ends.alice()
    ends.wait_for("bob", "bits of key")
    alice.send_signal(signal.SIGKILL)
    alice = ends.alice()
    ends.wait_for("bob", "connected to Alice", 2)
    ends.wait_for("bob", "bits of key", 2)
    bob.send_signal(signal.SIGKILL)
    ends.wait_for("alice", "connection ended")
    bob = ends.bob(1)
    assert bob.wait(120) == 0, ends.said("bob")
    assert alice.wait(120) == 0, ends.said("alice")
    assert ends.blocks("alice") == ends.blocks("bob")
    assert [state for _, state, _ in ends.blocks("bob")] == ["ready"] * len(ends.blocks("bob"))
    assert len(ends.blocks("bob")) >= 3
    figures = json.loads((ends.folder / "bob.json").read_text())
    assert figures["rounds_dropped"] == 0
    assert figures["forgery_probability"] < 1e-20
    lines = figures["rounds"][0]["budget"]
    assert sum(line["bits"] for line in lines[:-1]) == lines[-1]["bits"] == figures["key_bits"]
    for end in ("alice", "bob"):
        assert "Traceback" not in ends.said(end)


def test_a_link_begins_with_signatures_where_there_is_no_secret(ends: Ends) -> None:
    for name, peer in (("alice", "bob"), ("bob", "alice")):
        made = subprocess.run(
            (sys.executable, "-m", "kronborg.cli", "signing-key", name), cwd=ends.folder, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        assert "fingerprint" in made.stdout
        ends.beginning[name] = ("--signing-key", f"{name}.key", "--peer-key", f"{peer}.pub")
    bob, alice = ends.bob(2), ends.alice()
    assert bob.wait(120) == 0, ends.said("bob")
    assert alice.wait(120) == 0, ends.said("alice")
    assert ends.blocks("alice") == ends.blocks("bob")
    figures = json.loads((ends.folder / "bob.json").read_text())
    assert [made["authentication"] for made in figures["rounds"]] == ["ML-DSA-87 signatures", "one-time keys"]

    # From now on neither a key nor a secret is needed, and an Alice whose pool is gone is not let in.
    ends.beginning["bob"] = ()
    (ends.folder / "keys" / "alice" / "pool.sqlite").unlink()
    bob, alice = ends.bob(1), ends.alice()
    ends.wait_for("bob", "where one-time keys have begun: refused")
    for process in (alice, bob):
        process.kill()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("bob", "--listen", "127.0.0.1:1", "--signing-key", "secret"), "go together"),
        (("bob", "--listen", "127.0.0.1:1", "--signing-key", "secret", "--peer-key", "secret"), "not both"),
        (("bob", "--listen", "7000"), "no address"),
        (("alice", "--connect", "127.0.0.1:0"), "no address"),
        (("bob", "--listen", "127.0.0.1:1", "--light", "candle"), "no light"),
        (("bob", "--listen", "127.0.0.1:1", "--rounds", "-1"), "rounds"),
        (("alice", "--connect", "127.0.0.1:1", "--patience", "0"), "is Bob there"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(ends: Ends, arguments: tuple[str, ...], complaint: str) -> None:
    assert ends.start(*arguments).wait(60) == 2
    said = ends.said(arguments[0])
    assert complaint in said
    assert "Traceback" not in said


def test_a_port_in_use_is_told_once_and_in_words(ends: Ends) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert ends.start("bob", "--listen", address).wait(60) == 2
    assert ends.said("bob") == f"kronborg bob: cannot listen at {address}: Address already in use\n"


def test_without_a_secret_nothing_is_said(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "kronborg.cli", "alice", "--connect", "127.0.0.1:7000")
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2
    assert "--secret" in finished.stderr
    assert finished.stderr.count("\n") == 1
