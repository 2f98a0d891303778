"""Registers of the symbol filter.

The host writes all 33 taps, one write each, then SHIFT, then CONTROL.apply: they take effect together. Symbols whose
sums are then under way are made of old and new taps. Whoever writes only some of them before an apply gets others that
were written before: those of the last apply, or of the one before it where multipliers are shared.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import DISTINCT_TAPS, MAXIMUM_SHIFT, REACH, TAP, UNIT_SHIFT

REGISTERS = RegisterMap(
    "symbol_filter",
    (
        *head(
            "KBSF",
            (1, 0),
            capabilities=(
                Field("words_per_clock", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("reach", 8, 8, Access.READ, "Samples that the taps reach to either side.", unit="sample"),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use the taps and the shift as written."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counter to zero."),
            ),
            status=(
                Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),
                Field("tap_refused", 1, 1, Access.STICKY, "A tap was not stored: there is no such one."),
            ),
        ),
        Register(
            "tap",
            0x14,
            f"A write stores tap c_k, which weighs the samples k before and k behind the symbol; there are "
            f"{DISTINCT_TAPS}, and each apply needs all. After reset those in use are zero. Reads the last write.",
            (
                Field("value", 0, TAP.width, Access.READ_WRITE, "Q1.17.", signed=True, scale=2.0**-TAP.fraction),
                Field("index", 24, 8, Access.READ_WRITE, f"k, 0 to {REACH}."),
            ),
        ),
        Register(
            "shift",
            0x18,
            "Scale of the output.",
            (
                Field(
                    "amount",
                    0,
                    MAXIMUM_SHIFT.bit_length(),
                    Access.READ_WRITE,
                    "Bits dropped from the sum of products, rounded to nearest; as reset, a gain of one.",
                    reset=UNIT_SHIFT,
                    unit="bit",
                ),
            ),
        ),
        Register(
            "saturations",
            0x1C,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Words that were clipped (I and Q count each).", unit="word"),),
        ),
    ),
)
