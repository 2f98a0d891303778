"""The frames of the serial bridge, as both ends write them. Pure Python.

A frame on the line is FLAG, content, FLAG. The content is a message and its CRC-32, in which each FLAG or ESCAPE is
written as ESCAPE and the byte with bit 5 flipped (the framing of RFC 1662). So a FLAG always ends a frame: whatever
bytes are lost, added or changed, the next frame is read as it was sent. What lies between two FLAGs and does not end
with its CRC is dropped.

A message begins with a sequence number of two bytes and a kind of one. The host asks, the board answers each request
once, with the same number and the kind's top bit set. All numbers are little-endian.

==========  ===========================================  =======================================================
request     host                                         board
==========  ===========================================  =======================================================
HELLO       (nothing)                                    MAGIC, protocol version, log2 of words in a buffer of a
                                                         stream, streams into the design, streams out of it,
                                                         broken frames so far (2 bytes, stays at its maximum)
RESET       (nothing)                                    (nothing) once the design was reset; buffers are empty
READ        address (4)                                  AXI response (1), word (4)
WRITE       address (4), word (4)                        AXI response (1)
FETCH       stream (1), release (2), position (2),       stream (1), position (2), words (4 each), state (1)
            count (2)
PUSH        stream (1), position (2), last (1),          stream (1), next position (2), room in words (2)
            words (4 each)
==========  ===========================================  =======================================================

A request of another kind, length or stream is answered with kind REFUSED.

**Registers.** A READ or WRITE with the number of the one before is not carried out again: its answer is repeated. So a
host that has no answer asks again with the same number, and a command is never started twice.

**Streams.** Words of a stream are numbered modulo 2**16, from zero after a reset. A stream out of the design waits in a
buffer until the host releases it: FETCH frees all words before `release`, then gives at most `count` words from
`position` on, up to the end of a packet (state LAST) or of what is there. A host whose answer was lost or broken asks
for the same position again. A position that is not in the buffer gives state OUTSIDE, and the first that is there.
PUSH adds words to a stream into the design if `position` is the next one and there is room for all of them; the answer
says which is the next one now.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
CRC_BYTES = 4
HEAD = struct.Struct("<HB")
"""Sequence number and kind."""
MAGIC = b"KBSB"
VERSION = 1
ANSWER = 0x80
REFUSED = 0xFF
DECERR = 0b11
"""Response to an access beyond the design's address space."""
WORD_BYTES = 4
POSITION_BITS = 16
MOST_PUSHED = 64
"""Words of a PUSH at most: the line's buffer on the board holds three such frames, all bytes escaped."""
LINE_BYTES = 2048
"""That the board keeps of what it was sent and has not read: so much may be on its way."""


class Kind(IntEnum):
    """Of a request."""

    HELLO = 1
    RESET = 2
    READ = 3
    WRITE = 4
    FETCH = 5
    PUSH = 6


class State(IntEnum):
    """Bits of a FETCH's answer."""

    LAST = 1
    """The last of its words ends a packet."""
    OUTSIDE = 2
    """The position asked for is not in the buffer; the answer has the first that is, and no words."""


HELLO = struct.Struct("<4sBBBBH")
READ_ANSWER = struct.Struct("<BI")
FETCH = struct.Struct("<BHHH")
FETCHED = struct.Struct("<BH")
PUSH = struct.Struct("<BHB")
PUSHED = struct.Struct("<BHH")
LENGTHS = {Kind.HELLO: 0, Kind.RESET: 0, Kind.READ: 4, Kind.WRITE: 8, Kind.FETCH: FETCH.size}
"""Bytes of a request behind its head; a PUSH has ``PUSH.size`` and its words."""


def frame(message: bytes) -> bytes:
    """A message as it goes over the line."""
    content = message + zlib.crc32(message).to_bytes(CRC_BYTES, "little")
    stuffed = content.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPE ^ FLIP]))
    stuffed = stuffed.replace(bytes([FLAG]), bytes([ESCAPE, FLAG ^ FLIP]))
    return bytes([FLAG]) + stuffed + bytes([FLAG])


class Deframer:
    """Messages out of what comes over a line.

    Attributes:
        broken: frames that did not end with their CRC.
    """

    def __init__(self) -> None:
        self._content = bytearray()
        self._escaped = False
        self.broken = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that end within these bytes."""
        for byte in data:
            if byte == FLAG:
                content, whole = bytes(self._content), not self._escaped
                self._content.clear()
                began, self._escaped = bool(content) or not whole, False
                if whole and len(content) > CRC_BYTES and _is_good(content):
                    yield content[:-CRC_BYTES]
                elif began:
                    self.broken += 1
            elif byte == ESCAPE and not self._escaped:
                self._escaped = True
            else:
                self._content.append(byte ^ FLIP if self._escaped else byte)
                self._escaped = False


def _is_good(content: bytes) -> bool:
    return zlib.crc32(content[:-CRC_BYTES]) == int.from_bytes(content[-CRC_BYTES:], "little")


def request(sequence: int, kind: Kind, body: bytes = b"") -> bytes:
    """A request's message."""
    return HEAD.pack(sequence, kind) + body
