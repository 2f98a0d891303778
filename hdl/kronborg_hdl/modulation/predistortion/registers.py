"""Registers of the pre-distortion.

The host writes the taps; and for a new pair of tables all rows, those of I from 0 to 255 and then those of Q, one write
each. Then CONTROL.apply: taps and tables take effect together, between two frames. Tables that were not written anew
stay as they are; after reset they, and the taps, pass words unchanged.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import HALF_TAPS, IMPULSE, ROWS, SLOPE, TABLE_WORD, TAP

FIRST_TAP = 0x1C

REGISTERS = RegisterMap(
    "predistortion",
    (
        *head(
            "KBPD",
            (1, 0),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("taps", 8, 8, Access.READ, "Of the filter, both sides counted.", unit="sample"),
                Field("rows", 16, 16, Access.READ, "Of the table of one rail."),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use taps and tables as written, from the next frame on."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counter to zero."),
                Field("begin_tables", 2, 1, Access.COMMAND, "The next row to be written is row 0 of I."),
            ),
            status=(
                Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),
                Field(
                    "row_refused", 1, 1, Access.STICKY, "A row was not stored: all were there, or apply was not done."
                ),
                Field("settings_refused", 2, 1, Access.STICKY, "Apply was ordered within the rows: nothing changed."),
            ),
        ),
        Register(
            "row",
            0x14,
            "A write stores the next row of the tables: the line through the 256 words whose upper byte is its number.",
            (
                Field(
                    "constant",
                    0,
                    TABLE_WORD.width,
                    Access.READ_WRITE,
                    "At the segment's middle.",
                    signed=True,
                    scale=1 / TABLE_WORD.scale,
                ),
                Field(
                    "slope",
                    TABLE_WORD.width,
                    SLOPE.width,
                    Access.READ_WRITE,
                    "Through it.",
                    signed=True,
                    scale=1 / SLOPE.scale,
                ),
            ),
        ),
        Register(
            "rows",
            0x18,
            "How far the host has come.",
            (
                Field(
                    "written",
                    0,
                    (2 * ROWS).bit_length(),
                    Access.READ,
                    "Rows since begin or since they were put to use; the tables are complete with those of both rails.",
                ),
            ),
        ),
        *(
            Register(
                f"tap_{k}",
                FIRST_TAP + 4 * k,
                f"Tap {k} samples from the middle, on both sides." if k else "The middle tap.",
                (
                    Field(
                        "value",
                        0,
                        TAP.width,
                        Access.READ_WRITE,
                        f"{TAP}.",
                        reset=int(IMPULSE[k]),
                        signed=True,
                        scale=1 / TAP.scale,
                    ),
                ),
            )
            for k in range(HALF_TAPS + 1)
        ),
        Register(
            "saturations",
            FIRST_TAP + 4 * (HALF_TAPS + 1),
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Words that were clipped (I and Q count each).", unit="word"),),
        ),
    ),
)
