"""Two network namespaces of this machine with a cable between them, and WireGuard in user space at both ends.

A namespace stands for a site's network. What is there outlives the process that made it, and is found again by name.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from ...errors import InputError, KronborgError

C = TypeVar("C", bound="Cable")
PROGRAMS: Mapping[str, str] = {
    "ip": "iproute2",
    "ping": "iputils-ping",
    "wg": "wireguard-tools",
    "wireguard-go": "wireguard-go",
}
"""What a WireGuard tunnel takes, and the Debian packages that it is in."""
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


def run(*command: str, stdin: str = "", status: Sequence[int] = (0,)) -> str:
    """Run a program and return what it prints.

    Raises:
        KronborgError: it ends with another status; the message has the command, never its input.
    """
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False)
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
    """Two network namespaces with a cable between them. As a context manager it opens, and closes at the end.

    Args:
        name: up to 9 letters and digits, which tell it from others on this machine; drawn by default.
        programs: that it takes, and their packages.

    Attributes:
        spaces: names of the namespaces.
        ends: interfaces of the cable.

    Raises:
        InputError: this user may not make them, or a program is missing.
    """

    def __init__(self, name: str = "", programs: Mapping[str, str] = PROGRAMS) -> None:
        if missing(programs):
            raise InputError(f"real encryptors need: apt-get install {' '.join(missing(programs))}")
        if os.geteuid() != 0:
            raise InputError("network namespaces need root: run this with sudo")
        self.name = name or secrets.token_hex(3)
        self.spaces = (f"kb-{self.name}-a", f"kb-{self.name}-b")
        self.ends = (f"v{self.name}a", f"v{self.name}b")

    def __enter__(self: C) -> C:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def there(self) -> bool:
        """Whether it was opened, by whomever, and not closed."""
        return Path("/run/netns", self.spaces[1]).exists()

    def open(self) -> None:
        """Make it, all of it or nothing. Raises KronborgError."""
        try:
            self._lay()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take it away. Raises KronborgError."""
        self._take_away()

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

    def ping(self, count: int, interval: float = 0.02, *, wait: float = 1.0, to: str = INNER[1]) -> Ping:
        """Send so many packets from the first end through the tunnel."""
        command = ["ip", "netns", "exec", self.spaces[0], "ping", "-q", "-n", "-c", str(count), "-i", str(interval)]
        # Where there is no peer, ping is told so by its own machine, and fails: that is no answer either.
        printed = run(*command, "-W", str(wait), "-p", PATTERN, "-I", INNER[0], to, status=(0, 1, 2))
        answered = re.search(r", (\d+) received", printed)
        times = re.search(r"= [\d.]+/[\d.]+/([\d.]+)/[\d.]+ ms", printed)
        return Ping(count, int(answered[1]) if answered else 0, float(times[1]) / 1000 if times else 0.0)


class WireGuardTunnel(Cable):
    """WireGuard interfaces at both ends, up, with private keys and routes, and without peers.

    Attributes:
        interfaces: their names.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.interfaces = (f"wg{self.name}a", f"wg{self.name}b")

    def _lay(self) -> None:
        super()._lay()
        for end, (space, interface) in enumerate(zip(self.spaces, self.interfaces, strict=True)):
            run("ip", "netns", "exec", space, "wireguard-go", interface)
            private_key = run("wg", "genkey")
            run("wg", "set", interface, "private-key", "/dev/stdin", "listen-port", str(PORT), stdin=private_key)
            run("ip", "-n", space, "address", "add", f"{INNER[end]}/32", "dev", interface)
            run("ip", "-n", space, "link", "set", interface, "up")
            run("ip", "-n", space, "route", "add", f"{INNER[1 - end]}/32", "dev", interface)

    def _take_away(self) -> None:
        for space, interface in zip(self.spaces, self.interfaces, strict=True):
            # wireguard-go ends when its interface goes.
            run("ip", "-n", space, "link", "delete", interface, status=(0, 1, 255))
        super()._take_away()

    @property
    def public_keys(self) -> tuple[str, ...]:
        """Of both interfaces. Raises KronborgError where they are not there."""
        return tuple(run("wg", "show", interface, "public-key").strip() for interface in self.interfaces)

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
