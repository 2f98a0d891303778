"""WireGuard, by way of `wg`: a peer whose pre-shared key is a quantum key.

A peer without a pre-shared key works all the same, on elliptic curves alone, and `wg` cannot be asked for anything
else. So no peer is ever there without one: it is added together with its first key, in one call, and taken away when
keys run out; the interface drops what is sent to it then. Keys go to `wg` by its standard input.
"""

from __future__ import annotations

import base64
import hmac
import re
import shutil
import subprocess

from ...errors import InputError
from ..key_pools import Key
from .config import WireGuard
from .keeper import EncryptorError

SECONDS = 10.0
"""Longer than this `wg` is not waited for."""


class WireGuardPeer:
    """The tunnel to one peer (see :class:`..keeper.Encryptor`).

    Args:
        settings: which.
        renews: whether this end begins a new session where keys count at once; one end does.
    """

    def __init__(self, settings: WireGuard, *, renews: bool) -> None:
        self._settings, self._renews = settings, renews and settings.at_once
        self._key = b""
        """In force, in base64; empty while the tunnel is closed."""
        self._removing = ("set", settings.interface, "peer", settings.public_key, "remove")
        self.closing = ("wg", *self._removing)

    def check(self) -> None:
        """See that `wg` and the interface are there. Raises InputError."""
        if shutil.which("wg") is None:
            raise InputError("wg is not installed: apt-get install wireguard-tools")
        try:
            self._wg("show", self._settings.interface, "listen-port")
        except EncryptorError:
            raise InputError(
                f"there is no WireGuard interface {self._settings.interface}, or it may not be changed by this user"
            ) from None

    def stage(self, key: Key) -> None:
        """Nothing to do: a peer has one key."""

    def switch(self, key: Key) -> None:
        """Give the peer its key; add it if it is not there. Raises EncryptorError."""
        psk = base64.b64encode(key.bits)
        change = ["peer", self._settings.public_key, "preshared-key", "/dev/stdin", *self._peer()]
        there = self._found() is not None
        if not there and self._settings.endpoint is not None:
            change += ["endpoint", str(self._settings.endpoint)]
        elif there and self._renews:
            # Added anew, the peer has no session: one begins at once, under the new key, with what waits to be sent.
            endpoint = self._endpoint()
            change = ["peer", self._settings.public_key, "remove", *change]
            change += ["endpoint", endpoint] if endpoint else []
        self._wg("set", self._settings.interface, *change, stdin=psk + b"\n")
        self._key = psk

    def settle(self, key_id: str) -> None:
        """Nothing to do: a peer has one key."""

    def adopt(self, key_id: str | None) -> bool:
        """Take the key that is found, whichever it is. Raises EncryptorError."""
        self._key = self._found() or b""
        return bool(self._key)

    def close(self) -> None:
        """Take the peer away. Raises EncryptorError."""
        self._wg(*self._removing)
        self._key = b""

    def intact(self) -> bool:
        """Whether the peer has the key that it was given, or is not there if it was given none."""
        try:
            found = self._found()
        except EncryptorError:
            return False
        if found is None:
            return not self._key
        return bool(self._key) and hmac.compare_digest(found, self._key)

    def exchanged_at(self) -> float:
        """Time of the latest handshake; 0.0 for none."""
        return float(self._of_peer("latest-handshakes") or 0)

    def _peer(self) -> list[str]:
        settings = self._settings
        keepalive = str(settings.keepalive_seconds) if settings.keepalive_seconds else "off"
        return ["persistent-keepalive", keepalive, "allowed-ips", ",".join(settings.allowed_ips)]

    def _found(self) -> bytes | None:
        """The peer's key as the interface has it; empty for none, None where there is no such peer."""
        found = self._of_peer("preshared-keys")
        return None if found is None else b"" if found == "(none)" else found.encode()

    def _endpoint(self) -> str | None:
        """Where the peer was last heard of: it may have moved."""
        found = self._of_peer("endpoints")
        return None if found == "(none)" else found

    def _of_peer(self, what: str) -> str | None:
        for line in self._wg("show", self._settings.interface, what).splitlines():
            public_key, _, value = line.partition("\t")
            if public_key == self._settings.public_key:
                return value.strip()
        return None

    def _wg(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run it; returns what it prints."""
        try:
            done = subprocess.run(["wg", *arguments], input=stdin, capture_output=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            raise EncryptorError(f"wg {arguments[0]} cannot be run or does not end") from None
        if done.returncode:
            # What it says may quote a key that it did not like.
            text = re.sub(r"[A-Za-z0-9+/=]{40,}", "…", done.stderr.decode("utf-8", "replace"))
            raise EncryptorError(f"wg {arguments[0]}: {' '.join(text.split())[:200]}")
        return done.stdout.decode("ascii", "replace")
