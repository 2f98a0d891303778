"""What a network on this machine consists of: one TOML file with sites, links and borders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError, NoKeyError
from ...postprocessing.security import Link as Channel
from ...postprocessing.security import composable_rate
from ..identity import is_id
from ..tables import Address, Table, read_document, tables

EXAMPLE = Path(__file__).with_name("danish.toml")
"""The network that comes with the package."""

PORTS_PER_SITE = 6
"""For SAEs, for other KMEs, for Prometheus, for another operator's key manager, and two of the agent of a tunnel."""
HIGHEST_PORT = 65_535
MOST_SITES = 100
"""On one machine: each is a process of some 90 MB."""
HOME = "home"
"""The operator of sites that name none."""


@dataclass(frozen=True)
class Light:
    """What simulated links have in common.

    Attributes:
        symbol_rate_hz: of the transmitters.
        block_symbols: of which one key is distilled; the rate of the proof depends on it.
        modulation_variance_snu, detector_efficiency, electronic_noise_snu, beta: as in `kronborg rate`.
        slice_seconds: how often a link delivers.
        store_bytes: a link with so much key at both ends rests until some of it is used.
        distil_symbols: of the first block of each link, which is distilled by `kronborg run --light drawn`; 0 for none.
    """

    symbol_rate_hz: float = 1.25e8
    block_symbols: float = 1e9
    modulation_variance_snu: float = 4.0
    detector_efficiency: float = 0.6
    electronic_noise_snu: float = 0.05
    beta: float = 0.95
    slice_seconds: float = 2.0
    store_bytes: int = 1 << 20
    distil_symbols: int = 1_000_000


@dataclass(frozen=True)
class Site:
    """A place with a KME, and one SAE beside it.

    Attributes:
        id: of the KME.
        about: what it is, for people.
        operator: whose it is: each has an authority of its own.
        listen, peer_listen, metrics_listen, border_listen: see KmeConfig.
        agent_listen, agent_metrics_listen: see the encryptors' AgentConfig.
    """

    id: str
    about: str
    operator: str
    listen: Address
    peer_listen: Address
    metrics_listen: Address
    border_listen: Address
    agent_listen: Address
    agent_metrics_listen: Address

    @property
    def sae(self) -> str:
        """The ID of its SAE."""
        return f"sae-{self.id}"


@dataclass(frozen=True)
class FibreLink:
    """A simulated CV-QKD link.

    Attributes:
        ends: the sites; the first one is Alice.
        length_km, attenuation_db_per_km, excess_noise_snu: of its fibre.
        block_symbols: see Light.
    """

    ends: tuple[str, str]
    length_km: float
    attenuation_db_per_km: float
    excess_noise_snu: float
    block_symbols: float

    @property
    def name(self) -> str:
        """As key stores have it: it says that its keys are no secrets."""
        return f"simulated-{self.ends[0]}--{self.ends[1]}"

    def bits_per_symbol(self, light: Light) -> float:
        """The composable finite-size rate of `kronborg rate --proof composable`; 0 where there is no key."""
        channel = Channel(
            light.modulation_variance_snu,
            10 ** (-self.attenuation_db_per_km * self.length_km / 10),
            self.excess_noise_snu,
            light.detector_efficiency,
            light.electronic_noise_snu,
        )
        try:
            return max(0.0, composable_rate(channel, light.beta, self.block_symbols))
        except NoKeyError:
            return 0.0

    def bits_per_second(self, light: Light) -> float:
        """Secret bits a second."""
        return self.bits_per_symbol(light) * light.symbol_rate_hz


@dataclass(frozen=True)
class Tunnel:
    """A WireGuard tunnel between two sites, keyed by the network.

    Attributes:
        ends: the sites; the SAE of the first is master.
        rotate_seconds: how often its key changes.
    """

    ends: tuple[str, str]
    rotate_seconds: float


