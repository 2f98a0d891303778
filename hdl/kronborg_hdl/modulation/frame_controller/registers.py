"""Registers of the frame controller.

The host stops the controller, writes the preamble's symbols one after the other, then lengths and levels, then
CONTROL.apply: all settings take effect together, between two frames, or are refused together.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import INDEX_BITS, LENGTH_BITS, REPETITION_BITS, Section


def _length(section: Section, offset: int, sentence: str) -> Register:
    return Register(
        section.value,
        offset,
        sentence,
        (Field("length", 0, LENGTH_BITS, Access.READ_WRITE, "A multiple of the symbols per clock.", unit="symbol"),),
    )


def _symbol(name: str, offset: int, sentence: str) -> Register:
    return Register(
        name,
        offset,
        sentence,
        (
            Field("i", 0, 16, Access.READ_WRITE, "In-phase.", signed=True, scale=2.0**-15),
            Field("q", 16, 16, Access.READ_WRITE, "Quadrature.", signed=True, scale=2.0**-15),
        ),
    )


REGISTERS = RegisterMap(
    "frame_controller",
    (
        *head(
            "KBFC",
            (1, 0),
            capabilities=(
                Field("symbols_per_clock", 0, 8, Access.READ, "Width of the stream.", unit="symbol"),
                Field("preamble_capacity", 16, INDEX_BITS, Access.READ, "Longest preamble.", unit="symbol"),
            ),
            control=(
                Field("apply", 0, 1, Access.COMMAND, "Use all settings as written, from the next frame on."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counter to zero."),
                Field("run", 2, 1, Access.READ_WRITE, "Frames follow each other. Low: the one under way is the last."),
                Field("loaded", 8, 1, Access.READ, "Settings were taken since reset; until then no frame begins."),
                Field("active", 9, 1, Access.READ, "A frame is under way."),
            ),
            status=(
                Field("starved", 0, 1, Access.STICKY, "A payload symbol was due and the source had none."),
                Field(
                    "settings_refused",
                    1,
                    1,
                    Access.STICKY,
                    "Apply had no effect: a length is no multiple of the symbols per clock, the preamble is longer"
                    " than its memory, the frame is empty, its head is too short, or a setting was written while apply"
                    " was busy.",
                ),
                Field(
                    "preamble_refused",
                    2,
                    1,
                    Access.STICKY,
                    "A preamble symbol was written beyond the memory, or while frames were sent, and not stored.",
                ),
            ),
        ),
        Register(
            "head",
            0x14,
            "Guard, preamble and header together.",
            (
                Field(
                    "minimum",
                    0,
                    INDEX_BITS,
                    Access.READ,
                    "Shorter ones are refused: the chain behind must have given the last frame's samples before the"
                    " next frame's payload.",
                    unit="symbol",
                ),
            ),
        ),
        _length(Section.GUARD, 0x18, "Zeros before everything else."),
        _length(Section.PREAMBLE, 0x1C, "The first symbols of the preamble's memory."),
        Register(
            "header",
            0x20,
            "The frame's number, 32 bits, most significant first.",
            (
                Field(
                    "repetition",
                    0,
                    REPETITION_BITS,
                    Access.READ_WRITE,
                    "Symbols of each bit, a multiple of the symbols per clock. Zero: no header.",
                    unit="symbol",
                ),
            ),
        ),
        _length(Section.PAYLOAD, 0x24, "Symbols of the source: these are recorded."),
        _length(Section.VACUUM, 0x28, "Zeros."),
        _length(Section.CALIBRATION, 0x2C, "A constant symbol: a tone at the frequency of the shift."),
        _symbol("header_symbol", 0x30, "What a one is sent as; a zero is sent as its negative."),
        _symbol("calibration_symbol", 0x34, "Of the calibration section."),
        Register(
            "next_frame",
            0x38,
            "A write numbers the next frame that begins; no apply is needed.",
            (Field("number", 0, 32, Access.READ_WRITE, "Rises by one from frame to frame."),),
        ),
        Register(
            "frames",
            0x3C,
            "Where the numbering is.",
            (Field("next", 0, 32, Access.READ, "Number of the next frame that begins."),),
        ),
        Register(
            "preamble_index",
            0x40,
            "Where the next preamble symbol goes.",
            (Field("symbol", 0, INDEX_BITS, Access.READ_WRITE, "Rises by one with each that is stored."),),
        ),
        _symbol("preamble_symbol", 0x44, "A write stores a symbol, when run is low and no frame is under way."),
        Register(
            "starved_symbols",
            0x48,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Zeros sent for payload symbols that were missing.", unit="symbol"),),
        ),
    ),
)
