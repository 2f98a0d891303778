"""strongSwan, by way of vici: IKEv2 with a quantum key mixed in (RFC 8784), named by its key ID.

RFC 8784 mixes a post-quantum pre-shared key (PPK) into an IKE_SA when that begins, and into nothing later. So each key
gets a new IKE_SA, with its own pair of ESP keys, made by the master before it ends the old one: no packet waits. As
soon as both ends use it, neither keeps the PPK: charon could not begin anew with it. That also ends the tunnel when an
agent is gone: charon authenticates again after a key's lifetime, has no PPK, and has to give up.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import vici
from vici.exception import CommandException, SessionException

from ...errors import InputError
from ..key_pools import Key
from .config import StrongSwan
from .keeper import EncryptorError

SECONDS = 10.0
"""So long charon may take to answer, and to agree with the other end."""
MARGIN_SECONDS, OVER_SECONDS = 3, 5
"""Charon tries to authenticate again so long after the key's lifetime, when the agent has closed the tunnel if there is
one; it gives up so long after that."""
CHILD = "net"


class StrongSwanConnection:
    """The tunnel to one peer (see :class:`..keeper.Encryptor`).

    Args:
        settings: which.
        calls: whether this end begins IKE_SAs; the master does.
        lifetime_seconds: of a key.
    """

    def __init__(self, settings: StrongSwan, *, calls: bool, lifetime_seconds: float) -> None:
        self._settings, self._calls, self._lifetime = settings, calls, lifetime_seconds
        self._open = False
        self.closing = ()

    def check(self) -> None:
        """See that charon answers. Raises InputError."""
        try:
            self._ask(lambda session: session.version())
        except EncryptorError:
            raise InputError(f"charon does not answer at {self._settings.vici}: is strongSwan running?") from None

    def stage(self, key: Key) -> None:
        """Give charon the key, under its name. Raises EncryptorError."""

        def work(session: vici.Session) -> None:
            self._forget(session)
            owners = {"id": self._name(key.id), "type": "ppk", "data": key.bits, "owners": [key.id]}
            session.load_shared(owners)

        self._ask(work)

    def switch(self, key: Key) -> None:
        """The master makes a new IKE_SA with the key and ends the old one; the slave expects it.

        Raises:
            EncryptorError: there is no such IKE_SA; the old one may be there.
        """
        if not self._calls:
            if not self._open:
                self._ask(lambda session: session.load_conn(self._connection(None)))
            self._open = True
            return

        def work(session: vici.Session) -> None:
            old = [each["uniqueid"] for each in self._sas(session)]
            session.load_conn(self._connection(key.id))
            self._open = True
            name = self._settings.connection
            _all(session.initiate({"ike": name, "child": CHILD, "timeout": str(int(1000 * SECONDS))}))
            self._end(session, old)

        self._ask(work)

    def settle(self, key_id: str) -> None:
        """End what is older than the newest IKE_SA, and take the keys away. Raises EncryptorError."""

        def work(session: vici.Session) -> None:
            by_age = sorted(self._sas(session), key=lambda each: int(each["uniqueid"]))
            self._end(session, [each["uniqueid"] for each in by_age[:-1]])
            self._forget(session)

        self._ask(work)

    def adopt(self, key_id: str | None) -> bool:
        """Take the IKE_SA that is found, if it has a PPK. Raises EncryptorError."""
        self._open = True
        if self.intact() and self._ask(lambda session: bool(self._sas(session))):
            return True
        self._open = False
        return False

    def close(self) -> None:
        """End all IKE_SAs, and take connection and keys away. Raises EncryptorError."""

        def work(session: vici.Session) -> None:
            # First of all nothing new can begin.
            if self._loaded(session):
                session.unload_conn({"name": self._settings.connection})
            self._forget(session)
            self._end(session, [each["uniqueid"] for each in self._sas(session, unready=True)])

        self._ask(work)
        self._open = False

    def intact(self) -> bool:
        """Whether the connection is there and each of its IKE_SAs has a PPK; closed, whether nothing is there."""

        def work(session: vici.Session) -> bool:
            sas, loaded = self._sas(session), self._loaded(session)
            if not self._open:
                return not sas and not loaded
            protected = all(each.get("ppk") == b"yes" for each in sas)
            return loaded and protected and (bool(sas) or not self._calls)

        try:
            return self._ask(work)
        except EncryptorError:
            return False

    def exchanged_at(self) -> float:
        """When the newest IKE_SA began; 0.0 for none. Raises EncryptorError."""
        ages = self._ask(lambda session: [int(each.get("established", 0)) for each in self._sas(session)])
        return time.time() - min(ages) if ages else 0.0

    # --- charon

    def _name(self, key_id: str) -> str:
        """What charon calls a key, beside its owner."""
        return f"kronborg-{self._settings.connection}-{key_id}"

    def _connection(self, key_id: str | None) -> dict[str, Any]:
        settings = self._settings
        local: dict[str, Any] = {"auth": settings.auth, "id": settings.local_id}
        remote = {"auth": settings.auth, "id": settings.remote_id}
        if settings.certificate is not None:
            local |= {"certs": [settings.certificate.read_bytes()]}
        connection = {
            "version": "2",
            "local_addrs": [settings.local],
            "remote_addrs": [settings.remote],
            "proposals": list(settings.ike_proposals),
            "encap": "yes" if settings.encap else "no",
            "mobike": "no",
            # A second IKE_SA of the same names is what make-before-break is.
            "unique": "never",
            "ppk_required": "yes",
            "rekey_time": "0s",
            "reauth_time": f"{math.ceil(self._lifetime) + MARGIN_SECONDS}s",
            "over_time": f"{OVER_SECONDS}s",
            "rand_time": "0s",
            "dpd_delay": "10s",
            "local": local,
            "remote": remote,
            "children": {
                CHILD: {
                    "local_ts": list(settings.local_networks),
                    "remote_ts": list(settings.remote_networks),
                    "esp_proposals": list(settings.esp_proposals),
                    "start_action": "none",
                    "dpd_action": "clear",
                    "close_action": "none",
                }
            },
        }
        if key_id is not None:
            connection["ppk_id"] = key_id
        return {settings.connection: connection}

    def _sas(self, session: vici.Session, *, unready: bool = False) -> list[dict[str, Any]]:
        """IKE_SAs of this connection; those that have not been agreed on yet only if wanted."""
        name = self._settings.connection
        found = [sas[name] for sas in session.list_sas({"ike": name}) if name in sas]
        return [each for each in found if unready or each.get("state") == b"ESTABLISHED"]

    def _loaded(self, session: vici.Session) -> bool:
        return self._settings.connection.encode() in session.get_conns().get("conns", [])

    def _forget(self, session: vici.Session) -> None:
        """Take all keys of this connection away."""
        for name in session.get_shared().get("keys", []):
            if name.decode("utf-8", "replace").startswith(self._name("")):
                session.unload_shared({"id": name})

    def _end(self, session: vici.Session, unique_ids: list[bytes]) -> None:
        for unique_id in unique_ids:
            try:
                _all(session.terminate({"ike-id": unique_id, "timeout": str(int(1000 * SECONDS)), "force": "yes"}))
            except CommandException:
                # The other end was quicker, or does not answer; charon drops it either way.
                continue

    def _ask(self, work: Callable[[Any], Any]) -> Any:
        """Do something in a session of its own: charon may have been started again since the last one."""
        try:
            with _session(str(self._settings.vici)) as session:
                return work(session)
        except CommandException:
            # What it says is for its log: it may quote what it was given.
            raise EncryptorError("charon cannot do it: its log says why") from None
        except (OSError, SessionException, ValueError, KeyError):
            raise EncryptorError(f"charon does not answer at {self._settings.vici}") from None


@contextmanager
def _session(path: str) -> Iterator[Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2 * SECONDS)
        connection.connect(path)
        yield vici.Session(connection)


def _all(lines: Iterator[Any]) -> None:
    """Wait for the end of what charon says."""
    for _ in lines:
        pass
