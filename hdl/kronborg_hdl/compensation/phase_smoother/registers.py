"""Registers of the phase smoother.

The host writes the weights, then CONTROL.apply: all take effect together. After reset they are zero, and phasors pass
unchanged.
"""

from __future__ import annotations

from ...axi.registers import Access, Field, Register, RegisterMap, head
from .model import STAGES, WEIGHT_BITS, WEIGHT_FRACTION

WEIGHTS_PER_REGISTER = 4


def _weights(number: int) -> Register:
    first = number * WEIGHTS_PER_REGISTER
    return Register(
        f"weights_{number}",
        0x14 + 4 * number,
        f"Weights of stages {first} to {first + WEIGHTS_PER_REGISTER - 1}; stage i joins hops 2**i apart.",
        tuple(
            Field(
                f"stage_{first + n}",
                8 * n,
                WEIGHT_BITS,
                Access.READ_WRITE,
                "Of either neighbour.",
                scale=2.0**-WEIGHT_FRACTION,
            )
            for n in range(WEIGHTS_PER_REGISTER)
        ),
    )


REGISTERS = RegisterMap(
    "phase_smoother",
    (
        *head(
            "KBSM",
            (1, 0),
            capabilities=(
                Field("hops_per_clock", 0, 8, Access.READ, "Phasors per clock.", unit="hop"),
                Field("stages", 8, 8, Access.READ, "Stages; the reach is 2**stages - 1 hops."),
            ),
            control=(Field("apply", 0, 1, Access.COMMAND, "Use the weights as written, from the next phasor on."),),
            status=(),
        ),
        *(_weights(number) for number in range(STAGES // WEIGHTS_PER_REGISTER)),
    ),
)
