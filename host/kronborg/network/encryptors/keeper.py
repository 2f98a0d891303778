"""Which key is in force in a tunnel, which waits, and until when: one end of a rotation, whatever the encryptor.

A tunnel is *closed* until a key is in force, and again when that key is older than its lifetime, when somebody else has
changed the tunnel, and when the agent ends. A file says which key is in force, by name, so that an agent that was
killed goes on with it: the time of its end counts from when the machine started, as no clock that is set does.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...errors import InputError, KronborgError
from ..key_pools import Key
from ..kme.log import event
from .kme_client import KEY_ID

Note = Callable[..., None]
"""Writes a line of the audit log: what was done, and names."""


class EncryptorError(KronborgError):
    """An encryptor does not do what it is told; the message holds no key."""


class Encryptor(Protocol):
    """A tunnel. All methods but `intact` raise EncryptorError, and then may have been carried out or not."""

    @property
    def closing(self) -> Sequence[str]:
        """A command that closes it when there is no agent; empty where the encryptor ends it by itself."""

    def check(self) -> None:
        """See that the programs and the interface are there. Raises InputError."""

    def stage(self, key: Key) -> None:
        """Be ready for a key that the other end may begin to use."""

    def switch(self, key: Key) -> None:
        """Use a key that was staged, and open the tunnel if it is closed."""

    def settle(self, key_id: str) -> None:
        """Forget all keys but this one: both ends use it."""

    def adopt(self, key_id: str | None) -> bool:
        """Take the open tunnel as it is found after an agent that was killed, or say that it is not open.

        `key_id` is None where it is not known which key is in force.
        """

    def close(self) -> None:
        """Stop all traffic and forget all keys. Right at any time, once or again."""

    def intact(self) -> bool:
        """Whether the tunnel is as the last call left it."""

    def exchanged_at(self) -> float:
        """When both ends last agreed on session keys, in seconds since the epoch; 0.0 if not since it was opened."""


def boot_seconds() -> float:
    """Time since the machine started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Names this start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class _State:
    """What the file holds: the key in force, None where it is not known which, and when it was new and ends."""

    key_id: str | None
    born: float
    ends: float


