"""Structured logs, and the audit log of deliveries: lines of JSON, with names of keys and never their bits."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from ...errors import InputError
from ..database import StoreError

LOGGER = logging.getLogger("kronborg.kme")


def event(level: int, what: str, **fields: object) -> None:
    """Log an event: a fixed text, and fields that are names and numbers."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, what, extra={"fields": fields})


class Lines(logging.Formatter):
    """One JSON object a line. Of an exception it shows kind and place, never its text: that may quote what it got."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {"time": _now(record.created), "level": record.levelname.lower()}
        if record.name == LOGGER.name:
            line |= {"event": str(record.msg), **getattr(record, "fields", {})}
        else:
            # Other programs' loggers put requests and values into their texts: where it happened has to do.
            line |= {"event": "message of a library", "logger": record.name, "at": f"{record.module}:{record.lineno}"}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                line["raised_at"] = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        return json.dumps(line)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send all logs of this process to standard error, as lines of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    LOGGER.setLevel(level)


def _now(seconds: float | None = None) -> str:
    moment = datetime.now(timezone.utc) if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds")


class AuditLog:
    """Who was handed which keys, in a file that only grows and that its owner alone can read.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Who writes to a file that another thread closes writes to what has its number next.
        self._lock = threading.Lock()
        self._file = self._open()

    def _open(self) -> int:
        try:
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            size = os.fstat(file).st_size
            self._cut = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            return file
        except OSError as error:
            raise InputError(f"cannot write the audit log {self.path}: {error.strerror}") from None

    def reopen(self) -> None:
        """Go on in a new file, after the old one was moved away."""
        with self._lock:
            before, self._file = self._file, self._open()
            os.close(before)

    def delivered(self, *, role: str, sae: str, peers: Sequence[str], link: str, key_ids: Sequence[str]) -> None:
        """Note a delivery, before the keys go out.

        Raises:
            StoreError: it cannot be noted, so the keys must not go out.
        """
        self.note("delivered", role=role, sae=sae, peers=list(peers), link=link, key_ids=list(key_ids))

    def note(self, what: str, **fields: object) -> None:
        """Note an event, with fields that are names and numbers.

        Raises:
            StoreError: it cannot be noted.
        """
        data = (json.dumps({"time": _now(), "event": what, **fields}) + "\n").encode()
        with self._lock:
            self._write(data)

    def _write(self, data: bytes) -> None:
        # What a full disk or a power cut left of a line must not take the next one with it.
        data = b"\n" + data if self._cut else data
        try:
            written = os.write(self._file, data)
            self._cut = written != len(data)
        except OSError:
            raise StoreError("the audit log cannot be written") from None
        if self._cut:
            raise StoreError("the audit log cannot be written")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
