"""ETSI GS QKD 020 (draft 0.4.1), the interface to another operator's key manager: ext_keys, ack, void."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import Field

from ..kme.http import Interface
from ..kme.metrics import Metrics
from ..kme.wire import Refused, Strict, body_of, parse
from ..relay.manifest import ID, UUID
from .service import PATH, Gateway

Extensions = Annotated[list[dict[str, Any]], Field(max_length=64)]


class ExtKey(Strict):
    """A key."""

    key_id: UUID
    value: Annotated[str, Field(max_length=1 << 18)]
    extension: dict[str, Any] | None = None


class ExtKeyContainer(Strict):
    """Body of `ext_keys`."""

    keys: Annotated[list[ExtKey], Field(min_length=1, max_length=4096)]
    initiator_sae_id: ID
    target_sae_ids: Annotated[list[ID], Field(min_length=1, max_length=101)]
    ack_callback_url: Annotated[str, Field(max_length=1024)]
    extension_mandatory: Extensions | None = None
    extension_optional: Extensions | None = None


class KeyName(Strict):
    """A key's name."""

    key_id: UUID
    extension: dict[str, Any] | None = None


class AckContainer(Strict):
    """What became of keys for one SAE."""

    key_ids: Annotated[list[KeyName], Field(min_length=1, max_length=4096)]
    ack_status: Annotated[str, Field(pattern="^(relayed|voided|failed|key not present)$")]
    initiator_sae_id: ID
    target_sae_id: ID
    message: Annotated[str, Field(max_length=1024)] | None = None
    extension: dict[str, Any] | None = None


class Acks(Strict):
    """Body of `ack`, an array, as a member."""

    acks: Annotated[list[AckContainer], Field(max_length=1024)]


class VoidContainer(Strict):
    """Body of `void`."""

    key_ids: Annotated[list[KeyName], Field(max_length=4096)] | None = None
    initiator_sae_id: ID | None = None
    target_sae_ids: Annotated[list[ID], Field(max_length=101)] | None = None
    extension: dict[str, Any] | None = None


class BorderApi:
    """The interface's endpoints."""

    def __init__(self, gateway: Gateway, metrics: Metrics) -> None:
        self._gateway = gateway
        interface = Interface("border", "kme", {gateway.border.peer}.__contains__, metrics)
        interface.add("versions", "GET", "/kmapi/versions", self.versions)
        interface.add("ext_keys", "POST", PATH, self.ext_keys, status=202)
        interface.add("ack", "POST", f"{PATH}/ack", self.ack)
        interface.add("void", "POST", f"{PATH}/void", self.void, status=202)
        self.app: FastAPI = interface.app

    async def versions(self, caller: str, request: Request) -> dict[str, Any]:
        """Versions of this interface."""
        return {"versions": ["v1"]}

    async def ext_keys(self, caller: str, request: Request) -> dict[str, Any]:
        """Take keys; they are acknowledged later."""
        asked = parse(ExtKeyContainer, await body_of(request))
        # Whoever could name another place would have us call it.
        if asked.ack_callback_url != f"https://{self._gateway.border.address}{PATH}/ack":
            raise Refused(400, "ack_callback_url is not at the address that is configured for this border")
        keys: dict[str, bytes] = {}
        for each in asked.keys:
            try:
                keys[each.key_id] = base64.b64decode(each.value, validate=True)
            except ValueError:
                raise Refused(400, "a key's value is not base64") from None
        if len(keys) != len(asked.keys):
            raise Refused(400, "a key_id comes twice")
        await self._gateway.take(keys, asked.initiator_sae_id, asked.target_sae_ids, asked.extension_mandatory or [])
        return {}

    async def ack(self, caller: str, request: Request) -> dict[str, Any]:
        """Hear what became of keys."""
        # The body is an array; within an object it is read as strictly as any other.
        for each in parse(Acks, b'{"acks":' + await body_of(request) + b"}").acks:
            names = [name.key_id for name in each.key_ids]
            await self._gateway.acknowledge(names, each.target_sae_id, each.ack_status)
        return {}

    async def void(self, caller: str, request: Request) -> dict[str, Any]:
        """Void keys; all of them only where that is confirmed."""
        asked = parse(VoidContainer, await body_of(request))
        everything = request.query_params.get("all_confirmation") == "true"
        if not asked.key_ids and not everything:
            raise Refused(400, "key_ids are missing, and all_confirmation is not true")
        await self._gateway.void([each.key_id for each in asked.key_ids] if asked.key_ids else None)
        return {}
