"""Two KMEs on one link, on this machine: certificates, configurations, and stores with the same blocks."""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kronborg.network.certificates import Authority
from kronborg.network.identity import Identity
from kronborg.network.key_store import KeyBlock, KeyStore
from kronborg.network.kme.config import Address, KmeConfig, read_config

HOST = "127.0.0.1"
LINK = "link-ab"
KMES = ("kme-a", "kme-b")
SAES = {"kme-a": ("alice", "carol"), "kme-b": ("bob", "dave")}
_PORTS = range(10000, 32768)
_given: set[int] = set()


@dataclass(frozen=True)
class Pair:
    """Two KMEs that are ready to start.

    Attributes:
        folder: all their files; the authority is in `pki`.
        files: configuration of each.
    """

    folder: Path
    files: Mapping[str, Path]

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

    def fill(self, sizes: Sequence[int]) -> None:
        """Add blocks of so many bytes, from the operating system's randomness, to both stores; KMEs may be running."""
        with KeyStore(self.config(KMES[0]).store.open()) as one, KeyStore(self.config(KMES[1]).store.open()) as other:
            for size in sizes:
                sequence, key = one.last_ready(LINK) + 1, secrets.token_bytes(size)
                for store in (one, other):
                    store.add(KeyBlock(LINK, sequence, 8 * size, 1e-10, key))


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens at now, each given out once.

    They lie below those that the operating system gives to outgoing connections (Linux: 32768 and up), or a server
    that is stopped and started again could find its port taken by any client of any process.
    """
    found: list[int] = []
    while len(found) < number:
        port = secrets.choice(_PORTS)
        if port in _given:
            continue
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        _given.add(port)
        found.append(port)
    return found


def make_pair(folder: Path, *, kme: str = "", keys: str = "", stores: Mapping[str, str] | None = None) -> Pair:
    """Make certificates and configurations.

    Args:
        folder: where; new.
        kme: further lines for the table `[kme]` of both.
        keys: lines for `[keys]`.
        stores: lines for `[store]` of each KME; an SQLite file by default.
    """
    authority = Authority.create(folder / "pki", "Kronborg test")
    for name in KMES:
        authority.issue(Identity("kme", name), [HOST, "localhost"])
        for sae in SAES[name]:
            authority.issue(Identity("sae", sae), [HOST])
    ports = dict(
        zip([(name, kind) for name in KMES for kind in ("sae", "peer", "metrics")], free_ports(6), strict=True)
    )
    saes = "".join(f'[[sae]]\nid = "{sae}"\nkme = "{where}"\n' for where in KMES for sae in SAES[where])
    files = {}
    for name, other in (KMES, KMES[::-1]):
        files[name], default = folder / f"{name}.toml", f'path = "{name}.sqlite"'
        files[name].write_text(
            f'[kme]\nid = "{name}"\nlisten = "{HOST}:{ports[name, "sae"]}"\n'
            f'peer_listen = "{HOST}:{ports[name, "peer"]}"\nmetrics_listen = "{HOST}:{ports[name, "metrics"]}"\n'
            f'certificate = "pki/kme-{name}.pem"\nkey = "pki/kme-{name}.key"\nca = "pki/ca.pem"\ncrl = "pki/crl.pem"\n'
            f'audit_log = "{name}.audit.jsonl"\n{kme}\n'
            f"[store]\n{(stores or {}).get(name) or default}\n\n"
            f"[keys]\n{keys}\n\n"
            f'[[link]]\nname = "{LINK}"\npeer = "{other}"\naddress = "{HOST}:{ports[other, "peer"]}"\n\n{saes}'
        )
    return Pair(folder, files)
