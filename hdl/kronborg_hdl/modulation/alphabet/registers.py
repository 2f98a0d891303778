"""Registers of the source of discrete alphabets.

The host writes LEVELS and then ROW for each of the 16 rows, and sets CONTROL.run. While it runs no row can be written,
so no symbol is drawn from half of a table.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import ROW_BITS, SHARE_BITS

REGISTERS = RegisterMap(
    "alphabet",
    (
        *head(
            "KBAL",
            (1, 0),
            capabilities=(Field("symbols_per_clock", 0, 8, Access.READ, "Complex symbols per clock.", unit="symbol"),),
            control=(
                Field("run", 0, 1, Access.READ_WRITE, "Take bits and give symbols, once all rows are written."),
                Field("loaded", 8, 1, Access.READ, "All rows were written since reset; until then no bits are taken."),
            ),
            status=(Field("row_refused", 0, 1, Access.STICKY, "A row was not stored: the source was running."),),
        ),
        Register(
            "levels",
            0x14,
            "For the row that is written next.",
            (
                Field("own", 0, 16, Access.READ_WRITE, "Given when the draw is below the share.", signed=True),
                Field("other", 16, 16, Access.READ_WRITE, "Given when it is not.", signed=True),
            ),
        ),
        Register(
            "row",
            0x18,
            "A write stores a row, with the levels as they are. Reads what was last written.",
            (
                Field(
                    "share",
                    0,
                    SHARE_BITS,
                    Access.READ_WRITE,
                    "Probability of the row's own level.",
                    scale=2.0**-SHARE_BITS,
                ),
                Field("index", SHARE_BITS, ROW_BITS, Access.READ_WRITE, "Which row."),
            ),
        ),
    ),
)
