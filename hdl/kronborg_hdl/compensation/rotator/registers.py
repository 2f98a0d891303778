"""Registers of the rotator.

The host writes delay and mode, then CONTROL.apply: they hold from the next beat on.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import MOST_DELAY

COUNTER_BITS = 32
DELAY_BITS = (2 * MOST_DELAY + 1).bit_length()
DEPTH_BITS = 16

REGISTERS = RegisterMap(
    "rotator",
    (
        *head(
            "KBRO",
            (1, 0),
            capabilities=(
                Field("samples_per_clock", 0, 8, Access.READ, "Width of the streams of samples.", unit="sample"),
                Field("depth", 8, DEPTH_BITS, Access.READ, "Beats that wait for their phasors.", unit="beat"),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use delay and mode as written, from the next beat on."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set all counters to zero."),
            ),
            status=(Field("saturated", 0, 1, Access.STICKY, "A word was clipped."),),
        ),
        Register(
            "delay",
            0x14,
            f"By how much samples are late against the phasors: {-MOST_DELAY} to {MOST_DELAY}; less is that.",
            (Field("hops", 0, DELAY_BITS, Access.READ_WRITE, "Negative: early.", signed=True, unit="hop"),),
        ),
        Register(
            "saturations",
            0x18,
            "Counter; stays at its largest value.",
            (Field("count", 0, COUNTER_BITS, Access.READ, "Words that were clipped.", unit="word"),),
        ),
        Register(
            "mode",
            0x1C,
            "What the samples are.",
            (
                Field(
                    "noise",
                    0,
                    1,
                    Access.READ_WRITE,
                    "Noise alone, for a calibration: it is not turned, but goes the same way.",
                ),
            ),
        ),
    ),
)
