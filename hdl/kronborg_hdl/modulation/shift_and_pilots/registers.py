"""Registers of the shift and the pilots.

The host writes increments, phases and amplitudes, then CONTROL.apply: all take effect together, between two frames.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from ...dsp.nco import PHASE_BITS
from .model import AMPLITUDE_BITS, PILOTS

TURN = 2.0**-PHASE_BITS


def _pilot(number: int, offset: int) -> tuple[Register, ...]:
    return (
        Register(
            f"pilot_{number}_increment",
            offset,
            f"Frequency of pilot {number}.",
            (Field("word", 0, PHASE_BITS, Access.READ_WRITE, "Phase increment per sample.", unit="turn", scale=TURN),),
        ),
        Register(
            f"pilot_{number}_phase",
            offset + 4,
            f"Phase of pilot {number} at a frame's first sample.",
            (Field("word", 0, PHASE_BITS, Access.READ_WRITE, "Phase.", unit="turn", scale=TURN),),
        ),
        Register(
            f"pilot_{number}_amplitude",
            offset + 8,
            f"Amplitude of pilot {number}.",
            (Field("word", 0, AMPLITUDE_BITS, Access.READ_WRITE, "Zero: no pilot.", scale=2.0**-15),),
        ),
    )


REGISTERS = RegisterMap(
    "shift_and_pilots",
    (
        *head(
            "KBSP",
            (1, 0),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("pilots", 8, 8, Access.READ, "Pilots that there are registers for."),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use shift and pilots as written, from the next frame on."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counter to zero."),
                Field("loaded", 8, 1, Access.READ, "Apply was done since reset; until then no sample is taken."),
            ),
            status=(Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),),
        ),
        Register(
            "shift_increment",
            0x14,
            "Frequency of the single-sideband shift; its phase is zero at a frame's first sample.",
            (Field("word", 0, PHASE_BITS, Access.READ_WRITE, "Phase increment per sample.", unit="turn", scale=TURN),),
        ),
        *(register for number in range(PILOTS) for register in _pilot(number, 0x18 + 12 * number)),
        Register(
            "saturations",
            0x18 + 12 * PILOTS,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Words that were clipped (I and Q count each).", unit="word"),),
        ),
    ),
)
