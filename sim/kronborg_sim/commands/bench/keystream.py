"""The keystream that the benches draw from, and two bad generators that show what a battery finds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kronborg_hdl.modulation.entropy.chacha20.model import BLOCK_WORDS, keystream
from kronborg_hdl.modulation.entropy.model import Entropy

BLOCK_BYTES = 4 * BLOCK_WORDS
_BLOCKS_PER_KEY = 1 << 32


def chacha20(seed: int, first: int, count: int) -> NDArray[np.uint32]:
    """Blocks `first`, `first` + 1, ... of the gateware's source in HOST mode; uint32, shape (count, 16).

    When its key is spent the host gives the same again: the next epoch's nonce makes another stream of it.
    """
    key = np.random.SeedSequence(seed).generate_state(8, np.uint32).astype(np.uint32)
    epoch, counter = divmod(first, _BLOCKS_PER_KEY)
    here = min(count, _BLOCKS_PER_KEY - counter)
    words = keystream(key, Entropy().nonce(epoch), here, counter=counter)
    return words if here == count else np.concatenate([words, chacha20(seed, first + here, count - here)])


def prbs31(seed: int, first: int, count: int) -> NDArray[np.uint32]:
    """A test pattern left connected: x**31 + x**28 + 1 (ITU-T O.150), at a phase that seed and first block choose."""
    # Squared five times, the recurrence holds between words of 32 bits.
    words = np.empty(max(count * BLOCK_WORDS, 31), np.uint32)
    register = int(np.random.SeedSequence([seed, first]).generate_state(1)[0]) | 1
    for n in range(31):
        for _ in range(32):
            register = (register << 1 | (register >> 30 ^ register >> 27) & 1) & 0xFFFFFFFF
        words[n] = int(f"{register:032b}"[::-1], 2)  # the oldest bit is the lowest
    known, lag = 31, 1
    while known < len(words):
        while 31 * lag * 2 <= known:
            lag *= 2
        new = words[known : known + 28 * lag]
        new[:] = words[known - 31 * lag :][: len(new)] ^ words[known - 28 * lag :][: len(new)]
        known += len(new)
    return words[: count * BLOCK_WORDS].reshape(count, BLOCK_WORDS)


def stuck(seed: int, first: int, count: int) -> NDArray[np.uint32]:
    """The keystream with one of a block's 512 wires stuck at one."""
    words = chacha20(seed, first, count)
    words[:, 5] |= np.uint32(1 << 7)
    return words


GENERATORS = {"chacha20": chacha20, "prbs31": prbs31, "stuck": stuck}
