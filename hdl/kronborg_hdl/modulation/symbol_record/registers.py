"""Registers of the symbol record."""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import COUNTER_BITS, DEPTH_BITS, Flag

_SENTENCES = {
    Flag.STARVED: "The source had no symbol when one was due.",
    Flag.ENTROPY: "The entropy was not to be trusted, or was wanting.",
    Flag.SATURATED: "A word of the chain was clipped.",
    Flag.GAP: "The converter was left without a sample.",
}


def _counter(name: str, offset: int, sentence: str, unit: str) -> Register:
    return Register(
        name,
        offset,
        "Counter; stays at its largest value.",
        (Field("count", 0, COUNTER_BITS, Access.READ, sentence, unit=unit),),
    )


REGISTERS = RegisterMap(
    "symbol_record",
    (
        *head(
            "KBSR",
            (1, 0),
            capabilities=(
                Field("symbols_per_clock", 0, 8, Access.READ, "Width of the streams.", unit="symbol"),
                Field("depth", 8, DEPTH_BITS, Access.READ, "Beats that wait for memory.", unit="beat"),
            ),
            control=(Field("clear_counters", 0, 1, Access.COMMAND, "Set all counters to zero."),),
            status=(
                *(
                    Field(
                        str(flag.name).lower(),
                        flag.bit_length() - 1,
                        1,
                        Access.STICKY,
                        f"A frame was marked. {_SENTENCES[flag]}",
                    )
                    for flag in Flag
                ),
                Field(
                    "held",
                    len(Flag),
                    1,
                    Access.STICKY,
                    "Symbols waited, because memory did not take the record or the frame before had not left.",
                ),
            ),
        ),
        _counter("frames_good", 0x14, "Frames without a flag: they may become key.", "frame"),
        _counter("frames_marked", 0x18, "Frames with a flag: they may not.", "frame"),
        Register(
            "recorded_low",
            0x1C,
            "Counter of 64 bits: read high, low, high until both high words are the same.",
            (Field("count", 0, 32, Access.READ, "Symbols recorded, low word.", unit="symbol"),),
        ),
        Register(
            "recorded_high",
            0x20,
            "The counter's high word.",
            (Field("count", 0, 32, Access.READ, "Symbols recorded, high word.", unit="symbol", scale=2.0**32),),
        ),
    ),
)
