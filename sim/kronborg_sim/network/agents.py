"""Agents of encryptors as processes of their own, one at each end of a tunnel; `alice` is master, `bob` slave."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from kronborg.errors import KronborgError

from .pair import HOST, Pair, free_ports

START_SECONDS = 120.0
"""On a machine that has other things to do."""
END_SECONDS = 20.0
ENDS: Mapping[str, tuple[str, str]] = {"alice": ("bob", "kme-a"), "bob": ("alice", "kme-b")}
"""The other end of each, and its KME."""


class Agents:
    """Two agents. Use as a context manager: it ends those that run.

    Args:
        pair: the KMEs, and the folder for all files.
        kind: of encryptor, as the command says it.
        tables: `[wireguard]` or `[strongswan]` of each.
        lines: for `[encryptor]` of both.

    Attributes:
        files: configuration of each.
        running: those that were started and not ended.
    """

    def __init__(self, pair: Pair, kind: str, tables: Mapping[str, str], lines: str = "") -> None:
        self.pair, self.kind = pair, kind
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        port, *metrics = free_ports(3)
        self._metrics = dict(zip(ENDS, metrics, strict=True))
        self.files: dict[str, Path] = {}
        for name, (other, kme) in ENDS.items():
            self.files[name] = pair.folder / f"{name}.agent.toml"
            role = "master" if name == "alice" else "slave"
            self.files[name].write_text(
                f'[encryptor]\nid = "{name}"\npeer = "{other}"\nrole = "{role}"\nagent = "{HOST}:{port}"\n'
                f'certificate = "pki/sae-{name}.pem"\nkey = "pki/sae-{name}.key"\nca = "pki/ca.pem"\n'
                f'crl = "pki/crl.pem"\nstate = "{name}.state.json"\naudit_log = "{name}.agent-audit.jsonl"\n'
                f'metrics_listen = "{HOST}:{self._metrics[name]}"\n{lines}\n'
                f'[kme]\nid = "{kme}"\naddress = "{pair.address(kme)}"\n{tables[name]}'
            )

    def __enter__(self) -> Agents:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name in list(self.running):
            self.end(name)

    def command(self, name: str, *options: str) -> list[str]:
        """The command line of an agent."""
        return [
            sys.executable,
            "-m",
            "kronborg.cli",
            "encryptor",
            self.kind,
            "--config",
            str(self.files[name]),
            *options,
        ]

    def start(self, *names: str) -> None:
        """Start agents; each one's log goes to `NAME.agent.log`."""
        for name in names or tuple(ENDS):
            with self.log(name).open("ab") as log:
                self.running[name] = subprocess.Popen(
                    self.command(name), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )

    def log(self, name: str) -> Path:
        """Where an agent's log is."""
        return self.pair.folder / f"{name}.agent.log"

    def audit(self, name: str) -> list[dict[str, Any]]:
        """An agent's audit log."""
        path = self.pair.folder / f"{name}.agent-audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def changes(self, name: str) -> list[str]:
        """Names of the keys that were taken into use, in order."""
        return [line["key_id"] for line in self.audit(name) if line["event"] == "switch"]

    def kill(self, name: str) -> None:
        """End an agent at once, wherever it is (SIGKILL)."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def end(self, name: str) -> int:
        """End an agent as an operator would (SIGTERM); returns its exit code."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise KronborgError(f"the agent of {name} does not end") from None

    def metrics(self, name: str) -> dict[str, float]:
        """What Prometheus would read; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._metrics[name]}/metrics", timeout=2) as response:
                lines = response.read().decode().splitlines()
        except OSError:
            return {}
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def open(self, name: str) -> bool:
        """Whether an agent says that its tunnel is open."""
        return self.metrics(name).get("kronborg_encryptor_open") == 1.0

    def wait(self, met: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        """Wait until something is so. Raises KronborgError where it does not come about, or an agent ends."""
        end = time.monotonic() + seconds
        while not met():
            for name, process in self.running.items():
                if process.poll() is not None:
                    raise KronborgError(f"the agent of {name} ended: {self.log(name).read_text()[-300:]}")
            if time.monotonic() > end:
                raise KronborgError(f"{what}: it did not come about within {seconds:g} s")
            time.sleep(0.05)
