"""A KME's configuration: one TOML file. What is wrong in it is said in one line, with the file and the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..backends import BACKENDS, StoreSettings
from ..tables import Address as Address
from ..tables import Table, read_document, tables


@dataclass(frozen=True)
class KeySettings:
    """What this KME promises of keys (ETSI GS QKD 014, table 9), and how long it keeps them.

    Attributes:
        default_size, min_size, max_size: in bits, multiples of 8.
        max_per_request: keys of one request.
        max_count: most that `stored_key_count` says.
        max_additional_saes: SAEs beside the slave that may have the same key.
        lifetime_seconds: a key that no slave fetched in time is erased.
        keep_names_seconds: for so long the store remembers keys that are gone.
        unhandled_optional: what an optional extension that is not known gets: it is ignored, or refused.
    """

    default_size: int = 256
    min_size: int = 64
    max_size: int = 4096
    max_per_request: int = 128
    max_count: int = 100_000
    max_additional_saes: int = 8
    lifetime_seconds: float = 3600.0
    keep_names_seconds: float = 86_400.0
    unhandled_optional: str = "ignore"


@dataclass(frozen=True)
class Link:
    """A link to another KME, under the name that its key blocks have in the store.

    Attributes:
        name: of the link.
        peer: ID of the other KME.
        address: where its peer port is.
        simulated: its keys come from a simulated link and are no secrets.
    """

    name: str
    peer: str
    address: Address
    simulated: bool = False


@dataclass(frozen=True)
class RelaySettings:
    """Relay over trusted nodes.

    Attributes:
        paths: 2 for two paths that share no node, wherever the network has them, or 1.
        max_hops: links of a path.
        avoid: KMEs that no path of ours may lead through.
        timeout_seconds: for so long other ways are tried before a request is refused.
        nats: the NATS server that carries frames; None for HTTPS from node to node.
    """

    paths: int = 2
    max_hops: int = 16
    avoid: tuple[str, ...] = ()
    timeout_seconds: float = 6.0
    nats: Address | None = None


@dataclass(frozen=True)
class Policy:
    """What keys between two SAEs have to be.

    Attributes:
        saes: the two, either of which may be master; "*" is any.
        route_type: `direct`, `indirect` or `any`.
        least_paths: of keys that are relayed; 2 refuses where there is but one.
        max_hops: links of a path; 0 for what the relay's settings say.
        avoid: KMEs that no path may lead through.
        hybrid: `always` to combine keys with an ML-KEM secret, `border` where the SAEs' domains differ, or `never`.
    """

    saes: tuple[str, str] = ("*", "*")
    route_type: str = "any"
    least_paths: int = 1
    max_hops: int = 0
    avoid: tuple[str, ...] = ()
    hybrid: str = "border"

    def fits(self, one: str, other: str) -> bool:
        """Whether it is for these two SAEs."""
        return any(
            all(mine in ("*", theirs) for mine, theirs in zip(self.saes, pair, strict=True))
            for pair in ((one, other), (other, one))
        )


@dataclass(frozen=True)
class Border:
    """Another operator's key manager, in the same trusted node (ETSI GS QKD 020).

    Attributes:
        listen: where it calls.
        peer: its ID, as its certificate says (``urn:qkd:kme:ID``).
        address: where it listens.
        ca, crl: the other operator's authority, which counts at this interface alone.
        saes: those behind the border; in `[[sae]]` they are at this KME.
        patience_seconds: how long it may take to acknowledge.
    """

    listen: Address
    peer: str
    address: Address
    ca: Path
    crl: Path | None
    saes: tuple[str, ...]
    patience_seconds: float = 5.0


@dataclass(frozen=True)
class KmeConfig:
    """All of it; paths are absolute or relative to the file's folder.

    Attributes:
        id: of this KME.
        listen: where SAEs call.
        peer_listen: where other KMEs call.
        metrics_listen: where Prometheus calls, plain HTTP; None for nowhere.
        certificate, key, ca: this KME's, in PEM files.
        crl: the authority's list of revoked certificates; None to do without.
        audit_log: file of deliveries.
        store: the database with blocks and keys.
        keys: see KeySettings.
        links: by name.
        saes: ID of the KME of each SAE.
        request_seconds: a request that is not complete by then is cut off.
        relay: over trusted nodes; None for direct links alone.
        policies: of pairs of SAEs; the first that fits counts.
        domains: of SAEs that are not in the domain "".
        border: to another operator; None without any.
    """

    id: str
    listen: Address
    peer_listen: Address
    metrics_listen: Address | None
    certificate: Path
    key: Path
    ca: Path
    crl: Path | None
    audit_log: Path
    store: StoreSettings
    keys: KeySettings
    links: Mapping[str, Link]
    saes: Mapping[str, str]
    request_seconds: float = 10.0
    relay: RelaySettings | None = None
    policies: tuple[Policy, ...] = ()
    domains: Mapping[str, str] = field(default_factory=dict)
    border: Border | None = None
    file: Path = field(default=Path("kme.toml"), compare=False)

    def link_to(self, kme: str) -> Link | None:
        """The link to another KME, if there is one."""
        return next((link for link in self.links.values() if link.peer == kme), None)

    def extends(self, before: KmeConfig) -> str:
        """Whether a KME that runs by the configuration `before` can go on by this one: more links, other SAEs, other
        policies. Empty if it can, else what takes a restart."""
        if self.border is not None and before.border is not None:
            other = replace(self, border=replace(self.border, saes=before.border.saes))
        else:
            other = self
        for each in fields(self):
            free = not each.compare or each.name in ("links", "saes", "domains", "policies")
            if not free and getattr(other, each.name) != getattr(before, each.name):
                return each.name
        for name, link in before.links.items():
            if self.links.get(name) != link:
                return f"link {name}"
        return ""

    def policy_of(self, one: str, other: str) -> Policy:
        """What keys between two SAEs have to be."""
        return next((policy for policy in self.policies if policy.fits(one, other)), Policy())

    def hybrid(self, one: str, other: str) -> bool:
        """Whether keys between two SAEs are combined with an ML-KEM secret."""
        wanted = self.policy_of(one, other).hybrid
        return wanted == "always" or (wanted == "border" and self.domains.get(one) != self.domains.get(other))


def read_config(file: Path) -> KmeConfig:
    """Read and check a configuration.

    Raises:
        InputError: one line with the file and the key.
    """
    document = read_document(file)
    kme = Table(file, "[kme]", document.pop("kme", {}))
    own, saes = kme.id("id"), _saes(file, document)
    config = KmeConfig(
        id=own,
        listen=kme.address("listen"),
        peer_listen=kme.address("peer_listen"),
        metrics_listen=kme.address("metrics_listen") if "metrics_listen" in kme.values else None,
        certificate=kme.path("certificate"),
        key=kme.path("key"),
        ca=kme.path("ca"),
        crl=kme.path("crl") if "crl" in kme.values else None,
        audit_log=kme.path("audit_log", "audit.jsonl"),
        request_seconds=kme.number("request_seconds", 10.0, 0.1, 600.0),
        store=_store(file, document),
        keys=_keys(file, document),
        links=_links(file, document, own),
        saes={name: where for name, (where, _) in saes.items()},
        domains={name: domain for name, (_, domain) in saes.items() if domain},
        relay=_relay(file, document) if "relay" in document else None,
        policies=_policies(file, document),
        border=_border(file, document) if "border" in document else None,
        file=file,
    )
    kme.end()
    for name in document:
        raise InputError(f"{file}: {name} is not known here")
    reached = {own} | {link.peer for link in config.links.values()}
    if config.relay is None and (
        config.border or config.domains or any(each.hybrid == "always" for each in config.policies)
    ):
        raise InputError(f"{file}: a border, hybrid keys and domains need a table [relay]")
    for sae in config.border.saes if config.border else ():
        if config.saes.get(sae) != own:
            raise InputError(f"{file}: [border] saes: {sae} has no [[sae]] at {own}")
    for sae, where in config.saes.items():
        if where not in reached and config.relay is None:
            raise InputError(f"{file}: [[sae]] {sae} kme: no link leads to {where}, and there is no [relay]")
    return config


def _store(file: Path, document: dict[str, Any]) -> StoreSettings:
    store = Table(file, "[store]", document.pop("store", {}))
    backend = store.take("backend", str, "sqlite")
    if backend not in BACKENDS:
        raise store.wrong("backend", f"{backend!r} is none of {', '.join(BACKENDS)}")
    if backend == "postgresql":
        settings = StoreSettings(backend, url=store.take("url", str))
    elif backend == "sqlcipher":
        settings = StoreSettings(backend, store.path("path"), store.path("key_file"))
    else:
        settings = StoreSettings(backend, store.path("path"))
    store.end()
    return settings


def _keys(file: Path, document: dict[str, Any]) -> KeySettings:
    table, default = Table(file, "[keys]", document.pop("keys", {})), KeySettings()
    sizes = {name: table.number(name, getattr(default, name), 8, 1 << 20) for name in ("min_size", "max_size")}
    sizes["default_size"] = table.number("default_size", default.default_size, 8, 1 << 20)
    for name, size in sizes.items():
        if size % 8:
            raise table.wrong(name, f"{size} is not a multiple of 8")
    if not sizes["min_size"] <= sizes["default_size"] <= sizes["max_size"]:
        raise table.wrong("default_size", f"is outside {sizes['min_size']} to {sizes['max_size']}")
    unhandled = table.take("unhandled_optional", str, default.unhandled_optional)
    if unhandled not in ("ignore", "refuse"):
        raise table.wrong("unhandled_optional", f"{unhandled!r} is neither 'ignore' nor 'refuse'")
    keys = KeySettings(
        **sizes,
        max_per_request=table.number("max_per_request", default.max_per_request, 1, 4096),
        max_count=table.number("max_count", default.max_count, 1, 10**9),
        max_additional_saes=table.number("max_additional_saes", default.max_additional_saes, 0, 100),
        lifetime_seconds=table.number("lifetime_seconds", default.lifetime_seconds, 1.0, 1e7),
        keep_names_seconds=table.number("keep_names_seconds", default.keep_names_seconds, 0.0, 1e9),
        unhandled_optional=unhandled,
    )
    table.end()
    return keys


def _links(file: Path, document: dict[str, Any], own: str) -> dict[str, Link]:
    links: dict[str, Link] = {}
    for table in tables(file, document, "link"):
        link = Link(table.id("name"), table.id("peer"), table.address("address"), table.take("simulated", bool, False))
        if link.peer == own:
            raise table.wrong("peer", f"{own} is this KME")
        if link.name in links:
            raise table.wrong("name", f"{link.name} comes twice")
        if any(link.peer == other.peer for other in links.values()):
            raise table.wrong("peer", f"there is another link to {link.peer}")
        if link.name.startswith("simulated") != link.simulated:
            raise table.wrong("simulated", f"is {str(link.simulated).lower()}, and the link's name says otherwise")
        table.end()
        links[link.name] = link
    return links


def _relay(file: Path, document: dict[str, Any]) -> RelaySettings:
    table, default = Table(file, "[relay]", document.pop("relay")), RelaySettings()
    settings = RelaySettings(
        paths=table.number("paths", default.paths, 1, 2),
        max_hops=table.number("max_hops", default.max_hops, 1, 63),
        avoid=table.ids("avoid"),
        timeout_seconds=table.number("timeout_seconds", default.timeout_seconds, 0.1, 600.0),
        nats=_nats(table),
    )
    table.end()
    return settings


def _nats(table: Table) -> Address | None:
    if table.choice("transport", ("https", "nats")) == "nats":
        return table.address("nats")
    return None


def _border(file: Path, document: dict[str, Any]) -> Border:
    table = Table(file, "[border]", document.pop("border"))
    border = Border(
        table.address("listen"),
        table.id("peer"),
        table.address("address"),
        table.path("ca"),
        table.path("crl") if "crl" in table.values else None,
        table.ids("saes"),
        table.number("patience_seconds", 5.0, 0.1, 600.0),
    )
    table.end()
    return border


def _policies(file: Path, document: dict[str, Any]) -> tuple[Policy, ...]:
    policies = []
    for table in tables(file, document, "policy"):
        saes = table.ids("saes", any_too=True)
        if len(saes) != 2:
            raise table.wrong("saes", 'names two SAEs, or "*" for any')
        policies.append(
            Policy(
                (saes[0], saes[1]),
                table.choice("route_type", ("any", "direct", "indirect")),
                table.number("paths", 1, 1, 2),
                table.number("max_hops", 0, 0, 63),
                table.ids("avoid"),
                table.choice("hybrid", ("border", "always", "never")),
            )
        )
        table.end()
    return tuple(policies)


def _saes(file: Path, document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    saes: dict[str, tuple[str, str]] = {}
    for table in tables(file, document, "sae"):
        name, where = table.id("id"), table.id("kme")
        if name in saes:
            raise table.wrong("id", f"{name} comes twice")
        saes[name] = where, table.id("domain") if "domain" in table.values else ""
        table.end()
    return saes
