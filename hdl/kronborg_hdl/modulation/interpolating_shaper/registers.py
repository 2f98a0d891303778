"""Registers of the interpolating shaper.

The host writes all K taps, one write each, then SHIFT, then CONTROL.apply: taps and shift take effect together, between
two frames, and the filter never works with a half-written set.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from ..pulse_shaper.model import MAXIMUM_SHIFT

REGISTERS = RegisterMap(
    "interpolating_shaper",
    (
        *head(
            "KBIS",
            (1, 0),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("samples_per_symbol", 8, 8, Access.READ, "M, the interpolation.", unit="sample"),
                Field("span", 16, 16, Access.READ, "K: the taps that there are.", unit="symbol"),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use the taps and the shift as written, from the next frame on."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counter to zero."),
                Field("loaded", 8, 1, Access.READ, "Taps were applied since reset; until then no symbol is taken."),
            ),
            status=(
                Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),
                Field(
                    "tap_refused", 1, 1, Access.STICKY, "A tap was not stored: no such tap, or apply was not yet done."
                ),
            ),
        ),
        Register(
            "tap",
            0x14,
            "A write stores tap c_k, which weighs what lies k half symbols before and behind. Reads the last write.",
            (
                Field("value", 0, 16, Access.READ_WRITE, "Q1.15.", signed=True, scale=2.0**-15),
                Field("index", 16, 16, Access.READ_WRITE, "k, 0 to K - 1."),
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
                    reset=15,
                    unit="bit",
                ),
            ),
        ),
        Register(
            "tail",
            0x1C,
            "What a frame becomes longer by.",
            (Field("length", 0, 16, Access.READ, "Zeros behind its last symbol.", unit="symbol"),),
        ),
        Register(
            "saturations",
            0x20,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Words of any stage that were clipped (I and Q each).", unit="word"),),
        ),
    ),
)