@dataclass(frozen=True)
class Plan:
    """A network.

    Attributes:
        name: for people.
        transport: of relayed frames: `https` or `nats`.
        nats: where the NATS server listens.
        light: of all links.
        sites: by ID, in the file's order.
        links: by name.
        borders: pairs of sites of different operators that hand each other keys (ETSI GS QKD 020).
        talks: pairs of sites whose SAEs shall share keys when the network is up.
        tunnels: see Tunnel; a site has one at most.
    """

    name: str
    transport: str
    nats: Address
    light: Light
    sites: Mapping[str, Site]
    links: Mapping[str, FibreLink]
    borders: tuple[tuple[str, str], ...]
    talks: tuple[tuple[str, str], ...]
    tunnels: tuple[Tunnel, ...]

    def operators(self) -> list[str]:
        """All of them, in the file's order."""
        return list(dict.fromkeys(site.operator for site in self.sites.values()))

    def sites_of(self, operator: str) -> list[Site]:
        """An operator's sites."""
        return [site for site in self.sites.values() if site.operator == operator]


def read_plan(file: Path) -> Plan:
    """Read and check a network's file.

    Raises:
        InputError: one line with the file and the key.
    """
    return plan_of(file, read_document(file))


def plan_of(file: Path, document: dict[str, Any]) -> Plan:
    """The plan of a document that is, or will be, in a file. Raises InputError likewise."""
    network = Table(file, "[network]", document.pop("network", {}))
    name, host = network.take("name", str, file.stem), network.take("host", str, "127.0.0.1")
    first_port = network.number("first_port", 21_000, 1024, HIGHEST_PORT)
    transport = network.choice("transport", ("https", "nats"))
    network.end()
    light, attenuation = _light(file, document)
    sites = _sites(file, document, host, first_port)
    links = _links(file, document, sites, light, attenuation)
    borders = tuple(_pair(table, sites) for table in _closed(tables(file, document, "border"), "ends"))
    for number, (one, other) in enumerate(borders, 1):
        if sites[one].operator == sites[other].operator:
            raise InputError(f"{file}: [[border]] {number} ends: both are of operator {sites[one].operator}")
        if any({one, other} & set(before) for before in borders[: number - 1]):
            raise InputError(f"{file}: [[border]] {number} ends: a gateway has one border")
    talks = tuple(_pair(table, sites) for table in _closed(tables(file, document, "talk"), "ends"))
    tunnels = _tunnels(file, document, sites)
    for key in document:
        raise InputError(f"{file}: {key} is not known here")
    plan = Plan(name, transport, Address(host, first_port), light, sites, links, borders, talks, tunnels)
    for what, pairs in (("talk", talks), ("tunnel", [tunnel.ends for tunnel in tunnels])):
        for number, (one, other) in enumerate(pairs, 1):
            if other not in reached(plan, one):
                raise InputError(f"{file}: [[{what}]] {number} ends: no way leads from {one} to {other}")
    return plan


def reached(plan: Plan, site: str) -> set[str]:
    """Sites to which a way leads: over links, and over one border at most."""
    borders = [pair for pair in plan.borders if set(pair) & _joined(plan, site)]
    near = _joined(plan, site)
    return near.union(*(_joined(plan, end) for pair in borders for end in pair))


def _joined(plan: Plan, site: str) -> set[str]:
    found, new = {site}, {site}
    while new:
        new = {other for link in plan.links.values() if set(link.ends) & found for other in link.ends} - found
        found |= new
    return found


def _light(file: Path, document: dict[str, Any]) -> tuple[Light, float]:
    table, default = Table(file, "[light]", document.pop("light", {})), Light()
    light = Light(
        table.number("symbol_rate_hz", default.symbol_rate_hz, 1.0, 1e12),
        table.number("block_symbols", default.block_symbols, 1e3, 1e15),
        table.number("modulation_variance_snu", default.modulation_variance_snu, 1e-3, 1e3),
        table.number("detector_efficiency", default.detector_efficiency, 1e-3, 1.0),
        table.number("electronic_noise_snu", default.electronic_noise_snu, 0.0, 1e3),
        table.number("beta", default.beta, 1e-3, 1.0),
        table.number("slice_seconds", default.slice_seconds, 0.1, 3600.0),
        table.number("store_bytes", default.store_bytes, 4096, 1 << 30),
        table.number("distil_symbols", default.distil_symbols, 0, 10**9),
    )
    attenuation = table.number("attenuation_db_per_km", 0.2, 0.01, 100.0)
    table.end()
    return light, attenuation


