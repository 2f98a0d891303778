"""Certificates and configurations of a network on this machine, made from its plan.

    network.toml    the plan
    pki/OPERATOR/   an authority, and the certificates that it issued
    sites/ID/       kme.toml, keys.sqlite, audit.jsonl, kme.log
    nats.conf       and nats/, nats.log
    links.json      what the simulated links have delivered; links.log

All of it is made again from the plan whenever something is missing; what is there is kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...console.atomic import write_text
from ...errors import InputError
from ..key_store import KeyStore
from .plan import Plan, Site, Tunnel, read_plan

if TYPE_CHECKING:
    from ..certificates import Authority
    from ..encryptors.kme_client import KmeClient
    from ..identity import Identity

NATS_NODE = "nats"
HEAD = "# Written by `kronborg network` from network.toml: change that.\n"


@dataclass(frozen=True)
class Files:
    """Where a network's files lie."""

    folder: Path

    @property
    def plan(self) -> Path:
        """The plan."""
        return self.folder / "network.toml"

    @property
    def links(self) -> Path:
        """What the simulated links have delivered."""
        return self.folder / "links.json"

    def pki(self, operator: str) -> Path:
        """An operator's authority."""
        return self.folder / "pki" / operator

    def site(self, id: str) -> Path:
        """A site's folder."""
        return self.folder / "sites" / id

    def config(self, id: str) -> Path:
        """A KME's configuration."""
        return self.site(id) / "kme.toml"

    def store(self, id: str) -> Path:
        """A KME's key store."""
        return self.site(id) / "keys.sqlite"

    def tunnel(self, number: int) -> Path:
        """What was laid for a tunnel, while it is there."""
        return self.folder / f"tunnel-{number}.json"

    def agent(self, id: str) -> Path:
        """The configuration of the agent at a site."""
        return self.site(id) / "agent.toml"

    def log(self, process: str, plan: Plan) -> Path:
        """What a process says."""
        return self.site(process) / "kme.log" if process in plan.sites else self.folder / f"{process}.log"

    def read_plan(self) -> Plan:
        """The plan of the network in this folder. Raises InputError."""
        if not self.plan.exists():
            raise InputError(f"{self.folder} holds no network: `kronborg network up --dir {self.folder}` makes one")
        return read_plan(self.plan)


def authority_of(files: Files, operator: str) -> Authority:
    """An operator's authority, made where there is none. Raises InputError."""
    from ..certificates import Authority

    folder = files.pki(operator)
    return Authority(folder) if (folder / "ca.pem").exists() else Authority.create(folder, f"Kronborg {operator}")


def make_certificates(files: Files, plan: Plan) -> int:
    """Issue what is missing, and renew what ends within a day; returns how many certificates that were.

    Lists of revoked certificates are signed anew when they have a week to go.
    """
    from datetime import datetime, timedelta, timezone

    from ..identity import Identity

    made = 0
    for operator in plan.operators():
        authority = authority_of(files, operator)
        if authority.list_until < datetime.now(timezone.utc) + timedelta(days=7):
            authority.publish()
        for site in plan.sites_of(operator):
            made += _certify(authority, Identity("kme", site.id), [site.listen.host])
            # Agents of tunnels call each other.
            made += _certify(authority, Identity("sae", site.sae), [site.agent_listen.host])
        if operator == plan.operators()[0] and plan.transport == "nats":
            made += _certify(authority, Identity("node", NATS_NODE), [plan.nats.host])
    return made


def _certify(authority: Authority, identity: Identity, hosts: list[str]) -> int:
    from datetime import datetime, timedelta, timezone

    from ..certificates import load

    certificate = authority.files(identity)[0]
    if not certificate.exists():
        authority.issue(identity, hosts)
    elif load(certificate).not_valid_after_utc < datetime.now(timezone.utc) + timedelta(days=1):
        authority.renew(identity)
    else:
        return 0
    return 1


def write_configs(files: Files, plan: Plan) -> list[str]:
    """Write each KME's configuration; returns the sites whose file changed."""
    changed = []
    for site in plan.sites.values():
        files.site(site.id).mkdir(mode=0o700, parents=True, exist_ok=True)
        text, file = config_of(plan, site), files.config(site.id)
        if not file.exists() or file.read_text("utf-8") != text:
            write_text(file, text)
            changed.append(site.id)
    return changed


