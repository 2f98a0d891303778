"""A `.bit` file of a 7-series device: a header, and packets that write registers of its configuration logic (UG470).

The header's date is a constant, so that the same design is the same file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .database import WORDS, Database
from .frames import Frames

DATE, TIME = "2000/01/01", "00:00:00"
_MAGIC = bytes.fromhex("0009 0ff0 0ff0 0ff0 0ff0 00 0001")
_SYNC = 0xAA99_5566
_BEFORE = (*[0xFFFF_FFFF] * 8, 0x0000_00BB, 0x1122_0044, 0xFFFF_FFFF, 0xFFFF_FFFF, _SYNC)
"""Padding, detection of the bus' width, and the word that everything begins with."""
_NOTHING = 0x2000_0000
_WRITE, _TYPE_1, _TYPE_2 = 0b10 << 27, 0b001 << 29, 0b010 << 29
_REGISTERS = {
    "frame_address": 0x01,
    "frame_data": 0x02,
    "control_0": 0x05,
    "mask": 0x06,
    "command": 0x04,
    "options_0": 0x09,
    "identity": 0x0C,
    "options_1": 0x0E,
    "warm_boot": 0x10,
    "timer": 0x11,
    "reserved": 0x13,
    "control_1": 0x18,
}
_NULL, _WRITE_FRAMES, _LAST_FRAME, _START, _RESET_CHECK, _SWITCH, _RESTORE, _DESYNC = 0, 1, 3, 5, 7, 9, 10, 13
_OPTIONS_0 = 0x0200_3FE5
"""Done pipelined and driven in phase 4, outputs in phase 5, writing in phase 6; nothing is waited for."""
_CONTROL_0 = 0x501
_CONTROL_MASK = 0x401
_LAST_ADDRESS = 0x03BE_0000
"""Behind every frame: it ends the writing."""


@dataclass(frozen=True)
class Bitstream:
    """A `.bit` file taken apart.

    Attributes:
        design: what its header says that it is.
        part: of the header.
        date: likewise.
        time: likewise.
        identity: IDCODE of the device that takes it.
        words: of frames, one after the other.
    """

    design: str
    part: str
    date: str
    time: str
    identity: int
    words: tuple[int, ...]

    def frames(self, database: Database) -> Frames:
        """The frames that have a bit, by address.

        Raises:
            ValueError: it is another device's, or not whole.
        """
        if self.identity != database.identity:
            raise ValueError(f"the bitstream is for device {self.identity:#010x}, not for {database.part}")
        frames: Frames = {}
        begin = 0
        for row in database.frames:
            for address in row:
                words = list(self.words[begin : begin + WORDS])
                if any(words):
                    frames[address] = words
                begin += WORDS
            begin += _BETWEEN
        if begin != len(self.words):
            raise ValueError(f"the bitstream has {len(self.words)} words of frames: {database.part} has {begin}")
        return frames


_BETWEEN = 2 * WORDS
"""Words of zero behind each row."""


def bit_file(frames: Frames, database: Database, *, design: str) -> bytes:
    """The file, whole, for the part of the database.

    Raises:
        ValueError: a frame that the device does not have.
    """
    words: list[int] = []
    missing = set(frames)
    for row in database.frames:
        for address in row:
            words += frames.get(address, [0] * WORDS)
            missing.discard(address)
        words += [0] * _BETWEEN
    if missing:
        raise ValueError(f"{database.part} has no frame {min(missing):#010x}")
    payload = [*_BEFORE, *_before_frames(database.identity), *_frame_data(words), *_after_frames()]
    data = struct.pack(f">{len(payload)}I", *payload)
    header = _MAGIC
    for key, text in zip("abcd", (design, database.part, DATE, TIME), strict=True):
        line = text.encode("ascii") + b"\0"
        header += key.encode() + struct.pack(">H", len(line)) + line
    return header + b"e" + struct.pack(">I", len(data)) + data


def _set(register: str, word: int) -> tuple[int, int]:
    return _TYPE_1 | _WRITE | _REGISTERS[register] << 13 | 1, word


def _before_frames(identity: int) -> list[int]:
    return [
        _NOTHING,
        *_set("timer", 0),
        *_set("warm_boot", 0),
        *_set("command", _NULL),
        _NOTHING,
        *_set("command", _RESET_CHECK),
        *[_NOTHING] * 2,
        *_set("reserved", 0),
        *_set("options_0", _OPTIONS_0),
        *_set("options_1", 0),
        *_set("identity", identity),
        *_set("command", _SWITCH),
        _NOTHING,
        *_set("mask", _CONTROL_MASK),
        *_set("control_0", _CONTROL_0),
        *_set("mask", 0),
        *_set("control_1", 0),
        *[_NOTHING] * 8,
        *_set("frame_address", 0),
        *_set("command", _WRITE_FRAMES),
        _NOTHING,
    ]


def _frame_data(words: list[int]) -> Iterator[int]:
    yield _TYPE_1 | _WRITE | _REGISTERS["frame_data"] << 13
    yield _TYPE_2 | _WRITE | len(words)
    yield from words


def _after_frames() -> list[int]:
    return [
        *_set("command", _RESET_CHECK),
        *[_NOTHING] * 2,
        *_set("command", _RESTORE),
        _NOTHING,
        *_set("command", _LAST_FRAME),
        *[_NOTHING] * 100,
        *_set("command", _START),
        _NOTHING,
        *_set("frame_address", _LAST_ADDRESS),
        *_set("mask", _CONTROL_0),
        *_set("control_0", _CONTROL_0),
        *_set("command", _RESET_CHECK),
        *[_NOTHING] * 2,
        *_set("command", _DESYNC),
        *[_NOTHING] * 400,
    ]


def parse(data: bytes) -> Bitstream:
    """Take a file apart.

    Raises:
        ValueError: it is no bitstream of a 7-series device, or it was cut short.
    """
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("this is no .bit file: it does not begin as one")
    place, said = len(_MAGIC), {}
    try:
        for key in "abcd":
            found, length = struct.unpack_from(">cH", data, place)
            if found != key.encode():
                raise ValueError("this is no .bit file: its header is damaged")
            said[key] = data[place + 3 : place + 2 + length].decode("ascii", "replace")
            place += 3 + length
        found, length = struct.unpack_from(">cI", data, place)
    except struct.error:
        raise ValueError("the .bit file was cut short in its header") from None
    body = data[place + 5 :]
    if found != b"e" or len(body) != length or length % 4:
        raise ValueError(f"the .bit file was cut short: {len(body)} bytes follow where {length} were written")
    words = struct.unpack(f">{length // 4}I", body)
    identity, frames = _packets(words)
    return Bitstream(said["a"], said["b"], said["c"], said["d"], identity, frames)


def _packets(words: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """IDCODE and words of frames that the packets write."""
    if _SYNC not in words:
        raise ValueError("the .bit file has no synchronisation word")
    place = words.index(_SYNC) + 1
    identity, register = 0, 0
    data: tuple[int, ...]
    frames: tuple[int, ...] = ()
    while place < len(words):
        word = words[place]
        if word >> 29 == 1:
            register, length = word >> 13 & 0x1F, word & 0x7FF
        elif word >> 29 == 2:
            length = word & 0x07FF_FFFF
        else:
            raise ValueError(f"the .bit file has a packet of unknown type: {word:#010x}")
        data = words[place + 1 : place + 1 + length] if word & _WRITE else ()
        place += 1 + length
        if register == _REGISTERS["identity"] and data:
            identity = data[0]
        if register == _REGISTERS["frame_data"] and data:
            frames = (*frames, *data)
    return identity, frames
