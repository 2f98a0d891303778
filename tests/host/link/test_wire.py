"""Every message as bytes and back; whatever else comes is refused, and nothing but refused."""

from __future__ import annotations

import dataclasses
import struct
import typing
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import ProtocolError
from kronborg.link import messages, wire

PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"

U64 = st.integers(0, 2**64 - 1)
VALUES = {
    wire.U32: st.integers(0, 2**32 - 1),
    wire.U64: U64,
    wire.F64: st.floats(allow_nan=False, allow_infinity=False),
    wire.FLAG: st.booleans(),
    wire.TEXT: st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=40),
    wire.BYTES: st.binary(max_size=60),
    wire.U64S: st.lists(U64, max_size=6).map(tuple),
    wire.WORDS: st.integers(0, 5).flatmap(
        lambda n: st.binary(min_size=4 * n, max_size=4 * n).map(lambda b: np.frombuffer(b, np.int16).reshape(-1, 2))
    ),
    wire.OCTONIONS: st.integers(0, 3).flatmap(
        lambda n: st.binary(min_size=32 * n, max_size=32 * n).map(lambda b: np.frombuffer(b, np.float32).reshape(-1, 8))
    ),
}
ANY_MESSAGE = st.one_of(
    st.builds(kind, **{name: VALUES[form] for name, form in fields}) for kind, fields in wire.SCHEMA.values()
)


def test_every_message_has_a_code_and_every_field_a_place():
    assert {kind for kind, _ in wire.SCHEMA.values()} == set(typing.get_args(messages.Message))
    for kind, fields in wire.SCHEMA.values():
        assert [name for name, _ in fields] == [field.name for field in dataclasses.fields(kind)]


@settings(deadline=None)
@given(ANY_MESSAGE)
def test_messages_come_back_as_they_went(message):
    code, body = wire.encode(message)
    again = wire.decode(code, body)
    assert type(again) is type(message)
    for name in vars(message):
        before, after = getattr(message, name), getattr(again, name)
        if isinstance(before, np.ndarray):
            assert after.dtype == before.dtype
            assert after.tobytes() == before.tobytes()
            assert after.shape == before.shape
        else:
            assert after == before
    assert wire.encode(again) == (code, body)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 255), st.binary(max_size=200))
def test_any_bytes_are_a_message_with_that_one_encoding_or_are_refused(code, body):
    with suppress(ProtocolError):
        assert wire.encode(wire.decode(code, body)) == (code, body)


@settings(deadline=None, max_examples=200)
@given(ANY_MESSAGE, st.data())
def test_a_body_that_was_cut_grown_or_changed_is_another_message_or_refused(message, data):
    code, body = wire.encode(message)
    with pytest.raises(ProtocolError, match="beyond its end"):
        wire.decode(code, body + b"\0")
    if body:
        cut = data.draw(st.integers(0, len(body) - 1))
        with pytest.raises(ProtocolError):
            wire.decode(code, body[:cut])
        changed = bytearray(body)
        changed[cut] ^= data.draw(st.integers(1, 255))
        with suppress(ProtocolError):
            assert wire.encode(wire.decode(code, bytes(changed))) == (code, bytes(changed))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_refused(value):
    with pytest.raises(ProtocolError, match="not finite"):
        wire.decode(14, struct.pack("<Qddd", 1, 0.0, value, 1.0))


@pytest.mark.parametrize("text", [b"two\nlines", b"\x1b[2J", b"\xff\xfe", b"a" * 401])
def test_texts_that_could_disturb_a_terminal_are_refused(text):
    with pytest.raises(ProtocolError, match="text"):
        wire.decode(18, struct.pack("<H", len(text)) + text)


def test_a_reason_is_made_fit_to_be_shown():
    assert wire.decode(*wire.encode(messages.Refused("a\nb\x1b" + "c" * 1000))).reason == "a b " + "c" * 396


def test_a_length_far_beyond_the_body_takes_no_memory():
    for code in (5, 6, 8, 4):
        with pytest.raises(ProtocolError, match="too early"):
            wire.decode(code, b"\xff" * 8)


def test_the_published_schema_is_the_one_in_force():
    text = PROTOCOL.read_text("utf-8")
    assert f"Version {wire.VERSION}." in text
    for code, (kind, fields) in wire.SCHEMA.items():
        row = f"| {code} | `{kind.__name__}` | " + ", ".join(f"{name}: {form.name}" for name, form in fields)
        assert row.rstrip() in text, row
    for form in VALUES:
        assert f"| {form.name} | {form.text} |" in text
