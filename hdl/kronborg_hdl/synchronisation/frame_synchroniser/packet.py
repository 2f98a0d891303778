"""The synchroniser's packets: what it writes to memory for each frame, and their reader for the host.

A packet is the frame's payload and then a trailer of eight words of 32 bits::

    MAGIC | number of the frame | symbols | flags, and magnitude << 16 | R(0) I | R(0) Q | phase | place

In memory a symbol is int16 I, int16 Q, all little-endian. ``R(0)`` and the phase are signed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from .sizes import TRAILER_WORDS
from .timing import PHASE_FRACTION

MAGIC = int.from_bytes(b"KBFS", "big")
FLAG_BITS = 16
WORD_MASK = (1 << 32) - 1


class Flag(IntFlag):
    """Why a frame is bad: bits of the trailer's flags. The first five and the last come from outside the core."""

    OVER_RANGE = 1
    """The converter was over its range."""
    SATURATED = 2
    """A word of the chain was clipped."""
    UNLOCKED = 4
    """The pilot's lock was lost."""
    LATE = 8
    """A command reached its core after the place at which it was to act."""
    OVERRUN = 16
    """A sample was lost."""
    UNEXPECTED = 32
    """The number in the header is not the next one."""
    WEAK = 64
    """The preamble's amplitude is below the threshold."""
    CUT_SHORT = 128
    """The next preamble began before the payload's end: what is there of it is in the packet."""
    TIMING = 256
    """The clock is not known yet, or was further off than allowed: symbols may be sampled between their centres."""
    CHANGED = 512
    """Settings of the chain were applied, or samples were thrown away."""


OWN = Flag.UNEXPECTED | Flag.WEAK | Flag.CUT_SHORT | Flag.TIMING
"""Those that the core finds itself."""
EVENTS = tuple(flag for flag in Flag if flag not in OWN)
"""Those that wires bring, in this order."""


@dataclass(frozen=True, eq=False)
class Packet:
    """One frame.

    Attributes:
        frame: its number; of a frame without a whole header, the number that was expected.
        symbols: int16, shape (n, 2), I then Q. They are the raw key: not in the repr.
        flags: why it is bad.
        magnitude: of the detector's correlation.
        correlation: R(0), I and Q: the sum over the preamble of symbols times the conjugate of the chips' signs.
        phase: how late the signal was, in 2**-16 symbols.
        place: number of the first payload symbol since reset, modulo 2**32.
    """

    frame: int
    symbols: NDArray[np.int16] = field(repr=False)
    flags: Flag
    magnitude: int
    correlation: tuple[int, int]
    phase: int
    place: int

    @property
    def good(self) -> bool:
        """Whether it may become key."""
        return not self.flags

    @property
    def late_symbols(self) -> float:
        """The phase in symbols."""
        return float(self.phase * 2.0**-PHASE_FRACTION)

    def words(self) -> NDArray[np.int16]:
        """As it stands in memory, int16, shape (n + 8, 2)."""
        i, q = self.correlation
        count = len(self.symbols)
        values = (MAGIC, self.frame, count, self.flags | self.magnitude << FLAG_BITS, i, q, self.phase, self.place)
        trailer = np.array([value & WORD_MASK for value in values], "<u4")
        return np.concatenate([self.symbols, trailer.view("<i2").reshape(-1, 2)]).astype(np.int16)


def read_packet(words: NDArray[np.int16]) -> Packet:
    """Take a packet apart. Nothing of it is believed: a transfer may be cut, shifted or of another core.

    Args:
        words: one transfer, int16, shape (n, 2). The packet's symbols are a view of it.

    Raises:
        ValueError: it is no whole packet; the line says what is wrong, and nothing of the symbols.
    """
    if words.dtype != np.int16 or words.ndim != 2 or words.shape[1] != 2:
        raise ValueError(f"a packet is int16 of shape (n, 2), not {words.dtype} of shape {words.shape}")
    count = len(words) - TRAILER_WORDS
    if count < 0:
        raise ValueError(f"a packet of {len(words)} words: must hold a trailer of {TRAILER_WORDS}")
    trailer = np.ascontiguousarray(words[count:], "<i2").view("<u4").ravel()
    magic, frame, said, flags, *_, place = (int(word) for word in trailer)
    if magic != MAGIC:
        raise ValueError("a packet that does not end with the trailer's mark: the transfer was cut, or is not aligned")
    if said != count:
        raise ValueError(f"frame {frame}: the packet holds {count} symbols and its trailer says {said}")
    reasons = flags & ((1 << FLAG_BITS) - 1)
    if reasons >= 1 << len(Flag):
        raise ValueError(f"frame {frame}: the trailer has bits that no core of this version sets")
    i, q, phase = (int(word) for word in trailer[4:7].view("<i4"))
    return Packet(frame, words[:count], Flag(reasons), flags >> FLAG_BITS, (i, q), phase, place)
