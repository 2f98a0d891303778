"""What closes a tunnel when its agent is gone; here a command that leaves a mark."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kronborg.errors import InputError
from kronborg.network.encryptors import guardian as module
from kronborg.network.encryptors.guardian import Guardian, guard
from kronborg.network.encryptors.keeper import StateFile, _State, boot_seconds

from ..kme.conftest import wait_for

Mark = tuple[Path, list[str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(module, "CLAIM_SECONDS", 0.3)
    monkeypatch.setattr(module, "GONE_SECONDS", 0.3)


@pytest.fixture
def closes(tmp_path: Path) -> Mark:
    return tmp_path / "closed", ["sh", "-c", f"echo x >> {tmp_path}/closed"]


def in_force(folder: Path, seconds: float) -> StateFile:
    """A state file of a key that has so long to go."""
    file = StateFile(folder / "state")
    file.write(_State(None, 0.0, boot_seconds() + seconds))
    return file


def alone(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_tunnel_is_closed_when_its_key_is_too_old_and_not_before(tmp_path: Path, closes: Mark) -> None:
    mark, command = closes
    file = in_force(tmp_path, 600.0)
    guarding = alone(lambda: guard(file.path, command))
    guarding.join(0.3)
    assert not mark.exists()
    # An agent that came and went meanwhile had another key.
    in_force(tmp_path, -1.0)
    wait_for(lambda: not guarding.is_alive())
    assert mark.read_text() == "x\n"
    assert not file.path.exists()


@pytest.mark.parametrize("text", [None, "", "{}", '{"boot": "x", "key_id": null, "born": 0, "ends": 1e300}'])
def test_where_nobody_knows_how_old_the_key_is_the_tunnel_is_closed_at_once(
    tmp_path: Path, closes: Mark, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "state").write_text(text)
    guard(tmp_path / "state", closes[1])
    assert closes[0].exists()


def test_while_another_agent_runs_it_is_that_ones_tunnel(tmp_path: Path, closes: Mark) -> None:
    file = in_force(tmp_path, -1.0)
    agent = Guardian(file.path, ())
    guard(file.path, closes[1])
    assert not closes[0].exists()
    with pytest.raises(InputError, match="another agent works with"):
        Guardian(file.path, ())
    agent.close(closed=True)
    Guardian(file.path, ()).close(closed=True)


def test_the_lock_of_an_agent_that_was_killed_may_come_after_the_end_of_its_pipe(
    tmp_path: Path, closes: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GONE_SECONDS", 60.0)
    file = in_force(tmp_path, -1.0)
    agent = Guardian(file.path, ())
    guarding = alone(lambda: guard(file.path, closes[1]))
    guarding.join(0.1)
    assert guarding.is_alive()
    agent.close(closed=False)
    wait_for(closes[0].exists)


def test_an_agent_that_begins_and_is_killed_at_once_leaves_the_tunnel_guarded(
    tmp_path: Path, closes: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GONE_SECONDS", 0.2)
    file = in_force(tmp_path, 600.0)
    guarding = alone(lambda: guard(file.path, closes[1]))
    guarding.join(0.5)
    monkeypatch.setattr(module, "GONE_SECONDS", 60.0)
    guarding.join(0.2)
    second = Guardian(file.path, ())
    guarding.join(0.2)
    assert guarding.is_alive()
    in_force(tmp_path, -1.0)
    second.close(closed=False)
    wait_for(closes[0].exists)


def test_a_tunnel_that_cannot_be_closed_is_tried_again_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_TRIES", 3)
    file = in_force(tmp_path, -1.0)
    guard(file.path, ["sh", "-c", f"echo x >> {tmp_path}/tried; exit 1"])
    assert (tmp_path / "tried").read_text() == 3 * "x\n"
    assert "cannot be closed" in caplog.text
    guard(file.path, [str(tmp_path / "no such program")])


@pytest.mark.parametrize("closed", [True, False])
def test_an_agent_that_ends_in_order_leaves_nobody_behind(tmp_path: Path, closes: Mark, closed: bool) -> None:
    guardian = Guardian(in_force(tmp_path, -1.0).path, closes[1])
    guardian.look()
    process = guardian._process
    assert process is not None
    # It was killed: there is another one as soon as somebody looks.
    process.kill()
    process.wait()
    guardian.look()
    process = guardian._process
    assert process is not None
    assert process.poll() is None
    guardian.close(closed=closed)
    process.wait(60)
    assert closes[0].exists() == (not closed)


def test_what_lies_where_an_agent_was_begun_is_not_taken_for_the_program(
    tmp_path: Path, closes: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    (folder / "kronborg").mkdir(parents=True)
    (folder / "kronborg" / "__init__.py").write_text("raise SystemExit")
    monkeypatch.chdir(folder)
    in_force(tmp_path, -1.0)
    guardian = Guardian(Path("..") / "state", closes[1])
    guardian.look()
    process = guardian._process
    assert process is not None
    guardian.close(closed=False)
    process.wait(120)
    assert closes[0].exists()


AGENT = """
import os, sys
from pathlib import Path
from kronborg.network.encryptors.guardian import Guardian
guardian = Guardian(Path(sys.argv[1]), sys.argv[2:])
guardian.look()
os.kill(os.getpid(), 9)
"""


def test_a_process_that_is_killed_leaves_a_guardian_behind(tmp_path: Path, closes: Mark) -> None:
    file = in_force(tmp_path, -1.0)
    done = subprocess.run([sys.executable, "-c", AGENT, str(file.path), *closes[1]], check=False)
    assert done.returncode == -9
    wait_for(closes[0].exists, 120.0)
