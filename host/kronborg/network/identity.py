"""Who is who: a certificate names its bearer in a URI, ``urn:qkd:KIND:ID``, and in nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("kme", "sae", "node")
"""Key management entities, the applications they serve, and other machines of the network."""

ID_PATTERN = r"[A-Za-z0-9._~-]{1,64}"
"""What an ID may be: characters that a URL carries as they are."""


def is_id(text: object) -> bool:
    """Whether this is a well-formed ID."""
    return isinstance(text, str) and re.fullmatch(ID_PATTERN, text) is not None


@dataclass(frozen=True)
class Identity:
    """A bearer: its kind, of KINDS, and its ID."""

    kind: str
    id: str

    @property
    def uri(self) -> str:
        """As a certificate writes it."""
        return f"urn:qkd:{self.kind}:{self.id}"


def parse_uri(uri: str) -> Identity | None:
    """The identity that a URI names, if it names one."""
    found = re.fullmatch(rf"urn:qkd:({'|'.join(KINDS)}):({ID_PATTERN})", uri)
    return Identity(found[1], found[2]) if found else None


def of_certificate(certificate: Mapping[str, Any] | None) -> Identity | None:
    """The bearer of a verified certificate, as ``ssl.SSLSocket.getpeercert`` gives it.

    None where it names nobody or more than one: a certificate with two names would be two people at once.
    """
    names = (certificate or {}).get("subjectAltName", ())
    found = [parse_uri(value) for kind, value in names if kind == "URI"]
    return found[0] if len(found) == 1 else None
