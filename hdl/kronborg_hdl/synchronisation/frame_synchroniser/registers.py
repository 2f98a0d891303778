"""Registers of the frame synchroniser.

The host stops the core (CONTROL.run low, until CONTROL.active is low), writes the chips and the settings, then
CONTROL.apply: all settings take effect together, and the synchroniser begins anew, or they are refused together.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import LENGTH_BITS, MARGIN_BITS, PERIOD_BITS, REPETITION_BITS
from .packet import FLAG_BITS, Flag
from .sizes import PAUSE_BEATS, SOLVE_BEATS
from .timing import (
    AMPLITUDE_BITS,
    CORDIC_GAIN,
    DISTANCE_BITS,
    FREQUENCY_GAIN_BITS,
    FREQUENCY_GAIN_FRACTION,
    PHASE_FRACTION,
    PHASE_GAIN_BITS,
    PHASE_GAIN_FRACTION,
    SLOPE_BITS,
    STEP_BITS,
    STEP_FRACTION,
    WIDE_BITS,
)

COUNTER_BITS = 32
INDEX_BITS = 12

_REASONS = {
    Flag.OVER_RANGE: "the converter was over its range.",
    Flag.SATURATED: "a word of the chain was clipped.",
    Flag.UNLOCKED: "the pilot's lock was lost.",
    Flag.LATE: "a command reached its core too late.",
    Flag.OVERRUN: "a sample was lost.",
    Flag.UNEXPECTED: "its number is not the next one.",
    Flag.WEAK: "its preamble is too weak.",
    Flag.CUT_SHORT: "the next preamble began before its end.",
    Flag.TIMING: "the clock was not known or too far off.",
    Flag.CHANGED: "settings were applied, or samples were thrown away.",
}


def _setting(
    name: str, offset: int, field: str, width: int, sentence: str, unit: str = "", scale: float = 1
) -> Register:
    return Register(
        name, offset, sentence, (Field(field, 0, width, Access.READ_WRITE, sentence, unit=unit, scale=scale),)
    )


def _counter(name: str, offset: int, sentence: str) -> Register:
    return Register(
        name,
        offset,
        "Counter; stays at its largest value.",
        (Field("count", 0, COUNTER_BITS, Access.READ, sentence, unit="frame"),),
    )


def _gains(name: str, offset: int, when: str) -> tuple[Register, ...]:
    scale = 2.0**-PHASE_GAIN_FRACTION
    return (
        _setting(
            f"{name}_phase", offset, "gain", PHASE_GAIN_BITS, f"Decimated samples for a symbol, {when}.", scale=scale
        ),
        _setting(
            f"{name}_drift",
            offset + 4,
            "gain",
            PHASE_GAIN_BITS,
            f"The same for what is taken for drift, {when}.",
            scale=scale,
        ),
        _setting(
            f"{name}_frequency",
            offset + 8,
            "gain",
            FREQUENCY_GAIN_BITS,
            f"Words of the step for 2**-{PHASE_FRACTION} symbols, {when}.",
            scale=2.0**-FREQUENCY_GAIN_FRACTION,
        ),
    )


REGISTERS = RegisterMap(
    "frame_synchroniser",
    (
        *head(
            "KBFS",
            (1, 2),
            capabilities=(
                Field("symbols_per_clock", 0, 4, Access.READ, "Width of the streams.", unit="symbol"),
                Field("preamble", 4, INDEX_BITS, Access.READ, "Chips of the preamble.", unit="symbol"),
                Field(
                    "detector_chips", 16, INDEX_BITS, Access.READ, "Those that the detector looks at.", unit="symbol"
                ),
            ),
            control=(
                Field(
                    "apply", 0, 1, Access.COMMAND, "Use all settings as written, and begin anew, between two frames."
                ),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set all counters to zero."),
                Field("run", 2, 1, Access.READ_WRITE, "Preambles are looked for."),
                Field(
                    "loaded", 8, 1, Access.READ, "Settings were taken since reset; until then nothing is looked for."
                ),
                Field("active", 9, 1, Access.READ, "A frame is under way."),
                Field(
                    "locked",
                    10,
                    1,
                    Access.READ,
                    "The clock is known: two frames in a row were within `wide`, and the last one.",
                ),
            ),
            status=(
                *(
                    Field(
                        str(flag.name).lower(),
                        flag.bit_length() - 1,
                        1,
                        Access.STICKY,
                        f"A frame was marked: {_REASONS[flag]}",
                    )
                    for flag in Flag
                ),
                Field("missing", FLAG_BITS, 1, Access.STICKY, "A preamble did not come when it was due."),
                Field(
                    "settings_refused",
                    FLAG_BITS + 1,
                    1,
                    Access.STICKY,
                    "Apply had no effect: a length is no whole beats, there is no payload, header and payload"
                    f" are below {SOLVE_BEATS} beats, or the period is less than all parts, or than preamble, header,"
                    f" payload and {PAUSE_BEATS} beats.",
                ),
                Field(
                    "chip_refused",
                    FLAG_BITS + 2,
                    1,
                    Access.STICKY,
                    "A chip beyond the preamble, or while a frame was under way, was not stored.",
                ),
                Field(
                    "retime_lost", FLAG_BITS + 3, 1, Access.STICKY, "A command was not taken before the next but one."
                ),
            ),
        ),
        _setting(
            "threshold",
            0x14,
            "magnitude",
            16,
            "Of the detector: eight times the larger and three times the smaller rail.",
        ),
        Register(
            "header",
            0x18,
            "The frame's number, 32 bits, most significant first.",
            (
                Field(
                    "repetition", 0, REPETITION_BITS, Access.READ_WRITE, "Symbols of a bit. Zero: none.", unit="symbol"
                ),
                Field("eighths", 16, 3, Access.READ_WRITE, "Direction of a one.", unit="turn", scale=0.125),
            ),
        ),
        _setting("payload", 0x1C, "length", LENGTH_BITS, "What is cut out.", "symbol"),
        _setting("period", 0x20, "length", PERIOD_BITS, "From frame to frame.", "symbol"),
        _setting("tolerance", 0x24, "symbols", DISTANCE_BITS - 1, "A frame that is later is missing.", "symbol"),
        _setting(
            "slope",
            0x28,
            "symbols",
            SLOPE_BITS,
            "Delay at which R(1) - R(-1) would be R(0).",
            "symbol",
            2.0**-PHASE_FRACTION,
        ),
        _setting("weak", 0x2C, "amplitude", AMPLITUDE_BITS, "A smaller R(0) is weak.", "symbol word", 1 / CORDIC_GAIN),
        _setting(
            "wide",
            0x30,
            "phase",
            WIDE_BITS,
            "From this error on the clock is not locked.",
            "symbol",
            2.0**-PHASE_FRACTION,
        ),
        _setting("step_low", 0x34, "word", 32, "Nominal step: its fraction.", "decimated sample", 2.0**-STEP_FRACTION),
        _setting("step_high", 0x38, "word", STEP_BITS - 32, "Nominal step: its whole part.", "decimated sample"),
        *_gains("acquire", 0x3C, "when the clock is not locked"),
        *_gains("track", 0x48, "when it is"),
        _setting(
            "retime_after", 0x54, "symbols", LENGTH_BITS, "From the payload's end to where a command holds.", "symbol"
        ),
        Register(
            "chip",
            0x58,
            "A write stores the signs of one chip, when no frame is under way. In rising order.",
            (
                Field("index", 0, INDEX_BITS, Access.READ_WRITE, "Its place in the preamble.", unit="symbol"),
                Field("negative_i", 16, 1, Access.READ_WRITE, "Sign of its in-phase rail."),
                Field("negative_q", 17, 1, Access.READ_WRITE, "Sign of its quadrature rail."),
                Field("detector", 18, 1, Access.READ_WRITE, "It is of those that the detector looks at."),
            ),
        ),
        _counter("frames_good", 0x5C, "Handed on without a mark."),
        _counter("frames_marked", 0x60, "Handed on with a mark."),
        _counter("frames_missing", 0x64, "Whose preamble did not come when it was due."),
        Register(
            "phase",
            0x68,
            "Of the last frame.",
            (
                Field(
                    "late",
                    0,
                    PHASE_FRACTION + 3,
                    Access.READ,
                    "By how much it was sampled too early.",
                    signed=True,
                    unit="symbol",
                    scale=2.0**-PHASE_FRACTION,
                ),
            ),
        ),
        Register(
            "clock_low",
            0x6C,
            "The step as last commanded: its fraction.",
            (Field("word", 0, 32, Access.READ, "Fraction.", unit="decimated sample", scale=2.0**-STEP_FRACTION),),
        ),
        Register(
            "clock_high",
            0x70,
            "The step as last commanded: its whole part.",
            (Field("word", 0, STEP_BITS - 32, Access.READ, "Whole part.", unit="decimated sample"),),
        ),
        _setting("vacuum", 0x74, "length", LENGTH_BITS, "Behind the payload, for the power meter.", "symbol"),
        _setting("calibration", 0x78, "length", LENGTH_BITS, "Behind the vacuum, likewise.", "symbol"),
        _setting(
            "margin",
            0x7C,
            "symbols",
            MARGIN_BITS,
            "At each end of vacuum and of calibration so many are of no section: pulses reach into them.",
            "symbol",
        ),
    ),
)