def _sites(file: Path, document: dict[str, Any], host: str, first_port: int) -> dict[str, Site]:
    sites: dict[str, Site] = {}
    for number, table in enumerate(tables(file, document, "site")):
        name = table.id("id")
        # It becomes the name of a folder.
        if not name[0].isalnum() or len(name) > 25:
            raise table.wrong("id", f"{name!r} is no site's: 1 to 25 characters, the first a letter or a digit")
        if name in sites:
            raise table.wrong("id", f"{name} comes twice")
        about, operator = table.take("about", str, ""), table.take("operator", str, HOME)
        if not is_id(operator) or not operator[0].isalnum():
            raise table.wrong("operator", f"{operator!r} is no ID that begins with a letter or a digit")
        first = first_port + 1 + PORTS_PER_SITE * number
        if first + PORTS_PER_SITE > HIGHEST_PORT:
            raise InputError(f"{file}: [network] first_port: with {first_port}, no port is left for {name}")
        sites[name] = Site(name, about, operator, *(Address(host, first + each) for each in range(PORTS_PER_SITE)))
        table.end()
    if not 2 <= len(sites) <= MOST_SITES:
        raise InputError(f"{file}: [[site]]: a network on one machine has 2 to {MOST_SITES} sites, not {len(sites)}")
    return sites


def _links(
    file: Path, document: dict[str, Any], sites: Mapping[str, Site], light: Light, attenuation: float
) -> dict[str, FibreLink]:
    links: dict[str, FibreLink] = {}
    for table in tables(file, document, "link"):
        ends = _pair(table, sites)
        if sites[ends[0]].operator != sites[ends[1]].operator:
            raise table.wrong("ends", f"{ends[0]} and {ends[1]} have different operators: write a [[border]]")
        if any(set(ends) == set(other.ends) for other in links.values()):
            raise table.wrong("ends", f"there is another link between {ends[0]} and {ends[1]}")
        if "length_km" not in table.values:
            raise table.wrong("length_km", "is missing")
        link = FibreLink(
            ends,
            table.number("length_km", 0.0, 0.0, 10_000.0),
            table.number("attenuation_db_per_km", attenuation, 0.01, 100.0),
            table.number("excess_noise_snu", 0.002, 0.0, 1e3),
            table.number("block_symbols", light.block_symbols, 1e3, 1e15),
        )
        table.end()
        if not link.bits_per_symbol(light):
            raise table.wrong(
                "length_km",
                f"{link.length_km:g} km give no key from {link.block_symbols:g} symbols: ask `kronborg rate`",
            )
        links[link.name] = link
    return links


def _tunnels(file: Path, document: dict[str, Any], sites: Mapping[str, Site]) -> tuple[Tunnel, ...]:
    found: list[Tunnel] = []
    for table in tables(file, document, "tunnel"):
        ends = _pair(table, sites)
        for end in ends:
            if any(end in other.ends for other in found):
                raise table.wrong("ends", f"{end} has another tunnel")
        if sites[ends[0]].operator != sites[ends[1]].operator:
            raise table.wrong("ends", "agents of different operators do not know each other's certificates")
        found.append(Tunnel(ends, table.number("rotate_seconds", 120.0, 1.0, 86_400.0)))
        table.end()
    return tuple(found)


def _pair(table: Table, sites: Mapping[str, Site]) -> tuple[str, str]:
    ends = table.ids("ends")
    if len(ends) != 2 or ends[0] == ends[1]:
        raise table.wrong("ends", "names two sites")
    for end in ends:
        if end not in sites:
            raise table.wrong("ends", f"there is no site {end}")
    return ends[0], ends[1]


def _closed(found: list[Table], key: str) -> list[Table]:
    """Tables that have no other key."""
    for table in found:
        for other in table.values:
            if other != key:
                raise table.wrong(other, "is not known here")
    return found
