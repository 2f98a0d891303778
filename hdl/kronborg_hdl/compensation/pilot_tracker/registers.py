"""Registers of the pilot tracker.

The host writes the settings, then CONTROL.apply: they take effect together, and the search begins. Until the first
apply nothing is commanded. A setting beyond its range is taken as the nearest that is within.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from ...dsp.cordic import GAIN
from ...dsp.nco import PHASE_BITS
from .model import (
    BEAT_FRACTION,
    BLOCK_LOG2,
    CLOCK_BITS,
    COUNTER_BITS,
    GAIN_BITS,
    HOPS,
    MAGNITUDE_BITS,
    SLOT_LOG2,
    TRIAL_BITS,
    Settings,
)

TURN = 2.0**-PHASE_BITS
_DEFAULT = Settings()
_WORDS = 1 / (GAIN * HOPS)
"""Words of a hop's phasor in one of the CORDIC's magnitude of a sub-block."""
NEIGHBOURHOOD_BITS, AMBIGUITY_BITS, PATIENCE_BITS, LOG2_BITS = 8, 3, 8, 4


def _magnitude(name: str, offset: int, sentence: str, field: str) -> Register:
    return Register(
        name, offset, sentence, (Field("word", 0, MAGNITUDE_BITS, Access.READ, field, unit="word", scale=_WORDS),)
    )


def _counter(name: str, offset: int, sentence: str) -> Register:
    return Register(
        name,
        offset,
        "Counter; stays at its largest value.",
        (Field("count", 0, COUNTER_BITS, Access.READ, sentence),),
    )


def _log2(name: str, lsb: int, limits: tuple[int, int], reset: int, of: str) -> Field:
    sentence = f"Binary logarithm of the sub-blocks of a {of}, {limits[0]} to {limits[1]}."
    return Field(name, lsb, LOG2_BITS, Access.READ_WRITE, sentence, reset=reset)


REGISTERS = RegisterMap(
    "pilot_tracker",
    (
        *head(
            "KBPT",
            (1, 0),
            capabilities=(
                Field("hops_per_clock", 0, 8, Access.READ, "Hops per clock.", unit="hop"),
                Field("hop", 8, 8, Access.READ, "Converter samples of a hop.", unit="sample"),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use the settings as written, and search."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set all counters to zero."),
            ),
            status=(
                Field("lost", 0, 1, Access.STICKY, "The lock was lost."),
                Field("slip", 1, 1, Access.STICKY, "A pilot's phase made a step that may have been a cycle slip."),
                Field("missing", 2, 1, Access.STICKY, "A search found no pilot, or one that did not stay."),
                Field("ambiguous", 3, 1, Access.STICKY, "A search found two beats as strong, and took neither."),
            ),
        ),
        Register(
            "mode",
            0x14,
            "Which pilots there are.",
            (
                Field(
                    "two_pilots",
                    0,
                    1,
                    Access.READ_WRITE,
                    "Both must be there, and give the clock's offset.",
                    reset=int(_DEFAULT.two_pilots),
                ),
            ),
        ),
        Register(
            "threshold",
            0x18,
            "Of the lock: half of it holds one that is won. Half of the magnitude expected is a good choice.",
            (
                Field(
                    "word",
                    0,
                    MAGNITUDE_BITS,
                    Access.READ_WRITE,
                    "Least magnitude of a pilot.",
                    reset=_DEFAULT.threshold,
                    unit="word",
                    scale=_WORDS,
                ),
            ),
        ),
        Register(
            "start",
            0x1C,
            "Where the search begins.",
            (
                Field(
                    "word",
                    0,
                    PHASE_BITS,
                    Access.READ_WRITE,
                    "Beat of the first trial, increment per sample.",
                    reset=_DEFAULT.start,
                    signed=True,
                    unit="turn",
                    scale=TURN,
                ),
            ),
        ),
        Register(
            "step",
            0x20,
            "From trial to trial.",
            (
                Field(
                    "word",
                    0,
                    PHASE_BITS,
                    Access.READ_WRITE,
                    "Increment per sample.",
                    reset=_DEFAULT.step,
                    signed=True,
                    unit="turn",
                    scale=TURN,
                ),
            ),
        ),
        Register(
            "search",
            0x24,
            "How the search goes.",
            (
                Field(
                    "trials",
                    0,
                    TRIAL_BITS,
                    Access.READ_WRITE,
                    "One keeps the beat that it begins with; zero is one.",
                    reset=_DEFAULT.trials,
                ),
                Field(
                    "neighbourhood",
                    16,
                    NEIGHBOURHOOD_BITS,
                    Access.READ_WRITE,
                    "Trials on either side that belong to a peak.",
                    reset=_DEFAULT.neighbourhood,
                ),
                Field(
                    "ambiguity",
                    24,
                    AMBIGUITY_BITS,
                    Access.READ_WRITE,
                    "A second peak beyond 1 - 2**-ambiguity of the best makes the beat ambiguous.",
                    reset=_DEFAULT.ambiguity,
                ),
            ),
        ),
        Register(
            "follow",
            0x28,
            "How the beat is followed. A sub-block is 16 hops.",
            (
                _log2("slot_log2", 0, SLOT_LOG2, _DEFAULT.slot_log2, "trial"),
                _log2("block_log2", 4, BLOCK_LOG2, _DEFAULT.block_log2, "block"),
                Field(
                    "gain",
                    8,
                    GAIN_BITS,
                    Access.READ_WRITE,
                    "The estimate follows by 2**-gain a block.",
                    reset=_DEFAULT.gain,
                ),
                Field(
                    "patience",
                    16,
                    PATIENCE_BITS,
                    Access.READ_WRITE,
                    "Bad blocks in a row before the search begins anew.",
                    reset=_DEFAULT.patience,
                    unit="block",
                ),
            ),
        ),
        Register(
            "state",
            0x2C,
            "What is being done.",
            (
                Field("kind", 0, 3, Access.READ, "0 nothing, 1 search, 2 check, 3 pull in, 4 track."),
                Field("locked", 8, 1, Access.READ, "The lock is held."),
            ),
        ),
        Register(
            "beat",
            0x30,
            "The estimate of the beat.",
            (Field("word", 0, PHASE_BITS, Access.READ, "Increment per sample.", signed=True, unit="turn", scale=TURN),),
        ),
        _magnitude("magnitude_0", 0x34, "Of pilot 0.", "Mean of the last block that was pulled in or tracked."),
        _magnitude("magnitude_1", 0x38, "Of pilot 1.", "Mean of the last block that was pulled in or tracked."),
        Register(
            "clock",
            0x3C,
            "Frequency of pilot 1 less that of pilot 0, above nominal; over the nominal one, the clock's offset.",
            (
                Field(
                    "rate",
                    0,
                    CLOCK_BITS,
                    Access.READ,
                    "Of the last good block, per sample; saturates.",
                    signed=True,
                    unit="turn",
                    scale=TURN * 2.0**-BEAT_FRACTION,
                ),
            ),
        ),
        _counter("slips", 0x40, "Steps of 3/8 turn or more, of either pilot, while the lock was held."),
        _counter("losses", 0x44, "Locks that were lost."),
        _counter("missing", 0x48, "Searches without a pilot, or with one that did not stay."),
        _counter("ambiguous", 0x4C, "Searches with two beats as strong."),
        _magnitude("best", 0x50, "Of the last search.", "The strongest trial."),
        _magnitude("second", 0x54, "Of the last check.", "The strongest trial outside the best one's neighbourhood."),
    ),
)
