"""ETSI GS QKD 014 V1.1.1, the interface to SAEs: status, Get key, Get key with key IDs.

Beyond the standard's text: members that it does not know are refused (extensions have their place), a member that is
null is not there, and every error has an Error body, 401, 404, 405 and 413 among them.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel

from ..identity import ID_PATTERN, is_id
from .http import Interface
from .metrics import Metrics
from .service import Delivered, KeyService, Wanted
from .wire import Refused, Strict, body_of, parse

PATH = "/api/v1/keys"
MOST_IDS = 4096
MOST_EXTENSIONS = 64


class KeyRequest(Strict):
    """Key request (table 10)."""

    number: int | None = None
    size: int | None = None
    additional_slave_SAE_IDs: list[str] | None = None
    extension_mandatory: list[dict[str, Any]] | None = None
    extension_optional: list[dict[str, Any]] | None = None


class KeyID(Strict):
    """One of the key IDs of table 12."""

    key_ID: str
    key_ID_extension: dict[str, Any] | None = None


class KeyIDs(Strict):
    """Key IDs (table 12)."""

    key_IDs: list[KeyID]
    key_IDs_extension: dict[str, Any] | None = None


class Etsi014:
    """The interface's endpoints."""

    def __init__(self, service: KeyService, metrics: Metrics) -> None:
        self._service = service
        interface = Interface("sae", "sae", service.own_sae, metrics)
        work = {
            ("status", "GET"): self.status,
            ("enc_keys", "GET"): self.get_enc_keys,
            ("enc_keys", "POST"): self.post_enc_keys,
            ("dec_keys", "GET"): self.get_dec_keys,
            ("dec_keys", "POST"): self.post_dec_keys,
        }
        for (endpoint, method), each in work.items():
            interface.add(endpoint, method, f"{PATH}/{{sae_id}}/{endpoint}", each)
        self.app: FastAPI = interface.app

    async def status(self, caller: str, request: Request) -> dict[str, Any]:
        """Get status (clause 5.1)."""
        _query(request, ())
        return await self._service.status(caller, _sae(request))

    async def get_enc_keys(self, caller: str, request: Request) -> dict[str, Any]:
        """Get key, in the form for number and size alone."""
        query = _query(request, ("number", "size"))
        wanted = Wanted(_whole("number", query.get("number")), _whole("size", query.get("size")))
        return _container(await self._service.keys_for_master(caller, _sae(request), wanted))

    async def post_enc_keys(self, caller: str, request: Request) -> dict[str, Any]:
        """Get key (clause 5.2)."""
        _query(request, ())
        slave, body = _sae(request), await body_of(request)
        _json(request, body)
        # Table 10: everything has a default, so nothing at all is a request.
        asked = parse(KeyRequest, body) if body else KeyRequest()
        additional = asked.additional_slave_SAE_IDs or []
        for each in additional:
            if not is_id(each):
                raise Refused(400, "an SAE ID is malformed", [{"additional_slave_SAE_IDs": "is no SAE ID"}])
        mandatory, optional = asked.extension_mandatory or [], asked.extension_optional or []
        if max(len(mandatory), len(optional)) > MOST_EXTENSIONS:
            raise Refused(400, "too many extensions", [{"most": MOST_EXTENSIONS}])
        wanted = Wanted(asked.number, asked.size, additional, mandatory, optional)
        return _container(await self._service.keys_for_master(caller, slave, wanted))

    async def get_dec_keys(self, caller: str, request: Request) -> dict[str, Any]:
        """Get key with key IDs, in the form for one ID."""
        query = _query(request, ("key_ID",))
        if "key_ID" not in query:
            raise Refused(400, "key_ID is missing")
        return await self._dec_keys(caller, request, [query["key_ID"]])

    async def post_dec_keys(self, caller: str, request: Request) -> dict[str, Any]:
        """Get key with key IDs (clause 5.3)."""
        _query(request, ())
        body = await body_of(request)
        _json(request, body)
        return await self._dec_keys(caller, request, [each.key_ID for each in parse(KeyIDs, body).key_IDs])

    async def _dec_keys(self, caller: str, request: Request, names: Sequence[str]) -> dict[str, Any]:
        master = _sae(request)
        ids = list(dict.fromkeys(_uuid(name) for name in names[: MOST_IDS + 1]))
        return _container(await self._service.keys_for_slave(caller, master, ids))


def _container(delivered: Delivered) -> dict[str, Any]:
    """Key container (table 11)."""
    keys = [
        {"key_ID": key.id, "key": base64.b64encode(key.bits).decode(), "key_extension": dict(key.extension)}
        for key in delivered.keys
    ]
    return {"keys": keys}


def _sae(request: Request) -> str:
    name = request.path_params["sae_id"]
    if not is_id(name):
        raise Refused(400, "the SAE ID in the path is malformed")
    return str(name)


def _query(request: Request, known: Sequence[str]) -> dict[str, str]:
    found = request.query_params.multi_items()
    query = dict(found)
    if len(query) != len(found):
        raise Refused(400, "a parameter comes twice")
    if not set(query) <= set(known):
        raise Refused(400, "a parameter is not known here", [{"known": list(known)}])
    return query


def _whole(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise Refused(400, "bad request format", [{name: "is not a whole number"}])
    return int(text)


def _uuid(text: str) -> str:
    """A key ID in lower case, as the store writes it."""
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text, re.ASCII):
        raise Refused(400, "bad request format", [{"key_ID": "is not a UUID"}])
    return str(uuid.UUID(text))


def _json(request: Request, body: bytes) -> None:
    """A body has to say that it is JSON; clients that say nothing are let through."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and given not in ("", "application/json"):
        raise Refused(400, "Content-Type is not application/json")


def description() -> dict[str, Any]:
    """The interface in OpenAPI 3.1, for tests and for those who write clients. The KME does not serve it."""
    number, size = (_parameter(name, {"type": "integer"}, "query") for name in ("number", "size"))
    key_id = _parameter("key_ID", {"type": "string", "format": "uuid"}, "query", required=True)
    sae = _parameter("sae_id", {"type": "string", "pattern": f"^{ID_PATTERN}$"}, "path", required=True)
    operations = {
        "status": {"get": {"parameters": [sae]}},
        "enc_keys": {"get": {"parameters": [sae, number, size]}, "post": {"parameters": [sae], **_body(KeyRequest)}},
        "dec_keys": {"get": {"parameters": [sae, key_id]}, "post": {"parameters": [sae], **_body(KeyIDs)}},
    }
    for methods in operations.values():
        for operation in methods.values():
            operation["responses"] = _RESPONSES
    return {
        "openapi": "3.1.0",
        "info": {"title": "ETSI GS QKD 014 V1.1.1", "version": "1"},
        "paths": {f"{PATH}/{{sae_id}}/{endpoint}": methods for endpoint, methods in operations.items()},
    }


def _parameter(name: str, schema: dict[str, Any], place: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _body(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    for part in schema.pop("$defs", {}).values():
        # The only model within another is a list's item.
        schema["properties"]["key_IDs"]["items"] = part
    required = model is not KeyRequest
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


_ERROR = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}, "details": {"type": "array", "items": {"type": "object"}}},
    "additionalProperties": False,
}
_RESPONSES = {
    "200": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}},
    **{
        code: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for code, text in {"400": "bad request", "401": "unauthorized", "503": "error on server side"}.items()
    },
}
