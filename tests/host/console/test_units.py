from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.console.units import grouped, megabaud, msnu, percent, si


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bit"),
        (1, "1.00 bit"),
        (999, "999 bit"),
        (999.9, "1.00 kbit"),
        (1e3, "1.00 kbit"),
        (12_345, "12.3 kbit"),
        (1_270_311, "1.27 Mbit"),
        (999_999_999, "1.00 Gbit"),
        (0.0125, "12.5 mbit"),
        (-2e6, "-2.00 Mbit"),
        (3e15, "3000 Tbit"),
        (float("inf"), "inf bit"),
    ],
)
def test_si_prefixes(value, text):
    assert si(value, "bit") == text


@given(st.floats(1e-11, 1e14))
def test_si_is_right_to_its_last_digit(value):
    number, unit = si(value, "Hz").split()
    prefix = {"p": -12, "n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}[unit.removesuffix("Hz")]
    assert float(number) * 10.0**prefix == pytest.approx(value, rel=5.01e-3)


def test_other_forms():
    assert megabaud(31.25e6) == "31.25 MBd"
    assert msnu(0.01134) == "11.3 mSNU"
    assert percent(0.911) == "91.1 %"
    assert grouped(12345678).split() == ["12", "345", "678"]