class StateFile:
    """Survives the agent, not the machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, state: _State) -> None:
        """Put it there, whole or not at all. Raises EncryptorError."""
        document = {"boot": boot_id(), "key_id": state.key_id, "born": state.born, "ends": state.ends}
        temporary = self.path.with_name(f".{self.path.name}.new")
        try:
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(file, "w") as stream:
                json.dump(document, stream)
            os.replace(temporary, self.path)
        except OSError as error:
            raise EncryptorError(f"cannot write {self.path}: {error.strerror}") from None

    def read(self) -> _State | None:
        """What is there and was written since the machine started."""
        try:
            document = json.loads(self.path.read_text("utf-8"))
            key_id, born, ends = document["key_id"], float(document["born"]), float(document["ends"])
            known = key_id is None or re.fullmatch(KEY_ID, key_id)
            if document["boot"] != boot_id() or not known or not (math.isfinite(born) and math.isfinite(ends)):
                return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return _State(key_id, born, ends)

    def remove(self) -> None:
        """Take it away. What cannot be removed does no harm: a tunnel that is closed is not taken over."""
        with suppress(OSError):
            self.path.unlink()


class Keeper:
    """One end's keys. Its methods are called one at a time.

    Args:
        encryptor: what they are for.
        file: where the state is kept.
        lifetime_seconds: of a key, from when it came from the KME.
        note: writes the audit log; raises StoreError where it cannot, and then no key is taken into use.

    Attributes:
        current: name of the key in force; None where there is none, or where it is not known which.
        staged: the key that waits.
        born: when the key in force was new, in seconds since the machine started.
        closed: whether the tunnel is closed.
    """

    def __init__(self, encryptor: Encryptor, file: StateFile, lifetime_seconds: float, note: Note) -> None:
        self.encryptor, self._file, self._lifetime, self._note = encryptor, file, lifetime_seconds, note
        self.current: str | None = None
        self.staged: Key | None = None
        self.born = self._ends = self._staged_at = 0.0
        self.closed = False
        self._settled = True
        self._failed = ""

    def begin(self) -> None:
        """Go on where the last agent was ended, or close the tunnel. Raises InputError, EncryptorError."""
        self.encryptor.check()
        state = self._file.read()
        young = state is not None and boot_seconds() < state.ends <= boot_seconds() + self._lifetime
        if state is not None and young and self.encryptor.adopt(state.key_id):
            self.current, self.born, self._ends = state.key_id, state.born, state.ends
            self._settled = False
            event(logging.WARNING, "tunnel taken over from an agent that was killed", key_id=self.current)
            return
        self.close("start")
        if not self.closed:
            raise InputError("the tunnel cannot be closed, and its keys are not known: see the line before")

    def stage(self, key: Key) -> None:
        """Have a key wait. Raises EncryptorError."""
        self.encryptor.stage(key)
        self.staged, self._staged_at = key, boot_seconds()

    def switch(self, key_id: str) -> None:
        """Put the key that waits in force. Raises EncryptorError, StoreError; it is unknown then which key is."""
        key = self.staged
        if key is None or key.id != key_id:
            raise EncryptorError("no such key waits")
        # Whoever comes after a crash between the two lines of the file does not know which key is in force, and has no
        # longer than the older one would have had.
        ends = self._staged_at + self._lifetime
        self._file.write(_State(None, self.born, ends if self.closed else min(ends, self._ends)))
        self.current, self._settled = None, False
        self._note("switch", key_id=key.id)
        opened, self.closed = self.closed, False
        if opened:
            self._ends = ends
        try:
            self.encryptor.switch(key)
        except EncryptorError:
            if opened:
                self.close("not opened")
            raise
        self.current, self.staged, self.born, self._ends = key.id, None, self._staged_at, ends
        self._file.write(_State(key.id, self.born, self._ends))
        event(logging.INFO, "tunnel opened" if opened else "key changed", key_id=key.id)

    def settle(self) -> None:
        """The other end uses this key too. Raises EncryptorError."""
        if self.current is not None and not self._settled:
            self.encryptor.settle(self.current)
            self._settled = True

    def close(self, reason: str) -> None:
        """Stop all traffic; `closed` says whether that was done. Never raises: there is nothing safer to be done."""
        was = self.closed
        try:
            self.encryptor.close()
        except EncryptorError as error:
            if str(error) != self._failed:
                event(logging.CRITICAL, "tunnel cannot be closed", reason=str(error))
            self._failed, self.closed = str(error), False
            return
        key_id, self._failed = self.current, ""
        self.current = self.staged = None
        self.closed, self._ends = True, 0.0
        self._file.remove()
        if not was:
            level = logging.INFO if reason in ("start", "end") else logging.ERROR
            event(level, "tunnel closed", reason=reason, key_id=key_id)
            try:
                self._note("close", key_id=key_id, reason=reason)
            except KronborgError as error:
                event(logging.ERROR, "audit log failed", reason=str(error))

    def look(self, *, at_tunnel: bool) -> None:
        """Close the tunnel when its key is too old, or when it is not as it was left."""
        if not self.closed and boot_seconds() >= self._ends:
            self.close("key too old")
        elif at_tunnel and not self.encryptor.intact():
            was, self.closed = self.closed, False
            self.close("opened by somebody else" if was else "changed by somebody else")

    def age(self) -> float:
        """Of the key in force, in seconds."""
        return boot_seconds() - self.born

    def left(self) -> float:
        """Of the lifetime of what is in force, in seconds; without end while the tunnel is closed."""
        return math.inf if self.closed else self._ends - boot_seconds()
