"""How fast two KMEs hand out keys, over mutual TLS, on this machine."""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kronborg.console.progress import RunProgress
from kronborg.console.units import grouped
from kronborg.errors import KronborgError

from .outcome import Outcome, whole

if TYPE_CHECKING:
    from ...network.pair import Pair
    from ...network.processes import Processes, Sae

KEY_BYTES = 32
EXTRA = "network"
FASTEST = 20_000
"""Keys a second that the pools are filled for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="of each of three loads (default 10)")
    parser.add_argument("--batch", type=float, default=128, metavar="N", help="keys of a request (default 128)")
    parser.add_argument("--clients", type=float, default=8, metavar="N", help="SAEs that ask at once (default 8)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Measure.

    Every key is fetched by its slave as well. Masters ask at one KME and slaves at the other, and both KMEs and all
    SAEs share the machine's cores. The last load is open: requests begin when they are due, at half of the rate that
    the machine has just reached, and latency counts from then; connections are kept.

    Raises:
        InputError: a number out of range.
        KronborgError: the KMEs do not start.
    """
    seconds = whole(options.seconds, 1, 3600, "seconds")
    batch = whole(options.batch, 1, 128, "keys a request")
    clients = whole(options.clients, 1, 64, "clients")
    # They bring the extra `network`, which no other bench needs.
    from ...network.pair import make_pair
    from ...network.processes import Processes

    with (
        tempfile.TemporaryDirectory() as folder,
        progress.stage("key delivery", 5) as stage,
        Processes(make_pair(Path(folder), keys="max_count = 1_000_000_000")) as kmes,
    ):
        stage.advance()
        kmes.fill(FASTEST * KEY_BYTES * seconds)
        stage.advance()
        spent = [kmes.cpu_seconds()]
        batches = _closed(kmes, clients, seconds, batch)
        spent.append(kmes.cpu_seconds())
        stage.advance()
        singles = _closed(kmes, clients, seconds, 1)
        spent.append(kmes.cpu_seconds())
        stage.advance()
        rate = len(singles) / seconds
        latencies = sorted(_open(kmes, clients, seconds, rate / 2))
        stage.advance()
    if not batches or not singles or not latencies:
        raise KronborgError("the KMEs did not answer in time: give more --seconds")
    figures: dict[str, Any] = {
        "keys_per_second": round(len(batches) * batch / seconds / 2, 1),
        "requests_per_second": round(rate, 1),
        "p99_ms": round(1e3 * latencies[int(0.99 * (len(latencies) - 1))], 2),
        "median_ms": round(1e3 * latencies[len(latencies) // 2], 2),
        "load_of_latency_requests_per_second": round(rate / 2, 1),
        "cpu_ms_per_key_of_batches": round(1e3 * (spent[1] - spent[0]) / (len(batches) / 2 * batch), 3),
        "cpu_ms_per_single_key_request": round(1e3 * (spent[2] - spent[1]) / len(singles), 2),
        "key_bits": 8 * KEY_BYTES,
        "keys_per_request_of_batches": batch,
        "clients": clients,
        "seconds_of_each_load": seconds,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    table = [
        ("keys", f"{grouped(int(figures['keys_per_second']))} a second, at both ends, {batch} a request"),
        ("single-key requests", f"{figures['requests_per_second']:.0f} a second, half of them the slaves'"),
        ("at half that load", f"median {figures['median_ms']:.1f} ms, 99 % within {figures['p99_ms']:.1f} ms"),
        (
            "processor time",
            f"of both KMEs: {figures['cpu_ms_per_key_of_batches']:.2f} ms a key,"
            f" {figures['cpu_ms_per_single_key_request']:.1f} ms a single-key request",
        ),
        ("machine", f"{figures['cores']} cores for two KMEs and {clients} SAEs, load {figures['load_average']}"),
    ]
    return Outcome(figures, table)


def _couple(kmes: Processes[Pair]) -> tuple[Sae, Sae]:
    from ...network.processes import Sae

    return Sae(kmes.pair, "alice", "kme-a"), Sae(kmes.pair, "bob", "kme-b")


def _together(clients: int, work: Callable[[int], list[float]]) -> list[float]:
    """Carry out in threads, and return all latencies. Raises the first fault."""
    found: list[float] = []
    faults: list[Exception] = []

    def one(number: int) -> None:
        try:
            found.extend(work(number))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise KronborgError(f"a request failed under load: {type(faults[0]).__name__}: {faults[0]}")
    return found


def _pair_of_requests(master: Sae, slave: Sae, number: int) -> tuple[float, float]:
    """Fetch keys at both ends; seconds of each."""
    began = time.perf_counter()
    keys = master.get_keys("bob", number, 8 * KEY_BYTES)
    between = time.perf_counter()
    if slave.get_keys_with_ids("alice", list(keys)) != keys:
        raise KronborgError("the two ends have different keys")
    return between - began, time.perf_counter() - between


def _closed(kmes: Processes[Pair], clients: int, seconds: float, number: int) -> list[float]:
    """Each client asks again as soon as it is answered."""

    def work(_: int) -> list[float]:
        master, slave = _couple(kmes)
        found: list[float] = []
        while time.perf_counter() < end:
            found += _pair_of_requests(master, slave, number)
        master.close()
        slave.close()
        return found

    end = time.perf_counter() + seconds
    return _together(clients, work)


def _open(kmes: Processes[Pair], clients: int, seconds: float, rate: float) -> list[float]:
    """Requests begin when they are due, whether or not those before are answered, as far as there are clients.

    Connections stand by then, as those of SAEs that keep them: sixteen handshakes at once would be all that is seen.
    """
    begin = 0.0

    def start() -> None:
        nonlocal begin
        begin = time.perf_counter() + 0.2

    ready = threading.Barrier(clients, start)

    def work(number: int) -> list[float]:
        master, slave = _couple(kmes)
        try:
            master.status("bob")
            slave.status("alice")
            ready.wait()
        except BaseException:
            ready.abort()
            raise
        # A pair of requests is two.
        period = 2 * clients / rate
        found: list[float] = []
        for turn in range(int(seconds / period)):
            due = begin + (turn + number / clients) * period
            time.sleep(max(0.0, due - time.perf_counter()))
            late = max(0.0, time.perf_counter() - due)
            first, second = _pair_of_requests(master, slave, 1)
            found += [late + first, second]
        master.close()
        slave.close()
        return found

    return _together(clients, work)
