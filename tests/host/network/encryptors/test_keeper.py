"""One end of a rotation, with an encryptor that does what a test wants."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import InputError
from kronborg.network.database import StoreError
from kronborg.network.encryptors import keeper as module
from kronborg.network.encryptors.keeper import EncryptorError, Keeper, StateFile, boot_id
from kronborg.network.key_pools import Key

A, B = (Key(f"00000000-0000-4000-8000-00000000000{i}", bytes([i]) * 32) for i in range(2))


class Pretended:
    """An encryptor that notes what it is told, and fails at what it shall."""

    closing = ()

    def __init__(self) -> None:
        self.inside: str | None = None
        self.broken: set[str] = set()
        self.sound = True
        self.settled: list[str] = []

    def _fail(self, what: str) -> None:
        if what in self.broken:
            raise EncryptorError(f"{what} fails")

    def check(self) -> None:
        pass

    def stage(self, key: Key) -> None:
        self._fail("stage")

    def switch(self, key: Key) -> None:
        self._fail("switch")
        self.inside = key.id

    def settle(self, key_id: str) -> None:
        self.settled.append(key_id)

    def adopt(self, key_id: str | None) -> bool:
        return self.inside is not None

    def close(self) -> None:
        self._fail("close")
        self.inside = None

    def intact(self) -> bool:
        return self.sound

    def exchanged_at(self) -> float:
        return 0.0


class Bench:
    """A keeper, its clock and its notes."""

    def __init__(self, folder: Path, clock: pytest.MonkeyPatch) -> None:
        self.now, self.folder, self.encryptor = 1000.0, folder, Pretended()
        self.notes: list[tuple[str, Any]] = []
        self.deaf = False
        clock.setattr(module, "boot_seconds", lambda: self.now)
        self.keeper = self.another()
        self.keeper.begin()

    def another(self) -> Keeper:
        return Keeper(self.encryptor, StateFile(self.folder / "state"), 10.0, self._note)

    def _note(self, what: str, **fields: object) -> None:
        if self.deaf:
            raise StoreError("the audit log cannot be written")
        self.notes.append((what, fields.get("key_id")))

    def change(self, key: Key) -> None:
        self.keeper.stage(key)
        self.keeper.switch(key.id)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_a_tunnel_is_open_from_its_first_key_until_that_is_too_old(bench: Bench) -> None:
    assert bench.keeper.closed
    bench.change(A)
    bench.now += 9.9
    bench.keeper.look(at_tunnel=True)
    assert (bench.keeper.closed, bench.encryptor.inside) == (False, A.id)
    bench.now += 0.2
    bench.keeper.look(at_tunnel=True)
    assert (bench.keeper.closed, bench.encryptor.inside, bench.keeper.current) == (True, None, None)
    assert bench.notes == [("close", None), ("switch", A.id), ("close", A.id)]


def test_a_keys_age_counts_from_when_it_came_not_from_when_it_was_used(bench: Bench) -> None:
    bench.keeper.stage(A)
    bench.now += 8.0
    bench.keeper.switch(A.id)
    assert bench.keeper.left() == pytest.approx(2.0)
    bench.change(B)
    assert bench.keeper.left() == pytest.approx(10.0)


def test_a_key_that_was_not_staged_is_not_used(bench: Bench) -> None:
    bench.keeper.stage(A)
    with pytest.raises(EncryptorError, match="no such key waits"):
        bench.keeper.switch(B.id)
    assert bench.keeper.closed


def test_an_encryptor_that_fails_leaves_no_more_time_than_the_older_key_had(bench: Bench) -> None:
    bench.change(A)
    bench.now += 6.0
    bench.encryptor.broken.add("switch")
    bench.keeper.stage(B)
    with pytest.raises(EncryptorError):
        bench.keeper.switch(B.id)
    assert (bench.keeper.current, bench.keeper.closed) == (None, False)
    assert bench.keeper.left() == pytest.approx(4.0)
    bench.encryptor.broken.clear()
    bench.keeper.switch(B.id)
    assert bench.keeper.left() == pytest.approx(10.0)


def test_a_tunnel_that_could_not_be_opened_is_closed(bench: Bench) -> None:
    bench.encryptor.broken.add("switch")
    bench.keeper.stage(A)
    with pytest.raises(EncryptorError):
        bench.keeper.switch(A.id)
    assert bench.keeper.closed


def test_a_key_that_cannot_be_noted_is_not_used(bench: Bench) -> None:
    bench.deaf = True
    bench.keeper.stage(A)
    with pytest.raises(StoreError):
        bench.keeper.switch(A.id)
    assert (bench.keeper.closed, bench.encryptor.inside) == (True, None)


def test_a_tunnel_that_cannot_be_closed_is_tried_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.change(A)
    bench.now += 11.0
    bench.encryptor.broken.add("close")
    for _ in range(3):
        bench.keeper.look(at_tunnel=True)
        assert not bench.keeper.closed
    assert [record.msg for record in caplog.records].count("tunnel cannot be closed") == 1
    bench.encryptor.broken.clear()
    bench.keeper.look(at_tunnel=True)
    assert bench.keeper.closed


@pytest.mark.parametrize("opened", [True, False])
def test_a_tunnel_that_somebody_changed_is_closed(bench: Bench, opened: bool) -> None:
    if opened:
        bench.change(A)
    bench.encryptor.inside, bench.encryptor.sound = "somebody's", False
    bench.keeper.look(at_tunnel=False)
    assert bench.encryptor.inside == "somebody's"
    bench.keeper.look(at_tunnel=True)
    assert (bench.keeper.closed, bench.encryptor.inside) == (True, None)


def test_only_the_key_in_force_is_settled_once(bench: Bench) -> None:
    bench.keeper.settle()
    bench.change(A)
    bench.keeper.settle()
    bench.keeper.settle()
    assert bench.encryptor.settled == [A.id]


def killed_after(bench: Bench, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Change A to B, and end at a write of the state, as SIGKILL would."""
    real, left = os.replace, [writes]

    def replace(one: Any, other: Any) -> None:
        if left[0] == 0:
            raise SystemExit
        left[0] -= 1
        real(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "replace", replace)
        bench.keeper.stage(B)
        with pytest.raises(SystemExit):
            bench.keeper.switch(B.id)


