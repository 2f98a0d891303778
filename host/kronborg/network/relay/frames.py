"""Frames between neighbours: a one-time pad over the payload, a Wegman-Carter tag over all of it.

A frame's key material is that of the link that it crosses, from the pool of its direction, and is named in the frame
by place: the first 32 bytes are a Poly1305 key (r, s) for this one frame, the others the pad. So a frame is as secret
as the link's keys whatever computer reads it, and a forger who tries N frames of at most L bytes against one tag
succeeds with probability at most 8 N ceil(L / 16) / 2**106 (Bernstein 2005). What is not secret is in the clear, and
is tagged: who the keys are for, and the way.

A frame goes on the wire as (big-endian)

    "KRF1", kind (1), pool (1), length of the link's name (1), name, frame's id (16),
    number of segments (2), each sequence (8), start (8), length (4),
    length of the manifest (4), manifest, length of the payload (4), payload, tag (16)

Nothing may be missing or left over. :func:`parse` reads no more than that: it may be given anything.
"""

from __future__ import annotations

import enum
import hmac
import re
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.poly1305 import Poly1305

from ...errors import KronborgError
from ..identity import is_id
from ..material import Segment

MAGIC = b"KRF1"
TAG_BYTES = 16
TAG_KEY_BYTES = 32
"""Material that a frame takes beside its pad: it is never used for another."""
MOST_FRAME_BYTES = 128 * 1024
MOST_SEGMENTS = 4096

_HEAD = struct.Struct(">4sBBB")
_SEGMENT = struct.Struct(">QQI")


class Kind(enum.IntEnum):
    """What a frame is for."""

    KEYS = 1
    """A share of keys, on its way from their master's KME."""
    CONFIRM = 2
    """The far KME has the keys."""
    FAIL = 3
    """The keys did not get there; the manifest says where they stopped."""
    VOID = 4
    """The keys will never be handed to their master."""


class FrameRefused(KronborgError):
    """A frame that is not taken. `reason` is one word, for counters and for the sender: it quotes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the frame is refused: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Frame:
    """What a frame says. Its payload is encrypted by the time that it is one.

    Attributes:
        kind: what it is for.
        link: the link that it crosses.
        pool: the direction whose material it takes.
        id: its name (UUID).
        segments: where its material lies.
        manifest: what it says in the clear, JSON.
        payload: encrypted, as long as its pad.
    """

    kind: Kind
    link: str
    pool: int
    id: str
    segments: tuple[Segment, ...]
    manifest: bytes
    payload: bytes

    def encode(self) -> bytes:
        """All but the tag."""
        link = self.link.encode()
        parts = [_HEAD.pack(MAGIC, self.kind, self.pool, len(link)), link, uuid.UUID(self.id).bytes]
        parts.append(len(self.segments).to_bytes(2, "big"))
        parts += [_SEGMENT.pack(each.sequence, each.start, each.length) for each in self.segments]
        for text in (self.manifest, self.payload):
            parts += [len(text).to_bytes(4, "big"), text]
        return b"".join(parts)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise FrameRefused("malformed")
        self._at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def parse(data: bytes) -> tuple[Frame, bytes]:
    """A frame and its tag, from the wire. Nothing is known of it yet but its form.

    Raises:
        FrameRefused: it has not this form (`malformed`), or is too long (`oversize`).
    """
    if len(data) > MOST_FRAME_BYTES:
        raise FrameRefused("oversize")
    reader = _Reader(data)
    magic, kind, pool, length = _HEAD.unpack(reader.take(_HEAD.size))
    if magic != MAGIC or kind not in set(Kind) or pool > 1:
        raise FrameRefused("malformed")
    link = reader.take(length).decode("ascii", "replace")
    if not is_id(link):
        raise FrameRefused("malformed")
    name = str(uuid.UUID(bytes=reader.take(16)))
    count = reader.number(2)
    if not 1 <= count <= MOST_SEGMENTS:
        raise FrameRefused("malformed")
    segments = tuple(Segment(*_SEGMENT.unpack(reader.take(_SEGMENT.size))) for _ in range(count))
    manifest = reader.take(reader.number(4))
    payload = reader.take(reader.number(4))
    tag = reader.take(TAG_BYTES)
    if reader.left:
        raise FrameRefused("malformed")
    # The database's integers have 63 bits.
    sound = all(each.length and each.sequence < 1 << 62 and each.start < 1 << 62 for each in segments)
    if not sound or sum(each.length for each in segments) != TAG_KEY_BYTES + len(payload):
        raise FrameRefused("malformed")
    return Frame(Kind(kind), link, pool, name, segments, manifest, payload), tag


def looks_like_id(text: str) -> bool:
    """Whether a text is a UUID in lower case."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text, re.ASCII) is not None


def seal(
    kind: Kind, link: str, pool: int, segments: Sequence[Segment], material: bytes, manifest: bytes, payload: bytes
) -> tuple[Frame, bytes]:
    """A new frame and its tag.

    Args:
        kind, link, pool, segments: see Frame.
        material: the bits that lie there, TAG_KEY_BYTES more than the payload has; used up by this.
        manifest: what is said in the clear.
        payload: what is to be secret.
    """
    pad = material[TAG_KEY_BYTES:]
    frame = Frame(kind, link, pool, str(uuid.uuid4()), tuple(segments), manifest, exclusive_or(payload, pad))
    return frame, Poly1305.generate_tag(material[:TAG_KEY_BYTES], frame.encode())


def open_(frame: Frame, tag: bytes, material: bytes) -> bytes:
    """What a frame's payload says.

    Args:
        frame, tag: as parsed.
        material: the bits that lie where the frame says.

    Raises:
        FrameRefused: the tag is not that of this frame under this material (`tag`).
    """
    wanted = Poly1305.generate_tag(material[:TAG_KEY_BYTES], frame.encode())
    if not hmac.compare_digest(wanted, tag):
        raise FrameRefused("tag")
    return exclusive_or(frame.payload, material[TAG_KEY_BYTES:])


def exclusive_or(one: bytes, other: bytes) -> bytes:
    """The bits of one where they differ from the other's; both are of the same length.

    Raises:
        ValueError: they are not.
    """
    if len(one) != len(other):
        raise ValueError(f"{len(one)} bytes and {len(other)} cannot be combined")
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def forgery_probability(frame_bytes: int, tries: int = 1) -> float:
    """Bound on the chance that one of so many forgeries is taken for a frame of at most so many bytes."""
    return 8 * tries * -(-frame_bytes // 16) / 2.0**106
