"""Registers of the power meter.

The host writes the gate and the sections, then CONTROL.apply: a measurement begins. When CONTROL.complete reads one,
its figures stand still until CONTROL.release; a measurement that is complete before that is lost, and counted.
"""

from __future__ import annotations

from ...axi.marks import EVENT_BITS
from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import COUNT_BITS, GATE_BITS, Section

WORD = 32
COUNTER_BITS = 32
DEFAULT_GATE = 1 << 20

SUMS = ("sum_i", "sum_q", "square_i", "square_q")
"""In this order; each has a register ``_low`` and one ``_high``."""

_OF = {
    "sum_i": ("the in-phase rail", "word"),
    "sum_q": ("the quadrature rail", "word"),
    "square_i": ("the in-phase rail's square", "word**2"),
    "square_q": ("the quadrature rail's square", "word**2"),
}


def _sum(name: str, offset: int) -> tuple[Register, Register]:
    what, unit = _OF[name]
    return (
        Register(
            f"{name}_low",
            offset,
            f"Sum of {what}, lower half.",
            (Field("word", 0, WORD, Access.READ, "Of 64 bits in two's complement.", unit=unit),),
        ),
        Register(
            f"{name}_high",
            offset + 4,
            f"Sum of {what}, upper half.",
            (Field("word", 0, WORD, Access.READ, "The sign is here.", signed=True, unit=unit, scale=2.0**WORD),),
        ),
    )


REGISTERS = RegisterMap(
    "power_meter",
    (
        *head(
            "KBPM",
            (1, 1),
            capabilities=(Field("symbols_per_clock", 0, 8, Access.READ, "Width of the stream.", unit="symbol"),),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use gate and sections as written, and begin a measurement."),
                Field("release", 1, 1, Access.COMMAND, "The figures were read: the next measurement may have them."),
                Field("clear_counters", 2, 1, Access.COMMAND, "Set the counters to zero."),
                Field("complete", 8, 1, Access.READ, "A measurement's figures stand; otherwise they mean nothing."),
                Field(
                    "touched",
                    9,
                    EVENT_BITS,
                    Access.READ,
                    "What happened to their symbols: the receiver's STATUS.",
                ),
            ),
            status=(
                Field("measured", 0, 1, Access.STICKY, "A measurement was completed."),
                Field("lost", 1, 1, Access.STICKY, "One was completed while the figures of another stood: it is lost."),
            ),
        ),
        Register(
            "gate",
            0x14,
            "When a measurement is complete.",
            (
                Field(
                    "symbols",
                    0,
                    GATE_BITS,
                    Access.READ_WRITE,
                    "As soon as it has so many symbols, with the beat in which that is; 0 is 1.",
                    reset=DEFAULT_GATE,
                    unit="symbol",
                ),
            ),
        ),
        Register(
            "sections",
            0x18,
            "What is measured: all four are the whole stream.",
            tuple(
                Field(section.name.lower(), int(section), 1, Access.READ_WRITE, sentence, reset=1)
                for section, sentence in (
                    (Section.OTHER, "Symbols outside of the other three, and of a stream without frames."),
                    (Section.PAYLOAD, "Payload."),
                    (Section.VACUUM, "Vacuum."),
                    (Section.CALIBRATION, "Calibration."),
                )
            ),
        ),
        Register(
            "count",
            0x1C,
            "Of the measurement.",
            (Field("symbols", 0, COUNT_BITS, Access.READ, "How many it has.", unit="symbol"),),
        ),
        *(register for number, name in enumerate(SUMS) for register in _sum(name, 0x20 + 8 * number)),
        Register(
            "measurements",
            0x40,
            "Counter; stays at its largest value.",
            (Field("count", 0, COUNTER_BITS, Access.READ, "Measurements that were completed."),),
        ),
        Register(
            "lost",
            0x44,
            "Counter; stays at its largest value.",
            (Field("count", 0, COUNTER_BITS, Access.READ, "Those of them that are lost."),),
        ),
    ),
)
