"""Registers of the half-band decimator: taps are built in, there is nothing to set."""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head

REGISTERS = RegisterMap(
    "half_band",
    (
        *head(
            "KBHB",
            (1, 0),
            capabilities=(
                Field("words_per_clock", 0, 8, Access.READ, "Samples per clock that go in.", unit="sample"),
                Field("taps", 8, 8, Access.READ, "Distinct taps beside the middle one."),
            ),
            control=(Field("clear_counters", 1, 1, Access.COMMAND, "Set the counter to zero."),),
            status=(Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),),
        ),
        Register(
            "saturations",
            0x14,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Words that were clipped (I and Q count each).", unit="word"),),
        ),
    ),
)
