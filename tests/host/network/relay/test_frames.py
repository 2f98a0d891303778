"""Frames: what is sealed opens once more, and nothing else does."""

import os
import uuid
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kronborg.network.material import Segment
from kronborg.network.relay.frames import (
    MOST_FRAME_BYTES,
    TAG_BYTES,
    TAG_KEY_BYTES,
    Frame,
    FrameRefused,
    Kind,
    exclusive_or,
    forgery_probability,
    open_,
    parse,
    seal,
)
from kronborg.network.relay.manifest import AnswerManifest, KeysManifest, read, write

PLACE = [Segment(3, 17, 30), Segment(4, 0, 34)]
MATERIAL = bytes(range(64))


def sealed(payload: bytes = b"k" * 32, manifest: bytes = b'{"a":1}') -> bytes:
    frame, tag = seal(Kind.KEYS, "cph-odense", 1, PLACE, MATERIAL, manifest, payload)
    return frame.encode() + tag


def test_a_frame_says_what_was_sealed_and_shows_nothing_of_the_payload() -> None:
    payload = os.urandom(32)
    body = sealed(payload)
    frame, tag = parse(body)
    assert open_(frame, tag, MATERIAL) == payload
    assert frame.segments == tuple(PLACE)
    assert (frame.kind, frame.link, frame.pool, frame.manifest) == (Kind.KEYS, "cph-odense", 1, b'{"a":1}')
    assert payload[:4] not in body
    assert frame.payload == exclusive_or(payload, MATERIAL[TAG_KEY_BYTES:])
    assert MATERIAL[:4] not in body


def test_any_bit_that_is_flipped_is_noticed() -> None:
    body = sealed()
    for at in range(8 * len(body)):
        changed = bytearray(body)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(FrameRefused):
            open_(*parse(bytes(changed)), MATERIAL)


def test_any_cut_or_extension_is_malformed() -> None:
    body = sealed()
    for size in range(len(body)):
        with pytest.raises(FrameRefused, match="malformed"):
            parse(body[:size])
    with pytest.raises(FrameRefused, match="malformed"):
        parse(body + b"\0")
    with pytest.raises(FrameRefused, match="oversize"):
        parse(bytes(MOST_FRAME_BYTES + 1))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300))
@example(b"")
@example(b"KRF1")
@example(b"KRF1\x01\x00\x01a" + bytes(16) + b"\xff\xff")
@example(b"KRF1\x01\x00\x01a" + bytes(16) + b"\0\1" + bytes(20) + b"\xff\xff\xff\xff")
def test_the_parser_takes_anything(data: bytes) -> None:
    for text in (data, sealed()[: len(data) % 40] + data):
        with pytest.raises(FrameRefused, match="malformed"):
            parse(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_parses_is_written_the_same_again(data: st.DataObject) -> None:
    """A frame has one form: nothing could be changed in it without its tag knowing."""
    body = bytearray(sealed())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        frame, tag = parse(bytes(body))
    except FrameRefused:
        return
    assert frame.encode() + tag == bytes(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"segments": ()},
        {"segments": (Segment(1, 0, 0), *PLACE)},
        {"segments": (Segment(1, 0, 63),)},
        {"segments": (Segment(1 << 62, 0, 64),)},
        {"segments": (Segment(1, 1 << 62, 64),)},
        {"link": "relay/x"},
        {"link": ""},
        {"pool": 2},
    ],
)
def test_a_frame_of_the_right_form_with_a_wrong_sense_is_malformed(changes: dict[str, object]) -> None:
    frame, tag = parse(sealed())
    changed: Frame = replace(frame, **changes)  # type: ignore[arg-type]
    with pytest.raises(FrameRefused, match="malformed"):
        parse(changed.encode() + tag)


def test_two_frames_never_take_the_same_name() -> None:
    assert parse(sealed())[0].id != parse(sealed())[0].id


def test_shares_of_different_length_are_not_combined() -> None:
    with pytest.raises(ValueError, match="3 bytes and 2"):
        exclusive_or(b"abc", b"ab")


def test_forgeries_are_bounded() -> None:
    assert forgery_probability(MOST_FRAME_BYTES, 1000) < 1e-24
    assert TAG_BYTES == 16


# --- manifests

KEYS = {
    "session": str(uuid.UUID(int=1)),
    "path": ["a", "b", "c"],
    "share": 0,
    "shares": 1,
    "key_ids": [str(uuid.UUID(int=2))],
    "key_bytes": 32,
    "master": "alice",
    "slaves": ["bob"],
    "lifetime_seconds": 60.0,
    "extension": {},
}


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = KeysManifest(**KEYS)  # type: ignore[arg-type]
    assert read(KeysManifest, write(manifest)) == manifest
    assert (manifest.after("a"), manifest.after("c"), manifest.after("x")) == ("b", None, None)
    assert manifest.back_from("b") == ["b", "a"]


@pytest.mark.parametrize(
    "changes",
    [
        {"path": ["a"]},
        {"path": ["a", "b", "a"]},
        {"path": ["a", "b c"]},
        {"path": [f"n{i}" for i in range(65)]},
        {"session": "x"},
        {"share": 2},
        {"shares": 3},
        {"key_ids": []},
        {"key_ids": KEYS["key_ids"] * 2},  # type: ignore[operator]
        {"key_bytes": 0},
        {"slaves": ["bob", "bob"]},
        {"slaves": []},
        {"lifetime_seconds": 0.0},
        {"extension": []},
        {"more": 1},
    ],
)
def test_a_manifest_that_is_not_strict_is_refused(changes: dict[str, object]) -> None:
    import json

    with pytest.raises(FrameRefused, match="manifest"):
        read(KeysManifest, json.dumps(KEYS | changes).encode())


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=100),
        st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
            lambda value: repr(value).encode(errors="replace")
        ),
    )
)
def test_the_manifest_reader_takes_anything(data: bytes) -> None:
    for model in (KeysManifest, AnswerManifest):
        with pytest.raises(FrameRefused, match="manifest"):
            read(model, data)
