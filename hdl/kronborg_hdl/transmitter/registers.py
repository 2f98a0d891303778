"""Registers of the transmitter: a page of its own, then one for each part.

``docs/transmitter.md`` has the order of writes.
"""

from __future__ import annotations

from enum import IntEnum

from ..axi.pages import PageMap
from ..axi.registers import Access, Field, Register, RegisterMap, head
from ..modulation.alphabet.registers import REGISTERS as ALPHABET
from ..modulation.entropy.registers import REGISTERS as ENTROPY
from ..modulation.frame_controller.registers import REGISTERS as FRAME_CONTROLLER
from ..modulation.gaussian.registers import REGISTERS as GAUSSIAN
from ..modulation.predistortion.registers import REGISTERS as PREDISTORTION
from ..modulation.shift_and_pilots.registers import REGISTERS as SHIFT_AND_PILOTS
from ..modulation.symbol_record.registers import REGISTERS as SYMBOL_RECORD


class Symbols(IntEnum):
    """Where symbols come from: the values of ``source.select``."""

    GAUSSIAN = 0
    ALPHABET = 1


_SOURCE_BITS = 1

REGISTERS = RegisterMap(
    "transmitter",
    (
        *head(
            "KBTX",
            (1, 0),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("samples_per_symbol", 8, 8, Access.READ, "M.", unit="sample"),
                Field("span", 16, 16, Access.READ, "K, symbols that a pulse covers.", unit="symbol"),
            ),
            control=(
                Field("clear_counters", 0, 1, Access.COMMAND, "Set the counters to zero."),
                Field("switching", 8, 1, Access.READ, "Another source is selected; it comes when the frame has ended."),
                Field("discarding", 9, 1, Access.READ, "Symbols of entropy that was given up are being thrown away."),
            ),
            status=(
                Field("gap", 0, 1, Access.STICKY, "The converter wanted a sample within a frame, and there was none."),
            ),
        ),
        Register(
            "source",
            0x14,
            "What turns random words into symbols.",
            (
                Field("select", 0, _SOURCE_BITS, Access.READ_WRITE, "0 Gaussian, 1 alphabet; between frames."),
                Field("active", 8, _SOURCE_BITS, Access.READ, "The one in use."),
            ),
        ),
        Register(
            "frames",
            0x18,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Frames that the converter took whole.", unit="frame"),),
        ),
        Register(
            "gaps",
            0x1C,
            "Counter; stays at its largest value.",
            (Field("count", 0, 32, Access.READ, "Clocks without a sample within a frame.", unit="clock"),),
        ),
    ),
)


def transmitter_pages(*, shaper: RegisterMap, predistortion: bool) -> PageMap:
    """All registers of a transmitter with this shaper, and with or without pre-distortion, whose page is the last."""
    pages = (
        ("transmitter", REGISTERS),
        ("entropy", ENTROPY),
        ("gaussian", GAUSSIAN),
        ("alphabet", ALPHABET),
        ("frame_controller", FRAME_CONTROLLER),
        ("symbol_record", SYMBOL_RECORD),
        ("pulse_shaper", shaper),
        ("shift_and_pilots", SHIFT_AND_PILOTS),
    )
    return PageMap("transmitter", pages + ((("predistortion", PREDISTORTION),) if predistortion else ()))
