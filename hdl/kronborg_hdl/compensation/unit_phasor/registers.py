"""Registers of the unit phasor: there is nothing to set."""

from __future__ import annotations

from ...axi.registers import Access, Field, RegisterMap, head

REGISTERS = RegisterMap(
    "unit_phasor",
    head(
        "KBUP",
        (1, 0),
        capabilities=(Field("hops_per_clock", 0, 8, Access.READ, "Phasors per clock.", unit="hop"),),
        control=(),
        status=(Field("zero", 0, 1, Access.STICKY, "A phasor was zero: it became 1 + 0i, and means nothing."),),
    ),
)
