"""Rates that cores at several samples per clock can be built for."""

from __future__ import annotations

LANES = (1, 2, 4, 8, 16)
"""Samples per clock."""
MAXIMUM_SPAN = 256
"""Symbols that a pulse may cover: what a tap's register can name."""


def check_lanes(lanes: int) -> None:
    """ValueError unless `lanes` is one of LANES."""
    if lanes not in LANES:
        raise ValueError(f"{lanes} samples per clock: must be one of {', '.join(map(str, LANES))}")


def check_filter(lanes: int, samples_per_symbol: int, span: int) -> None:
    """ValueError unless a pulse of `span` symbols can be filtered at `lanes` samples per clock.

    Samples per symbol are 2 to 16, and either they or the lanes are a multiple of the other: symbols then begin at a
    beat's begin, or beats hold whole symbols.
    """
    check_lanes(lanes)
    m = samples_per_symbol
    if not 2 <= m <= 16 or (m % lanes and lanes % m):
        raise ValueError(f"{m} samples per symbol: must be 2 to 16, and a multiple or a divisor of {lanes} lanes")
    if not 1 <= span <= MAXIMUM_SPAN:
        raise ValueError(f"a span of {span} symbols: must be 1 to {MAXIMUM_SPAN}")
