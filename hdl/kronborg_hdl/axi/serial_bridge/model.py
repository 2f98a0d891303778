"""The serial bridge in Python, byte for byte: what it answers to whatever comes over the line."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from .protocol import (
    ANSWER,
    FETCH,
    FETCHED,
    HEAD,
    HELLO,
    LENGTHS,
    MAGIC,
    MOST_PUSHED,
    POSITION_BITS,
    PUSH,
    PUSHED,
    READ_ANSWER,
    REFUSED,
    VERSION,
    WORD_BYTES,
    Deframer,
    Kind,
    State,
    frame,
)

_MASK = (1 << POSITION_BITS) - 1
_MOST_BROKEN = (1 << 16) - 1


class Registers(Protocol):
    """What is behind AXI4-Lite."""

    def read(self, address: int) -> tuple[int, int]:
        """Word and response."""

    def write(self, address: int, word: int) -> int:
        """The response."""


class SerialBridge:
    """A bridge of so many streams.

    Args:
        registers: behind it.
        inputs: streams into the design.
        outputs: streams out of it.
        depth: words in each buffer.

    Attributes:
        given: words that the design gives on each stream out of it, with their marks; those that find room are taken.
        taken: words that came for the design on each stream into it, with their marks, until the design takes them.
        resets: so often the design was reset.
    """

    def __init__(self, registers: Registers, *, inputs: int = 0, outputs: int = 0, depth: int = 2048) -> None:
        self.registers, self.depth = registers, depth
        self.given: list[deque[tuple[int, bool]]] = [deque() for _ in range(outputs)]
        self.taken: list[deque[tuple[int, bool]]] = [deque() for _ in range(inputs)]
        self.resets = 0
        self._deframer = Deframer()
        self._kept: list[deque[tuple[int, bool]]] = [deque() for _ in range(outputs)]
        self._first, self._next = [0] * outputs, [0] * inputs
        self._last: tuple[int, int] | None = None
        self._said = b""

    def feed(self, data: bytes) -> bytes:
        """What is answered to these bytes, as it goes over the line."""
        return b"".join(frame(self._answer(message)) for message in self._deframer.feed(data))

    def _answer(self, message: bytes) -> bytes:
        if len(message) < HEAD.size:
            self._deframer.broken += 1
            return b""
        sequence, kind = HEAD.unpack_from(message)
        body = message[HEAD.size :]
        said = self._carry_out(sequence, kind, body)
        if said is None:
            return HEAD.pack(sequence, REFUSED)
        return HEAD.pack(sequence, ANSWER | kind) + said

    def _carry_out(self, sequence: int, kind: int, body: bytes) -> bytes | None:
        """The answer's body; None if the request is refused."""
        if kind in LENGTHS and len(body) != LENGTHS[Kind(kind)]:
            return None
        if kind == Kind.HELLO:
            self._last = None
            ends = (len(self._next), len(self._first), min(self._deframer.broken, _MOST_BROKEN))
            return HELLO.pack(MAGIC, VERSION, self.depth.bit_length() - 1, *ends)
        if kind == Kind.RESET:
            self._reset()
            return b""
        if kind in (Kind.READ, Kind.WRITE):
            if self._last != (sequence, kind):
                self._last, self._said = (sequence, kind), self._access(kind, body)
            return self._said
        if kind == Kind.FETCH and body[0] < len(self._first):
            return self._fetch(*FETCH.unpack(body))
        if kind == Kind.PUSH and len(body) > PUSH.size and body[0] < len(self._next):
            words, odd = divmod(len(body) - PUSH.size, WORD_BYTES)
            if not odd and words <= MOST_PUSHED:
                number, position, last = PUSH.unpack_from(body)
                return self._push(number, position, last, struct.unpack(f"<{words}I", body[PUSH.size :]))
        return None

    def _reset(self) -> None:
        self._last = None
        self.resets += 1
        for queue in (*self.given, *self.taken, *self._kept):
            queue.clear()
        self._first, self._next = [0] * len(self._first), [0] * len(self._next)

    def _access(self, kind: int, body: bytes) -> bytes:
        if kind == Kind.READ:
            word, response = self.registers.read(*struct.unpack("<I", body))
            return READ_ANSWER.pack(response, word)
        return bytes([self.registers.write(*struct.unpack("<II", body))])

    def _fetch(self, number: int, release: int, position: int, count: int) -> bytes:
        kept = self._kept[number]
        self._fill(number)
        freed, ahead = ((where - self._first[number]) & _MASK for where in (release, position))
        if not freed <= ahead <= len(kept):
            return FETCHED.pack(number, self._first[number]) + bytes([State.OUTSIDE])
        words, state = b"", 0
        for at in range(ahead, min(ahead + count, len(kept))):
            word, last = kept[at]
            words += struct.pack("<I", word)
            if last:
                state = State.LAST
                break
        for _ in range(freed):
            kept.popleft()
        self._first[number] = release
        return FETCHED.pack(number, position) + words + bytes([state])

    def _fill(self, number: int) -> None:
        """The design goes on as long as there is room."""
        kept, given = self._kept[number], self.given[number]
        while given and len(kept) < self.depth:
            kept.append(given.popleft())

    def _push(self, number: int, position: int, last: int, words: Sequence[int]) -> bytes:
        taken = self.taken[number]
        room = self.depth - len(taken)
        if position == self._next[number] and len(words) <= room:
            taken.extend((word, bool(last & 1) and at == len(words) - 1) for at, word in enumerate(words))
            self._next[number] = (position + len(words)) & _MASK
            room -= len(words)
        return PUSHED.pack(number, self._next[number], room)
