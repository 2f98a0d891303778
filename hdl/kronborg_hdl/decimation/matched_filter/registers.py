"""Registers of the decimating matched filter.

The host writes all L taps, one write each, then SHIFT, then CONTROL.apply: taps and shift take effect together,
between two frames, and the filter never works with a half-written set.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import MAXIMUM_SHIFT

REGISTERS = RegisterMap(
    "matched_filter",
    (
        *head(
            "KBMF",
            (1, 0),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("samples_per_symbol", 8, 8, Access.READ, "M, the decimation.", unit="sample"),
                Field("span", 16, 16, Access.READ, "K: there are L = M K taps.", unit="symbol"),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use the taps and the shift as written, from the next frame on."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set both counters to zero."),
                Field("loaded", 8, 1, Access.READ, "Taps were applied since reset; until then no sample is taken."),
            ),
            status=(
                Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),
                Field("dropped", 1, 1, Access.STICKY, "A frame ended within a symbol, which was dropped."),
                Field(
                    "tap_refused", 2, 1, Access.STICKY, "A tap was not stored: no such tap, or apply was not yet done."
                ),
            ),
        ),
        Register(
            "tap",
            0x14,
            "A write stores tap h[symbol * M + sample]; tap 0 weighs the oldest sample. Reads what was last written.",
            (
                Field("value", 0, 16, Access.READ_WRITE, "Q1.15.", signed=True, scale=2.0**-15),
                Field("sample", 16, 8, Access.READ_WRITE, "0 to M - 1.", unit="sample"),
                Field("symbol", 24, 8, Access.READ_WRITE, "0 to K - 1.", unit="symbol"),
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
                    "Bits dropped from the sum of products, rounded to nearest.",
                    reset=15,
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
        Register(
            "dropped_samples",
            0x20,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Samples of incomplete symbols at frame ends.", unit="sample"),),
        ),
    ),
)
