"""Real encryptors on this machine: two network namespaces with a cable between them, and WireGuard in user space."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType

from kronborg.errors import InputError, KronborgError

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


def missing(programs: Mapping[str, str]) -> list[str]:
    """Packages of programs that are not installed."""
    return sorted({package for program, package in programs.items() if shutil.which(program) is None})


def run(*command: str, stdin: str = "", status: Sequence[int] = (0,)) -> str:
    """Run a program and return what it prints.

    Raises:
        KronborgError: it ends with another status; the message has the command, never its input.
    """
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode not in status:
        raise KronborgError(f"{' '.join(command)}: {' '.join(done.stderr.split())[:300]}")
    return done.stdout


class Cable:
    """Two network namespaces with a cable between them. Use as a context manager: it takes them away.

    Attributes:
        spaces: their names.

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

    def __enter__(self) -> Cable:
        try:
            self._lay()
        except BaseException:
            self._take_away()
            raise
        return self

    def _lay(self) -> None:
        ends = [f"v{self.name}{end}" for end in "ab"]
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
            run("ip", "netns", "delete", space, status=(0, 1))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._take_away()

    def ping(self, count: int, interval: float = 0.02, *, wait: float = 1.0, to: str = INNER[1]) -> int:
        """Answers to so many packets from the first end through the tunnel."""
        command = ["ip", "netns", "exec", self.spaces[0], "ping", "-q", "-n", "-c", str(count), "-i", str(interval)]
        # Where there is no peer, ping is told so by its own machine, and fails: that is no answer either.
        printed = run(*command, "-W", str(wait), to, status=(0, 1, 2))
        found = [line for line in printed.splitlines() if " received" in line]
        return int(found[0].split(",")[1].split()[0]) if found else 0


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
            run("ip", "-n", space, "link", "delete", interface, status=(0, 1))
        super()._take_away()

    def show(self, end: int, what: str) -> str:
        """What `wg show` says of the only peer at an end; empty where there is none."""
        return run("wg", "show", self.interfaces[end], what).partition("\t")[2].strip()

    def table(self, end: int, *, at_once: bool = True) -> str:
        """The table `[wireguard]` of an agent's configuration."""
        return (
            f'[wireguard]\ninterface = "{self.interfaces[end]}"\npublic_key = "{self.public_keys[1 - end]}"\n'
            f'endpoint = "{OUTER[1 - end]}:{PORT}"\nallowed_ips = ["{INNER[1 - end]}/32"]\n'
            f'handshake = "{"at-once" if at_once else "next"}"\n'
        )
