"""Registers of the watch-dog.

The host writes ``period``, then a one to ``control.armed``, and from then on ``heartbeat`` at least once a period.
"""

from __future__ import annotations

from ..registers import Access, Field, Register, RegisterMap, head

COUNTER_BITS = 32
DEFAULT_PERIOD = 100_000_000
"""Clocks: a second at 100 MHz."""

REGISTERS = RegisterMap(
    "watchdog",
    (
        *head(
            "KBWD",
            (1, 0),
            capabilities=(),
            control=(
                Field("armed", 0, 1, Access.READ_WRITE, "The host is there. Low: nothing is emitted."),
                Field("permits", 8, 1, Access.READ, "Frames may be emitted: armed, and a heartbeat came in time."),
            ),
            status=(
                Field(
                    "expired",
                    0,
                    1,
                    Access.STICKY,
                    "No heartbeat came for a period; nothing is emitted until armed anew.",
                ),
            ),
        ),
        Register(
            "period",
            0x14,
            "How long the host may be silent.",
            (
                Field(
                    "clocks", 0, COUNTER_BITS, Access.READ_WRITE, "Of the fabric.", reset=DEFAULT_PERIOD, unit="clock"
                ),
            ),
        ),
        Register(
            "heartbeat",
            0x18,
            "A sign of life.",
            (Field("any", 0, 32, Access.WRITE_ONLY, "Any word: the period begins anew."),),
        ),
        Register(
            "left",
            0x1C,
            "Of the period.",
            (Field("clocks", 0, COUNTER_BITS, Access.READ, "Until it expires.", unit="clock"),),
        ),
    ),
)
