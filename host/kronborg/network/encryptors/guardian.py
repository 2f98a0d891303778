"""Closes the tunnel of an agent that was killed and has no successor, as soon as its key is too old.

The agent starts it, and holds one end of a pipe that ends with the agent, however that comes about. From then on the
guardian looks at the agent's state file, which names no more than the key in force and when that ends. It knows one
command, which takes the tunnel's peer away. An agent that runs holds the file's lock, and has a guardian of its own.
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...errors import InputError
from ..kme.log import event, log_to_stderr
from .keeper import StateFile, boot_seconds

LOOK_SECONDS = 1.0
CLAIM_SECONDS = 15.0
"""So long the guardian of an agent that was killed may take to close its tunnel."""
GONE_SECONDS = 5.0
"""So long a guardian waits for a lock before it takes it that an agent runs: of a process that was killed, the kernel
may close the pipe first, and one that begins may fail."""
MOST_TRIES = 60
"""A tunnel that cannot be closed so often is not there any more."""


class Guardian:
    """An agent's claim to its tunnel, and the process that looks after it when the agent is gone.

    Args:
        state: the agent's state file.
        command: closes the tunnel; empty where the encryptor does that by itself.

    Raises:
        InputError: another agent has the tunnel.
    """

    def __init__(self, state: Path, command: Sequence[str]) -> None:
        self._state, self._command = state, command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = _claim(state)
        end = time.monotonic() + CLAIM_SECONDS
        while self._lock is None:
            if time.monotonic() > end:
                raise InputError(f"another agent works with {state}: end it first")
            time.sleep(0.1)
            self._lock = _claim(state)

    def look(self) -> None:
        """See that the process runs."""
        if not self._command or (self._process is not None and self._process.poll() is None):
            return
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        module = f"{__package__}.guardian"
        try:
            # In a session of its own, so that what ends the agent's group of processes does not end it.
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(self._state.absolute()), *self._command],
                # Python looks for modules here first, and where an agent is begun others may write.
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            event(logging.ERROR, "no guardian", reason=error.strerror)

    def close(self, *, closed: bool) -> None:
        """Let go of the tunnel; where it was not `closed`, the process tries to do that."""
        if self._process is not None and self._process.stdin is not None:
            if closed:
                self._process.terminate()
            self._process.stdin.close()
            if closed:
                self._process.wait()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _claim(state: Path) -> int | None:
    """Lock a state file's neighbour; None where somebody else has it. Raises InputError."""
    path = state.with_name(f".{state.name}.lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def guard(state: Path, command: Sequence[str]) -> None:
    """Wait until the key in force is too old, or nobody knows how old it is, and close the tunnel then.

    Returns where another agent runs, which has the lock for good.
    """
    file, tries, patience = StateFile(state), 0, time.monotonic() + GONE_SECONDS
    while tries < MOST_TRIES:
        try:
            lock = _claim(state)
        except InputError:
            lock = -1  # the folder is gone: nobody else can have it either
        if lock is None:
            if time.monotonic() > patience:
                return
            time.sleep(LOOK_SECONDS)
            continue
        # Whoever has it next may only have begun, and fail.
        patience = time.monotonic() + GONE_SECONDS
        try:
            found = file.read()
            if found is None or boot_seconds() >= found.ends:
                tries += 1
                if _run(command):
                    file.remove()
                    event(logging.ERROR, "tunnel closed", reason="its agent was killed")
                    return
        finally:
            if lock >= 0:
                os.close(lock)
        time.sleep(LOOK_SECONDS)
    event(logging.CRITICAL, "tunnel cannot be closed", reason="its agent was killed")


def _run(command: Sequence[str]) -> bool:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
        return done.returncode == 0
    return False


if __name__ == "__main__":
    log_to_stderr()
    # Nothing is ever written to it: it ends when the agent does.
    sys.stdin.buffer.read()
    guard(Path(sys.argv[1]), sys.argv[2:])
