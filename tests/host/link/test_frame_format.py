import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import InputError
from kronborg.link.frame_format import FrameFormat, Preamble

METADATA: dict[str, Any] = {
    "cvqkd:symbol_rate_hz": 62500000.0,
    "cvqkd:symbols": 60000,
    "cvqkd:roll_off": 0.2,
    "cvqkd:frequency_shift_hz": 70000000.0,
    "cvqkd:pilot_frequencies_hz": [150000000.0, 165000000.0],
    "cvqkd:preamble": {"type": "zadoff-chu", "root": 5, "length": 2999, "rate_hz": 500000000.0},
    "cvqkd:transmitter_sample_rate_hz": 500000000.0,
    "cvqkd:leading_zeros_at_transmitter": 4000,
}


def one_line(error: InputError) -> None:
    assert "\n" not in str(error)


def changed(name: str, value: Any) -> dict[str, Any]:
    fields = json.loads(json.dumps(METADATA))
    *outer, last = name.split(".")
    (fields["cvqkd:preamble"] if outer else fields)[last if outer else "cvqkd:" + last] = value
    return fields


def test_reads_the_metadata_of_a_recording() -> None:
    assert FrameFormat.from_metadata(METADATA) == FrameFormat(
        symbol_rate_hz=62.5e6,
        symbols=60000,
        roll_off=0.2,
        frequency_shift_hz=70e6,
        pilot_frequencies_hz=(150e6, 165e6),
        preamble=Preamble(5, 2999, 500e6),
        transmitter_sample_rate_hz=500e6,
        leading_zeros_at_transmitter=4000,
    )


def test_a_whole_number_serves_where_a_fraction_may_stand() -> None:
    assert FrameFormat.from_metadata(changed("symbol_rate_hz", 62_500_000)) == FrameFormat.from_metadata(METADATA)


@given(
    symbols=st.integers(1, 1 << 28),
    roll_off=st.floats(0.01, 1.0),
    shift=st.floats(-2e8, 2e8),
    pilots=st.lists(st.floats(4e8, 1e9), min_size=1, max_size=3, unique=True),
    shaped=st.booleans(),
    amplitude=st.floats(0.1, 10),
    leading=st.integers(0, 1 << 20),
)
def test_metadata_round_trips_through_json(
    symbols: int, roll_off: float, shift: float, pilots: list[float], shaped: bool, amplitude: float, leading: int
) -> None:
    preamble = Preamble(7, 1021, 1.25e8 if shaped else 5e8, shaped, amplitude)
    frame = FrameFormat(1.25e8, symbols, roll_off, shift, tuple(pilots), preamble, 5e8, leading)
    assert FrameFormat.from_metadata(json.loads(json.dumps(frame.to_metadata()))) == frame


@pytest.mark.parametrize("name", METADATA)
def test_names_the_field_that_is_missing(name: str) -> None:
    with pytest.raises(InputError, match=name):
        FrameFormat.from_metadata({key: value for key, value in METADATA.items() if key != name})


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("value", [None, "62500000", True, [[]], {"a": 1}], ids=str)
def test_names_the_field_that_has_another_type(name: str, value: object) -> None:
    with pytest.raises(InputError):
        FrameFormat.from_metadata({**METADATA, name: value})


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("symbol_rate_hz", 0.0, "symbol rate of 0"),
        ("symbol_rate_hz", math.nan, "symbol rate of nan"),
        ("symbol_rate_hz", 10**400, "out of range"),
        ("symbol_rate_hz", 60e6, "not a whole number"),
        ("symbols", 0, "0 symbols"),
        ("symbols", 10**12, "outside 1 to"),
        ("symbols", 10**3000, "out of range"),
        ("symbols", 6e4, "cvqkd:symbols.*int"),
        ("roll_off", 0.0, "roll-off"),
        ("roll_off", 1.1, "roll-off"),
        ("frequency_shift_hz", math.inf, "shift"),
        ("pilot_frequencies_hz", [], "no pilot"),
        ("pilot_frequencies_hz", [1.5e8, math.nan], "no pilot"),
        ("pilot_frequencies_hz", [1.5e8, 1.5e8], "same frequency"),
        ("pilot_frequencies_hz", [1.5e8, 1.0e8], "within the signal's band"),
        ("pilot_frequencies_hz", 1.5e8, "list"),
        ("transmitter_sample_rate_hz", -5e8, "transmitter sample rate"),
        ("transmitter_sample_rate_hz", 3e8, "not a whole number"),
        ("leading_zeros_at_transmitter", -1, "leading zeros"),
        ("preamble.type", "barker", "only zadoff-chu"),
        ("preamble.type", "x" * 100_000, "only zadoff-chu"),
        ("preamble.root", 0, "coprime"),
        ("preamble.root", 2999, "coprime"),
        ("preamble.length", 5000, "coprime"),
        ("preamble.length", 2, "2 chips"),
        ("preamble.length", 1 << 40, "chips"),
        ("preamble.rate_hz", 0.0, "chips per second"),
        ("preamble.rate_hz", 1e-300, "not a whole number"),
        ("preamble.rate_hz", 1e9, "not a whole number"),
        ("preamble.shaped", 1, "bool"),
        ("preamble.shaped", True, "symbol rate"),
        ("preamble.amplitude", 0.0, "amplitude"),
    ],
)
def test_refuses_formats_that_cannot_be(name: str, value: object, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        FrameFormat.from_metadata(changed(name, value))
    one_line(caught.value)
    assert len(str(caught.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(METADATA)), JSON, st.sampled_from(["root", "length", "rate_hz", "amplitude"]), JSON)
def test_mutated_metadata_is_a_format_or_refused(name: str, value: Any, inner: str, other: Any) -> None:
    fields = {**METADATA, "cvqkd:preamble": {**METADATA["cvqkd:preamble"], inner: other}}
    for mutated in (fields, {**METADATA, name: value}):
        try:
            frame = FrameFormat.from_metadata(mutated)
        except InputError as error:
            one_line(error)
        else:
            assert FrameFormat.from_metadata(frame.to_metadata()) == frame


def test_is_immutable_and_checked_when_made_by_hand() -> None:
    frame = FrameFormat.from_metadata(METADATA)
    with pytest.raises(AttributeError):
        frame.symbols = 1  # type: ignore[misc]
    with pytest.raises(InputError):
        replace(frame, roll_off=2.0)
