"""The record's packets: what the core beside it writes to memory for each frame, and their reader for the host.

A packet is the frame's recorded symbols and then a trailer of four words of 32 bits, zero padded to whole beats::

    MAGIC | number of the frame | symbols recorded | flags

In memory a symbol is int16 I, int16 Q, and a trailer's word an unsigned number, all little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from ..frame_controller.model import NUMBER_BITS, SYMBOLS_PER_CLOCK

MAGIC = int.from_bytes(b"KBSR", "big")
TRAILER_WORDS = 4
COUNTER_BITS = 32
DEPTH_BITS = 16
"""Width of the FIFO's depth in its register."""


class Flag(IntFlag):
    """Why a frame must not become key: bits of the trailer's flags."""

    STARVED = 1
    """The source had no symbol when one was due: zeros were sent."""
    ENTROPY = 2
    """The entropy was not to be trusted, or was wanting."""
    SATURATED = 4
    """A word of the chain was clipped: what was sent is not what was recorded."""
    GAP = 8
    """The converter was left without a sample."""


@dataclass(frozen=True, eq=False)
class Packet:
    """What was recorded of one frame.

    Attributes:
        frame: its number.
        symbols: int16, shape (n, 2), I then Q. Secret: not in the repr.
        flags: what happened to it.
    """

    frame: int
    symbols: NDArray[np.int16] = field(repr=False)
    flags: Flag

    @property
    def may_become_key(self) -> bool:
        """Whether nothing happened to the frame that forbids it."""
        return not self.flags


def trailer_beats(symbols_per_clock: int) -> int:
    """Beats that the trailer takes."""
    return -(-TRAILER_WORDS // symbols_per_clock)


def packet(frame: int, symbols: NDArray[np.int16], flags: Flag, *, symbols_per_clock: int) -> NDArray[np.int16]:
    """The packet of one frame.

    Args:
        frame: its number.
        symbols: int16, shape (n, 2), whole beats.
        flags: what happened to the frame.
        symbols_per_clock: of the core.

    Returns:
        int16, shape (n + padded trailer, 2), as it stands in memory.

    Raises:
        ValueError: the symbols are not whole beats, or a number does not fit its word.
    """
    if len(symbols) % symbols_per_clock:
        raise ValueError(f"{len(symbols)} symbols are not whole beats of {symbols_per_clock}")
    if not 0 <= frame < 1 << NUMBER_BITS:
        raise ValueError(f"a frame's number of {frame} does not fit {NUMBER_BITS} bits")
    trailer = np.zeros(trailer_beats(symbols_per_clock) * symbols_per_clock, "<u4")
    trailer[:TRAILER_WORDS] = MAGIC, frame, len(symbols), flags
    return np.concatenate([symbols, trailer.view("<i2").reshape(-1, 2)]).astype(np.int16)


def read_packet(words: NDArray[np.int16], *, symbols_per_clock: int) -> Packet:
    """Take a packet apart. Nothing of it is believed: a transfer may be cut, shifted or of another core.

    Args:
        words: one transfer, int16, shape (n, 2). The packet's symbols are a view of it.
        symbols_per_clock: of the core that wrote it.

    Raises:
        ValueError: it is no whole packet; the line says what is wrong, and nothing of the symbols.
    """
    if symbols_per_clock not in SYMBOLS_PER_CLOCK:
        raise ValueError(
            f"{symbols_per_clock} symbols per clock: must be one of {', '.join(map(str, SYMBOLS_PER_CLOCK))}"
        )
    if words.dtype != np.int16 or words.ndim != 2 or words.shape[1] != 2:
        raise ValueError(f"a packet is int16 of shape (n, 2), not {words.dtype} of shape {words.shape}")
    tail = trailer_beats(symbols_per_clock) * symbols_per_clock
    if len(words) < tail or len(words) % symbols_per_clock:
        raise ValueError(
            f"a packet of {len(words)} words: must be whole beats of {symbols_per_clock} and hold a trailer of {tail}"
        )
    recorded = len(words) - tail
    trailer = np.ascontiguousarray(words[recorded:], "<i2").view("<u4").ravel()
    magic, frame, count, flags = (int(word) for word in trailer[:TRAILER_WORDS])
    if magic != MAGIC:
        raise ValueError("a packet that does not end with the trailer's mark: the transfer was cut, or is not aligned")
    if count != recorded:
        raise ValueError(f"frame {frame}: the packet holds {recorded} symbols and its trailer says {count}")
    if flags >= 1 << len(Flag) or trailer[TRAILER_WORDS:].any():
        raise ValueError(f"frame {frame}: the trailer has bits that no core of this version sets")
    return Packet(frame, words[:recorded], Flag(flags))
