"""How long a key takes over trusted nodes, from the request at one end to the answer, over mutual TLS."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from kronborg.console.progress import RunProgress
from kronborg.errors import KronborgError

from .outcome import Outcome, whole

EXTRA = "network"
LIMIT_MS = 250.0
"""What a relayed key may take over five hops."""
PAUSE_SECONDS = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's arguments."""
    parser.add_argument("--hops", type=float, default=5, metavar="N", help="links in a row (default 5)")
    parser.add_argument(
        "--keys", type=float, default=200, metavar="N", help="requests, one after another (default 200)"
    )
    parser.add_argument("--transport", choices=("https", "nats"), default="https", help="(default https)")
    parser.add_argument("--number", type=float, default=1, metavar="N", help="keys of a request (default 1)")


def run(options: argparse.Namespace, progress: RunProgress) -> Outcome:
    """Fetch keys from one end of a row of KMEs, each a process of its own, and at the other end compare them.

    Raises:
        InputError: a number out of range.
        KronborgError: the KMEs do not start, or the two ends' keys differ.
    """
    hops, keys = whole(options.hops, 1, 16, "hops"), whole(options.keys, 10, 1e6, "keys")
    number = whole(options.number, 1, 128, "keys a request")
    # They bring the extra `network`, which no other bench needs.
    from ...network.processes import Processes, Refusal, Sae
    from ...network.web import make_web

    first, last = "n0", f"n{hops}"
    latencies: list[float] = []
    with tempfile.TemporaryDirectory() as folder, progress.stage("relayed keys", keys) as stage:
        web = make_web(Path(folder), [(f"n{i}", f"n{i + 1}") for i in range(hops)], nats=options.transport == "nats")
        web.fill(4 * (keys + 50) * (32 * number + 64))
        policy = [{"kronborg_route_type": "indirect"}] if hops > 1 else []
        with ExitStack() as held:
            if options.transport == "nats":
                from ...network.nats import NatsServer

                held.enter_context(NatsServer(web))
            kmes = held.enter_context(Processes(web))
            master, slave = Sae(web, f"sae-{first}", first), Sae(web, f"sae-{last}", last)
            end = time.monotonic() + 60
            while master.status(slave.name)["stored_key_count"] == 0:
                if time.monotonic() > end:
                    raise KronborgError("the nodes do not find each other")
                time.sleep(0.2)
            spent = kmes.cpu_seconds()
            for _ in range(keys):
                began = time.perf_counter()
                try:
                    found = master.get_keys(slave.name, number, extension_mandatory=policy)
                except Refusal as error:
                    raise KronborgError(f"a key was refused: {error}") from None
                latencies.append(time.perf_counter() - began)
                if slave.get_keys_with_ids(master.name, list(found)) != found:
                    raise KronborgError("the two ends have different keys")
                stage.advance()
                time.sleep(PAUSE_SECONDS)
            spent = kmes.cpu_seconds() - spent
            master.close()
            slave.close()
    latencies.sort()
    figures = {
        "hops": hops,
        "median_ms": round(1e3 * latencies[len(latencies) // 2], 1),
        "p99_ms": round(1e3 * latencies[int(0.99 * (len(latencies) - 1))], 1),
        "most_ms": round(1e3 * latencies[-1], 1),
        "keys": keys * number,
        "keys_per_request": number,
        "transport": options.transport,
        "cpu_ms_per_request": round(1e3 * spent / keys, 1),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    table = [
        ("over", f"{hops} hops by {options.transport}, {number} keys a request"),
        ("from request to key", f"median {figures['median_ms']} ms, 99 % within {figures['p99_ms']} ms"),
        ("processor time", f"of all {hops + 1} KMEs: {figures['cpu_ms_per_request']} ms a request"),
        ("machine", f"{figures['cores']} cores for all, load {figures['load_average']}"),
    ]
    slow = hops <= 5 and latencies[len(latencies) // 2] > 1e-3 * LIMIT_MS
    return Outcome(figures, table, f"a key takes more than {LIMIT_MS:g} ms" if slow else "")
