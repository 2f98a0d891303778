"""How an instance of the frame synchroniser is built. Core and model take the same figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SYMBOLS_PER_CLOCK = (1, 2, 4, 8)
"""Widths that the core can be built for."""
LONGEST_PREAMBLE = 4095
"""So that sums over it fit the trailer's words of 32 bits."""
WINDOW_BEATS = 8
"""After a place of the correlation that is the largest so far, so many beats must be no larger: then it is the peak."""
SOLVE_BEATS = 256
"""Header and payload last so long at least: within it the timing is solved, bit after bit."""
PAUSE_BEATS = 32
"""From a payload's end to the next preamble at least: the frame's number is checked in it."""
CHAIN_BEATS = 1024
"""What the chain before the core holds at most: for so many beats more an event goes on marking frames."""
TRAILER_WORDS = 8


@dataclass(frozen=True)
class Sizes:
    """What is fixed when the core is built.

    Attributes:
        symbols_per_clock: N, one of SYMBOLS_PER_CLOCK: a *beat*.
        preamble: chips, 64 N to LONGEST_PREAMBLE.
        detector_chips: how many of them the detector looks at, a multiple of 2, at most half of the preamble.

    Raises:
        ValueError: no core can be built so.
    """

    symbols_per_clock: int
    preamble: int = 2039
    detector_chips: int = 256

    def __post_init__(self) -> None:
        n = self.symbols_per_clock
        if n not in SYMBOLS_PER_CLOCK:
            raise ValueError(f"{n} symbols per clock: must be one of {', '.join(map(str, SYMBOLS_PER_CLOCK))}")
        if not 64 * n <= self.preamble <= LONGEST_PREAMBLE:
            raise ValueError(f"a preamble of {self.preamble} chips: must be {64 * n} to {LONGEST_PREAMBLE}")
        if not 8 <= self.detector_chips <= self.preamble // 2 or self.detector_chips % 2:
            raise ValueError(
                f"a detector of {self.detector_chips} chips: must be an even number, 8 to half the preamble"
            )

    @property
    def rows(self) -> int:
        """Beats of the preamble; its end is a beat's end, and the first beat may begin before it."""
        return -(-self.preamble // self.symbols_per_clock)

    @property
    def hold(self) -> int:
        """Beats after a peak is decided in which no other one is looked for."""
        return self.rows + SOLVE_BEATS

    @property
    def places(self) -> NDArray[np.int64]:
        """The chips that the detector looks at, rising, int64, shape (detector_chips,).

        They are scattered over the whole preamble without order. A stretch of a chirp looks like the same chirp some
        places on (root 17 and 2039 chips: 256 in a row have a second peak of 97 % only 120 symbols away); a scattered
        choice has side lobes of noise, of which the largest is 22 % for 256 chips.
        """
        chosen = np.random.Generator(np.random.PCG64(2)).permutation(self.preamble)[: self.detector_chips]
        return np.sort(chosen)
