"""Requests over a serial line that loses bytes: each is answered once, or a line says that it is not.

What is said on the line is in ``kronborg_hdl.axi.serial_bridge.protocol``. A frame that comes broken is as one that
does not come: the request is sent again, with the same number. A value that was not under a right CRC is never taken.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Protocol

from kronborg_hdl.axi.serial_bridge.protocol import (
    ANSWER,
    HEAD,
    HELLO,
    MAGIC,
    REFUSED,
    VERSION,
    Deframer,
    Kind,
    frame,
    request,
)

from ...errors import BoardError

ATTEMPTS = 8
"""For a request. A line that breaks half of all frames leaves one request in 400 without an answer."""
ANSWER_S = 0.25
"""For an answer, beside the time that its bytes take: a USB port may keep the last of them for 16 ms."""
BITS_PER_BYTE = 10
LONGEST_ANSWER = 4096
"""Bytes, all of them escaped among them."""


class Port(Protocol):
    """A serial port as pyserial has it, opened with a time-out of some milliseconds."""

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""

    def read(self, size: int = 1, /) -> bytes:
        """Bytes that came: `size` at most, or what there is after the port's time-out."""

    def close(self) -> None:
        """Give the port back."""


@dataclass
class Counts:
    """What went wrong on a line so far, and was made good.

    Attributes:
        repeated: requests that were sent again.
        broken: frames that came and were not whole.
        late: answers to requests that had been answered, or to nobody's.
        refused_by_board: frames that the board found broken, by its own count when it was last asked.
    """

    repeated: int = 0
    broken: int = 0
    late: int = 0
    refused_by_board: int = 0


@dataclass(frozen=True)
class Bridge:
    """What the board says of its bridge.

    Attributes:
        depth: words in the buffer of a stream.
        inputs: streams into the design.
        outputs: streams out of it.
    """

    depth: int
    inputs: int
    outputs: int


class Link:
    """The host's end of a line.

    Args:
        port: opened.
        name: of it, for messages.
        baud: of it.
        answer_s: how long an answer is waited for.

    Raises:
        BoardError: nobody answers, or somebody who is no serial bridge of this version.
    """

    def __init__(self, port: Port, name: str, baud: float, *, answer_s: float = ANSWER_S) -> None:
        self._port, self.name = port, name
        self._answer_s = answer_s + LONGEST_ANSWER * BITS_PER_BYTE / baud
        self._deframer = Deframer()
        self._messages: list[bytes] = []
        self._sequence, self._accessed = secrets.randbelow(1 << 16), -1
        self.counts = Counts()
        self.bridge = self.hello()

    def hello(self) -> Bridge:
        """Ask the board what it is.

        Raises:
            BoardError: nobody answers, or somebody who is no serial bridge of this version.
        """
        answer = self.ask(Kind.HELLO)
        if len(answer) != HELLO.size or not answer.startswith(MAGIC):
            raise BoardError(f"{self.name} answers, but not as a Kronborg board: load its bitstream first")
        _, version, depth, inputs, outputs, broken = HELLO.unpack(answer)
        if version != VERSION:
            raise BoardError(f"{self.name} speaks version {version} and this is {VERSION}: build its bitstream again")
        self.counts.refused_by_board = broken
        return Bridge(1 << depth, inputs, outputs)

    def ask(self, kind: Kind, body: bytes = b"", *, what: str = "") -> bytes:
        """The body of the answer to a request.

        Args:
            kind: of request.
            body: of the request.
            what: is asked for, for the message.

        Raises:
            BoardError: there is no answer, the board refuses, or the port is gone.
        """
        self._sequence = self._number(kind)
        sent = frame(request(self._sequence, kind, body))
        what = what or kind.name
        for attempt in range(ATTEMPTS):
            self.counts.repeated += attempt > 0
            self._write(sent)
            answer = self._wait(kind)
            if answer is not None:
                return answer
        raise BoardError(
            f"{self.name} does not answer to {what}, asked {ATTEMPTS} times: is the board on, its bitstream loaded, and"
            f" the line at its rate? ({self._deframer.broken} broken frames came)"
        )

    def _number(self, kind: Kind) -> int:
        """Of the next request. An access never has that of the one before it, which would be answered and not done."""
        number = (self._sequence + 1) & 0xFFFF
        if kind in (Kind.READ, Kind.WRITE):
            if number == self._accessed:  # 65 535 requests for words came between
                number = (number + 1) & 0xFFFF
            self._accessed = number
        return number

    def _wait(self, kind: Kind) -> bytes | None:
        """The answer to the request under way, if it comes in time."""
        end = time.monotonic() + self._answer_s
        while True:
            while self._messages:
                message = self._messages.pop(0)
                if len(message) < HEAD.size:
                    self.counts.late += 1
                    continue
                sequence, said = HEAD.unpack_from(message)
                if sequence == self._sequence and said == ANSWER | kind:
                    return message[HEAD.size :]
                if sequence == self._sequence and said == REFUSED:
                    raise BoardError(f"{self.name} refuses {kind.name}: its bitstream has not what is asked for")
                self.counts.late += 1
            if time.monotonic() > end:
                return None
            self._messages += self._deframer.feed(self._read())
            self.counts.broken = self._deframer.broken

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise self._gone(error) from None

    def _read(self) -> bytes:
        try:
            # What is there at once, or the first byte that comes within the port's time-out.
            return self._port.read(max(1, int(getattr(self._port, "in_waiting", 1))))
        except OSError as error:
            raise self._gone(error) from None

    def _gone(self, error: OSError) -> BoardError:
        return BoardError(f"{self.name} is gone ({error.strerror or error}): plug the board in and begin anew")

    def close(self) -> None:
        """Give the port back."""
        self._port.close()
