"""Registers of the receiver: a page of its own, then one for each part; the half-bands come last, the first one first.

``docs/receiver.md`` has the order of writes.
"""

from __future__ import annotations

from ..axi.pages import PageMap
from ..axi.registers import Access, Field, Register, RegisterMap, head
from ..compensation.converter_input.registers import REGISTERS as CONVERTER_INPUT
from ..compensation.mixer.registers import REGISTERS as MIXER
from ..compensation.phase_smoother.registers import REGISTERS as PHASE_SMOOTHER
from ..compensation.pilot_tracker.registers import REGISTERS as PILOT_TRACKER
from ..compensation.rotator.registers import REGISTERS as ROTATOR
from ..compensation.unit_phasor.registers import REGISTERS as UNIT_PHASOR
from ..decimation.half_band.registers import REGISTERS as HALF_BAND
from ..decimation.power_meter.registers import REGISTERS as POWER_METER
from ..decimation.resampler.registers import REGISTERS as RESAMPLER
from ..decimation.symbol_filter.registers import REGISTERS as SYMBOL_FILTER
from ..synchronisation.frame_synchroniser.packet import EVENTS
from ..synchronisation.frame_synchroniser.registers import REGISTERS as FRAME_SYNCHRONISER
from .tap.registers import REGISTERS as TAP

COUNTER_BITS = 32

_HAPPENED = {
    "over_range": "The converter was over its range.",
    "saturated": "A word of the chain was clipped; its part says where.",
    "unlocked": "The pilots were not locked, slipped, or were weak while the lock was held.",
    "late": "A command reached mixer or resampler after the place at which it was to act, or was not taken or refused.",
    "overrun": "A beat came and could not be taken: it is lost, or late where the source waits.",
    "changed": "A part's settings were applied, or samples were thrown away because `run` is low.",
}

REGISTERS = RegisterMap(
    "receiver",
    (
        *head(
            "KBRX",
            (1, 1),
            capabilities=(
                Field("lanes", 0, 8, Access.READ, "Samples per clock.", unit="sample"),
                Field("halvings", 8, 4, Access.READ, "Half-band stages."),
                Field("complex_input", 12, 1, Access.READ, "Samples have I and Q."),
            ),
            control=(
                Field("run", 0, 1, Access.READ_WRITE, "Samples go in; while it is low they are thrown away."),
                Field("clear_counters", 1, 1, Access.COMMAND, "Set the counter to zero."),
                Field("source_waits", 2, 1, Access.READ_WRITE, "Samples come from memory: none is lost that waits."),
            ),
            status=tuple(
                Field(name, bit, 1, Access.STICKY, _HAPPENED[name])
                for bit, name in enumerate(str(flag.name).lower() for flag in EVENTS)
            ),
        ),
        Register(
            "overruns",
            0x14,
            "Counter; stays at its largest value.",
            (Field("count", 0, COUNTER_BITS, Access.READ, "Clocks in which a beat could not be taken.", unit="beat"),),
        ),
    ),
)


def receiver_pages(halvings: int) -> PageMap:
    """All registers of a receiver with so many half-band stages."""
    pages = (
        ("receiver", REGISTERS),
        ("converter_input", CONVERTER_INPUT),
        ("mixer", MIXER),
        ("pilot_tracker", PILOT_TRACKER),
        ("phase_smoother", PHASE_SMOOTHER),
        ("unit_phasor", UNIT_PHASOR),
        ("rotator", ROTATOR),
        ("resampler", RESAMPLER),
        ("symbol_filter", SYMBOL_FILTER),
        ("frame_synchroniser", FRAME_SYNCHRONISER),
        ("power_meter", POWER_METER),
        ("tap", TAP),
    )
    return PageMap("receiver", pages + tuple((f"half_band_{stage}", HALF_BAND) for stage in range(halvings)))
