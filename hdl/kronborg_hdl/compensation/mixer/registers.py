"""Registers of the mixer.

The host writes the beat and the offsets, then CONTROL.apply: all take effect together, at the next hop; phases go on.
After that the beat is the tracker's: its commands replace it.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from ...dsp.nco import PHASE_BITS
from .model import HOP_BITS, PILOTS

TURN = 2.0**-PHASE_BITS
OFFSETS = ("signal", *(f"pilot_{number}" for number in range(PILOTS)))
"""Names of the oscillators, in the order of the model's offsets."""


def _increment(name: str, offset: int, sentence: str, access: Access, field: str) -> Register:
    word = Field("word", 0, PHASE_BITS, access, field, unit="turn", scale=TURN)
    return Register(name, offset, sentence, (word,))


REGISTERS = RegisterMap(
    "mixer",
    (
        *head(
            "KBMX",
            (1, 0),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("hop", 8, 8, Access.READ, "Samples of a hop.", unit="sample"),
                Field("complex_input", 16, 1, Access.READ, "Samples are complex."),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use beat and offsets as written, from the next hop on."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counters to zero."),
            ),
            status=(
                Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),
                Field("late", 1, 1, Access.STICKY, "A command came after its hop: it acted at once."),
            ),
        ),
        _increment(
            "beat",
            0x14,
            "Frequency of the lasers' beat to begin with.",
            Access.READ_WRITE,
            "Phase increment per sample.",
        ),
        *(
            _increment(
                f"{name}_offset",
                0x18 + 4 * number,
                f"Frequency of the {name.replace('_', ' ')} above the beat; negative ones modulo a turn.",
                Access.READ_WRITE,
                "Phase increment per sample.",
            )
            for number, name in enumerate(OFFSETS)
        ),
        _increment(
            "beat_now",
            0x24,
            "Frequency of the beat in use.",
            Access.READ,
            "Phase increment per sample: as applied, or of the last command.",
        ),
        Register(
            "hop",
            0x28,
            "Which hop comes next.",
            (Field("number", 0, HOP_BITS, Access.READ, "Hops since reset, modulo 2**32.", unit="hop"),),
        ),
        Register(
            "saturations",
            0x2C,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Words that were clipped (I and Q count each).", unit="word"),),
        ),
        Register(
            "late_commands",
            0x30,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Commands whose hop had passed."),),
        ),
    ),
)
