"""Registers of the resampler.

The host writes the nominal step and the kernel, then CONTROL.apply; before the first one no sample is taken. After that
the step is the synchroniser's: its commands replace it. A later apply acts on the next output to be computed.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import FRACTION, STEP_BITS, UNIT_STEP

WORD = 32


def _counter(name: str, offset: int, sentence: str, unit: str = "") -> Register:
    return Register(
        name,
        offset,
        "Counter; stays at its largest value.",
        (Field("count", 0, 32, Access.READ, sentence, unit=unit),),
    )


REGISTERS = RegisterMap(
    "resampler",
    (
        *head(
            "KBRS",
            (1, 0),
            capabilities=(
                Field("words_per_clock", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("depth", 8, 16, Access.READ, "Beats that can wait.", unit="beat"),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use the step and the kernel as written."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counters to zero."),
                Field("loaded", 8, 1, Access.READ, "There was an apply since reset; until then no sample is taken."),
            ),
            status=(
                Field("saturated", 0, 1, Access.STICKY, "A word did not fit and was clipped."),
                Field("late", 1, 1, Access.STICKY, "A command came after its output: it acted at once."),
                Field("refused", 2, 1, Access.STICKY, "A command's step was out of range: it did nothing."),
                Field("waited", 3, 1, Access.STICKY, "A beat could not be taken at once: a converter would lose it."),
            ),
        ),
        Register(
            "step_low",
            0x14,
            "Step from one output to the next, lower part.",
            (Field("word", 0, WORD, Access.READ_WRITE, "Fraction.", unit="sample", scale=2.0**-FRACTION),),
        ),
        Register(
            "step_high",
            0x18,
            "Step from one output to the next, upper part.",
            (
                Field(
                    "word",
                    0,
                    STEP_BITS - FRACTION,
                    Access.READ_WRITE,
                    "Whole samples; a step is half the samples a symbol, 1/2 to 17/8.",
                    reset=UNIT_STEP >> FRACTION,
                    unit="sample",
                ),
            ),
        ),
        Register(
            "kernel",
            0x1C,
            "Which taps.",
            (
                Field(
                    "number",
                    0,
                    2,
                    Access.READ_WRITE,
                    "0: 2 to 2.8 samples a symbol; 1: 2.8 to 4; 2 or 3: tones close above the signal's band.",
                ),
            ),
        ),
        Register(
            "output",
            0x20,
            "Which output is computed next.",
            (Field("number", 0, 32, Access.READ, "Outputs since reset, modulo 2**32.", unit="sample"),),
        ),
        _counter("saturations", 0x24, "Words that were clipped (I and Q count each).", "word"),
        _counter("late_commands", 0x28, "Commands whose output had passed."),
        _counter("refused_commands", 0x2C, "Commands with a step out of range."),
        _counter("waits", 0x30, "Clocks in which a beat could not be taken.", "clock"),
    ),
)
