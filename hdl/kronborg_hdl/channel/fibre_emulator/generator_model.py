"""Bit-exact models of the emulator's random generators, and their seeds.

They make a channel's noise, which everybody may know: **not key material**. Whoever knows a few of their words knows
all that follow.

* Noise comes from xoshiro256++ (Blackman & Vigna, ACM Trans. Math. Softw. 47, 36 (2021)): period 2**256 - 1, equally
  distributed in three dimensions; ``generator`` is the Amaranth half.
* Signs of the phase walk come from the recurrence b[n] = b[n - 127] ^ b[n - 64], of the primitive trinomial
  x**127 + x**63 + 1 (Zierler & Brillhart, Inform. Control 13, 541 (1968)): period 2**127 - 1, and uncorrelated in
  pairs; the product of three signs 0, 64 and 127 beats apart is always the same.

The update of xoshiro is linear over GF(2), so a state far ahead is a product with a power of one 256 x 256 matrix:
stretches of the sequence, about as many as each has words, are then made side by side.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

STATE_WORDS = 4
"""Of 64 bits, of one xoshiro."""
STATE_BITS = 64 * STATE_WORDS
SIGN_LAG, SIGN_TAP = 127, 64
SIGN_WORDS = 4
"""Of 32 bits, that hold the signs' last SIGN_LAG bits."""

_GOLDEN, _MIX = 0x9E3779B97F4A7C15, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def seed_words(seed: int, generators: int) -> NDArray[np.uint32]:
    """What the host writes to the seed register, in this order: the signs' state, then that of each xoshiro.

    Words of SplitMix64, as xoshiro's authors advise.

    Args:
        seed: any 64 bits.
        generators: how many xoshiros there are.

    Returns:
        uint32, shape (SIGN_WORDS + 8 * generators,).

    Raises:
        ValueError: a seed of more bits.
    """
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"a seed of {seed} is outside 0 to 2**64 - 1")
    words = []
    for _ in range(SIGN_WORDS // 2 + STATE_WORDS * generators):
        seed = (seed + _GOLDEN) % 2**64
        word = ((seed ^ seed >> 30) * _MIX[0]) % 2**64
        word = ((word ^ word >> 27) * _MIX[1]) % 2**64
        words.append(word ^ word >> 31)
    return np.array(words, "<u8").view("<u4").astype(np.uint32)


def split_seed(words: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    """States that seed words stand for: the signs' bits, oldest first, and xoshiros of shape (generators, 4)."""
    low_first = words.astype("<u4")
    bits = np.unpackbits(low_first[:SIGN_WORDS].view(np.uint8), bitorder="little")
    states = low_first[SIGN_WORDS:].view("<u8").astype(np.uint64).reshape(-1, STATE_WORDS)
    return bits[:SIGN_LAG], states


def next_signs(bits: NDArray[np.uint8], count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """So many further bits of the recurrence, and its last SIGN_LAG bits behind them; uint8 of zeros and ones."""
    made = np.empty(SIGN_LAG + count, np.uint8)
    made[:SIGN_LAG] = bits
    for begin in range(SIGN_LAG, len(made), SIGN_TAP):
        end = min(begin + SIGN_TAP, len(made))
        made[begin:end] = made[begin - SIGN_LAG : end - SIGN_LAG] ^ made[begin - SIGN_TAP : end - SIGN_TAP]
    return made[SIGN_LAG:], made[count:].copy()


def xoshiro(states: NDArray[np.uint64], count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """So many words of each generator, and the states behind them.

    Args:
        states: uint64, shape (generators, 4).
        count: words of each.

    Returns:
        uint64 of shape (count, generators), and states of the same shape as given.
    """
    generators, level = len(states), count.bit_length() // 2
    rows = 1 << level
    streams = -(-count // rows)
    ahead = _bits(states)
    while len(ahead) < streams * generators:
        ahead = np.concatenate([ahead, _times(ahead, _power_of_two(level))])
        level += 1
    running = _words(ahead[: streams * generators]).T.copy()
    words = np.empty((rows, running.shape[1]), np.uint64)
    for row in words:
        _step(running, row)
    in_order = words.reshape(rows, streams, generators).swapaxes(0, 1).reshape(-1, generators)
    last = _bits(states)
    for place in range(count.bit_length()):
        if count >> place & 1:
            last = _times(last, _power_of_two(place))
    return in_order[:count], _words(last)


def _step(state: NDArray[np.uint64], out: NDArray[np.uint64] | None = None) -> None:
    """Advance states of shape (4, n) in place; their words go to `out`."""
    s0, s1, s2, s3 = state
    if out is not None:
        np.add(_rotated(s0 + s3, 23), s0, out=out)
    shifted = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3[:] = _rotated(s3, 45)


def _rotated(words: NDArray[np.uint64], places: int) -> NDArray[np.uint64]:
    return (words << np.uint64(places)) | (words >> np.uint64(64 - places))


def _bits(states: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Zeros and ones, shape (n, 256): as float32 their products are exact, and quick."""
    return np.unpackbits(states.astype("<u8").view(np.uint8), axis=1, bitorder="little").astype(np.float32)


def _words(bits: NDArray[np.float32]) -> NDArray[np.uint64]:
    """The inverse of :func:`_bits`."""
    return np.packbits(bits.astype(np.uint8), axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _times(bits: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    return ((bits @ matrix).astype(np.int32) & 1).astype(np.float32)


@cache
def _power_of_two(level: int) -> NDArray[np.float32]:
    """The matrix of 2**level steps at once."""
    if level:
        half = _power_of_two(level - 1)
        return _times(half, half)
    one = _words(np.eye(STATE_BITS, dtype=np.float32)).T.copy()
    _step(one)
    return _bits(np.ascontiguousarray(one.T))
