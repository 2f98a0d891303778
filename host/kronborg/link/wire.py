"""Messages as bytes: one table says which message has which code and which fields (docs/protocol.md).

Every message has one encoding: what decodes, encodes to the same bytes again, and everything else is refused. Integers
and floats are little-endian; what has a variable length says it first.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ProtocolError
from . import messages

VERSION = 2
"""Of the protocol. It changes whenever the table below, or what a message means, does."""

MOST_BYTES = 1 << 28
"""Of a message's body, for it is held in memory before its tag is known to be right."""

_MOST_TEXT = 400


class _Reader:
    """Takes a body apart from its beginning."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = memoryview(body), 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._body) - self._at:
            raise ProtocolError("a message ends too early")
        self._at += count
        return bytes(self._body[self._at - count : self._at])

    def number(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def end(self) -> None:
        if self._at != len(self._body):
            raise ProtocolError("a message has bytes beyond its end")


@dataclass(frozen=True)
class Kind:
    """How a field is written.

    Attributes:
        name: what docs/protocol.md calls it.
        text: for people.
        encode: value to bytes.
        decode: a reader to the value.
    """

    name: str
    text: str
    encode: Callable[[Any], bytes]
    decode: Callable[[_Reader], Any]


def _flag(reader: _Reader) -> bool:
    value = reader.number("B")
    if value > 1:
        raise ProtocolError("a flag is neither 0 nor 1")
    return bool(value)


def _float(reader: _Reader) -> float:
    value = float(reader.number("d"))
    if not math.isfinite(value):
        raise ProtocolError("a number is not finite")
    return value


def _text(reader: _Reader) -> str:
    try:
        text = reader.take(reader.number("H")).decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("a text is not UTF-8") from None
    # It may be shown: one line, and nothing that moves a terminal's cursor.
    if len(text) > _MOST_TEXT or not text.isprintable():
        raise ProtocolError("a text is too long, or not printable")
    return text


def _encode_text(text: str) -> bytes:
    encoded = "".join(c if c.isprintable() else " " for c in text)[:_MOST_TEXT].encode("utf-8")
    return struct.pack("<H", len(encoded)) + encoded


def _numbers(reader: _Reader) -> tuple[int, ...]:
    count = reader.number("I")
    return tuple(np.frombuffer(reader.take(8 * count), "<u8").tolist())


def _array(name: str, dtype: str, width: int) -> Kind:
    def encode(values: Any) -> bytes:
        return struct.pack("<I", len(values)) + np.ascontiguousarray(values, dtype).tobytes()

    def decode(reader: _Reader) -> Any:
        rows = reader.number("I")
        flat = np.frombuffer(reader.take(rows * width * np.dtype(dtype).itemsize), dtype)
        return flat.astype(np.dtype(dtype).newbyteorder("="), copy=False).reshape(rows, width)

    return Kind(name, f"count (4 bytes), then as many rows of {width} {np.dtype(dtype).name}", encode, decode)


U32 = Kind("u32", "unsigned, 4 bytes", lambda v: struct.pack("<I", v), lambda r: r.number("I"))
U64 = Kind("u64", "unsigned, 8 bytes", lambda v: struct.pack("<Q", v), lambda r: r.number("Q"))
F64 = Kind("f64", "float64, finite", lambda v: struct.pack("<d", v), _float)
FLAG = Kind("flag", "one byte, 0 or 1", lambda v: bytes([v]), _flag)
TEXT = Kind("text", "length (2 bytes), then printable UTF-8", _encode_text, _text)
BYTES = Kind(
    "bytes", "length (4 bytes), then bytes", lambda v: struct.pack("<I", len(v)) + v, lambda r: r.take(r.number("I"))
)
U64S = Kind(
    "u64s",
    "count (4 bytes), then unsigned of 8 bytes",
    lambda v: struct.pack("<I", len(v)) + np.array(v, "<u8").tobytes(),
    _numbers,
)
WORDS = _array("words", "<i2", 2)
OCTONIONS = _array("octonions", "<f4", 8)

Fields = tuple[tuple[str, Kind], ...]

SCHEMA: dict[int, tuple[type, Fields]] = {
    1: (
        messages.AliceHello,
        (
            ("link", TEXT),
            ("nonce", BYTES),
            ("last_block", U64),
            ("next_frame", U64),
            ("modulation_variance_snu", F64),
            ("snu_per_word", F64),
        ),
    ),
    2: (messages.BobHello, (("link", TEXT), ("nonce", BYTES), ("last_block", U64), ("next_frame", U64))),
    3: (messages.Emit, (("first", U64), ("count", U32))),
    4: (messages.FramesReceived, (("frames", U64S), ("last_block", U64))),
    5: (messages.EstimationRequest, (("seed", BYTES), ("count", U64))),
    6: (messages.EstimationSymbols, (("words", WORDS),)),
    7: (messages.CodeChoice, (("code", TEXT), ("gain", F64), ("noise_variance_snu", F64))),
    8: (messages.CodeBlock, (("index", U32), ("message", OCTONIONS), ("syndrome", BYTES))),
    9: (messages.Decoded, (("index", U32), ("converged", FLAG))),
    10: (messages.Verify, (("index", U32), ("hash_key", BYTES), ("tag", BYTES))),
    11: (messages.Verified, (("index", U32), ("equal", FLAG))),
    12: (messages.Reveal, (("index", U32), ("bits", BYTES))),
    13: (messages.SumsRequest, ()),
    14: (messages.Sums, (("pairs", U64), ("xx", F64), ("xy", F64), ("yy", F64))),
    15: (
        messages.Amplify,
        (
            ("sequence", U64),
            ("blocks", U64S),
            ("seed", BYTES),
            ("key_bits", U64),
            ("pool_bits", U64),
            ("epsilon", F64),
        ),
    ),
    16: (messages.Stored, (("sequence", U64),)),
    17: (messages.Done, ()),
    18: (messages.Refused, (("reason", TEXT),)),
    19: (messages.Goodbye, ()),
    20: (messages.SliceBlock, (("index", U32), ("low_bits", BYTES), ("syndromes", BYTES))),
}
"""Code, message and fields, in their order."""

_CODES = {kind: code for code, (kind, _) in SCHEMA.items()}


def encode(message: messages.Message) -> tuple[int, bytes]:
    """A message's code and body."""
    code = _CODES[type(message)]
    return code, b"".join(kind.encode(getattr(message, name)) for name, kind in SCHEMA[code][1])


def decode(code: int, body: bytes) -> messages.Message:
    """The message with this code and body.

    Raises:
        ProtocolError: there is no such message, or the body is not one of it.
    """
    if code not in SCHEMA:
        raise ProtocolError(f"there is no message with the code {code}")
    kind, fields = SCHEMA[code]
    reader = _Reader(body)
    values = {name: form.decode(reader) for name, form in fields}
    reader.end()
    message: messages.Message = kind(**values)
    return message
