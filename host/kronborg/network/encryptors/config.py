"""An agent's configuration: one TOML file. What is wrong in it is said in one line, with the file and the key."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..tables import Address, Table, read_document

KINDS = ("wireguard", "strongswan")
"""Encryptors that there are agents for; each has a table of its name."""


@dataclass(frozen=True)
class WireGuard:
    """A peer of a WireGuard interface. The agent alone adds it, with a key, and takes it away when keys run out.

    Attributes:
        interface: that the tunnel is; it has its private key, and not this peer.
        public_key: of the peer, base64.
        endpoint: where it is reached; None if it calls.
        allowed_ips: its addresses within the tunnel.
        keepalive_seconds: so often something is sent when there is nothing to send; 0 for never.
        at_once: whether a new key begins with a new session, or with the next handshake, 120 s after the last.
    """

    interface: str
    public_key: str
    endpoint: Address | None
    allowed_ips: tuple[str, ...]
    keepalive_seconds: int
    at_once: bool


@dataclass(frozen=True)
class StrongSwan:
    """A connection of strongSwan's charon. The agent alone loads it, and takes it away when keys run out.

    Attributes:
        vici: charon's socket.
        connection: its name.
        local, remote: addresses of both ends.
        local_id, remote_id: who they say they are, besides having the key.
        auth: `psk` or `pubkey`; the secret, or the private key, is charon's own affair.
        certificate: of this end, for `pubkey`.
        local_networks, remote_networks: what the tunnel is for.
        ike_proposals, esp_proposals: algorithms.
        encap: whether ESP goes in UDP packets: charon's own ESP (kernel-libipsec) cannot do without.
    """

    vici: Path
    connection: str
    local: str
    remote: str
    local_id: str
    remote_id: str
    auth: str
    certificate: Path | None
    local_networks: tuple[str, ...]
    remote_networks: tuple[str, ...]
    ike_proposals: tuple[str, ...]
    esp_proposals: tuple[str, ...]
    encap: bool


@dataclass(frozen=True)
class AgentConfig:
    """All of it; paths are absolute or relative to the file's folder.

    Attributes:
        id, peer: the SAEs at this end and at the other.
        master: whether this end asks for new keys, and the other gets them by their names.
        agent: where the slave's agent listens, and the master's calls it.
        certificate, key, ca, crl: this SAE's, in PEM files; `crl` may be None.
        kme_id, kme: the KME of this end.
        require: extensions that keys have to meet, by name.
        simulated: whether keys that are said to be simulated, and so no secrets, are taken.
        rotate_seconds: so old a key becomes before the next one.
        lifetime_seconds: so old it may become when there is no next one; then the tunnel is closed.
        state: file that says which key is in force; never the key.
        audit_log: file of all that was done, by names of keys.
        metrics_listen: where Prometheus calls, plain HTTP; None for nowhere.
        encryptor: what the keys are for.
    """

    id: str
    peer: str
    master: bool
    agent: Address
    certificate: Path
    key: Path
    ca: Path
    crl: Path | None
    kme_id: str
    kme: Address
    require: Mapping[str, Any]
    simulated: bool
    rotate_seconds: float
    lifetime_seconds: float
    state: Path
    audit_log: Path
    metrics_listen: Address | None
    encryptor: WireGuard | StrongSwan
    file: Path = field(default=Path("agent.toml"), compare=False)


def read_config(file: Path, kind: str) -> AgentConfig:
    """Read and check the configuration of an agent for one kind of encryptor, of KINDS.

    Raises:
        InputError: one line with the file and the key.
    """
    document = read_document(file)
    own = Table(file, "[encryptor]", document.pop("encryptor", {}))
    kme = Table(file, "[kme]", document.pop("kme", {}))
    tunnel = Table(file, f"[{kind}]", document.pop(kind, {}))
    rotate = own.number("rotate_seconds", 120.0, 1.0, 86_400.0)
    lifetime = own.number("lifetime_seconds", 5 * rotate, 1.0, 1e6)
    if lifetime <= rotate:
        raise own.wrong("lifetime_seconds", f"{lifetime:g} is no longer than rotate_seconds, {rotate:g}")
    config = AgentConfig(
        id=own.id("id"),
        peer=own.id("peer"),
        master=_role(own) == "master",
        agent=own.address("agent"),
        certificate=own.path("certificate"),
        key=own.path("key"),
        ca=own.path("ca"),
        crl=own.path("crl") if "crl" in own.values else None,
        kme_id=kme.id("id"),
        kme=kme.address("address"),
        require=_require(file, document),
        simulated=own.take("simulated", bool, False),
        rotate_seconds=rotate,
        lifetime_seconds=lifetime,
        state=own.path("state"),
        audit_log=own.path("audit_log"),
        metrics_listen=own.address("metrics_listen") if "metrics_listen" in own.values else None,
        encryptor=_wireguard(tunnel) if kind == "wireguard" else _strongswan(tunnel),
        file=file,
    )
    if config.id == config.peer:
        raise own.wrong("peer", f"{config.peer} is this SAE")
    for table in (own, kme, tunnel):
        table.end()
    for name in document:
        raise InputError(f"{file}: {name} is not known here")
    return config


def _role(table: Table) -> str:
    if "role" not in table.values:
        raise table.wrong("role", "is missing: 'master' at one end, 'slave' at the other")
    return table.choice("role", ("master", "slave"))


def _require(file: Path, document: dict[str, Any]) -> dict[str, Any]:
    table = Table(file, "[require]", document.pop("require", {}))
    for name, value in table.values.items():
        if type(value) not in (str, int, bool):
            raise table.wrong(name, "is not text, a whole number, true or false")
    return table.values


def _wireguard(table: Table) -> WireGuard:
    interface = table.take("interface", str)
    if not re.fullmatch(r"[A-Za-z0-9_=+.-]{1,15}", interface):
        raise table.wrong("interface", f"{interface!r} is no name of an interface")
    public_key = table.take("public_key", str)
    try:
        if len(base64.b64decode(public_key, validate=True)) != 32:
            raise ValueError
    except (ValueError, binascii.Error):
        raise table.wrong("public_key", "is no public key in base64: `wg pubkey` writes one") from None
    return WireGuard(
        interface,
        public_key,
        table.address("endpoint") if "endpoint" in table.values else None,
        _networks(table, "allowed_ips"),
        table.number("keepalive_seconds", 25, 0, 65_535),
        table.choice("handshake", ("next", "at-once")) == "at-once",
    )


def _strongswan(table: Table) -> StrongSwan:
    connection = table.id("connection")
    local, remote = (_address(table, key) for key in ("local", "remote"))
    auth = table.choice("auth", ("psk", "pubkey"))
    settings = StrongSwan(
        table.path("vici", "/run/charon.vici"),
        connection,
        local,
        remote,
        table.take("local_id", str, local),
        table.take("remote_id", str, remote),
        auth,
        table.path("certificate") if auth == "pubkey" else None,
        _networks(table, "local_networks"),
        _networks(table, "remote_networks"),
        _proposals(table, "ike_proposals", "aes256gcm16-prfsha384-ecp384"),
        _proposals(table, "esp_proposals", "aes256gcm16"),
        table.take("encap", bool, False),
    )
    if settings.certificate is not None and not settings.certificate.is_file():
        raise table.wrong("certificate", f"there is no file {settings.certificate}")
    return settings


def _address(table: Table, key: str) -> str:
    value = table.take(key, str)
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise table.wrong(key, f"{value!r} is no address") from None


def _networks(table: Table, key: str) -> tuple[str, ...]:
    values: list[Any] = table.take(key, list)
    try:
        if not values or not all(isinstance(each, str) for each in values):
            raise ValueError
        return tuple(str(ipaddress.ip_network(each)) for each in values)
    except ValueError:
        raise table.wrong(key, 'is no list of networks such as ["10.1.0.0/16"]') from None


def _proposals(table: Table, key: str, default: str) -> tuple[str, ...]:
    values: list[Any] = table.take(key, list, [default])
    if not values or not all(isinstance(each, str) and re.fullmatch(r"[a-z0-9_-]+", each) for each in values):
        raise table.wrong(key, f'is no list of proposals such as ["{default}"]')
    return tuple(values)
