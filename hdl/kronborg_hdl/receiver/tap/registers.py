"""Registers of the tap.

The host writes place, length and trigger, starts its DMA, then CONTROL.capture; that reads busy until the picture's
last beat is on its way.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head

LENGTH_BITS = 24
TRIGGERS = 8
"""Bits of the trigger's mask."""

REGISTERS = RegisterMap(
    "tap",
    (
        *head(
            "KBTP",
            (1, 0),
            capabilities=(
                Field("places", 0, 8, Access.READ, "Streams that it can look at."),
                Field("beat_bytes", 8, 8, Access.READ, "Of a beat in memory.", unit="byte"),
                Field("depth", 16, 16, Access.READ, "Beats that can wait for memory.", unit="beat"),
            ),
            control=(
                Field("capture", 0, 1, Access.COMMAND, "Take a picture when the trigger comes."),
                Field(
                    "abort", 1, 1, Access.COMMAND, "Wait no longer; a picture that has begun ends with its next beat."
                ),
            ),
            status=(Field("lost", 0, 1, Access.STICKY, "A beat found no room: the picture has a gap."),),
        ),
        Register(
            "place",
            0x14,
            "Where pictures are taken; read by CONTROL.capture.",
            (Field("number", 0, 8, Access.READ_WRITE, "Of the stream; what is beyond the last is the last."),),
        ),
        Register(
            "length",
            0x18,
            "How long a picture is; read by CONTROL.capture.",
            (Field("beats", 0, LENGTH_BITS, Access.READ_WRITE, "Beats; 0 is 1.", reset=1024, unit="beat"),),
        ),
        Register(
            "trigger",
            0x1C,
            "When a picture begins.",
            (
                Field(
                    "mask",
                    0,
                    TRIGGERS,
                    Access.READ_WRITE,
                    "With the beat in the clock in which one of these triggers is high; zero: at once.",
                ),
            ),
        ),
        Register(
            "taken",
            0x20,
            "How far the picture is.",
            (Field("beats", 0, LENGTH_BITS, Access.READ, "Beats of it so far.", unit="beat"),),
        ),
        Register(
            "lost",
            0x24,
            "Counter; stays at its largest value; a new picture sets it to zero.",
            (Field("beats", 0, 32, Access.READ, "Beats within the picture that found no room.", unit="beat"),),
        ),
    ),
)
