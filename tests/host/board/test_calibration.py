"""What the host believes of the power meter's measurements of noise."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from kronborg.board.pynq.board import untouched
from kronborg.board.pynq.receiver import Receiver
from kronborg.board.pynq.registers import page_class
from kronborg.errors import BoardError, InputError
from kronborg_hdl.decimation.power_meter.registers import REGISTERS

CONTROL = REGISTERS["control"]
UNLOCKED = 1 << 2
"""Without a pilot nothing is locked."""


class Meter:
    """The registers of a meter with a measurement that is complete."""

    def __init__(self, touched: int) -> None:
        self.words = {register.offset: register.reset for register in REGISTERS.registers}
        self.words[CONTROL.offset] = CONTROL.word(complete=1, touched=touched)

    def read(self, offset: int = 0) -> int:
        return self.words[offset]

    def write(self, offset: int, value: int) -> None:
        self.words[offset] = 0  # the command is done, and nothing is complete any more


def test_a_measurement_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="a measurement of no section"):
        object.__new__(Receiver).begin_measurement(100, frozenset())


@pytest.mark.parametrize(("bit", "flag"), [(0, "OVER_RANGE"), (1, "SATURATED"), (4, "OVERRUN")])
def test_noise_that_was_clipped_or_lost_is_no_calibration(bit: int, flag: str) -> None:
    host = object.__new__(Receiver)
    host.registers = SimpleNamespace(power_meter=page_class(REGISTERS)(Meter(UNLOCKED | 1 << bit)))
    measured = host.measurement()
    assert measured is not None
    assert measured.touched == UNLOCKED | 1 << bit
    assert host.measurement() is None, "each is given once"
    with pytest.raises(BoardError, match=rf"the noise was not measured as it is \({flag}\)"):
        untouched(measured)
    good = replace(measured, touched=UNLOCKED)
    assert untouched(good) == good
