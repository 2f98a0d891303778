"""How a network on this machine is: its processes, what KMEs tell Prometheus, and what was delivered to whom."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .files import Files
from .metrics import Told, metrics_of, value_of
from .operate import AGENT, LINKS, NATS, TUNNEL, obstacle
from .plan import FibreLink, Plan, Site
from .processes import Process, Processes, last_line

SOON_SECONDS = 7 * 86_400
"""A certificate that ends so soon is worth a word."""


def status(folder: Path) -> dict[str, Any]:
    """All of it, as JSON has it.

    Raises:
        InputError: there is no network in the folder.
    """
    files = Files(folder)
    plan = files.read_plan()
    processes = Processes(folder / "processes.json")
    with ThreadPoolExecutor(8) as threads:
        told = dict(
            zip(plan.sites, threads.map(lambda site: metrics_of(site.metrics_listen), plan.sites.values()), strict=True)
        )
    sites = [_site(files, plan, site, processes.known.get(site.id), told[site.id]) for site in plan.sites.values()]
    links = [_link(plan, link, told, _delivered(files)) for link in plan.links.values()]
    helpers = [
        _helper(files, plan, name, processes.known.get(name))
        for name in ([NATS] if plan.transport == "nats" else []) + [LINKS]
    ]
    tunnels = [_tunnel(files, plan, processes, number) for number in range(len(plan.tunnels))]
    audit = audit_of(files.site(id) / "audit.jsonl" for id in plan.sites)
    home = plan.operators()[0]
    return {
        "network": plan.name,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "healthy": all(not each["trouble"] for each in (*sites, *links, *helpers, *tunnels, audit)),
        "sites": [each for each in sites if each["operator"] == home],
        "abroad": [each for each in sites if each["operator"] != home],
        "links": links,
        "processes": helpers,
        "tunnels": tunnels,
        "pairs": audit.pop("pairs"),
        "audit": audit,
        "stored_bits": sum(each["stored_bits"] for each in links),
        "running": sum(each.runs for each in processes.known.values()),
        "memory_bytes": sum(each.memory_bytes for each in processes.known.values()),
    }


def _process(process: Process | None) -> dict[str, Any]:
    runs = process is not None and process.runs
    return {
        "pid": process.pid if process is not None and runs else None,
        "up_seconds": round(process.seconds) if process is not None and runs else None,
        "memory_bytes": process.memory_bytes if process is not None else 0,
        "cpu_seconds": process.cpu_seconds if process is not None else 0.0,
    }


def _ended(process: Process | None, log: Path) -> str:
    """What is wrong with a process that should run; empty if it does."""
    if process is None:
        return "is down"
    # One that ended in good order was taken off the list by `down`.
    return "" if process.runs else f"ended without being told to: see {log}"


def _helper(files: Files, plan: Plan, name: str, process: Process | None) -> dict[str, Any]:
    return {"name": name, "trouble": _ended(process, files.log(name, plan)), **_process(process)}


def _site(files: Files, plan: Plan, site: Site, process: Process | None, told: Told | None) -> dict[str, Any]:
    trouble = _ended(process, files.log(site.id, plan))
    expiry = value_of(told, "kme_certificate_expiry_seconds")
    if not trouble and told is None:
        trouble = "does not answer"
    elif not trouble and not value_of(told, "kme_store_sound"):
        trouble = f"its store is damaged: {last_line(files.log(site.id, plan))}"
    elif not trouble and expiry < time.time() + SOON_SECONDS:
        trouble = "its certificate ends soon: `kronborg network up` renews it on its last day"
    mine = [link for link in plan.links.values() if site.id in link.ends]
    stored = sum(
        value_of(told, "kme_pool_bytes", link=link.name, direction=way, item="ready")
        for link in mine
        for way in ("out", "in")
    )
    return {
        "id": site.id,
        "about": site.about,
        "operator": site.operator,
        "sae": site.sae,
        "address": str(site.listen),
        "trouble": trouble,
        "links": len(mine),
        "links_up": sum(int(value_of(told, "kme_peer_up", link=link.name)) for link in mine),
        "stored_bits": int(8 * stored),
        "keys_to_masters": int(value_of(told, "kme_keys_delivered_total", role="master")),
        "keys_to_slaves": int(value_of(told, "kme_keys_delivered_total", role="slave")),
        "nodes_heard": int(value_of(told, "kme_relay_nodes")),
        "certificate_until": datetime.fromtimestamp(expiry, timezone.utc).isoformat() if expiry else None,
        **_process(process),
    }


def _tunnel(files: Files, plan: Plan, processes: Processes, number: int) -> dict[str, Any]:
    tunnel, name = plan.tunnels[number], f"{TUNNEL}{number + 1}"
    told = [metrics_of(plan.sites[end].agent_metrics_listen) for end in tunnel.ends]
    trouble = ""
    for each in (name, *(f"{AGENT}{end}" for end in tunnel.ends)):
        if each in processes.known and not processes.runs(each):
            trouble = f"{each} ended without being told to: see {files.log(each, plan)}"
    if name not in processes.known:
        # One that this machine cannot have is no fault of the network.
        trouble = "" if obstacle() else "is down"
    elif not trouble and not all(value_of(end, "encryptor_open") for end in told):
        trouble = "is closed: it has no young key"
    return {
        "name": name,
        "ends": list(tunnel.ends),
        "trouble": trouble,
        "open": all(bool(value_of(end, "encryptor_open")) for end in told),
        "left_out": obstacle() if name not in processes.known else "",
        "keys_used": int(value_of(told[0], "encryptor_rotations_total", outcome="changed")),
        "key_age_seconds": round(value_of(told[0], "encryptor_key_age_seconds"), 1),
    }


def _delivered(files: Files) -> dict[str, Any]:
    """What the simulated links say that they have delivered."""
    try:
        found = json.loads(files.links.read_text("utf-8"))
        return dict(found["links"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _link(plan: Plan, link: FibreLink, told: Mapping[str, Told | None], delivered: dict[str, Any]) -> dict[str, Any]:
    ends = [told[end] for end in link.ends]
    answer = [end for end in ends if end is not None]

    def largest(name: str, **labels: str) -> int:
        return int(max((value_of(end, f"kme_{name}", link=link.name, **labels) for end in answer), default=0))

    stored = [
        sum(value_of(end, "kme_pool_bytes", link=link.name, direction=way, item="ready") for way in ("out", "in"))
        for end in answer
    ]
    unequal = largest("blocks_total", outcome="unequal")
    up = len(answer) == 2 and all(value_of(end, "kme_peer_up", link=link.name) for end in answer)
    trouble = ""
    if not up:
        silent = [name for name in link.ends if told[name] is None]
        trouble = f"{' and '.join(silent) or 'an end'} {'do' if len(silent) == 2 else 'does'} not answer"
    elif unequal:
        trouble = f"{unequal} blocks differed between the ends and are void"
    elif not min(stored):
        trouble = "has no key"
    return {
        "name": link.name,
        "ends": list(link.ends),
        "length_km": link.length_km,
        "bits_per_second": round(link.bits_per_second(plan.light)),
        "trouble": trouble,
        "stored_bits": int(8 * min(stored, default=0)),
        "blocks_equal": largest("blocks_total", outcome="equal"),
        "blocks_unequal": unequal,
        "source": delivered.get(link.name, {}),
    }


def audit_of(logs: Iterable[Path]) -> dict[str, Any]:
    """What audit logs say together: which SAEs were handed keys for whom, and whether one was handed a key twice."""
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    handed: Counter[tuple[str, str]] = Counter()
    deliveries = unreadable = 0
    for log in logs:
        try:
            lines = log.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            continue
        for line in lines:
            try:
                noted = json.loads(line)
                role, sae, peers, names = (noted[key] for key in ("role", "sae", "peers", "key_ids"))
            except (ValueError, KeyError, TypeError):
                unreadable += 1  # the machine stopped while it was written
                continue
            deliveries += 1
            if role == "border":
                continue  # to another operator's key manager, again until it answers
            handed.update((sae, name) for name in names)
            for peer in peers:
                pair = (sae, peer) if role == "master" else (peer, sae)
                counts = pairs.setdefault(
                    pair, {"master": pair[0], "slave": pair[1], "to_master": 0, "to_slave": 0, "last": ""}
                )
                counts[f"to_{role}"] += len(names)
                counts["last"] = max(counts["last"], noted["time"])
    twice = sum(times > 1 for times in handed.values())
    trouble = f"{twice} keys were handed to the same SAE twice" if twice else ""
    return {
        "name": "audit",
        "trouble": trouble,
        "deliveries": deliveries,
        "delivered_twice": twice,
        "unreadable": unreadable,
        "pairs": list(pairs.values()),
    }


def lines_of(found: dict[str, Any]) -> list[str]:
    """A status for people."""
    lines = [f"{found['network']}: {'all well' if found['healthy'] else 'NOT WELL'}", ""]
    if not found["running"]:
        audit = [f"  audit: {found['audit']['trouble']}"] if found["audit"]["trouble"] else []
        return [*lines, "  none of its processes runs: kronborg network up begins it", *audit]
    sites = [*found["sites"], *found["abroad"]]
    wide = max(len(each["id"]) for each in sites) + 2
    lines.append(f"  {'site':<{wide}}{'state':<8}{'links':>6}{'stored':>12}{'keys m/s':>10}{'up':>9}{'memory':>9}")
    for each in sites:
        state = "ok" if not each["trouble"] else "DOWN" if each["pid"] is None else "LOOK"
        keys = f"{each['keys_to_masters']}/{each['keys_to_slaves']}"
        lines.append(
            f"  {each['id']:<{wide}}{state:<8}{each['links_up']}/{each['links']:<4}{_bits(each['stored_bits']):>12}"
            f"{keys:>10}{_span(each['up_seconds']):>9}{each['memory_bytes'] / 1e6:>6.0f} MB"
            + ("" if each in found["sites"] else f"  {each['operator']}")
        )
    far = max(len(" – ".join(each["ends"])) for each in found["links"]) + 2
    lines += ["", f"  {'link':<{far}}{'state':<8}{'length':>8}{'key rate':>14}{'stored':>12}  blocks"]
    for each in found["links"]:
        blocks = str(each["blocks_equal"])
        if each["source"].get("distilled_blocks"):
            blocks += f", {each['source']['distilled_blocks']} distilled"
        lines.append(
            f"  {' – '.join(each['ends']):<{far}}{'LOOK' if each['trouble'] else 'ok':<8}{each['length_km']:>5.1f} km"
            f"{_bits(each['bits_per_second']) + '/s':>14}{_bits(each['stored_bits']):>12}  {blocks}"
        )
    if found["pairs"]:
        lines += ["", "  pairs served, keys to master and slave"]
        for each in found["pairs"]:
            lines.append(f"  {each['master']} → {each['slave']}: {each['to_master']}, {each['to_slave']}")
    for each in found["tunnels"]:
        used = f"{each['keys_used']} key{'' if each['keys_used'] == 1 else 's'} used"
        state = f"{used}, this one {each['key_age_seconds']:.0f} s old" if each["open"] else "closed"
        state = f"left out: {each['left_out']}" if each["left_out"] else state
        lines += ["", f"  tunnel {' – '.join(each['ends'])}: {state}"]
    lines += ["", f"  {found['running']} processes, {found['memory_bytes'] / 1e6:.0f} MB"]
    troubles = [
        f"  {each.get('id') or each['name']}: {each['trouble']}"
        for each in (*found["processes"], *sites, *found["links"], *found["tunnels"], found["audit"])
        if each["trouble"]
    ]
    return [*lines, *(["", *troubles] if troubles else [])]


def _bits(number: float) -> str:
    for unit in ("bit", "kbit", "Mbit"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} Gbit"


def _span(seconds: int | None) -> str:
    if seconds is None:
        return "–"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
