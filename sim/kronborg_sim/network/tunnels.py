"""Real encryptors on this machine: two network namespaces with a cable between them, WireGuard and strongSwan.

Both work in user space: WireGuard as wireguard-go, ESP in strongSwan's own daemon (kernel-libipsec).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from kronborg.errors import InputError, KronborgError

PROGRAMS: Mapping[str, str] = {
    "ip": "iproute2",
    "ping": "iputils-ping",
    "wg": "wireguard-tools",
    "wireguard-go": "wireguard-go",
}
"""What a WireGuard tunnel takes, and the Debian packages that it is in."""
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
SECONDS = 30.0
OUTER = ("10.99.0.1", "10.99.0.2")
"""Addresses of the ends of the cable."""
INNER = ("10.100.0.1", "10.100.0.2")
"""Addresses of the ends of the tunnel."""
PORT = 51820
PATTERN = "6b726f6e626f7267"
"""What packets hold that are sent through the tunnel; none on the cable should."""


def missing(programs: Mapping[str, str]) -> list[str]:
    """Packages of programs that are not installed."""
    return sorted({package for name, package in programs.items() if not (shutil.which(name) or Path(name).is_file())})


def run(*command: str, stdin: str = "", status: Sequence[int] = (0,), seconds: float = SECONDS) -> str:
    """Run a program and return what it prints.

    Raises:
        KronborgError: it ends with another status; the message has the command, never its input.
    """
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode not in status:
        raise KronborgError(f"{' '.join(command)}: {' '.join(done.stderr.split())[:300]}")
    return done.stdout


@dataclass(frozen=True)
class Ping:
    """What became of packets: how many were sent and answered, and how long the slowest answer took, in seconds."""

    sent: int
    answered: int
    slowest_seconds: float

    @property
    def lost(self) -> int:
        """Packets without an answer."""
        return self.sent - self.answered


class Cable:
    """Two network namespaces with a cable between them. Use as a context manager: it takes them away.

    Attributes:
        spaces: their names.
        ends: interfaces of the cable.

    Raises:
        InputError: this user may not make them, or a program is missing.
    """

    def __init__(self, programs: Mapping[str, str] = PROGRAMS) -> None:
        if missing(programs):
            raise InputError(f"real encryptors need: apt-get install {' '.join(missing(programs))}")
        if os.geteuid() != 0:
            raise InputError("network namespaces need root: run this with sudo")
        self.name = secrets.token_hex(3)
        self.spaces = (f"kb-{self.name}-a", f"kb-{self.name}-b")
        self.ends = (f"v{self.name}a", f"v{self.name}b")

    def __enter__(self) -> Cable:
        try:
            self._lay()
        except BaseException:
            self._take_away()
            raise
        return self

    def _lay(self) -> None:
        ends = self.ends
        for space in self.spaces:
            run("ip", "netns", "add", space)
        run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for space, end, address in zip(self.spaces, ends, OUTER, strict=True):
            run("ip", "link", "set", end, "netns", space)
            run("ip", "-n", space, "address", "add", f"{address}/24", "dev", end)
            for interface in (end, "lo"):
                run("ip", "-n", space, "link", "set", interface, "up")

    def _take_away(self) -> None:
        for space in self.spaces:
            run("ip", "netns", "delete", space, status=(0, 1, 255))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._take_away()

    def ping(self, count: int, interval: float = 0.02, *, wait: float = 1.0) -> Ping:
        """Send so many packets from the first end through the tunnel."""
        return self._ping("-c", str(count), "-i", str(interval), "-W", str(wait), seconds=2 * count * interval)

    def stream(self, seconds: int, interval: float) -> Ping:
        """Send packets for so long, as often as the machine can; the answer to the last is not waited for."""
        return self._ping("-w", str(seconds), "-i", str(interval), seconds=seconds)

    def _ping(self, *how: str, seconds: float) -> Ping:
        command = [
            "ip",
            "netns",
            "exec",
            self.spaces[0],
            "ping",
            "-q",
            "-n",
            *how,
            "-p",
            PATTERN,
            "-I",
            INNER[0],
            INNER[1],
        ]
        # Where there is no peer, ping is told so by its own machine, and fails: that is no answer either.
        printed = run(*command, status=(0, 1, 2), seconds=SECONDS + seconds)
        sent = re.search(r"([0-9]+) packets transmitted, ([0-9]+) received", printed)
        times = re.search(r"= [\d.]+/[\d.]+/([\d.]+)/[\d.]+ ms", printed)
        return Ping(int(sent[1]), int(sent[2]), float(times[1]) / 1000 if times else 0.0) if sent else Ping(1, 0, 0.0)

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


class WireGuardTunnel(Cable):
    """WireGuard interfaces at both ends, up, with private keys and routes, and without peers.

    Attributes:
        interfaces: their names.
        public_keys: of both.
    """

    def __enter__(self) -> WireGuardTunnel:
        super().__enter__()
        return self

    def _lay(self) -> None:
        super()._lay()
        self.interfaces = (f"wg{self.name}a", f"wg{self.name}b")
        self.public_keys: tuple[str, ...] = ()
        for end, (space, interface) in enumerate(zip(self.spaces, self.interfaces, strict=True)):
            run("ip", "netns", "exec", space, "wireguard-go", interface)
            private_key = run("wg", "genkey")
            self.public_keys += (run("wg", "pubkey", stdin=private_key).strip(),)
            run("wg", "set", interface, "private-key", "/dev/stdin", "listen-port", str(PORT), stdin=private_key)
            run("ip", "-n", space, "address", "add", f"{INNER[end]}/32", "dev", interface)
            run("ip", "-n", space, "link", "set", interface, "up")
            run("ip", "-n", space, "route", "add", f"{INNER[1 - end]}/32", "dev", interface)

    def _take_away(self) -> None:
        for space, interface in zip(self.spaces, getattr(self, "interfaces", ()), strict=False):
            # wireguard-go ends when its interface goes.
            run("ip", "-n", space, "link", "delete", interface, status=(0, 1, 255))
        super()._take_away()

    def show(self, end: int, what: str) -> str:
        """What `wg show` says of the only peer at an end, without its public key; empty where there is none."""
        return run("wg", "show", self.interfaces[end], what).partition("\t")[2].strip()

    def peers(self, end: int) -> int:
        """How many peers an end has."""
        return len(run("wg", "show", self.interfaces[end], "peers").splitlines())

    def table(self, end: int, *, at_once: bool = True) -> str:
        """The table `[wireguard]` of an agent's configuration."""
        return (
            f'[wireguard]\ninterface = "{self.interfaces[end]}"\npublic_key = "{self.public_keys[1 - end]}"\n'
            f'endpoint = "{OUTER[1 - end]}:{PORT}"\nallowed_ips = ["{INNER[1 - end]}/32"]\n'
            f'handshake = "{"at-once" if at_once else "next"}"\n'
        )


class StrongSwanTunnel(Cable):
    """strongSwan's daemon at both ends, with a secret for authentication and without a connection.

    Networks behind the ends are routes that lead nowhere, so that nothing leaves in the clear without a tunnel.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(IKE_PROGRAMS)
        self._folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> StrongSwanTunnel:
        super().__enter__()
        return self

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
