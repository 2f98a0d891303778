"""Real encryptors between two network namespaces, watched from the cable: WireGuard, and strongSwan in user space.

strongSwan's daemon does its own ESP (kernel-libipsec), so that no kernel has to have it.
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kronborg.errors import KronborgError
from kronborg.network.local import cable
from kronborg.network.local.cable import INNER, OUTER, PATTERN, SECONDS, run

CHARON = "/usr/lib/ipsec/charon"
IKE_PROGRAMS: Mapping[str, str] = {
    "ip": "iproute2",
    "ping": "iputils-ping",
    CHARON: "strongswan-charon",
    "/usr/lib/ipsec/plugins/libstrongswan-vici.so": "strongswan-swanctl",
    "/usr/lib/ipsec/plugins/libstrongswan-openssl.so": "libstrongswan-standard-plugins",
    "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so": "libcharon-extra-plugins",
}
"""What a strongSwan tunnel takes; the plugins are files."""


class Watched(cable.Cable):
    """A cable that can be watched."""

    @contextmanager
    def watched(self) -> Iterator[Counter[str]]:
        """Count what goes over the cable meanwhile; filled in at the end (see :mod:`.sniffer`)."""
        command = ["ip", "netns", "exec", self.spaces[0], sys.executable, "-m", "kronborg_sim.network.sniffer"]
        counts: Counter[str] = Counter()
        with subprocess.Popen(
            [*command, self.ends[0], PATTERN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                yield counts
            finally:
                printed, _ = process.communicate(timeout=SECONDS)
        counts.update(json.loads(printed))


class WireGuardTunnel(Watched, cable.WireGuardTunnel):
    """WireGuard at both ends of such a cable."""


class StrongSwanTunnel(Watched):
    """strongSwan's daemon at both ends, with a secret for authentication and without a connection.

    Networks behind the ends are routes that lead nowhere, so that nothing leaves in the clear without a tunnel.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(programs=IKE_PROGRAMS)
        self._folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []

    def _lay(self) -> None:
        super()._lay()
        for end, space in enumerate(self.spaces):
            run("ip", "-n", space, "address", "add", f"{INNER[end]}/32", "dev", "lo")
            run("ip", "-n", space, "route", "add", "unreachable", f"{INNER[1 - end]}/32", "metric", "9999")
            self.start(end)
        secret = secrets.token_bytes(32)
        for end in range(2):
            with self.session(end) as session:
                session.load_shared({"id": "ike", "type": "IKE", "data": secret, "owners": list(OUTER)})

    def start(self, end: int) -> None:
        """Start the daemon of an end, and wait until it answers. Raises KronborgError."""
        settings = self._folder / f"strongswan-{end}.conf"
        settings.write_text(
            "charon {\n load_modular = no\n load = random nonce openssl kdf pem pkcs1 pkcs8 x509 pubkey constraints "
            "socket-default kernel-libipsec kernel-netlink vici\n plugins {\n kernel-netlink { fwmark = !0x42 }\n "
            "socket-default { fwmark = 0x42 }\n kernel-libipsec { allow_peer_ts = yes }\n "
            f"vici {{ socket = unix://{self.vici(end)} }}\n }}\n filelog {{ kronborg {{ "
            f"path = {self._folder}/charon-{end}.log\n default = 1\n }} }}\n}}\n"
        )
        # Each has its own /run: the daemon's process file lies there, whichever network it is in.
        command = f"mount -t tmpfs none /run && STRONGSWAN_CONF={settings} exec {CHARON}"
        self._daemons.append(
            subprocess.Popen(
                ["ip", "netns", "exec", self.spaces[end], "unshare", "--mount", "sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        limit = time.monotonic() + SECONDS
        while True:
            try:
                with self.session(end) as session:
                    session.version()
                return
            except OSError:
                if time.monotonic() > limit or self._daemons[-1].poll() is not None:
                    raise KronborgError("charon does not start") from None
                time.sleep(0.05)

    def _take_away(self) -> None:
        for daemon in self._daemons:
            daemon.terminate()
        for daemon in self._daemons:
            daemon.wait(SECONDS)
        super()._take_away()

    def vici(self, end: int) -> Path:
        """The socket of an end's daemon."""
        return self._folder / f"vici-{end}"

    @contextmanager
    def session(self, end: int) -> Iterator[Any]:
        """A session with an end's daemon."""
        import vici

        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self.vici(end)))
            yield vici.Session(connection)

    def sas(self, end: int) -> list[dict[str, Any]]:
        """What the daemon says of its IKE_SAs."""
        with self.session(end) as session:
            return [dict(sa) for each in session.list_sas() for sa in each.values()]

    def loaded_keys(self, end: int) -> list[str]:
        """Names of keys that the daemon holds, but for the one that authenticates."""
        with self.session(end) as session:
            return [name.decode() for name in session.get_shared()["keys"] if name != b"ike"]

    def table(self, end: int) -> str:
        """The table `[strongswan]` of an agent's configuration."""
        return (
            f'[strongswan]\nvici = "{self.vici(end)}"\nconnection = "tunnel"\nlocal = "{OUTER[end]}"\n'
            f'remote = "{OUTER[1 - end]}"\nlocal_networks = ["{INNER[end]}/32"]\n'
            f'remote_networks = ["{INNER[1 - end]}/32"]\nencap = true\n'
        )