@pytest.mark.parametrize(("writes", "known", "left"), [(0, A.id, 7.0), (1, None, 7.0)])
def test_a_successor_knows_which_key_is_in_force_or_that_it_does_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, writes: int, known: str | None, left: float
) -> None:
    bench.change(A)
    bench.now += 3.0
    killed_after(bench, monkeypatch, writes)
    successor = bench.another()
    successor.begin()
    assert (successor.current, successor.closed) == (known, False)
    assert successor.left() == pytest.approx(left)
    bench.now += left + 0.1
    successor.look(at_tunnel=True)
    assert successor.closed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state | {"boot": "another"},
        lambda state: state | {"ends": 999.0},
        lambda state: state | {"ends": 1e9},
        lambda state: state | {"ends": "nan"},
        lambda state: state | {"key_id": "x"},
        lambda state: [state],
        lambda state: None,
    ],
)
def test_a_state_of_another_start_or_time_closes_the_tunnel(bench: Bench, spoil: Callable[[Any], Any]) -> None:
    bench.change(A)
    path = bench.folder / "state"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    successor = bench.another()
    successor.begin()
    assert (successor.closed, bench.encryptor.inside) == (True, None)
    assert not path.exists()


def test_a_successor_that_finds_no_tunnel_begins_closed(bench: Bench) -> None:
    bench.change(A)
    bench.encryptor.inside = None
    successor = bench.another()
    successor.begin()
    assert successor.closed


def test_an_agent_does_not_start_beside_a_tunnel_that_it_cannot_close(bench: Bench) -> None:
    bench.encryptor.broken.add("close")
    with pytest.raises(InputError, match="cannot be closed"):
        bench.another().begin()


def test_a_state_that_cannot_be_written_keeps_the_key_out(bench: Bench) -> None:
    (bench.folder / ".state.new").mkdir()
    bench.keeper.stage(A)
    with pytest.raises(EncryptorError, match="cannot write"):
        bench.keeper.switch(A.id)
    assert bench.keeper.closed
    assert boot_id()


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_state_file_makes_it_fail(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed-state"
    path.write_bytes(content)
    assert StateFile(path).read() is None
