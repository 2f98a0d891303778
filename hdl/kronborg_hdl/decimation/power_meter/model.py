"""Bit-exact numpy model of the power meter: sums of symbols and of their squares, of each section of a frame.

A measurement is the number of symbols and their exact sums of I, Q, I**2 and Q**2, over those that lie in the sections
chosen. It ends with the clock in which there are as many as the gate asks for: one or a few more where several come in
a clock. The next one begins with the beat after it. Means and variances follow from the sums, for vacuum, electronic
noise and signal behind exactly the same filters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

COUNT_BITS = 32
GATE_BITS = 31
"""So that the rest of a beat does not wrap the count."""
SUM_BITS = 64
"""2**33 symbols of full scale do not wrap."""


class Section(IntEnum):
    """Where a symbol lies in its frame."""

    OTHER = 0
    PAYLOAD = 1
    VACUUM = 2
    CALIBRATION = 3


ALL_SECTIONS = frozenset(Section)


@dataclass(frozen=True)
class Measurement:
    """What the host reads.

    Attributes:
        symbols: their number.
        sums: of I and Q, words.
        squares: sums of I**2 and Q**2, words**2.
        touched: what happened to them in the chain, bits of ``frame_synchroniser.packet.EVENTS``.
    """

    symbols: int = 0
    sums: tuple[int, int] = (0, 0)
    squares: tuple[int, int] = (0, 0)
    touched: int = 0

    def __add__(self, other: Measurement) -> Measurement:
        """Of the symbols of both."""
        sums, squares = (
            (one[0] + two[0], one[1] + two[1]) for one, two in ((self.sums, other.sums), (self.squares, other.squares))
        )
        return Measurement(self.symbols + other.symbols, sums, squares, self.touched | other.touched)

    @property
    def variance(self) -> tuple[float, float]:
        """Of I and Q, words**2, about their means; ValueError if there is no symbol."""
        if not self.symbols:
            raise ValueError("a measurement without symbols has no variance")
        # In integers: sums of squares are larger than what a double holds exactly.
        n = self.symbols
        i, q = ((n * square - total * total) / n**2 for total, square in zip(self.sums, self.squares, strict=True))
        return i, q


@dataclass(frozen=True)
class PowerMeter:
    """The meter with its settings. ``process`` is pure.

    Attributes:
        gate: symbols of a measurement, at least.
        sections: what is measured.
        symbols_per_clock: of a beat.

    Raises:
        ValueError: a gate that its register cannot hold, or none.
    """

    gate: int
    sections: frozenset[Section] = ALL_SECTIONS
    symbols_per_clock: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.gate < 1 << GATE_BITS:
            raise ValueError(f"a gate of {self.gate} symbols: must be 1 to 2**{GATE_BITS} - 1")

    def process(
        self,
        symbols: NDArray[np.int16],
        sections: NDArray[np.uint8] | None = None,
        state: Measurement = Measurement(),
        touched: NDArray[np.uint8] | None = None,
    ) -> tuple[list[Measurement], Measurement]:
        """Measure a piece of a stream, whole beats.

        Args:
            symbols: int16, shape (n, 2), I then Q.
            sections: of each symbol, uint8, shape (n,); none stands for :attr:`Section.OTHER`.
            state: the measurement that the piece before left unfinished.
            touched: of each symbol what happened to it, uint8, shape (n,); a beat is touched as a whole.

        Returns:
            Measurements that are complete, and the one that is not.

        Raises:
            ValueError: arrays of another type or shape, or a beat that is not whole.
        """
        if symbols.dtype != np.int16 or symbols.ndim != 2 or symbols.shape[1] != 2:
            raise ValueError(f"symbols must be int16 of shape (n, 2), not {symbols.dtype} of shape {symbols.shape}")
        if len(symbols) % self.symbols_per_clock:
            raise ValueError(f"{len(symbols)} symbols are no whole beats of {self.symbols_per_clock}")
        if sections is None:
            sections = np.zeros(len(symbols), np.uint8)
        if sections.dtype != np.uint8 or sections.shape != (len(symbols),):
            raise ValueError(f"sections must be uint8 of shape ({len(symbols)},), one a symbol")
        if touched is not None and (touched.dtype != np.uint8 or touched.shape != (len(symbols),)):
            raise ValueError(f"touched must be uint8 of shape ({len(symbols)},), one a symbol")
        chosen = np.isin(sections, [int(section) for section in self.sections])
        known = np.cumsum(chosen.reshape(-1, self.symbols_per_clock).sum(axis=1))
        measurements: list[Measurement] = []
        begin, before = 0, 0
        while True:
            end = int(np.searchsorted(known, before + self.gate - state.symbols)) + 1
            part = slice(begin * self.symbols_per_clock, end * self.symbols_per_clock)
            words = symbols[part][chosen[part]].astype(np.int64)
            state = Measurement(
                state.symbols + len(words),
                _add(state.sums, words.sum(axis=0)),
                _add(state.squares, np.einsum("nr,nr->r", words, words)),
                state.touched | (0 if touched is None else int(np.bitwise_or.reduce(touched[part][chosen[part]]))),
            )
            if end > len(known):
                return measurements, state
            measurements.append(state)
            begin, before, state = end, int(known[end - 1]), Measurement()


def _add(total: tuple[int, int], more: NDArray[np.int64]) -> tuple[int, int]:
    return total[0] + int(more[0]), total[1] + int(more[1])
