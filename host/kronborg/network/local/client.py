"""An SAE as `kronborg network` needs one: it asks a KME for keys by ETSI GS QKD 014."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import Any

from ...errors import KronborgError
from ..tables import Address

REQUEST_SECONDS = 15.0


class KmeRefuses(KronborgError):
    """A KME answered with an error; `status` is its code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} ({status})")
        self.status = status


def ask(
    address: Address,
    context: ssl.SSLContext,
    method: str,
    path: str,
    body: Any = None,
    seconds: float = REQUEST_SECONDS,
) -> dict[str, Any]:
    """One request on a connection of its own.

    Raises:
        KmeRefuses: an error was answered.
        OSError, http.client.HTTPException, ValueError: there was no good answer.
    """
    connection = http.client.HTTPSConnection(address.host, address.port, timeout=seconds, context=context)
    try:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, f"/api/v1/keys/{path}", data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    finally:
        connection.close()
    if response.status != 200:
        raise KmeRefuses(response.status, str(answer.get("message")))
    return answer


def bits_of(answer: dict[str, Any]) -> dict[str, bytes]:
    """Keys of an answer, by their IDs."""
    return {key["key_ID"]: base64.b64decode(key["key"]) for key in answer["keys"]}


def metrics_of(address: Address, seconds: float = 5.0) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What a KME tells Prometheus, by name and labels. Raises OSError and HTTPException."""
    from prometheus_client.parser import text_string_to_metric_families

    connection = http.client.HTTPConnection(address.host, address.port, timeout=seconds)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
