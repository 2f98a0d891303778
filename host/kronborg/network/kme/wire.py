"""JSON as both interfaces take it: strict. What is wrong with a body is said without quoting it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response

M = TypeVar("M", bound="Strict")
MOST_BODY_BYTES = 256 * 1024
"""4096 key IDs and their commas take 170 kB."""


class Strict(BaseModel):
    """An object whose members are all known and of exactly their type."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Refused(Exception):
    """A request gets an error: status code, message and details of the standard's Error object."""

    def __init__(self, status: int, message: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.details = status, message, list(details)


def answer(content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response. ASCII, so that no text that a client sent can fail to be encoded."""
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return Response(json.dumps(content), status, kept, "application/json")


def error_body(message: str, details: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The standard's Error object (table 13)."""
    return {"message": message, "details": list(details)} if details else {"message": message}


async def body_of(request: Request) -> bytes:
    """The body. Raises Refused where it is too large."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY_BYTES:
            raise Refused(413, f"a request has at most {MOST_BODY_BYTES} bytes")
    return bytes(body)


def parse(model: type[M], body: bytes) -> M:
    """A body as an object of a model.

    Raises:
        Refused: 400, with the member that is wrong.
    """
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "the request body is not valid JSON") from None
    if not isinstance(document, dict):
        raise Refused(400, "the request body is not a JSON object")
    # `null` stands for a member that is not there.
    try:
        return model.model_validate({name: value for name, value in document.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100] or "request body"
        reason = "is not a member of this request" if first["type"] == "extra_forbidden" else first["msg"]
        raise Refused(400, "bad request format", [{place: reason}]) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member comes twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
