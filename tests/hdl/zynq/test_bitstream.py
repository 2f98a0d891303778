"""The file that a device is configured with."""

import hashlib
import struct

import numpy as np
import pytest

from kronborg_hdl.zynq.bitstream import bit_file, parse
from kronborg_hdl.zynq.database import WORDS, Database
from kronborg_hdl.zynq.frames import correct

FRAMES = (0x0, 0x2, 0x80, 0x20001, 0x400080, 0x800001, 0xC00000)
PROJECT_X_RAY = "26778232b814732db30676045ae662f767fc530a6224153c184810b81555dc3f"
"""SHA-256 of the packets that Project X-Ray's xc7frames2bit makes of the same frames, for the same part."""


@pytest.fixture(scope="module")
def frames() -> dict[int, list[int]]:
    rng = np.random.default_rng(20)
    made = {address: rng.integers(0, 2**32, WORDS).tolist() for address in FRAMES}
    for words in made.values():
        correct(words)
    return made


@pytest.fixture(scope="module")
def file(frames: dict[int, list[int]], database: Database) -> bytes:
    return bit_file(frames, database, design="kronborg_test")


def test_packets_are_those_of_an_independent_writer(file: bytes) -> None:
    packets = file[file.index(b"\xff" * 32) :]
    assert hashlib.sha256(packets).hexdigest() == PROJECT_X_RAY


def test_what_was_written_is_read(file: bytes, frames: dict[int, list[int]], database: Database) -> None:
    read = parse(file)
    assert (read.design, read.part) == ("kronborg_test", database.part)
    assert (read.date, read.time) == ("2000/01/01", "00:00:00")
    assert read.frames(database) == frames


def test_the_header_says_how_long_the_rest_is(file: bytes) -> None:
    begin = file.index(b"\xff" * 32)
    assert file[begin - 5 : begin] == b"e" + struct.pack(">I", len(file) - begin)


def test_two_files_of_the_same_frames_are_the_same(
    file: bytes, frames: dict[int, list[int]], database: Database
) -> None:
    assert bit_file(dict(reversed(frames.items())), database, design="kronborg_test") == file


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: b"", "no .bit file"),
        (lambda file: b"PK" + file[2:], "no .bit file"),
        (lambda file: file[:20], "cut short in its header"),
        (lambda file: file[:-1], "cut short: "),
        (lambda file: file[:2000], "cut short: "),
        (lambda file: file.replace(b"\xaa\x99\x55\x66", b"\0\0\0\0"), "no synchronisation word"),
        (lambda file: file.replace(b"b\0\x10xc7", b"q\0\x10xc7"), "its header is damaged"),
    ],
)
def test_a_damaged_file_is_one_line(change, said: str, file: bytes) -> None:
    with pytest.raises(ValueError, match=said):
        parse(change(file))


def test_another_devices_frames_are_refused(file: bytes, database: Database) -> None:
    other = parse(file.replace(struct.pack(">I", database.identity), struct.pack(">I", 0x03722093)))
    with pytest.raises(ValueError, match="for device 0x03722093, not for xc7z020"):
        other.frames(database)


def test_a_frame_that_the_part_does_not_have_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="has no frame 0x00000003"):
        bit_file({3: [1] * WORDS}, database, design="x")
