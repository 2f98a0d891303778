"""KMEs as processes of their own, and SAEs that ask them as fast as a thread can."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from kronborg.errors import KronborgError
from kronborg.network.identity import Identity

from .pair import Pair
from .web import Web

P = TypeVar("P", Pair, Web)
START_SECONDS = 300.0
REQUEST_SECONDS = 10.0


class Refusal(KronborgError):
    """A KME answered with an error; `status` is its code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Sae:
    """An application with its certificate and one kept-alive connection to its KME. One thread at a time."""

    def __init__(self, pair: Pair | Web, name: str, kme: str) -> None:
        address = pair.address(kme)
        self.name = name
        self._connection = http.client.HTTPSConnection(
            address.host, address.port, timeout=REQUEST_SECONDS, context=pair.context(Identity("sae", name))
        )

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            data = None if body is None else json.dumps(body).encode()
            self._connection.request(method, f"/api/v1/keys/{path}", data, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            raise
        if response.status != 200:
            raise Refusal(response.status, str(answer.get("message")))
        found: dict[str, Any] = answer
        return found

    def status(self, slave: str) -> dict[str, Any]:
        """Get status. Raises Refusal, OSError and HTTPException, as all of them."""
        return self._ask("GET", f"{slave}/status")

    def get_keys(self, slave: str, number: int = 1, size: int = 256, **more: Any) -> dict[str, bytes]:
        """Get key, with further members of the request: bits by key ID."""
        return _keys(self._ask("POST", f"{slave}/enc_keys", {"number": number, "size": size, **more}))

    def get_keys_with_ids(self, master: str, ids: list[str]) -> dict[str, bytes]:
        """Get key with key IDs."""
        return _keys(self._ask("POST", f"{master}/dec_keys", {"key_IDs": [{"key_ID": each} for each in ids]}))

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _keys(answer: dict[str, Any]) -> dict[str, bytes]:
    return {key["key_ID"]: base64.b64decode(key["key"]) for key in answer["keys"]}


class Processes(Generic[P]):
    """KMEs, each a `kronborg kme`. Use as a context manager: it ends them.

    Args:
        pair: the network.
        clocks: whether each follows the clock `NAME.clock` in the network's folder, which is there.
    """

    def __init__(self, pair: P, *, clocks: bool = False) -> None:
        self.pair: P = pair
        self._clocks = clocks
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes[P]:
        for name in self.pair.files:
            self.begin(name)
        for name in self.pair.files:
            self.wait(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()
        self._running.clear()

    def begin(self, name: str) -> None:
        """Start a KME; its log goes to `NAME.log`."""
        clock = str(self.pair.folder / f"{name}.clock")
        program: list[str] = ["kronborg_sim.network.clock", clock] if self._clocks else ["kronborg.cli"]
        with (self.pair.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *program, "kme", str(self.pair.files[name])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait(self, name: str, *, serves: bool = False) -> None:
        """Wait until a KME answers, or until it `serves`: says its status. Raises KronborgError if it ends instead."""
        saes = {where: sae for sae, where in self.pair.config(name).saes.items()}
        slave = next(sae for where, sae in saes.items() if where != name)
        sae, end = Sae(self.pair, saes[name], name), time.monotonic() + START_SECONDS
        while True:
            try:
                try:
                    sae.status(slave)
                except Refusal:
                    if serves:
                        raise
                sae.close()
                return
            except (OSError, http.client.HTTPException, ValueError, Refusal):
                if self._running[name].poll() is not None or time.monotonic() > end:
                    log = (self.pair.folder / f"{name}.log").read_text().splitlines()
                    raise KronborgError(f"{name} did not start: {log[-1] if log else 'it says nothing'}") from None
                time.sleep(0.05)

    def cpu_seconds(self) -> float:
        """Processor time of the KMEs that run, since they began (Linux)."""
        ticks = 0
        for process in self._running.values():
            # What follows the name in brackets, which may hold anything: fields 14 and 15 are user and system time.
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self, name: str) -> None:
        """End a KME at once, wherever it is (SIGKILL)."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def fill(self, total: int, block: int = 1 << 20) -> None:
        """Store blocks at both ends until each pool has `total` bytes more, and wait until both KMEs have them.

        They count keys up to `max_count`: beyond, nobody sees more of them.
        """
        ends = [Sae(self.pair, "alice", "kme-a"), Sae(self.pair, "bob", "kme-b")]
        before = [_stored(each) for each in ends]
        assert isinstance(self.pair, Pair)
        self.pair.fill([block] * -(-2 * total // (block - 18)))
        end = time.monotonic() + START_SECONDS
        wanted = [min(stored + total // 32, most) for stored, most in before]
        while any(_stored(each)[0] < enough for each, enough in zip(ends, wanted, strict=True)):
            if time.monotonic() > end:
                raise KronborgError("the KMEs do not take up the blocks of their link")
            time.sleep(0.1)
        for each in ends:
            each.close()


def _stored(sae: Sae) -> tuple[int, int]:
    """Keys that a KME says it has, and the most that it says."""
    status = sae.status({"alice": "bob", "bob": "alice"}[sae.name])
    return int(status["stored_key_count"]), int(status["max_key_count"])
