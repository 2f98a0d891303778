"""The interface to other KMEs: reservations, voids and comparisons of the link between the two. Metadata only."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import Field

from ..block_check import CHALLENGE_BYTES
from ..identity import ID_PATTERN
from ..key_pools import Reservation
from ..material import Segment
from .http import Interface
from .metrics import Metrics
from .service import KeyService
from .wire import Refused, Strict, body_of, parse

PATH = "/peer/v1/links/{link}"
UUID = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
ID = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
Pool = Annotated[int, Field(ge=0, le=1)]
Whole = Annotated[int, Field(ge=0, lt=1 << 62)]
Place = Annotated[list[Whole], Field(min_length=3, max_length=3)]
Places = Annotated[list[Place], Field(max_length=4096)]


class ReservationItem(Strict):
    """Keys that the other end sets aside."""

    id: UUID
    pool: Pool
    key_ids: Annotated[list[UUID], Field(min_length=1, max_length=4096)]
    key_bytes: Annotated[int, Field(ge=1, le=1 << 17)]
    segments: Places
    master: ID
    slaves: Annotated[list[ID], Field(min_length=1, max_length=101)]
    lifetime_seconds: Annotated[float, Field(gt=0, lt=1e9)]


class Reservations(Strict):
    """Body of `reservations`."""

    reservations: Annotated[list[ReservationItem], Field(max_length=64)]


class VoidItem(Strict):
    """What will never be delivered."""

    id: UUID
    pool: Pool
    segments: Places


class Voids(Strict):
    """Body of `voids`."""

    reservations: Annotated[list[VoidItem], Field(max_length=100)]


class ChallengeItem(Strict):
    """A question about a block."""

    sequence: Whole
    challenge: str


class Challenges(Strict):
    """Body of `blocks`."""

    challenges: Annotated[list[ChallengeItem], Field(max_length=64)]


class PeerApi:
    """The interface's endpoints."""

    def __init__(self, service: KeyService, metrics: Metrics) -> None:
        self._service = service
        peers = {link.peer for link in service.config.links.values()}
        interface = Interface("peer", "kme", peers.__contains__, metrics)
        interface.add("reservations", "POST", PATH + "/reservations", self.reservations)
        interface.add("voids", "POST", PATH + "/voids", self.voids)
        interface.add("blocks", "POST", PATH + "/blocks", self.blocks)
        self.app: FastAPI = interface.app

    async def reservations(self, caller: str, request: Request) -> dict[str, Any]:
        """Set material aside."""
        link = self._service.link_of(caller, request.path_params["link"])
        items = parse(Reservations, await body_of(request)).reservations
        made = [
            Reservation(
                each.id,
                link.name,
                each.pool,
                tuple(each.key_ids),
                each.key_bytes,
                _segments(each.segments),
                each.master,
                tuple(each.slaves),
                each.lifetime_seconds,
            )
            for each in items
        ]
        return {"accepted": await self._service.accept(link, made)}

    async def voids(self, caller: str, request: Request) -> dict[str, Any]:
        """Erase what will never be delivered."""
        link = self._service.link_of(caller, request.path_params["link"])
        items = parse(Voids, await body_of(request)).reservations
        voided = [(each.id, each.pool, _segments(each.segments)) for each in items]
        return {"voided": await self._service.void(link, voided)}

    async def blocks(self, caller: str, request: Request) -> dict[str, Any]:
        """Say whether blocks are the same here."""
        link = self._service.link_of(caller, request.path_params["link"])
        items = parse(Challenges, await body_of(request)).challenges
        answers = await self._service.compare(link, {each.sequence: _challenge(each.challenge) for each in items})
        return {"answers": [{"sequence": sequence, "same": same} for sequence, same in answers.items()]}


def _segments(places: list[list[int]]) -> tuple[Segment, ...]:
    return tuple(Segment(*place) for place in places)


def _challenge(text: str) -> bytes:
    try:
        asked = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        asked = b""
    if len(asked) != CHALLENGE_BYTES:
        raise Refused(400, "a challenge is malformed")
    return asked