def config_of(plan: Plan, site: Site) -> str:
    """A KME's configuration."""
    pki = f"../../pki/{site.operator}"
    relay = f'transport = "nats"\nnats = "{plan.nats}"\n' if plan.transport == "nats" and _home(plan, site) else ""
    text = HEAD + (
        f'[kme]\nid = "{site.id}"\nlisten = "{site.listen}"\npeer_listen = "{site.peer_listen}"\n'
        f'metrics_listen = "{site.metrics_listen}"\ncertificate = "{pki}/kme-{site.id}.pem"\n'
        f'key = "{pki}/kme-{site.id}.key"\nca = "{pki}/ca.pem"\ncrl = "{pki}/crl.pem"\naudit_log = "audit.jsonl"\n\n'
        f'[store]\npath = "keys.sqlite"\n\n[relay]\n{relay}'
    )
    for link in plan.links.values():
        if site.id in link.ends:
            peer = plan.sites[link.ends[link.ends[0] == site.id]]
            text += (
                f'\n[[link]]\nname = "{link.name}"\npeer = "{peer.id}"\naddress = "{peer.peer_listen}"\n'
                "simulated = true\n"
            )
    for each in plan.sites_of(site.operator):
        text += f'\n[[sae]]\nid = "{each.sae}"\nkme = "{each.id}"\n'
    for pair in plan.borders:
        for here, beyond in (pair, pair[::-1]):
            if plan.sites[here].operator == site.operator:
                text += _abroad(plan, here, beyond)
            if here == site.id:
                text += _border(plan, site, plan.sites[beyond])
    return text


def _home(plan: Plan, site: Site) -> bool:
    """Whether a site is of the operator who has the NATS server."""
    return site.operator == plan.operators()[0]


def _abroad(plan: Plan, gateway: str, beyond: str) -> str:
    """SAEs behind a border: their keys are brought to the gateway, and are hybrid as far as that."""
    operator = plan.sites[beyond].operator
    return "".join(
        f'\n[[sae]]\nid = "{each.sae}"\nkme = "{gateway}"\ndomain = "{operator}"\n'
        for each in plan.sites_of(operator)
        if each.id != beyond
    )


def _border(plan: Plan, gateway: Site, beyond: Site) -> str:
    saes = ", ".join(f'"{each.sae}"' for each in plan.sites_of(beyond.operator) if each.id != beyond.id)
    pki = f"../../pki/{beyond.operator}"
    return (
        f'\n[border]\nlisten = "{gateway.border_listen}"\npeer = "{beyond.id}"\naddress = "{beyond.border_listen}"\n'
        f'ca = "{pki}/ca.pem"\ncrl = "{pki}/crl.pem"\nsaes = [{saes}]\n'
    )


def write_nats(files: Files, plan: Plan) -> Path:
    """Write the NATS server's configuration: each KME publishes in its own name alone."""
    from ..identity import Identity
    from ..relay.nats import permissions

    home = plan.operators()[0]
    certificate, key = authority_of(files, home).files(Identity("node", NATS_NODE))
    users = [
        {"user": Identity("kme", site.id).uri, "permissions": permissions(site.id)} for site in plan.sites_of(home)
    ]
    tls = {
        "cert_file": str(certificate.resolve()),
        "key_file": str(key.resolve()),
        "ca_file": str((files.pki(home) / "ca.pem").resolve()),
        "verify_and_map": True,
        "timeout": 5,
    }
    text = json.dumps(
        {
            "listen": str(plan.nats),
            "server_name": "kronborg",
            "jetstream": {"store_dir": str((files.folder / "nats").resolve())},
            "tls": tls,
            "authorization": {"users": users},
        },
        indent=1,
    )
    write_text(files.folder / "nats.conf", text + "\n")
    return files.folder / "nats.conf"


def make_stores(files: Files, plan: Plan) -> None:
    """Make each site's key store, so that links find it."""
    for site in plan.sites.values():
        KeyStore(files.store(site.id)).database.close()


def client_of(files: Files, site: Site) -> KmeClient:
    """A site's SAE, as a client of its KME. Raises InputError."""
    from ..encryptors.kme_client import KmeClient
    from ..identity import Identity
    from ..kme.tls import Credentials

    pki = files.pki(site.operator)
    certificate, key = authority_of(files, site.operator).files(Identity("sae", site.sae))
    credentials = Credentials(certificate, key, pki / "ca.pem", pki / "crl.pem")
    return KmeClient(site.listen, site.id, credentials, {}, simulated=True)


def write_agents(files: Files, plan: Plan, tunnel: Tunnel, tables: Sequence[str]) -> None:
    """Write the configurations of both agents of a tunnel.

    Args:
        files, plan, tunnel: which.
        tables: `[wireguard]` of each end.
    """
    sites = [plan.sites[end] for end in tunnel.ends]
    for role, site, peer, table in zip(("master", "slave"), sites, sites[::-1], tables, strict=True):
        pki = f"../../pki/{site.operator}"
        write_text(
            files.agent(site.id),
            HEAD + f'[encryptor]\nid = "{site.sae}"\npeer = "{peer.sae}"\nrole = "{role}"\n'
            f'agent = "{sites[1].agent_listen}"\ncertificate = "{pki}/sae-{site.sae}.pem"\n'
            f'key = "{pki}/sae-{site.sae}.key"\nca = "{pki}/ca.pem"\ncrl = "{pki}/crl.pem"\n'
            f'state = "agent.json"\naudit_log = "agent.audit.jsonl"\nmetrics_listen = "{site.agent_metrics_listen}"\n'
            f"rotate_seconds = {tunnel.rotate_seconds!r}\n"
            "# The links of this network are simulated.\nsimulated = true\n\n"
            f'[kme]\nid = "{site.id}"\naddress = "{site.listen}"\n\n{table}',
        )
