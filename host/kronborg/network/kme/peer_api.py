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
from ..relay.routing import Advert, LinkState
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


class Nothing(Strict):
    """Body of `anew`."""


class Frames(Strict):
    """Body of `frames`."""

    frames: Annotated[list[str], Field(max_length=16)]


class LinkItem(Strict):
    """What a node says of a link."""

    peer: ID
    up: bool
    stored_bytes: Whole
    simulated: bool


class AdvertItem(Strict):
    """A node's word."""

    node: ID
    sequence: Whole
    links: Annotated[list[LinkItem], Field(max_length=256)]
    notice: Annotated[str, Field(max_length=16_384)]


class Adverts(Strict):
    """Body of `adverts`."""

    adverts: Annotated[list[AdvertItem], Field(max_length=1024)]


class PeerApi:
    """The interface's endpoints."""

    def __init__(self, service: KeyService, metrics: Metrics) -> None:
        self._service = service
        interface = Interface("peer", "kme", lambda kme: service.config.link_to(kme) is not None, metrics)
        interface.add("reservations", "POST", PATH + "/reservations", self.reservations)
        interface.add("voids", "POST", PATH + "/voids", self.voids)
        interface.add("blocks", "POST", PATH + "/blocks", self.blocks)
        interface.add("anew", "POST", PATH + "/anew", self.anew)
        if service.relay is not None:
            interface.add("frames", "POST", PATH + "/frames", self.frames)
            interface.add("adverts", "POST", PATH + "/adverts", self.adverts)
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
        settled, used = await self._service.void(link, voided)
        return {"voided": settled, "used": used}

    async def blocks(self, caller: str, request: Request) -> dict[str, Any]:
        """Say whether blocks are the same here."""
        link = self._service.link_of(caller, request.path_params["link"])
        items = parse(Challenges, await body_of(request)).challenges
        answers = await self._service.compare(link, {each.sequence: _challenge(each.challenge) for each in items})
        return {"answers": [{"sequence": sequence, "same": same} for sequence, same in answers.items()]}

    async def anew(self, caller: str, request: Request) -> dict[str, Any]:
        """Void all that is held of the link: the other end has lost its store, or may not trust it."""
        link = self._service.link_of(caller, request.path_params["link"])
        parse(Nothing, await body_of(request))
        return {"last": await self._service.begin_anew(link)}

    async def frames(self, caller: str, request: Request) -> dict[str, Any]:
        """Take frames of relayed keys."""
        assert self._service.relay is not None
        link = self._service.link_of(caller, request.path_params["link"])
        bodies = [_bytes(each) for each in parse(Frames, await body_of(request)).frames]
        return {"outcomes": await self._service.relay.frames(link, bodies)}

    async def adverts(self, caller: str, request: Request) -> dict[str, Any]:
        """Hear what nodes say of their links."""
        assert self._service.relay is not None
        link = self._service.link_of(caller, request.path_params["link"])
        items = parse(Adverts, await body_of(request)).adverts
        self._service.relay.hear(
            link,
            [
                Advert(
                    each.node,
                    each.sequence,
                    tuple(LinkState(at.peer, at.up, at.stored_bytes, at.simulated) for at in each.links),
                    each.notice,
                )
                for each in items
            ],
        )
        return {}


def _segments(places: list[list[int]]) -> tuple[Segment, ...]:
    return tuple(Segment(*place) for place in places)


def _bytes(text: str) -> bytes:
    """What base64 stands for; nothing, which is refused, where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _challenge(text: str) -> bytes:
    asked = _bytes(text)
    if len(asked) != CHALLENGE_BYTES:
        raise Refused(400, "a challenge is malformed")
    return asked
