"""Registers of the converter's input.

The host writes settings, then CONTROL.apply: all take effect together, with the next samples. After reset samples pass
unchanged. Offsets of one's own are put in place by CONTROL.load_offset; without `hold` they are where tracking begins.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import (
    AVERAGING_BITS,
    BLOCK,
    COEFFICIENT_FRACTION,
    GAIN_BITS,
    LOWER,
    MEAN_FRACTION,
    SKEW_BITS,
    UNITY,
    UPPER,
)

FULL_SCALE = 2.0**-15


def _word(name: str, lsb: int, sentence: str, access: Access = Access.READ_WRITE, reset: int = 0) -> Field:
    return Field(name, lsb, 16, access, sentence, reset=reset, signed=True, unit="full scale", scale=FULL_SCALE)


def _coefficient(name: str, offset: int, bits: int, signed: bool, reset: int, sentence: str) -> Register:
    scale = 2.0**-COEFFICIENT_FRACTION
    field = Field("word", 0, bits, Access.READ_WRITE, "Coefficient.", reset=reset, signed=signed, scale=scale)
    return Register(name, offset, sentence, (field,))


def _mean(rail: str, offset: int) -> Register:
    scale = FULL_SCALE * 2.0**-MEAN_FRACTION
    field = Field("word", 0, 32, Access.READ, "Mean.", signed=True, unit="full scale", scale=scale)
    return Register(f"mean_{rail}", offset, f"Mean of {rail.upper()} as tracked, or as loaded.", (field,))


def _counter(name: str, offset: int, sentence: str) -> Register:
    return Register(
        name,
        offset,
        "Counter; stays at its largest value.",
        (Field("count", 0, 32, Access.READ, sentence, unit="word"),),
    )


REGISTERS = RegisterMap(
    "converter_input",
    (
        *head(
            "KBCI",
            (1, 0),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("complex_input", 16, 1, Access.READ, "Samples are complex."),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use all settings but the offsets as written."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counters to zero."),
                Field("load_offset", 2, 1, Access.COMMAND, "Take the means and the offsets in use from OFFSET."),
            ),
            status=(
                Field("over_range", 0, 1, Access.STICKY, "A raw word was at a threshold or beyond."),
                Field("saturated", 1, 1, Access.STICKY, "A word did not fit after correction and was clipped."),
            ),
        ),
        Register(
            "threshold",
            0x14,
            "Raw words from which on the converter is over-range.",
            (
                _word("upper", 0, "This word, or a larger one.", reset=UPPER),
                _word("lower", 16, "This word, or a smaller one.", reset=LOWER),
            ),
        ),
        Register(
            "offset",
            0x18,
            "What is subtracted, to begin with.",
            (_word("i", 0, "Of I, or of real samples."), _word("q", 16, "Of Q.")),
        ),
        Register(
            "tracking",
            0x1C,
            "How offsets follow the mean.",
            (
                Field(
                    "averaging",
                    0,
                    AVERAGING_BITS,
                    Access.READ_WRITE,
                    f"The mean's time constant is 2**averaging blocks of {BLOCK} samples.",
                ),
                Field("hold", 8, 1, Access.READ_WRITE, "Keep means and offsets as they are.", reset=1),
            ),
        ),
        _coefficient("gain", 0x20, GAIN_BITS, False, UNITY, "What Q is multiplied by."),
        _coefficient("skew", 0x24, SKEW_BITS, True, 0, "What I is multiplied by before it is added to Q."),
        _mean("i", 0x28),
        _mean("q", 0x2C),
        _counter("over_ranges", 0x30, "Raw words at a threshold or beyond (I and Q count each)."),
        _counter("saturations", 0x34, "Words that were clipped (of Q twice, if both steps did)."),
    ),
)
