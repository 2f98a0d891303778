"""A network of KMEs on this machine, in any shape: certificates, configurations, and stores with the same blocks."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kronborg.network.certificates import Authority
from kronborg.network.identity import Identity
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg.network.kme.config import Address, KmeConfig, read_config

from .pair import HOST, free_ports

Ends = tuple[str, str]

LINE: Sequence[Ends] = tuple((f"n{i}", f"n{i + 1}") for i in range(5))
"""Six nodes in a row: five links."""
DANISH: Sequence[Ends] = (
    # A metropolitan ring, and the line to the west that has no second way.
    ("foreign", "defence"),
    ("defence", "business"),
    ("business", "science"),
    ("science", "ku"),
    ("ku", "dtu"),
    ("dtu", "foreign"),
    ("dtu", "business"),
    ("ku", "soroe"),
    ("soroe", "odense"),
    ("dtu", "malmoe-gateway"),
    ("foreign", "gdansk-gateway"),
)
"""Ten nodes, modelled on what is public of a network in Denmark; not that network."""


@dataclass(frozen=True)
class Web:
    """KMEs that are ready to start; each serves one SAE, `sae-` and its name.

    Attributes:
        folder: all their files; the authority is in `pki`.
        files: configuration of each.
        links: which nodes have one, named `A--B`.
        nats: where a NATS server is to listen.
    """

    folder: Path
    files: Mapping[str, Path]
    links: Sequence[Ends]
    nats: Address

    @property
    def authority(self) -> Authority:
        """Who issued their certificates."""
        return Authority(self.folder / "pki")

    def config(self, kme: str) -> KmeConfig:
        """A KME's configuration."""
        return read_config(self.files[kme])

    def address(self, kme: str) -> Address:
        """Where a KME listens for SAEs."""
        return self.config(kme).listen

    def context(self, identity: Identity) -> ssl.SSLContext:
        """TLS for a client with an identity's certificate."""
        context = ssl.create_default_context(cafile=self.folder / "pki" / "ca.pem")
        context.load_cert_chain(*self.authority.files(identity))
        return context

    def fill(self, size: int, links: Sequence[Ends] | None = None) -> None:
        """Add a block of so many bytes to both ends of links, all by default; KMEs may be running."""
        for ends in self.links if links is None else links:
            with KeyStore(self.config(ends[0]).store.open()) as one, KeyStore(self.config(ends[1]).store.open()) as two:
                name = link_name(ends)
                sequence, key = one.last_ready(name) + 1, secrets.token_bytes(size)
                for store in (one, two):
                    store.add(KeyBlock(name, sequence, 8 * size, 1e-10, key))


def link_name(ends: Ends) -> str:
    """The name of a link."""
    return f"{ends[0]}--{ends[1]}"


def make_web(
    folder: Path,
    links: Sequence[Ends],
    *,
    relay: str = "",
    keys: str = "",
    more: str = "",
    domains: Mapping[str, str] | None = None,
    nats: bool = False,
) -> Web:
    """Make certificates and configurations.

    Args:
        folder: where; new.
        links: which nodes have one.
        relay: lines for `[relay]`.
        keys: lines for `[keys]`.
        more: further tables of each.
        domains: of nodes' SAEs.
        nats: whether frames go by way of a NATS server, which is not started.
    """
    authority = Authority.create(folder / "pki", "Kronborg test")
    nodes = list(dict.fromkeys(name for ends in links for name in ends))
    for name in nodes:
        authority.issue(Identity("kme", name), [HOST, "localhost"])
        authority.issue(Identity("sae", f"sae-{name}"))
    *ports, nats_port = free_ports(3 * len(nodes) + 1)
    if nats:
        relay += f'\ntransport = "nats"\nnats = "{HOST}:{nats_port}"\n'
    sae, peer, metrics = (dict(zip(nodes, ports[i::3], strict=True)) for i in range(3))
    domain = {name: f'domain = "{text}"\n' for name, text in (domains or {}).items()}
    saes = "".join(f'[[sae]]\nid = "sae-{name}"\nkme = "{name}"\n{domain.get(name, "")}' for name in nodes)
    files = {}
    for name in nodes:
        files[name] = folder / f"{name}.toml"
        mine = "".join(
            f'[[link]]\nname = "{link_name(ends)}"\npeer = "{other}"\naddress = "{HOST}:{peer[other]}"\n'
            for ends in links
            for this, other in (ends, ends[::-1])
            if this == name
        )
        files[name].write_text(
            f'[kme]\nid = "{name}"\nlisten = "{HOST}:{sae[name]}"\npeer_listen = "{HOST}:{peer[name]}"\n'
            f'metrics_listen = "{HOST}:{metrics[name]}"\n'
            f'certificate = "pki/kme-{name}.pem"\nkey = "pki/kme-{name}.key"\nca = "pki/ca.pem"\ncrl = "pki/crl.pem"\n'
            f'audit_log = "{name}.audit.jsonl"\n[store]\npath = "{name}.sqlite"\n'
            f"[keys]\n{keys}\n[relay]\n{relay}\n{mine}{saes}{more}"
        )
    return Web(folder, files, links, Address(HOST, nats_port))
