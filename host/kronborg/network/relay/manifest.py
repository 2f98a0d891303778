"""What a frame says in the clear: for whom its keys are, and the way. Strict JSON, and tagged with the frame."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from ..identity import ID_PATTERN
from ..kme.wire import Refused, Strict, parse
from .frames import FrameRefused

UUID = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
ID = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
MOST_NODES = 64
"""On a path."""


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise ValueError("one comes twice")
    return names


Nodes = Annotated[list[ID], Field(min_length=2, max_length=MOST_NODES), AfterValidator(_each_once)]


class Manifest(Strict):
    """What all frames say.

    Attributes:
        session: the reservation at the KME of the keys' master (UUID).
        path: nodes from the frame's first to its last.
    """

    session: UUID
    path: Nodes

    def after(self, node: str) -> str | None:
        """The node after another one; None at the end of the path, and where that node is not on it."""
        return next((there for here, there in itertools.pairwise(self.path) if here == node), None)

    def back_from(self, node: str) -> list[str]:
        """The path from a node back to the first."""
        return self.path[: self.path.index(node) + 1][::-1]


class KeysManifest(Manifest):
    """Of a share of keys.

    Attributes:
        share, shares: which of how many, from 0; the keys are all of them XORed.
        key_ids, key_bytes: names and length of the keys, which follow each other in the payload.
        master: the SAE that asked; the path's first node is its KME.
        slaves: those at the path's last node that are entitled.
        lifetime_seconds: how long they may take.
        extension: what is said of the keys to SAEs.
        kem: ML-KEM ciphertext whose secret the far KME combines with the keys, see :mod:`kronborg.network.hybrid`.
    """

    share: Annotated[int, Field(ge=0, le=1)]
    shares: Annotated[int, Field(ge=1, le=2)]
    key_ids: Annotated[list[UUID], Field(min_length=1, max_length=4096), AfterValidator(_each_once)]
    key_bytes: Annotated[int, Field(ge=1, le=1 << 17)]
    master: ID
    slaves: Annotated[list[ID], Field(min_length=1, max_length=101), AfterValidator(_each_once)]
    lifetime_seconds: Annotated[float, Field(gt=0, lt=1e9)]
    extension: Annotated[dict[str, Any], Field(max_length=16)]
    kem: Annotated[str, Field(max_length=4096)] | None = None

    def same_keys(self, other: KeysManifest) -> bool:
        """Whether another share is of the same keys."""
        differ = {"path": None, "share": None}
        return self.model_copy(update=differ) == other.model_copy(update=differ)


class AnswerManifest(Manifest):
    """Of CONFIRM, FAIL and VOID.

    Attributes:
        stopped: of FAIL, the nodes between which it did not go on.
    """

    stopped: Annotated[list[ID], Field(min_length=2, max_length=2)] | None = None


M = TypeVar("M", bound=Manifest)


def read(model: type[M], text: bytes) -> M:
    """A manifest from its frame. Raises FrameRefused (`manifest`)."""
    try:
        return parse(model, text)
    except Refused:
        raise FrameRefused("manifest") from None


def write(manifest: Manifest) -> bytes:
    """As a frame carries it."""
    return manifest.model_dump_json(exclude_none=True).encode()
