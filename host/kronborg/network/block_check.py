"""Do both ends hold the same block? A universal hash tells, encrypted with bits of the block itself.

The last 16 bytes of a block are set aside as a pad and never become key. The tag is the polynomial hash of
:mod:`kronborg.postprocessing.verification` over what comes before them, under a fresh random point that is public, and
goes out XORed with the pad: a Wegman-Carter tag, so that whoever reads or forges the channel learns nothing of the
keys, whatever computer they have. A pad serves once: the end that asks keeps its challenge on disk before it sends it,
and repeats the same one as often as it must.
"""

from __future__ import annotations

import hmac
import secrets

import numpy as np

from ..postprocessing import verification

PAD_BYTES = 16
CHALLENGE_BYTES = verification.KEY_BYTES + PAD_BYTES
SMALLEST_BLOCK = PAD_BYTES + 2
"""Bytes: one for each direction."""


def halves(key: bytes, bits: int) -> tuple[bytes, bytes] | None:
    """What a block gives to the pools of its two directions; None where it is too small.

    Bits that fill no byte, the pad, and the byte that two halves cannot share become no key.
    """
    if bits // 8 < SMALLEST_BLOCK:
        return None
    half = (bits // 8 - PAD_BYTES) // 2
    return key[:half], key[half : 2 * half]


def challenge(key: bytes, bits: int) -> bytes:
    """A fresh challenge for a block: a random point, and the encrypted tag; CHALLENGE_BYTES."""
    point = secrets.token_bytes(verification.KEY_BYTES)
    return point + _answer(key, bits, point)


def equal(key: bytes, bits: int, asked: bytes) -> bool:
    """Whether the block behind a challenge is this one; wrong with probability below 2**-100 for any real block."""
    point = asked[: verification.KEY_BYTES]
    return len(asked) == CHALLENGE_BYTES and hmac.compare_digest(point + _answer(key, bits, point), asked)


def _answer(key: bytes, bits: int, point: bytes) -> bytes:
    whole = bits // 8
    tag = verification.tag(np.unpackbits(np.frombuffer(key[: whole - PAD_BYTES], np.uint8)), point)
    pad = key[whole - PAD_BYTES : whole]
    return bytes(a ^ b for a, b in zip(tag, pad, strict=True))
