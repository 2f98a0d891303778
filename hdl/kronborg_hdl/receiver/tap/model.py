"""What the tap writes to memory, and its reader for the host.

A picture is a packet of beats, each as the stream at the chosen place had it: the oldest word lowest, I below Q, each
rail a little-endian integer of 16 or 32 bits. All beats have the bytes of the widest place; those of a narrower one are
followed by zeros.

The tap adds no noise: it hands on the stream's own words, and the stream does not know of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Place:
    """A place that the tap can look at.

    Attributes:
        name: of its stream.
        words: per beat.
        rail_bits: of each rail in memory, 8, 16, 32 or 64.
        complex_words: words have I and Q.
    """

    name: str
    words: int
    rail_bits: int
    complex_words: bool

    @property
    def beat_bytes(self) -> int:
        """Bytes of a beat that mean something."""
        return self.words * (1 + self.complex_words) * self.rail_bits // 8

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a rail in memory."""
        return np.dtype(f"<i{self.rail_bits // 8}")


def packet_beat_bytes(places: Iterable[Place]) -> int:
    """Bytes of every beat in memory: of the widest place."""
    return max(place.beat_bytes for place in places)


def pack(words: NDArray[Any], place: Place, beat_bytes: int) -> NDArray[np.uint8]:
    """A picture as the tap writes it.

    Args:
        words: of the place's stream, shape (n, 2) or (n,), whole beats.
        place: where.
        beat_bytes: of a beat in memory.

    Returns:
        uint8, shape (beats, beat_bytes).
    """
    beats = np.ascontiguousarray(words, place.dtype).view(np.uint8).reshape(-1, place.beat_bytes)
    picture = np.zeros((len(beats), beat_bytes), np.uint8)
    picture[:, : place.beat_bytes] = beats
    return picture


def unpack(picture: NDArray[np.uint8], place: Place, beat_bytes: int) -> NDArray[Any]:
    """The words of a picture: of shape (n, 2) if they are complex, else (n,); int16 or as wide as the place's rails.

    Args:
        picture: what was written to memory, uint8, any shape.
        place: where it was taken.
        beat_bytes: of a beat in memory.

    Raises:
        ValueError: it is no whole number of beats.
    """
    if picture.dtype != np.uint8 or picture.size % beat_bytes:
        raise ValueError(
            f"a picture is uint8 and whole beats of {beat_bytes} bytes, not {picture.size} {picture.dtype}"
        )
    beats = np.ascontiguousarray(picture.reshape(-1, beat_bytes)[:, : place.beat_bytes])
    words = beats.view(place.dtype).ravel()
    return words.reshape(-1, 2) if place.complex_words else words
