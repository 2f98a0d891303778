"""Bit-exact model of the frame controller: the words of a frame, and which settings the core takes.

A frame is, in this order, any part of it possibly empty::

    guard | preamble | header | payload | vacuum | calibration

The header is the frame's number, 32 bits, most significant first; each bit is a symbol or its negative, repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ...dsp.formats import SAMPLE

SYMBOLS_PER_CLOCK = (1, 2, 4, 8)
"""Widths that the core can be built for."""
NUMBER_BITS = 32
"""Width of a frame's number."""
LENGTH_BITS = 28
"""Width of a section's length in its register, symbols."""
REPETITION_BITS = 16
"""Width of the header's repetition in its register."""
INDEX_BITS = 16
"""Width of a place in the preamble."""


class Section(Enum):
    """Parts of a frame, in their order. The value is the name of the register with the length."""

    GUARD = "guard"
    PREAMBLE = "preamble"
    HEADER = "header"
    PAYLOAD = "payload"
    VACUUM = "vacuum"
    CALIBRATION = "calibration"


@dataclass(frozen=True)
class FrameLimits:
    """How an instance of the core was built.

    Attributes:
        symbols_per_clock: N, one of SYMBOLS_PER_CLOCK.
        preamble_capacity: symbols that the preamble's memory holds, a multiple of N.
        minimum_head: shortest guard, preamble and header together, symbols.

    Raises:
        ValueError: no core can be built so.
    """

    symbols_per_clock: int
    preamble_capacity: int = 4096
    minimum_head: int = 0

    def __post_init__(self) -> None:
        n = self.symbols_per_clock
        if n not in SYMBOLS_PER_CLOCK:
            raise ValueError(f"{n} symbols per clock: must be one of {', '.join(map(str, SYMBOLS_PER_CLOCK))}")
        if not n <= self.preamble_capacity < 1 << INDEX_BITS or self.preamble_capacity % n:
            raise ValueError(
                f"a preamble memory of {self.preamble_capacity} symbols: must be a multiple of {n} from {n} to"
                f" {(1 << INDEX_BITS) - 1}"
            )
        if not 0 <= self.minimum_head < 1 << INDEX_BITS:
            raise ValueError(f"a least head of {self.minimum_head} symbols is outside 0 to {(1 << INDEX_BITS) - 1}")


@dataclass(frozen=True, eq=False)
class FrameSettings:
    """What the registers hold. Settings that the core refuses cannot be made.

    Attributes:
        limits: of the core that they are for.
        guard: zeros, symbols.
        preamble: int16, shape (n, 2), I then Q.
        header_repetition: symbols of each bit of the frame's number; 0 for no header.
        header_symbol: I and Q words of a one; a zero is sent as the negative (that of -32768 being 32767).
        payload: recorded symbols of the source.
        vacuum: zeros, symbols.
        calibration: constant symbols.
        calibration_symbol: I and Q words of them.

    Raises:
        ValueError: a value that its register cannot hold, a length that is not a multiple of the symbols per clock, a
            preamble longer than its memory, a frame that is empty or whose head is too short.
    """

    limits: FrameLimits
    guard: int
    preamble: NDArray[np.int16]
    header_repetition: int
    header_symbol: tuple[int, int]
    payload: int
    vacuum: int = 0
    calibration: int = 0
    calibration_symbol: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.preamble.ndim != 2 or self.preamble.shape[1] != 2 or self.preamble.dtype != np.int16:
            raise ValueError(
                f"a preamble is int16 of shape (n, 2), not {self.preamble.dtype} of shape {self.preamble.shape}"
            )
        for name in ("header_symbol", "calibration_symbol"):
            if not all(SAMPLE.minimum <= word <= SAMPLE.maximum for word in getattr(self, name)):
                raise ValueError(f"the {name} {getattr(self, name)} does not fit words of {SAMPLE.width} bits")
        if not 0 <= self.header_repetition < 1 << REPETITION_BITS:
            raise ValueError(
                f"{self.header_repetition} symbols a bit of the header: must be 0 to {(1 << REPETITION_BITS) - 1}"
            )
        lengths, n = self.lengths, self.limits.symbols_per_clock
        if self.header_repetition % n:
            raise ValueError(
                f"a header of {self.header_repetition} symbols a bit: each bit must be whole beats of {n} symbols"
            )
        for section, length in lengths.items():
            if not 0 <= length < 1 << LENGTH_BITS:
                raise ValueError(f"a {section.value} of {length} symbols is outside 0 to {(1 << LENGTH_BITS) - 1}")
            if length % n:
                raise ValueError(f"a {section.value} of {length} symbols: not whole beats of {n} symbols")
        if len(self.preamble) > self.limits.preamble_capacity:
            raise ValueError(
                f"a preamble of {len(self.preamble)} symbols: its memory holds {self.limits.preamble_capacity}"
            )
        if not sum(lengths.values()):
            raise ValueError("the frame is empty: give one of its sections a length")
        if self.head < self.limits.minimum_head:
            raise ValueError(
                f"guard, preamble and header are {self.head} symbols: at least {self.limits.minimum_head} are needed"
                " for one frame to leave before the next one's payload; lengthen the guard"
            )

    @property
    def lengths(self) -> dict[Section, int]:
        """Symbols of each section, in their order."""
        return {
            Section.GUARD: self.guard,
            Section.PREAMBLE: len(self.preamble),
            Section.HEADER: NUMBER_BITS * self.header_repetition,
            Section.PAYLOAD: self.payload,
            Section.VACUUM: self.vacuum,
            Section.CALIBRATION: self.calibration,
        }

    @property
    def head(self) -> int:
        """Symbols before the payload."""
        return self.guard + len(self.preamble) + NUMBER_BITS * self.header_repetition

    @property
    def symbols(self) -> int:
        """Symbols of the whole frame."""
        return sum(self.lengths.values())

    def frame(self, number: int, symbols: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """The words of one frame.

        Args:
            number: of the frame; only its lowest 32 bits are sent.
            symbols: the payload, int16, shape (payload, 2); zeros where the source was starved.

        Returns:
            int16, shape (n, 2), and which of its symbols are recorded, bool, shape (n,).

        Raises:
            ValueError: not as many symbols as the payload has.
        """
        if symbols.shape != (self.payload, 2):
            raise ValueError(f"symbols of shape {symbols.shape}: the payload is of shape ({self.payload}, 2)")
        bits = number >> np.arange(NUMBER_BITS - 1, -1, -1) & 1
        one = np.array(self.header_symbol, np.int64)
        zero = np.minimum(-one, SAMPLE.maximum)
        sections = {
            Section.GUARD: np.zeros((self.guard, 2), np.int64),
            Section.PREAMBLE: self.preamble,
            Section.HEADER: np.repeat(np.where(bits[:, None], one, zero), self.header_repetition, axis=0),
            Section.PAYLOAD: symbols,
            Section.VACUUM: np.zeros((self.vacuum, 2), np.int64),
            Section.CALIBRATION: np.tile(self.calibration_symbol, (self.calibration, 1)),
        }
        words = np.concatenate([sections[section] for section in Section]).astype(np.int16)
        recorded = np.zeros(len(words), np.bool_)
        recorded[self.head : self.head + self.payload] = True
        return words, recorded
