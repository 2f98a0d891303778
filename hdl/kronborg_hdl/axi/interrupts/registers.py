"""Registers of the interrupt controller: offsets of AXI INTC (AMD PG099), so that PYNQ drives it as it is.

They do not begin with the head that other cores have: ``pynq.interrupt`` expects what is here. What its software mode,
nested interrupts and fast interrupts need is left out.
"""

from __future__ import annotations

from ..registers import Access, Field, Register, RegisterMap

LINES = 32


def _lines(access: Access, sentence: str) -> tuple[Field, ...]:
    return (Field("lines", 0, LINES, access, sentence),)


REGISTERS = RegisterMap(
    "interrupts",
    (
        Register("status", 0x00, "What came.", _lines(Access.READ, "Lines that were high and are not acknowledged.")),
        Register("pending", 0x04, "What counts.", _lines(Access.READ, "The same, of enabled lines.")),
        Register("enable", 0x08, "What may come.", _lines(Access.EXCHANGE, "Written and read: lines that count.")),
        Register(
            "acknowledge",
            0x0C,
            "What was seen.",
            _lines(Access.WRITE_ONLY, "Lines to be forgotten; one that is still high comes again at once."),
        ),
        Register("set_enable", 0x10, "Let lines count.", _lines(Access.WRITE_ONLY, "Those to be enabled.")),
        Register("clear_enable", 0x14, "Let lines not count.", _lines(Access.WRITE_ONLY, "Those to be disabled.")),
        Register(
            "vector",
            0x18,
            "The first of them.",
            (Field("number", 0, 32, Access.READ, "Lowest pending line; all ones if there is none."),),
        ),
        Register(
            "master_enable",
            0x1C,
            "The way to the processor.",
            (
                Field("output", 0, 1, Access.READ_WRITE, "Pending lines interrupt the processor."),
                Field("hardware", 1, 1, Access.READ_WRITE, "Lines are looked at."),
            ),
        ),
    ),
)
