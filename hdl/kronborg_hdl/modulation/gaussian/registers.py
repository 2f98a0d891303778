"""Registers of the Gaussian source.

The host writes SCALE before it lets entropy in: a word of bits has the scale of the clock in which it is taken. While
the scale is out of range nothing is taken.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import DEFAULT_DEVIATION
from .tables import DEVIATION_BITS, DEVIATION_FRACTION

REGISTERS = RegisterMap(
    "gaussian",
    (
        *head(
            "KBGS",
            (1, 0),
            capabilities=(Field("symbols_per_clock", 0, 8, Access.READ, "Complex symbols per clock.", unit="symbol"),),
            control=(
                Field("clear_counters", 0, 1, Access.COMMAND, "Set the counter to zero."),
                Field("scale_valid", 8, 1, Access.READ, "The scale is in range; if not, no bits are taken."),
            ),
            status=(
                Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),
                Field(
                    "scale_refused",
                    1,
                    1,
                    Access.STICKY,
                    "The scale would clip within 6 standard deviations or is below 64 words; set for as long as it is.",
                ),
            ),
        ),
        Register(
            "scale",
            0x14,
            "Standard deviation of I and of Q: sqrt(V_A) over the quadrature, in sqrt(SNU), that a word stands for.",
            (
                Field(
                    "deviation",
                    0,
                    DEVIATION_BITS,
                    Access.READ_WRITE,
                    "64 to 5461.125 words.",
                    reset=DEFAULT_DEVIATION,
                    unit="word",
                    scale=2.0**-DEVIATION_FRACTION,
                ),
            ),
        ),
        Register(
            "saturations",
            0x18,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Words that were clipped (I and Q count each).", unit="word"),),
        ),
    ),
)
