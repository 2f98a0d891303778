"""Two sites' SAEs talk through a WireGuard tunnel on this machine, whose keys are theirs.

For a network that is up: `open`, start the `commands` as processes, wait until `ping` is answered; `close` after the
processes have ended. The namespaces stand for the sites' own networks; agents and KMEs speak beside them.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...console.atomic import write_text
from ...errors import InputError
from .cable import Ping, WireGuardTunnel
from .files import HEAD, Files
from .plan import Plan, Site

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLES = ("master", "slave")


class Tunnel:
    """A tunnel between two sites.

    Args:
        files, plan: of the network.
        ends: the sites; the first one is master. Certificates of both SAEs have to name their host.
        rotate_seconds: so old a key becomes before the next one.

    Raises:
        InputError: this user may not make one, a program is missing, or the sites have different operators.
    """

    def __init__(self, files: Files, plan: Plan, ends: tuple[str, str], rotate_seconds: float = 10.0) -> None:
        self._files, self._plan, self._rotate = files, plan, rotate_seconds
        self._sites = tuple(plan.sites[end] for end in ends)
        if len({site.operator for site in self._sites}) != 1:
            raise InputError(f"{' and '.join(ends)} have different operators: their agents do not know each other")
        self.name = f"{ends[0]}--{ends[1]}"
        place = f"{files.folder.resolve()}\0{self.name}".encode()
        self._wireguard = WireGuardTunnel(hashlib.sha256(place).hexdigest()[:8])

    @property
    def there(self) -> bool:
        """Whether it was opened and not closed."""
        return self._wireguard.there

    def _config(self, site: Site) -> Path:
        return self._files.site(site.id) / f"agent-{self.name}.toml"

    def log(self, process: str) -> Path:
        """What an agent says, by its process's name."""
        return self._files.site(process.partition(":")[2]) / f"agent-{self.name}.log"

    @property
    def commands(self) -> Mapping[str, list[str]]:
        """The agents' command lines, by names for their processes: `tunnel FOREIGN--DEFENCE:FOREIGN`."""
        kronborg = [sys.executable, "-m", "kronborg.cli", "encryptor", "wireguard", "--config"]
        return {f"tunnel {self.name}:{site.id}": [*kronborg, str(self._config(site))] for site in self._sites}

    def open(self) -> None:
        """Make namespaces, interfaces and the agents' configurations, if they are not there. Raises KronborgError."""
        if self.there and all(self._config(site).exists() for site in self._sites):
            return
        self._wireguard.close()
        self._wireguard.open()
        with socket.create_server((self._sites[0].listen.host, 0)) as free:
            port = free.getsockname()[1]
        for end, site in enumerate(self._sites):
            write_text(self._config(site), self._text(end, port))

    def _text(self, end: int, port: int) -> str:
        site, peer = self._sites[end], self._sites[1 - end]
        pki = f"../../pki/{site.operator}"
        return (
            f'{HEAD}[encryptor]\nid = "{site.sae}"\npeer = "{peer.sae}"\nrole = "{ROLES[end]}"\n'
            f'agent = "{site.listen.host}:{port}"\ncertificate = "{pki}/sae-{site.sae}.pem"\n'
            f'key = "{pki}/sae-{site.sae}.key"\nca = "{pki}/ca.pem"\ncrl = "{pki}/crl.pem"\n'
            f'state = "agent-{self.name}.json"\naudit_log = "agent-{self.name}.audit.jsonl"\n'
            f"rotate_seconds = {self._rotate}\n# Links of this network are simulated.\nsimulated = true\n\n"
            f'[kme]\nid = "{site.id}"\naddress = "{site.listen}"\n\n{self._wireguard.table(end)}'
        )

    def ping(self, count: int = 5, interval: float = 0.05) -> Ping:
        """Send packets from the first site to the second. Raises KronborgError."""
        return self._wireguard.ping(count, interval)

    def keys(self) -> list[str]:
        """Names of the keys that the first site has used, in order."""
        audit = self._files.site(self._sites[0].id) / f"agent-{self.name}.audit.jsonl"
        lines = audit.read_text("utf-8").splitlines() if audit.exists() else []
        return [str(each["key_id"]) for each in map(json.loads, lines) if each["event"] == "switch"]

    def close(self) -> None:
        """Take namespaces and interfaces away; the agents have ended. Raises KronborgError."""
        self._wireguard.close()
