"""A design behind a serial bridge, as host code sees it: registers by offset, packets of streams by name."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.axi.serial_bridge.protocol import (
    DECERR,
    FETCH,
    FETCHED,
    MOST_PUSHED,
    POSITION_BITS,
    PUSH,
    PUSHED,
    READ_ANSWER,
    WORD_BYTES,
    Kind,
    State,
)

from ...errors import BoardError
from .link import Link

FETCHED_WORDS = 512
"""Of a FETCH at most: at 3 Mbaud they take 7 ms."""
POLL_S = 1e-3
RESPONSES = {2: "the design has no such register, or it cannot be written", DECERR: "the design ends before it"}
_MASK = (1 << POSITION_BITS) - 1


class Device:
    """Registers and streams over a line.

    ``read`` and ``write`` are what ``board.pynq.registers.Bus`` wants: pages of a register table work on a device as
    they do on PYNQ.

    Args:
        link: to the board.
        inputs: names of the streams into the design, in the bridge's order.
        outputs: of those out of it.

    Raises:
        BoardError: the bridge has other streams.
    """

    def __init__(self, link: Link, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> None:
        self.link = link
        found = link.bridge.inputs, link.bridge.outputs
        if found != (len(inputs), len(outputs)):
            raise BoardError(
                f"{link.name} has {found[0]} streams into its design and {found[1]} out of it, and its manifest names"
                f" {len(inputs)} and {len(outputs)}: another bitstream is loaded"
            )
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._next = dict.fromkeys(inputs, 0)
        self._at = dict.fromkeys(outputs, 0)

    def reset(self) -> None:
        """Reset the design, and empty all streams.

        Raises:
            BoardError: the board does not answer.
        """
        self.link.ask(Kind.RESET, what="a reset")
        self._next, self._at = dict.fromkeys(self.inputs, 0), dict.fromkeys(self.outputs, 0)

    def read(self, offset: int = 0) -> int:
        """A register's word.

        Raises:
            BoardError: the design has no such register, or the board does not answer.
        """
        answer = self.link.ask(Kind.READ, struct.pack("<I", offset), what=f"reading register {offset:#x}")
        response, word = READ_ANSWER.unpack(answer)
        self._check(response, f"reading register {offset:#x}")
        return int(word)

    def write(self, offset: int, value: int) -> None:
        """Write a register; it is written once, however often the line fails.

        Raises:
            BoardError: the design has no such register, or the board does not answer: it may then be written or not.
        """
        what = f"writing register {offset:#x}"
        (response,) = self.link.ask(Kind.WRITE, struct.pack("<II", offset, value), what=what)
        self._check(response, what)

    def _check(self, response: int, what: str) -> None:
        if response:
            raise BoardError(f"{what} is answered with {response}: {RESPONSES.get(response, 'an error')}")

    def send(self, stream: str, words: NDArray[np.uint32], *, last: bool = True, timeout_s: float = 10.0) -> None:
        """Send words into the design, uint32, shape (n,).

        Args:
            stream: one of ``inputs``.
            words: little-endian: two int16 of a complex sample make one.
            last: they end a packet.
            timeout_s: how long the design may take none of them.

        Raises:
            BoardError: it takes none for so long, or the board does not answer.
        """
        number = self.inputs.index(stream)
        given = np.ascontiguousarray(words, "<u4")
        at, end = 0, time.monotonic() + timeout_s
        while at < len(given):
            piece = given[at : at + MOST_PUSHED]
            ends = last and at + len(piece) == len(given)
            body = PUSH.pack(number, self._next[stream], ends) + piece.tobytes()
            _, following, room = PUSHED.unpack(self.link.ask(Kind.PUSH, body, what=f"words for {stream}"))
            if following == (self._next[stream] + len(piece)) & _MASK:
                self._next[stream], at = following, at + len(piece)
                end = time.monotonic() + timeout_s
            elif following != self._next[stream]:
                raise BoardError(f"{stream} is at word {following} and not {self._next[stream]}: reset the board")
            elif time.monotonic() > end:
                raise BoardError(
                    f"{stream}: the design takes no word for {timeout_s:g} s, room for {room} and {len(piece)} to send"
                )

    def fetch(self, stream: str, most: int) -> tuple[NDArray[np.uint32], bool]:
        """Words that are there, uint32, shape (n,): up to the end of a packet, or `most`; and whether it ended.

        Raises:
            BoardError: words are lost, or the board does not answer.
        """
        number, at = self.outputs.index(stream), self._at[stream]
        body = FETCH.pack(number, at, at, min(most, FETCHED_WORDS))
        answer = self.link.ask(Kind.FETCH, body, what=f"words of {stream}")
        _, position = FETCHED.unpack_from(answer)
        state = answer[-1]
        if state & State.OUTSIDE or position != at:
            raise BoardError(f"{stream} is at word {position} and not {at}: words are lost, reset the board")
        words = np.frombuffer(answer[FETCHED.size : -1], "<u4").astype(np.uint32)
        self._at[stream] = (at + len(words)) & _MASK
        return words, bool(state & State.LAST)

    def receive(self, stream: str, most: int, *, timeout_s: float = 10.0) -> tuple[NDArray[np.uint32], bool]:
        """Words out of the design, uint32, shape (n,): up to the end of a packet, or `most`; and whether it ended.

        Raises:
            BoardError: nothing came for so long, words are lost, or the board does not answer.
        """
        pieces: list[NDArray[np.uint32]] = []
        left, end, last = most, time.monotonic() + timeout_s, False
        while left and not last:
            words, last = self.fetch(stream, left)
            if len(words):
                pieces.append(words)
                left -= len(words)
                end = time.monotonic() + timeout_s
            elif time.monotonic() > end:
                came = most - left
                raise BoardError(f"{stream}: nothing comes for {timeout_s:g} s, after {came} words of a packet")
            else:
                time.sleep(POLL_S)
        return np.concatenate(pieces) if pieces else np.zeros(0, np.uint32), last

    def packets(self, stream: str, count: int, *, most: int = 1 << 24, timeout_s: float = 10.0) -> Iterator[bytes]:
        """So many packets of a stream, each as its bytes in memory, as a DMA engine would have written them.

        Raises:
            BoardError: a packet does not come or does not end, words are lost, or the board does not answer.
        """
        for _ in range(count):
            words, ended = self.receive(stream, most, timeout_s=timeout_s)
            if not ended:
                raise BoardError(f"{stream}: a packet has not ended after {most * WORD_BYTES} bytes")
            yield words.astype("<u4").tobytes()

    def close(self) -> None:
        """Give the port back."""
        self.link.close()
