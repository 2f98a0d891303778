"""What an agent asks its KME for, by ETSI GS QKD 014: one new key, or the key of a name.

Each question has a connection of its own: keys are asked for every few minutes, and since a key goes out once, nothing
may be sent twice without need.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import re
from collections.abc import Mapping
from typing import Any

from ...errors import KronborgError
from ..identity import Identity, of_certificate
from ..key_pools import Key
from ..kme.terms import ORIGIN
from ..kme.tls import Credentials
from ..tables import Address

KEY_BYTES = 32
"""Of a WireGuard pre-shared key, and of a PPK as RFC 8784 wants it at least."""
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
MOST_ANSWER_BYTES = 64 * 1024
KEY_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""A key's name: a UUID in lower case."""


class KmeFails(KronborgError):
    """No key can be had now; the message says why, and quotes no key."""


class KmeClient:
    """An SAE's way to its KME. One thread at a time.

    Args:
        address: where the KME is.
        kme: its ID, which its certificate has to say.
        credentials: the SAE's.
        require: extensions that new keys have to meet, by name.
        simulated: whether keys that say that they are no secrets are taken.
    """

    def __init__(
        self, address: Address, kme: str, credentials: Credentials, require: Mapping[str, Any], *, simulated: bool
    ) -> None:
        self._address, self._kme, self._context = address, Identity("kme", kme), credentials.client()
        self._require, self._simulated = require, simulated

    def new_key(self, slave: str) -> Key:
        """A new key, shared with a slave SAE. Raises KmeFails."""
        if self._require:
            mandatory = [{name: value} for name, value in self._require.items()]
            body = {"number": 1, "size": 8 * KEY_BYTES, "extension_mandatory": mandatory}
            return self._key(self._ask("POST", f"{slave}/enc_keys", body))
        return self._key(self._ask("GET", f"{slave}/enc_keys?number=1&size={8 * KEY_BYTES}"))

    def key_of(self, master: str, key_id: str) -> Key:
        """The key that a master SAE was given under a name. Raises KmeFails."""
        key = self._key(self._ask("GET", f"{master}/dec_keys?key_ID={key_id}"))
        if key.id != key_id:
            raise KmeFails("the KME gave another key than the one asked for")
        return key

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPSConnection(
            self._address.host, self._address.port, timeout=CONNECT_SECONDS, context=self._context
        )
        try:
            connection.connect()
            if of_certificate(connection.sock.getpeercert()) != self._kme:
                raise KmeFails(f"who answers at {self._address} is not KME {self._kme.id}")
            connection.sock.settimeout(ANSWER_SECONDS)
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/api/v1/keys/{path}", data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read(MOST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException):
            raise KmeFails(f"KME {self._kme.id} does not answer at {self._address}") from None
        finally:
            connection.close()
        try:
            found = json.loads(answer)
        except (ValueError, RecursionError):
            found = None
        if response.status != 200:
            message = found.get("message") if isinstance(found, dict) else None
            text = re.sub(r"[^ -~]", "?", message)[:100] if isinstance(message, str) else "no message"
            raise KmeFails(f"KME {self._kme.id} answers {response.status}: {text}")
        return found

    def _key(self, answer: Any) -> Key:
        """The one key of a key container (table 11)."""
        try:
            (found,) = answer["keys"]
            name, bits = found["key_ID"].lower(), base64.b64decode(found["key"], validate=True)
            extension = found.get("key_extension") or {}
            good = re.fullmatch(KEY_ID, name) and len(bits) == KEY_BYTES and isinstance(extension, dict)
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
            good = None
        if not good:
            raise KmeFails(f"KME {self._kme.id} gave no single key of {8 * KEY_BYTES} bits") from None
        if extension.get(ORIGIN) == "simulated" and not self._simulated:
            raise KmeFails("the key is said to be simulated, no secret: say simulated = true to use such keys")
        return Key(name, bits, extension)
